package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
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

// A refusing store takes the credentials for nothing but its manifest any more, and counts how often it
// was asked all the same.
type refusing struct {
	*buckettest.Memory
	asked atomic.Int64
}

func (s *refusing) refuse() error {
	s.asked.Add(1)
	return &bucket.Error{Op: "HeadObject", Code: "ExpiredToken", Status: 400}
}

func (s *refusing) Head(context.Context, string, bucket.HeadOptions) (bucket.Object, error) {
	return bucket.Object{}, s.refuse()
}

func (s *refusing) Copy(context.Context, bucket.Source, string, bucket.CopyOptions) (bucket.Object, error) {
	return bucket.Object{}, s.refuse()
}

// A server that is gone, or takes the credentials no more, is not asked for one object after the other:
// each of these requests may take as long as all of its tries.
func TestHopelessEndsAtOnce(t *testing.T) {
	many := map[string]string{}
	for i := range 64 {
		many[fmt.Sprint(i)] = fmt.Sprint(i)
	}
	for name, prepare := range map[string]func(t *testing.T) (*machine, *refusing){
		"confirm deletes": func(t *testing.T) (*machine, *refusing) {
			up := newMachine(t, &buckettest.Memory{})
			up.write(map[string]string{"kept": ""})
			up.mirrors()
			m := newFetcher(t, up.store)
			s := &refusing{Memory: up.store}
			m.o.From.Store, m.o.Delete, m.o.Known = s, true, true
			return m, s
		},
		"keep copies": func(t *testing.T) (*machine, *refusing) {
			m := newUndoable(t, "bucket")
			m.write(many)
			m.write(map[string]string{"kept": ""})
			m.mirrors()
			for name := range many {
				m.remove(name)
			}
			s := &refusing{Memory: m.o.Backup.Store.(*buckettest.Memory)}
			m.o.Backup.Store, m.o.Delete = s, true
			return m, s
		},
		"prove in a dry run": func(t *testing.T) (*machine, *refusing) {
			m := newMachine(t, &buckettest.Memory{})
			for key, body := range many {
				put(t, m.store, "p/"+key, body+"!")
			}
			s := &refusing{Memory: m.store}
			m.o.To.Store, m.o.DryRun = s, true
			for key := range many {
				m.write(map[string]string{key: key + "?"})
			}
			return m, s
		},
	} {
		m, s := prepare(t)
		if name == "confirm deletes" {
			m.write(many)
		}
		var refused *bucket.Error
		sum, err := m.try(context.Background(), nil)
		if !errors.As(err, &refused) || !refused.Refused() || sum.Failed > 0 {
			t.Errorf("%s: %d failures, %v", name, sum.Failed, err)
		}
		if n := s.asked.Load(); n > 8 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
}
