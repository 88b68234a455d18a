package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// A diary is a journal in memory.
type diary struct {
	mu   sync.Mutex
	open map[string]bucket.Pending
}

func (d *diary) Begun(p bucket.Pending) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[p.ID] = p
}

func (d *diary) Ended(p bucket.Pending) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, p.ID)
}

func (d *diary) only(t *testing.T) (p bucket.Pending) {
	t.Helper()
	if len(d.open) != 1 {
		t.Fatalf("%d uploads are open", len(d.open))
	}
	for _, p = range d.open {
	}
	return p
}

// An upload that one process began is gone on with by another one, which sends only the parts that
// are not there or are others.
func TestResume(t *testing.T) {
	s := buckettest.Start(t).Open(t, "resume")
	d := &diary{open: map[string]bucket.Pending{}}
	s.KeepJournal(d)
	ctx := t.Context()
	parts := [][]byte{bytes.Repeat([]byte("a"), 5<<20), bytes.Repeat([]byte("b"), 5<<20), []byte("c")}
	send := func(up bucket.Upload, n int, body []byte) {
		t.Helper()
		if err := up.Part(ctx, n, bytes.NewReader(body), int64(len(body)), crc64nvme.Checksum(body)); err != nil {
			t.Fatal(err)
		}
	}
	o := bucket.PutOptions{Headers: bucket.Headers{ContentType: "text/x", Metadata: map[string]string{"k": "v"}}}
	first, err := s.Upload(ctx, "key", o)
	if err != nil {
		t.Fatal(err)
	}
	send(first, 1, parts[0])
	send(first, 2, bytes.ToUpper(parts[1]))
	send(first, 4, []byte("too many"))

	p := d.only(t)
	other := o
	other.ContentType = "text/y"
	if _, err := s.Resume(ctx, p, other); !errors.Is(err, bucket.ErrUnsupported) {
		t.Errorf("with other headers: %v", err)
	}
	o.IfNone = true // a matter of the end
	up, err := s.Resume(ctx, p, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range parts {
		resumed, size, crc := up.(bucket.Resumed), int64(len(body)), crc64nvme.Checksum(body)
		// Bytes that have the checksum of a part can be made.
		if has, err := resumed.Has(i+1, bytes.NewReader(bytes.ToUpper(body)), size, crc, true); has || err != nil {
			t.Errorf("part %d with a forged checksum is there: %v, %v", i+1, has, err)
		}
		has, err := resumed.Has(i+1, bytes.NewReader(body), size, crc, i == 0)
		if has != (i == 0) || err != nil {
			t.Errorf("part %d is there: %v, %v", i+1, has, err)
		}
		if !has {
			send(up, i+1, body)
		}
	}
	obj, err := up.Complete(ctx)
	if err != nil {
		t.Fatal(err)
	}
	body, got, err := s.Get(ctx, "key", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	all, err := io.ReadAll(body)
	if want := bytes.Join(parts, nil); err != nil || !bytes.Equal(all, want) || got.ETag != obj.ETag || got.ContentType != "text/x" {
		t.Errorf("the object has %d bytes, want %d; %+v, %v", len(all), len(want), got, err)
	}
	if len(d.open) > 0 {
		t.Errorf("%v is open", d.open)
	}
}

func TestDiscard(t *testing.T) {
	s := buckettest.Start(t).Open(t, "discard")
	d := &diary{open: map[string]bucket.Pending{}}
	s.KeepJournal(d)
	if _, err := s.Upload(t.Context(), "key", bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	p := d.only(t)
	for range 2 { // the second time it is not there any more
		if err := s.Discard(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Resume(t.Context(), p, bucket.PutOptions{}); err == nil || len(d.open) > 0 {
		t.Errorf("after the end: %v, open %v", err, d.open)
	}
}

// A part whose request was cut off may be stored after its upload was aborted: the upload stays in the
// journal, and is aborted again.
func TestAbortWithPartsOnTheirWay(t *testing.T) {
	s := buckettest.Start(t).Open(t, "abort")
	d := &diary{open: map[string]bucket.Pending{}}
	s.KeepJournal(d)
	for _, cutOff := range []bool{false, true} {
		up, err := s.Upload(t.Context(), "key", bucket.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if cutOff {
			cancel()
		}
		body := []byte("a part")
		if err := up.Part(ctx, 1, bytes.NewReader(body), int64(len(body)), crc64nvme.Checksum(body)); (err != nil) != cutOff {
			t.Fatal(err)
		}
		cancel()
		if err := up.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
		if open := len(d.open) == 1; open != cutOff {
			t.Fatalf("cut off %v, in the journal %v", cutOff, open)
		}
	}
	if err := s.Discard(t.Context(), d.only(t)); err != nil || len(d.open) > 0 {
		t.Errorf("%v, open %v", err, d.open)
	}
}
