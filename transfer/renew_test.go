package transfer

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
)

// Whatever a run does that takes longer than its intent is respected, the intent is renewed meanwhile:
// nobody may take the run for dead.
func TestIntentOutlastsSlowWork(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a": "1"})
	for range 2 { // what packs and unpacks pages is made once, and must not be made in a bubble
		m.run(nil)
		m.forget()
	}
	for name, c := range map[string]struct {
		op  buckettest.Op
		key string // how the key ends at which the work takes so long
		how string
		die bool // a run before dies when it has said what it deletes
	}{
		"put":               {op: buckettest.Put, key: "p/new"},
		"delete":            {op: buckettest.Delete, key: "p/gone"},
		"delete left over":  {op: buckettest.Delete, key: "p/gone", die: true},
		"copy":              {op: buckettest.Copy, key: "/edited", how: "prefix"},
		"copy of left over": {op: buckettest.Copy, key: "/gone", how: "prefix", die: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newUndoable(t, c.how)
				m.o.Delete = true
				m.write(map[string]string{"edited": "1", "gone": "1", "kept": "1"})
				m.run(nil)
				m.write(map[string]string{"edited": "2", "new": "1"})
				m.remove("gone")
				if c.die {
					m.deadDeleting("p/gone")
				}
				seen := false
				m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
					if op != c.op || !strings.HasSuffix(key, c.key) || seen {
						return buckettest.OK
					}
					seen = true
					time.Sleep(2 * catalog.Lease)
					other, err := catalog.Open(context.Background(), m.store, catalog.Options{Prefix: "p/"})
					if err != nil || len(other.Foreign()) != 1 || len(other.Abandoned()) != 0 {
						t.Errorf("to another run, %d intents are live and %d abandoned, %v", len(other.Foreign()), len(other.Abandoned()), err)
					}
					return buckettest.OK
				}
				if m.run(nil); !seen {
					t.Error("it does not come to that")
				}
			})
		})
	}
}

// deadDeleting has a run die when it is about to delete an object.
func (m *machine) deadDeleting(key string) {
	ctx, cancel := context.WithCancel(context.Background())
	m.store.Fault = func(op buckettest.Op, at string) buckettest.Outcome {
		if ctx.Err() != nil {
			return buckettest.NotStored
		}
		if op == buckettest.Delete && at == key {
			cancel()
			return buckettest.NotStored
		}
		return buckettest.OK
	}
	m.try(ctx, nil)
	m.store.Fault = nil
}
