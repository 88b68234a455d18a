package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/pace"
)

// newCopier returns a machine that copies from a bucket "a" to one of its own, called "b".
func newCopier(t *testing.T, source *buckettest.Memory) *machine {
	m := newMachine(t, &buckettest.Memory{Name: "b", Others: map[string]*buckettest.Memory{"a": source}})
	m.dir = ""
	m.o.From = Side{Store: source, Bucket: "a", Prefix: "p/", Place: "source"}
	return m
}

// faithful audits a manifest and also asks the bucket for the ETag of each entry: with a wrong one no
// later run could touch the object.
func faithful(t *testing.T, store *buckettest.Memory) {
	t.Helper()
	audit(t, store)
	ctx := context.Background()
	c, err := catalog.Open(ctx, store, catalog.Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range c.Tree(ctx).Entries("") {
		if err != nil {
			t.Fatal(err)
		}
		inDoubt := false
		for _, i := range c.Foreign() {
			inDoubt = inDoubt || i.Range != nil && i.Range.Contains(e.Key)
		}
		obj, err := store.Head(ctx, "p/"+e.Key, bucket.HeadOptions{})
		switch {
		case inDoubt:
		case err != nil:
			t.Errorf("%s: %v", e.Key, err)
		case obj.ETag != e.Evidence.ETag:
			t.Errorf("the manifest names another state of %s", e.Key)
		case e.Unproven && e.Digest != manifest.UnprovenDigest(obj.ETag, obj.Size):
			t.Errorf("the manifest's stand-in for %s is wrong", e.Key)
		}
	}
}

// both sets what happens to the requests to either bucket.
func (m *machine) both(fault func(op buckettest.Op, key string) buckettest.Outcome) {
	m.store.Fault = fault
	m.o.From.Store.(*buckettest.Memory).Fault = fault
}

// copies runs with --delete and checks that the two buckets then hold the same and that the manifest
// is true. It returns how many requests went to the source.
func (m *machine) copies(change func(*Options)) (Summary, int) {
	m.t.Helper()
	source := m.o.From.Store.(*buckettest.Memory)
	before := len(source.Calls())
	sum := m.run(func(o *Options) {
		o.Delete = true
		if change != nil {
			change(o)
		}
	})
	requests := len(source.Calls()) - before
	if got, want := objects(m.store), objects(source); !slices.Equal(got, want) {
		m.t.Fatalf("destination:\n%s\nsource:\n%s\nthe run said:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), strings.Join(m.lines, "\n"))
	}
	faithful(m.t, m.store)
	return sum, requests
}

// withoutManifest removes it from a bucket, as if another tool had filled that.
func withoutManifest(store *buckettest.Memory) {
	store.Delete(context.Background(), "p/"+manifest.Reserved+"manifest", bucket.Condition{})
}

// entries reads a manifest.
func entries(t *testing.T, store *buckettest.Memory) map[string]manifest.Entry {
	t.Helper()
	c, err := catalog.Open(context.Background(), store, catalog.Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]manifest.Entry{}
	for e, err := range c.Tree(context.Background()).Entries("") {
		if err != nil {
			t.Fatal(err)
		}
		all[e.Key] = e
	}
	return all
}

// From manifest to manifest nothing is listed and only pages that differ are read; what is known of
// the content is known of the copy too.
func TestCopyStory(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	up, m := newMachine(t, source), newCopier(t, source)
	up.write(tree())
	for i := range 3_000 {
		up.write(map[string]string{fmt.Sprintf("wide/%05d", i): fmt.Sprint(i)})
	}
	up.mirrors()
	source.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
		if op == buckettest.List {
			return buckettest.Denied
		}
		return buckettest.OK
	}
	if sum, _ := m.copies(nil); sum.Transferred != 3_045 {
		t.Errorf("first run: %+v", sum)
	}
	if got, want := entries(t, m.store), entries(t, source); len(got) != len(want) {
		t.Errorf("%d entries of %d", len(got), len(want))
	} else {
		for key, e := range want {
			if got[key].Digest != e.Digest || got[key].Unproven {
				t.Fatalf("what was known of %s is lost", key)
			}
		}
	}
	if m.count(buckettest.Put) > 24 || m.count(buckettest.Head) > 0 {
		t.Errorf("%d puts, %d heads", m.count(buckettest.Put), m.count(buckettest.Head))
	}
	for _, forget := range []bool{false, true} {
		if forget {
			m.forget()
		}
		if _, requests := m.copies(nil); requests != 1 || len(m.calls) != 1 {
			t.Errorf("nothing changed, and it takes %d and %v", requests, m.calls)
		}
		m.wants()
	}
	up.write(map[string]string{"wide/02000": "new", "wide/02000x": "new"})
	up.remove("wide/02001")
	up.mirrors()
	_, requests := m.copies(nil)
	m.wants("copy wide/02000", "copy wide/02000x", "delete wide/02001")
	if gets := m.count(buckettest.Get); requests > 8 || gets > 8 {
		t.Errorf("three changes take %d requests to the source and %d gets", requests, gets)
	}
	up.remove("a.txt")
	up.mirrors()
	sum := m.run(nil)
	if m.wants(); sum.Deleted != 0 {
		t.Errorf("%+v", sum)
	}
	m.run(func(o *Options) { o.DryRun, o.Delete = true, true })
	m.wants("delete a.txt")
	m.copies(nil)
}

// A source without a manifest is listed. What is equal by the bucket's word is not copied, and what
// was copied is remembered where that word is another for the copy.
func TestCopyWithoutManifest(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	m := newCopier(t, source)
	m.o.Parts = small
	for key, body := range tree() {
		put(t, source, "p/"+key, body)
	}
	put(t, source, "p/large", noise(6<<20)) // stored at once; its copy is made in parts
	put(t, source, "p/marker/", "")
	put(t, m.store, "p/a.txt", "a")
	put(t, m.store, "p/a0", "xx")
	put(t, m.store, "p/stale", "1")
	sum := m.run(func(o *Options) { o.Delete = true })
	if sum.Transferred != 45 || sum.Deleted != 1 {
		t.Errorf("first run: %+v, %v", sum, m.lines)
	}
	faithful(t, m.store)
	if got := m.store.Objects()["p/a0"]; string(got) != "a0" {
		t.Errorf("%q", got)
	}
	for n := range 3 {
		if n == 2 {
			m.forget()
		}
		before := len(source.Calls())
		sum := m.run(func(o *Options) { o.Delete = true })
		calls := source.Calls()[before:]
		if m.wants(); sum.Transferred != 0 || n < 2 && (m.count(buckettest.Head) > 0 || len(calls) != 2) {
			t.Errorf("run %d: %+v, %v, %v", n, sum, m.calls, calls)
		}
	}
	// Once more: what was found out by asking is not asked again.
	m.run(nil)
	if n := m.count(buckettest.Head); n > 0 {
		t.Errorf("asked again: %d heads", n)
	}
	put(t, source, "p/large", noise(6<<20))
	put(t, source, "p/a.txt", "b")
	m.run(nil)
	m.wants("copy a.txt", "copy large")
	faithful(t, m.store)
}

// The source gets a manifest later: then the copy is known as well as the source is, and runs are quiet.
func TestCopyBecomesProven(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	m, up := newCopier(t, source), newMachine(t, source)
	m.o.Parts = small
	up.write(tree())
	up.write(map[string]string{"large": noise(6 << 20)})
	up.mirrors()
	withoutManifest(source)
	m.run(nil)
	up.mirrors() // proves all
	for range 2 {
		if sum, _ := m.copies(nil); sum.Transferred != 0 {
			t.Errorf("%+v, %v", sum, m.lines)
		}
	}
	m.forget()
	m.copies(nil)
	m.forget()
	if _, requests := m.copies(nil); requests > 1 || len(m.calls) > 1 {
		t.Errorf("a quiet run takes %d requests and %v", requests, m.calls)
	}
}

// What was done behind the source's manifest is a failure, and is not copied.
func TestCopyOfForeignChanges(t *testing.T) {
	for _, relay := range []bool{false, true} {
		source := &buckettest.Memory{Name: "a"}
		up, m := newMachine(t, source), newCopier(t, source)
		m.o.Parts, m.o.Relay = small, relay
		large := noise(6 << 20)
		up.write(map[string]string{"changed": "1", "removed": "1", "size": "1", "large": large, "kept": "1"})
		up.mirrors()
		put(t, source, "p/changed", "2")
		put(t, source, "p/size", "22")
		put(t, source, "p/large", noise(6<<20))
		source.Delete(context.Background(), "p/removed", bucket.Condition{})
		put(t, m.store, "p/changed", "before")
		sum, err := m.try(context.Background(), nil)
		if err != nil || sum.Failed != 0 || sum.Drift.Total() != 4 || sum.Transferred != 1 || m.store.Uploads() != 0 {
			t.Errorf("relay %v: %+v, %v, %v", relay, sum, err, m.lines)
		}
		if got := m.store.Objects(); string(got["p/changed"]) != "before" || string(got["p/kept"]) != "1" || got["p/large"] != nil || got["p/size"] != nil {
			t.Errorf("relay %v: what must not be copied is", relay)
		}
		faithful(t, m.store)
	}
}

// An object that is replaced after it was listed is not copied for the one that it was.
func TestCopyOfAnObjectReplaced(t *testing.T) {
	for _, relay := range []bool{false, true} {
		for _, size := range []int{1, 3000} {
			source := &buckettest.Memory{Name: "a"}
			m := newCopier(t, source)
			m.o.Parts, m.o.Relay = tiny, relay
			put(t, source, "p/k", noise(size))
			var replaced atomic.Bool
			m.both(func(op buckettest.Op, key string) buckettest.Outcome {
				if key == "p/k" && replaced.CompareAndSwap(false, true) { // the first request after the listing
					put(t, source, "p/k", noise(size))
				}
				return buckettest.OK
			})
			sum, err := m.try(context.Background(), nil)
			m.both(nil)
			if err != nil || sum.Failed != 1 || len(objects(m.store)) != 0 || m.store.Uploads() != 0 {
				t.Errorf("relay %v, %d bytes: %+v, %v, %v", relay, size, sum, err, m.lines)
			}
			faithful(t, m.store)
			m.copies(nil)
		}
	}
}

// An object that somebody else has put at the destination is left alone.
func TestCopyMeetsForeignObjects(t *testing.T) {
	for _, relay := range []bool{false, true} {
		for _, withManifest := range []bool{true, false} {
			source := &buckettest.Memory{Name: "a"}
			up, m := newMachine(t, source), newCopier(t, source)
			m.o.Relay = relay
			up.write(map[string]string{"edited": "1", "doomed": "1", "same": "1"})
			up.mirrors()
			m.run(nil)
			up.write(map[string]string{"edited": "2", "new": "2"})
			up.remove("doomed")
			up.mirrors()
			if !withManifest {
				withoutManifest(source)
			}
			for _, key := range []string{"edited", "doomed", "new"} {
				put(t, m.store, "p/"+key, "somebody else's")
			}
			sum, err := m.try(context.Background(), func(o *Options) { o.Delete = true })
			if err != nil || sum.Failed != 0 || sum.Drift.Total() != 3 || sum.Transferred+sum.Deleted != 0 {
				t.Errorf("relay %v, manifest %v: %+v, %v, %v", relay, withManifest, sum, err, m.lines)
			}
			for _, key := range []string{"edited", "doomed", "new"} {
				if got := m.store.Objects()["p/"+key]; string(got) != "somebody else's" {
					t.Errorf("%s holds %q", key, got)
				}
			}
		}
	}
}

// What somebody else has removed at the destination is copied again and told of, also by a server that says
// so as it says that the source is missing.
func TestCopyMeetsWhatIsGone(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		source := &buckettest.Memory{Name: "a"}
		up, m := newMachine(t, source), newCopier(t, source)
		m.store.Curt = true
		up.write(map[string]string{"edited": "1"})
		up.mirrors()
		m.run(nil)
		up.write(map[string]string{"edited": "2"})
		up.mirrors()
		if !withManifest {
			withoutManifest(source)
		}
		m.store.Delete(context.Background(), "p/edited", bucket.Condition{})
		sum, err := m.try(context.Background(), nil)
		if err != nil || sum.Failed != 0 || sum.Drift.Missing != 1 || sum.Transferred != 1 {
			t.Errorf("manifest %v: %+v, %v, %v", withManifest, sum, err, m.lines)
		}
		faithful(t, m.store)
	}
}

// A server that heeds no condition on copies is no reason to overwrite what somebody else wrote.
func TestCopyToHeedlessServer(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	up, m := newMachine(t, source), newCopier(t, source)
	m.store.Heedless = map[buckettest.Op]bool{buckettest.Copy: true, buckettest.Complete: true}
	up.write(map[string]string{"edited": "1", "same": "1"})
	up.mirrors()
	m.copies(nil)
	up.write(map[string]string{"edited": "2", "new": "2", "same": "2"})
	up.mirrors()
	put(t, m.store, "p/edited", "somebody else's")
	put(t, m.store, "p/new", "somebody else's")
	sum, err := m.try(context.Background(), nil)
	if err != nil || sum.Failed != 0 || sum.Drift.Total() != 2 || sum.Transferred != 1 {
		t.Errorf("%+v, %v, %v", sum, err, m.lines)
	}
	if got := m.store.Objects(); string(got["p/edited"]) != "somebody else's" || string(got["p/new"]) != "somebody else's" {
		t.Error("overwritten")
	}
}

// What goes through this machine is looked at, whole or in parts, and has the headers and tags of
// its source.
func TestRelay(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		source := &buckettest.Memory{Name: "a"}
		up, m := newMachine(t, source), newCopier(t, source)
		m.o.Relay, m.o.Parts = true, small
		up.o.Headers.CacheControl = "no-cache"
		up.o.Headers.Metadata = map[string]string{"team": "web"}
		bodies := map[string]string{"small.html": "<p>", "empty": "", "one": noise(1 << 20), "edge": noise(5 << 20), "large": noise(11<<20 + 3)}
		up.write(bodies)
		up.mirrors()
		for key := range bodies {
			if err := source.SetTags(context.Background(), "p/"+key, "a=1&b=2"); err != nil {
				t.Fatal(err)
			}
		}
		if !withManifest {
			withoutManifest(source)
		}
		sum, _ := m.copies(nil)
		for _, c := range m.calls {
			if c.Op == buckettest.PartCopy || c.Op == buckettest.Copy && !strings.Contains(c.Key, manifest.Reserved) {
				t.Errorf("%v", c)
			}
		}
		if sum.Transferred != 5 {
			t.Errorf("%+v", sum)
		}
		for key, e := range entries(t, m.store) {
			if e.Unproven {
				t.Errorf("%s has gone through this machine, and its content is not known", key)
			}
			o, _ := m.store.Options("p/" + key)
			if o.CacheControl != "no-cache" || o.Metadata["team"] != "web" || key == "small.html" && o.ContentType != "text/html" {
				t.Errorf("%s has %+v", key, o.Headers)
			}
			if tags, err := m.store.Tags(context.Background(), "p/"+key); tags != "a=1&b=2" || err != nil {
				t.Errorf("%s has tags %q, %v", key, tags, err)
			}
		}
		if sum, _ := m.copies(nil); sum.Transferred != 0 {
			t.Errorf("again: %+v, %v", sum, m.lines)
		}
		if withManifest {
			if m.copies(nil); len(m.calls) != 1 {
				t.Errorf("a quiet run takes %v", m.calls)
			}
		}
	}
}

// Bytes that are not those that the source's manifest tells of, or its checksums, are not stored.
func TestRelayIsVerified(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		for _, size := range []int{10, 11 << 20} {
			source := &buckettest.Memory{Name: "a"}
			up, m := newMachine(t, source), newCopier(t, source)
			up.o.Parts = Parts{Threshold: 1 << 30}
			m.o.Relay, m.o.Parts = true, small
			up.write(map[string]string{"k": noise(size)})
			up.mirrors()
			if !withManifest {
				withoutManifest(source)
			}
			m.o.From.Store = &tampering{Memory: source, get: func(_ string, o bucket.GetOptions, b io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object) {
				all, _ := io.ReadAll(b)
				all = slices.Clone(all)
				if o.Offset == 0 {
					all[0] ^= 1
				}
				return io.NopCloser(bytes.NewReader(all)), obj
			}}
			sum, err := m.try(context.Background(), nil)
			if err != nil || sum.Failed != 1 || len(objects(m.store)) != 0 || m.store.Uploads() != 0 {
				t.Errorf("manifest %v, %d bytes: %+v, %v, %v", withManifest, size, sum, err, m.lines)
			}
			faithful(t, m.store)
		}
	}
}

// Bodies that break off are gone on with, also on the way through this machine.
func TestRelayResumes(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	m := newCopier(t, source)
	m.o.Relay, m.o.Parts = true, small
	put(t, source, "p/small", noise(1000))
	put(t, source, "p/large", noise(11<<20))
	m.o.From.Store = &tampering{Memory: source, get: func(_ string, o bucket.GetOptions, b io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object) {
		return &broken{b, obj.Size/5 + 1}, obj
	}}
	if sum := m.run(nil); sum.Failed != 0 || !slices.Equal(objects(m.store), objects(source)) {
		t.Errorf("%+v, %v", sum, m.lines)
	}
	faithful(t, m.store)
}

// A part that is too large to be kept is not read in a thousand requests.
func TestRelayOfLargeParts(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	m := newCopier(t, source)
	m.o.Relay, m.o.Parts = true, Parts{Threshold: 1 << 20, Size: 40 << 20}
	put(t, source, "p/large", noise(41<<20))
	m.o.To.Store = &sipping{m.store}
	before := source.Count(buckettest.Get)
	m.run(nil)
	if n := source.Count(buckettest.Get) - before; n > 40 {
		t.Errorf("%d requests for 41 MiB", n)
	}
	if !slices.Equal(objects(m.store), objects(source)) {
		t.Errorf("%v", m.lines)
	}
}

// A sipping store reads bodies as an HTTP client does: little by little.
type sipping struct{ *buckettest.Memory }

func (s *sipping) Upload(ctx context.Context, key string, o bucket.PutOptions) (bucket.Upload, error) {
	u, err := s.Memory.Upload(ctx, key, o)
	return &sippingUpload{u}, err
}

type sippingUpload struct{ bucket.Upload }

func (u *sippingUpload) Part(ctx context.Context, n int, body io.ReadSeeker, size int64, crc uint64) error {
	var all bytes.Buffer
	if _, err := io.CopyBuffer(&all, struct{ io.Reader }{body}, make([]byte, 32<<10)); err != nil {
		return err
	}
	return u.Upload.Part(ctx, n, bytes.NewReader(all.Bytes()), size, crc)
}

// If tags, which are too long for the request that stores the object, cannot be written, the copy
// is taken away again; the manifest must not name it.
func TestRelayWithoutTags(t *testing.T) {
	long := "a=" + strings.Repeat("x", maxTagging)
	for _, outcome := range []buckettest.Outcome{buckettest.Denied, buckettest.Throttled, buckettest.Stored, buckettest.NotStored} {
		for _, tidies := range []bool{true, false} {
			source := &buckettest.Memory{Name: "a"}
			up, m := newMachine(t, source), newCopier(t, source)
			m.o.Relay = true
			up.write(map[string]string{"edited": "1", "same": "1"})
			up.mirrors()
			m.copies(nil)
			up.write(map[string]string{"edited": "2", "new": "1"})
			up.mirrors()
			for _, key := range []string{"edited", "new"} {
				source.SetTags(context.Background(), "p/"+key, long)
			}
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if op == buckettest.SetTags || op == buckettest.Delete && !tidies && !strings.Contains(key, manifest.Reserved) {
					return outcome
				}
				return buckettest.OK
			}
			sum, err := m.try(context.Background(), nil)
			if err != nil || sum.Failed != 2 {
				t.Errorf("outcome %v: %+v, %v, %v", outcome, sum, err, m.lines)
			}
			m.store.Fault = nil
			faithful(t, m.store)
			if t.Failed() {
				t.Fatalf("outcome %v, removed %v", outcome, tidies)
			}
			m.copies(nil)
			for _, key := range []string{"edited", "new"} {
				if tags, _ := m.store.Tags(context.Background(), "p/"+key); tags != long && tidies {
					t.Errorf("outcome %v, removed %v: %s has tags %q", outcome, tidies, key, tags)
				}
			}
		}
	}
}

// An answer to a copy is lost, and the next try fails in some other way: it is not known what the
// bucket holds, whatever was said later.
func TestCopyInDoubt(t *testing.T) {
	for _, relay := range []bool{false, true} {
		for _, first := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
			for _, then := range []buckettest.Outcome{buckettest.OK, buckettest.Stored, buckettest.NotStored, buckettest.Throttled, buckettest.Denied} {
				for _, looks := range []buckettest.Outcome{buckettest.OK, buckettest.Denied, buckettest.NotStored} {
					source := &buckettest.Memory{Name: "a"}
					up, m := newMachine(t, source), newCopier(t, source)
					m.o.Parts, m.o.Relay = tiny, relay
					up.write(map[string]string{"edited": "1", "large": noise(2 << 10), "same": "1"})
					up.mirrors()
					m.copies(nil)
					up.write(map[string]string{"edited": "2", "large": noise(2 << 10), "new": "1", "newlarge": noise(2 << 10)})
					up.mirrors()
					tries := map[string]*atomic.Int64{"p/edited": {}, "p/large": {}, "p/new": {}, "p/newlarge": {}}
					m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
						n := tries[key]
						switch {
						case n == nil:
							return buckettest.OK
						case op == buckettest.Head:
							return looks
						case op != buckettest.Copy && op != buckettest.Complete && op != buckettest.Put:
							return buckettest.OK
						case n.Add(1) == 1:
							return first
						}
						return then
					}
					m.try(context.Background(), nil)
					m.store.Fault = nil
					faithful(t, m.store)
					if t.Failed() {
						t.Fatalf("relay %v, %v, then %v, looks %v: %v", relay, first, then, looks, m.lines)
					}
					m.copies(nil)
					m.copies(nil)
					m.wants()
				}
			}
		}
	}
}

// The answer to a copy is lost, and before the next try somebody else puts an object there.
func TestCopyInDoubtMeetsForeignObject(t *testing.T) {
	for _, first := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
		for _, body := range []string{"1", "somebody else's"} {
			source := &buckettest.Memory{Name: "a"}
			up, m := newMachine(t, source), newCopier(t, source)
			up.write(map[string]string{"edited": "0", "same": "1"})
			up.mirrors()
			m.copies(nil)
			up.write(map[string]string{"edited": "2", "new": "2"})
			up.mirrors()
			var mu sync.Mutex
			lost, theirs := map[string]bool{}, map[string]bool{}
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case op == buckettest.Copy && !lost[key]:
					lost[key] = true
					return first
				case op == buckettest.Head && lost[key] && !theirs[key]:
					theirs[key] = true
					mu.Unlock()
					put(t, m.store, key, body)
					mu.Lock()
				}
				return buckettest.OK
			}
			sum, err := m.try(context.Background(), nil)
			m.store.Fault = nil
			if err != nil || sum.Transferred != 0 || sum.Failed != 2 {
				t.Errorf("%v: %+v, %v, %v", first, sum, err, m.lines)
			}
			for _, key := range []string{"p/edited", "p/new"} {
				if got := string(m.store.Objects()[key]); got != body {
					t.Errorf("%v: %s holds %q: somebody else's object is lost", first, key, got)
				}
			}
			faithful(t, m.store)
		}
	}
}

// From a bucket to a prefix of itself: our own objects are never copied, and with a manifest of the
// source nor is the copy.
func TestCopyWithinOneBucket(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		store := &buckettest.Memory{}
		up, m := newMachine(t, store), newMachine(t, store)
		up.o.To.Prefix, up.o.To.Place = "", "whole"
		m.o.From = Side{Store: store, Bucket: "b", Prefix: "", Place: "whole"}
		up.write(map[string]string{"a": "1", "dir/b": "2", "q/c": "3"})
		up.run(nil)
		if !withManifest {
			store.Delete(context.Background(), manifest.Reserved+"manifest", bucket.Condition{})
		}
		for n := range 3 {
			sum := m.run(func(o *Options) { o.Delete = true })
			if want := int64(3); n == 0 && sum.Transferred != want || n > 0 && withManifest && (sum.Transferred+sum.Deleted != 0 || len(m.calls) != 2) {
				t.Errorf("run %d: %+v, %v, %v", n, sum, m.lines, m.calls)
			}
			faithful(t, store)
		}
		// And back out of it, into another prefix.
		back := newMachine(t, store)
		back.o.From = Side{Store: store, Bucket: "b", Prefix: "p/", Place: "test"}
		back.o.To.Prefix, back.o.To.Place = "z/", "z"
		if sum, err := back.try(context.Background(), nil); err != nil || sum.Transferred < 3 {
			t.Errorf("%+v, %v", sum, err)
		}
		for key := range store.Objects() {
			if i := strings.Index(key, manifest.Reserved); i > 0 && key[:i] != "p/" && key[:i] != "z/" {
				t.Errorf("%s was copied", key)
			}
			if withManifest && strings.Contains(key, "p/p/") && !strings.Contains(key, manifest.Reserved) {
				t.Errorf("%s is a copy of a copy", key)
			}
		}
	}
}

// A prefix that has mirrors in it: their manifests are not copied, nor deleted at the destination.
func TestCopyOfNestedMirrors(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	inner, m := newMachine(t, source), newCopier(t, source)
	inner.o.To.Prefix, inner.o.To.Place = "p/inner/", "inner"
	inner.write(map[string]string{"x": "1"})
	if _, err := inner.try(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	put(t, source, "p/y", "1")
	put(t, m.store, "p/there/.merkur/manifest", "of another mirror")
	m.run(func(o *Options) { o.Delete, o.AllowEmpty = true, true })
	m.wants("copy inner/x", "copy y")
	if string(m.store.Objects()["p/there/.merkur/manifest"]) == "" || m.store.Objects()["p/inner/.merkur/manifest"] != nil {
		t.Errorf("%v", m.lines)
	}
}

// After n requests the network is gone for good, in the middle of a copy. The manifest is true at
// every moment, and a quiet run brings the two buckets together.
func TestCopyDiesAfterEveryRequest(t *testing.T) {
	large, larger := noise(2<<10), noise(2<<10)
	for _, mode := range []string{"manifest", "listing", "relay"} {
		for _, last := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
			for n, whole := 0, false; !whole; n++ {
				source := &buckettest.Memory{Name: "a"}
				up, m := newMachine(t, source), newCopier(t, source)
				m.o.Parts, m.o.Relay = tiny, mode == "relay"
				up.write(map[string]string{"edited": "1", "removed": "1", "kept": "1", "large": large})
				up.mirrors()
				m.copies(nil)
				up.write(map[string]string{"edited": "2", "added": "1", "large": larger})
				up.remove("removed")
				up.mirrors()
				if mode == "listing" {
					withoutManifest(source)
				}
				var seen atomic.Int64
				m.both(func(buckettest.Op, string) buckettest.Outcome {
					switch i := int(seen.Add(1)); {
					case i <= n:
						return buckettest.OK
					case i == n+1:
						return last
					}
					return buckettest.NotStored
				})
				_, err := m.try(context.Background(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
				m.both(nil)
				whole = err == nil && int(seen.Load()) <= n
				faithful(t, m.store)
				if t.Failed() {
					t.Fatalf("%s: died after request %d (%v): %v", mode, n, last, m.lines)
				}
				if n%2 == 0 {
					m.forget()
				}
				m.copies(nil)
				_, requests := m.copies(nil)
				if m.wants(); mode != "listing" && (requests != 1 || len(m.calls) != 1) {
					t.Fatalf("%s: died after request %d: the second run after that takes %d and %v", mode, n, requests, m.calls)
				}
			}
		}
	}
}

// Each single request fails once, or the run is interrupted there.
func TestCopyFailsAtEveryRequest(t *testing.T) {
	large, larger := noise(2<<10), noise(2<<10)
	const interrupt = buckettest.Outcome(-1)
	for _, mode := range []string{"manifest", "listing", "relay"} {
		for _, outcome := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored, buckettest.Throttled, buckettest.Denied, interrupt} {
			for n, whole := 1, false; !whole; n++ {
				source := &buckettest.Memory{Name: "a"}
				up, m := newMachine(t, source), newCopier(t, source)
				m.o.Parts, m.o.Relay = tiny, mode == "relay"
				up.write(map[string]string{"edited": "1", "removed": "1", "kept": "1", "large": large})
				up.mirrors()
				m.copies(nil)
				up.write(map[string]string{"edited": "2", "added": "1", "large": larger})
				up.remove("removed")
				up.mirrors()
				if mode == "listing" {
					withoutManifest(source)
				}
				ctx, cancel := context.WithCancel(context.Background())
				var seen atomic.Int64
				m.both(func(buckettest.Op, string) buckettest.Outcome {
					if int(seen.Add(1)) != n {
						return buckettest.OK
					} else if outcome == interrupt {
						cancel()
						return buckettest.OK
					}
					return outcome
				})
				sum, err := m.try(ctx, func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
				m.both(nil)
				cancel()
				whole = int(seen.Load()) < n
				faithful(t, m.store)
				if whole && (err != nil || sum.Failed > 0) || m.store.Uploads() != 0 && outcome == buckettest.Throttled {
					t.Errorf("%s, request %d: %+v, %v, %d uploads are open", mode, n, sum, err, m.store.Uploads())
				}
				if t.Failed() {
					t.Fatalf("%s: request %d of %d, %v: %v", mode, n, seen.Load(), outcome, m.lines)
				}
				m.copies(nil)
				m.copies(nil)
				m.wants()
			}
		}
	}
}

func TestCopyGuards(t *testing.T) {
	for _, strategy := range []compare.Name{compare.Content, compare.Size} {
		source := &buckettest.Memory{Name: "a"}
		m := newCopier(t, source)
		m.o.Compare, m.o.Delete = strategy, true
		for i := range 300 {
			put(t, m.store, fmt.Sprintf("p/%03d", i), "x")
		}
		ctx := context.Background()
		if _, err := m.try(ctx, nil); !errors.Is(err, ErrEmptySource) {
			t.Errorf("an empty source: %v", err)
		}
		put(t, source, "p/000", "x")
		if _, err := m.try(ctx, nil); !errors.Is(err, ErrTooManyDeletes) {
			t.Errorf("299 of 300: %v", err)
		}
		if n := len(objects(m.store)); n != 300 {
			t.Fatalf("%d objects are left", n)
		}
		m.copies(func(o *Options) { o.MaxDelete = Limit{Percent: 100, Given: true} })
	}
}

// Objects that are encrypted with a key of the customer's, on one side or both.
func TestCopyWithCustomerKeys(t *testing.T) {
	key := func(b string) *bucket.CustomerKey {
		return &bucket.CustomerKey{Algorithm: "AES256", Key: []byte(strings.Repeat(b, 32))}
	}
	for _, relay := range []bool{false, true} {
		for _, keys := range [][2]*bucket.CustomerKey{{key("a"), key("b")}, {nil, key("b")}, {key("a"), nil}, {key("a"), key("a")}} {
			source := &buckettest.Memory{Name: "a"}
			m := newCopier(t, source)
			m.o.Relay, m.o.Parts, m.o.Order = relay, tiny, PagesLast
			m.o.From.Customer, m.o.To.Customer, m.o.Terms.Customer = keys[0], keys[1], keys[1]
			var o bucket.PutOptions
			o.Customer = keys[0]
			store := func(key, body string) {
				if _, err := source.Put(context.Background(), "p/"+key, strings.NewReader(body), int64(len(body)), o); err != nil {
					t.Fatal(err)
				}
			}
			store("small", "1")
			store("large", noise(2000))
			store("page.html", "<p>")
			if sum := m.run(nil); sum.Transferred != 3 || sum.Failed != 0 {
				t.Errorf("relay %v: %+v, %v", relay, sum, m.lines)
			}
			store("small", "2")
			m.run(nil)
			m.wants("copy small")
			m.run(nil)
			m.wants()
			if !slices.Equal(objects(m.store), objects(source)) {
				t.Errorf("relay %v: the buckets differ", relay)
			}
			for _, name := range []string{"small", "large"} {
				if _, err := m.store.Head(context.Background(), "p/"+name, bucket.HeadOptions{Customer: keys[1]}); err != nil {
					t.Errorf("relay %v, %s: %v", relay, name, err)
				}
			}
			down := newFetcher(t, m.store)
			down.o.From.Customer, down.o.Parts = keys[1], tiny
			if sum := down.run(nil); sum.Transferred != 3 || sum.Failed != 0 {
				t.Errorf("relay %v, down: %+v, %v", relay, sum, down.lines)
			}
			m.store.Fault = nil
			if sum := m.run(func(o *Options) { o.Compare = compare.ETag }); sum.Failed+sum.Transferred != 0 {
				t.Errorf("relay %v, by etag: %+v, %v", relay, sum, m.lines)
			}
		}
	}
}

// What cannot be read because it lies in an archive is told of, and not copied.
func TestCopyOfArchives(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	m := newCopier(t, source)
	for key, class := range map[string]string{"cold": "GLACIER", "deep": "DEEP_ARCHIVE", "warm": ""} {
		put(t, source, "p/"+key, "1")
		source.Set("p/"+key, func(o *bucket.Object) { o.Class = class })
	}
	for archive, want := range map[Archive]Summary{ArchiveWarn: {Warnings: 2}, ArchiveQuiet: {}, ArchiveForce: {Failed: 2}} {
		sum, err := m.try(context.Background(), func(o *Options) { o.Archive, o.Delete = archive, true })
		if err != nil || sum.Warnings != want.Warnings || sum.Failed != want.Failed || sum.Deleted != 0 {
			t.Errorf("%v: %+v, %v, %v", archive, sum, err, m.lines)
		}
		faithful(t, m.store)
	}
	if got := objects(m.store); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// Headers and tags of a copy, for each way to say what becomes of them, whole and in parts.
func TestCopyProps(t *testing.T) {
	type has struct{ meta, cache, tags bool }
	for props, want := range map[Props]has{
		PropsDefault: {true, true, true}, PropsAll: {true, true, true}, PropsMetadataDirective: {true, true, false},
		PropsNone: {}, DirectiveReplace: {tags: true},
	} {
		for _, given := range []string{"", "max-age=1"} {
			source := &buckettest.Memory{Name: "a"}
			up, m := newMachine(t, source), newCopier(t, source)
			m.o.Parts, m.o.Props = small, props
			up.o.Headers.CacheControl, up.o.Headers.Metadata = "no-cache", map[string]string{"team": "web"}
			m.o.Headers.CacheControl = given
			up.write(map[string]string{"small": "1", "large": noise(6 << 20)})
			up.mirrors()
			for _, key := range []string{"small", "large"} {
				source.SetTags(context.Background(), "p/"+key, "a=1")
			}
			m.copies(nil)
			for _, key := range []string{"small", "large"} {
				if props == DirectiveReplace && key == "large" {
					continue // in parts nothing is taken over
				}
				o, _ := m.store.Options("p/" + key)
				tags, _ := m.store.Tags(context.Background(), "p/"+key)
				cache := given
				if given == "" && want.cache {
					cache = "no-cache"
				}
				if (o.Metadata["team"] == "web") != want.meta || o.CacheControl != cache || (tags == "a=1") != want.tags {
					t.Errorf("%v, given %q, %s: %+v, tags %q", props, given, key, o.Headers, tags)
				}
			}
		}
	}
}

// Tags that are too long to begin a copy in parts with are written after it.
func TestCopyOfLongTags(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	m := newCopier(t, source)
	m.o.Parts = small
	var tags []string
	for i := range 10 {
		tags = append(tags, fmt.Sprintf("k%d=%s", i, strings.Repeat("v", 250)))
	}
	put(t, source, "p/large", noise(6<<20))
	source.SetTags(context.Background(), "p/large", strings.Join(tags, "&"))
	m.run(nil)
	if got, err := m.store.Tags(context.Background(), "p/large"); got != strings.Join(tags, "&") || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	put(t, source, "p/large", noise(6<<20))
	source.SetTags(context.Background(), "p/large", strings.Join(tags, "&"))
	deny(m.store, buckettest.SetTags, "large")
	if sum, err := m.try(context.Background(), nil); err != nil || sum.Failed != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	m.store.Fault = nil
	faithful(t, m.store)
	m.run(nil)
	if !slices.Equal(objects(m.store), objects(source)) {
		t.Errorf("%v", m.lines)
	}
}

// A tree and a bucket are mirrored into one prefix at the same time, under the same keys, while requests
// fail and runs are interrupted. Who has the last word is a matter of chance, but the manifest never lies.
func TestRandomWriters(t *testing.T) {
	seeds := 20
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			x := newTriangle(t, uint64(seed))
			up, relay := newMachine(t, x.stores["b"]), newMachine(t, x.stores["b"])
			up.o.To, up.o.Parts = x.sides[2], tiny
			relay.o.From, relay.o.To, relay.o.Parts, relay.o.Relay = x.sides[1], x.sides[2], tiny, x.rng.IntN(2) == 0
			for round := range 6 {
				for range 1 + x.rng.IntN(20) {
					key := fmt.Sprintf("%02d", x.rng.IntN(12))
					if x.rng.IntN(3) == 0 {
						up.remove(key)
						x.stores["a"].Delete(context.Background(), "p/"+key, bucket.Condition{})
					} else {
						up.write(map[string]string{key: x.body()})
						put(t, x.stores["a"], "p/"+key, x.body())
					}
				}
				ctx, cancel := context.WithCancel(context.Background())
				x.trouble(cancel)
				fault := x.stores["b"].Fault
				x.stores["b"].Fault = func(op buckettest.Op, key string) buckettest.Outcome {
					outcome := fault(op, key)
					if op == buckettest.Get && outcome == buckettest.Denied {
						// What a run may not read, of what a dead one has left, it leaves alone as somebody else's, and tells of.
						return buckettest.Throttled
					}
					return outcome
				}
				var g sync.WaitGroup
				for _, m := range []*machine{up, relay} {
					remove := x.rng.IntN(2) == 0
					g.Go(func() {
						m.try(ctx, func(o *Options) {
							o.Delete, o.AllowEmpty, o.MaxDelete = remove, true, Limit{Percent: 100, Given: true}
						})
					})
				}
				g.Wait()
				cancel()
				x.calm()
				faithful(t, x.stores["b"])
				if t.Failed() {
					t.Fatalf("round %d: %v\n%v", round, up.lines, relay.lines)
				}
			}
		})
	}
}

// A miscounting store says a wrong checksum of what it has copied, as versitygw does of copies in parts.
type miscounting struct{ *buckettest.Memory }

func (s miscounting) Copy(ctx context.Context, src bucket.Source, dst string, o bucket.CopyOptions) (bucket.Object, error) {
	obj, err := s.Memory.Copy(ctx, src, dst, o)
	obj.CRC64, obj.HasCRC64 = obj.CRC64+1, true
	return obj, err
}

// The checksum of a copy is that of its source, where that is known, whatever the server says.
func TestCopyKeepsChecksum(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	up := newMachine(t, source)
	up.write(map[string]string{"a": "content"})
	up.run(nil)
	m := newCopier(t, source)
	m.o.To.Store = miscounting{m.store}
	m.run(nil)
	c, err := catalog.Open(t.Context(), m.store, catalog.Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	e, ok, err := c.Tree(t.Context()).Get("a")
	if want := crc64nvme.Checksum([]byte("content")); err != nil || !ok || !e.Evidence.HasCRC64 || e.Evidence.CRC64 != want {
		t.Errorf("%+v, %v, %v; want %x", e.Evidence, ok, err, want)
	}
}
