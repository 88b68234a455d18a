package transfer

import (
	"context"
	"io"
	"slices"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/pace"
)

// A crammed store has uploads of an earlier process, which it will or will not give up.
type crammed struct {
	*buckettest.Memory
	refuse    error
	discarded []string
}

func (c *crammed) KeepJournal(bucket.Journal) {}

func (c *crammed) Resume(context.Context, bucket.Pending, bucket.PutOptions) (bucket.Upload, error) {
	return nil, bucket.ErrUnsupported
}

func (c *crammed) Discard(_ context.Context, p bucket.Pending) error {
	c.discarded = append(c.discarded, p.ID)
	return c.refuse
}

// Uploads that are left are removed by a run with nothing else to do, but by no dry run. One that
// this user may not remove is not tried again and again.
func TestLeftovers(t *testing.T) {
	for name, c := range map[string]struct {
		refuse error
		dry    bool
		tried  int
		left   int // in the journal
	}{
		"removed":      {nil, false, 1, 1}, // the store tells the journal, which this one does not do
		"not allowed":  {&bucket.Error{Code: "AccessDenied", Status: 403}, false, 1, 0},
		"expired":      {&bucket.Error{Code: "ExpiredToken", Status: 403}, false, 1, 1},
		"out of order": {&bucket.Error{Code: "InternalError", Status: 500}, false, 1, 1},
		"dry run":      {nil, true, 0, 1},
	} {
		dir := t.TempDir()
		journal := func() (*catalog.Journal, catalog.Identity) {
			id, err := catalog.Identify(dir, "place")
			if err != nil {
				t.Fatal(err)
			}
			return id.Journal(), id
		}
		dead, id := journal()
		dead.Begun(bucket.Pending{Key: "p/large", ID: "1"})
		dead.Close()
		id.Release()

		store := &crammed{Memory: &buckettest.Memory{}, refuse: c.refuse}
		alive, id := journal()
		o := Options{From: Side{Dir: t.TempDir()}, To: Side{Store: store, Bucket: "bucket", Prefix: "p/", Place: "place"}, Uploads: alive, DryRun: c.dry}
		if _, err := Sync(t.Context(), o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		alive.Close()
		id.Release()
		again, id := journal()
		if len(store.discarded) != c.tried || len(again.Left()) != c.left {
			t.Errorf("%s: %d are tried to remove, want %d; %d stay in the journal, want %d", name, len(store.discarded), c.tried, len(again.Left()), c.left)
		}
		id.Release()
	}
}

// A resuming store has an upload of an earlier process with parts that have the right checksums.
type resuming struct {
	*buckettest.Memory
	strict []bool // of each part that it was asked for
}

func (s *resuming) KeepJournal(bucket.Journal)                    {}
func (s *resuming) Discard(context.Context, bucket.Pending) error { return nil }

func (s *resuming) Resume(ctx context.Context, p bucket.Pending, o bucket.PutOptions) (bucket.Upload, error) {
	up, err := s.Memory.Upload(ctx, p.Key, o)
	return &resumedUpload{up, s}, err
}

type resumedUpload struct {
	bucket.Upload
	store *resuming
}

func (u *resumedUpload) Has(_ int, _ io.ReadSeeker, _ int64, _ uint64, strict bool) (bool, error) {
	u.store.strict = append(u.store.strict, strict)
	return false, nil
}

// Who may write to the bucket may have put other bytes with the same checksum in the place of a part:
// with a key that is looked at.
func TestLeftPartsAndTheKey(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		m := newMachine(t, &buckettest.Memory{})
		s := &resuming{Memory: m.store}
		m.o.To.Store, m.o.Parts = s, Parts{Threshold: 1, Size: 8 << 20}
		m.o.Gate = pace.Fixed(1)
		if keyed {
			sealing(m)
		}
		id, err := catalog.Identify(t.TempDir(), "place")
		if err != nil {
			t.Fatal(err)
		}
		defer id.Release()
		m.o.Uploads = id.Journal()
		m.o.Uploads.Begun(bucket.Pending{Key: "p/a", ID: "1"})
		m.o.Uploads.Close()
		m.o.Uploads = id.Journal()
		m.write(map[string]string{"a": "1"})
		m.sync(nil)
		if !slices.Equal(s.strict, []bool{keyed}) {
			t.Errorf("with a key %v: %v", keyed, s.strict)
		}
	}
}
