package transfer

import (
	"context"
	"errors"
	"io"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
)

// An expiring store takes one key no more, as one does whose credentials expire in the middle, once
// another key has been stored.
type expiring struct {
	*buckettest.Memory
	after, refused string
	stored         chan struct{}
}

func (e *expiring) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, o bucket.PutOptions) (bucket.Object, error) {
	if key == e.refused {
		<-e.stored
		return bucket.Object{}, &bucket.Error{Op: "PutObject", Key: key, Code: "ExpiredToken", Status: 400}
	}
	obj, err := e.Memory.Put(ctx, key, body, size, o)
	if key == e.after {
		close(e.stored)
	}
	return obj, err
}

// What was stored before credentials expired is written down, with and without a record of the run.
func TestExpiredIsWrittenDown(t *testing.T) {
	for _, how := range append([]string{""}, ways...) {
		m := newUndoable(t, how)
		m.write(map[string]string{"a": "1", "b": "1"})
		o := m.o
		o.To.Store = &expiring{m.store, "p/a", "p/b", make(chan struct{})}
		var refused *bucket.Error
		if _, err := Sync(context.Background(), o); !errors.As(err, &refused) || !refused.Refused() {
			t.Fatalf("%q: %v", how, err)
		}
		c, err := catalog.Open(context.Background(), m.store, catalog.Options{Prefix: "p/"})
		if err != nil {
			t.Fatal(err)
		}
		if _, found, err := c.Tree(context.Background()).Get("a"); !found || err != nil {
			t.Errorf("%q: the manifest does not name what was stored: %v", how, err)
		}
		m.run(nil)
	}
}
