package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// apart makes stores on which two writers need a lease.
var apart = map[string]func() *buckettest.Memory{
	"racy": func() *buckettest.Memory { return &buckettest.Memory{Racy: true} },
	"heedless": func() *buckettest.Memory {
		return &buckettest.Memory{Heedless: map[buckettest.Op]bool{buckettest.Put: true, buckettest.Delete: true}}
	},
}

// leasing returns a catalog that has been told what the server can do, by a writer that does not
// wait really.
func (w *writer) leasing(t *testing.T) *Catalog {
	t.Helper()
	w.o.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	c := w.open(t)
	if _, err := c.Probe(context.Background()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLease(t *testing.T) {
	ctx := context.Background()
	for name, open := range apart {
		t.Run(name, func(t *testing.T) {
			store := open()
			now := time.Now()
			clock := func() time.Time { return now }
			a, b := newWriter(store), newWriter(store)
			a.o.Now, b.o.Now = clock, clock
			first, second := a.leasing(t), b.leasing(t)
			if err := first.Lease(ctx); err != nil {
				t.Fatal(err)
			}
			commit(t, first, Edit{Changes: puts(many(10, 0)...)})
			if err := second.Lease(ctx); !errors.Is(err, ErrLeased) {
				t.Fatalf("while another run has it: %v", err)
			}
			if err := second.Release(ctx); err != nil || store.Objects()["p/"+leaseName] == nil {
				t.Fatalf("released by another run: %v", err)
			}
			if err := first.Release(ctx); err != nil || store.Objects()["p/"+leaseName] != nil {
				t.Fatalf("after its release there is still a lease: %v", err)
			}
			if err := second.Lease(ctx); err != nil {
				t.Fatal(err)
			}
			commit(t, second, Edit{Changes: puts(many(20, 1)[10:]...)})
			audit(t, store, append(many(10, 0), many(20, 1)[10:]...))

			// It dies. The same writer goes on at once, another when the lease has run out.
			if err := b.leasing(t).Lease(ctx); err != nil {
				t.Errorf("the lease of the writer's own dead run: %v", err)
			}
			if err := a.leasing(t).Lease(ctx); !errors.Is(err, ErrLeased) {
				t.Errorf("the live lease of another: %v", err)
			}
			now = now.Add(Lease + time.Second)
			third := a.leasing(t)
			if err := third.Lease(ctx); err != nil {
				t.Errorf("a lease that has run out: %v", err)
			}

			// Who was thought dead and is not notices before its next commit.
			if _, err := second.Commit(ctx, Edit{Changes: puts(entry("late", 0))}); !errors.Is(err, ErrLeased) {
				t.Errorf("a commit without the lease: %v", err)
			}
			commit(t, third, Edit{Changes: puts(entry("z", 0))})
			audit(t, store, append(append(many(10, 0), many(20, 1)[10:]...), entry("z", 0)))
		})
	}
}

// A lease of another process of this machine that is no more keeps nobody out.
func TestLeaseOfSecondProcess(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	store := apart["racy"]()
	a, b := newWriter(store), newWriter(store)
	a.o.Identity, b.o.Identity = identify(t, dir), identify(t, dir)
	defer a.o.Identity.Release()
	if err := b.leasing(t).Lease(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.leasing(t).Lease(ctx); !errors.Is(err, ErrLeased) {
		t.Fatalf("while it lives: %v", err)
	}
	b.o.Identity.Release()
	if err := a.leasing(t).Lease(ctx); err != nil {
		t.Errorf("after its death: %v", err)
	}
}

// A run that takes long renews its lease with its commits.
func TestLeaseIsRenewed(t *testing.T) {
	ctx := context.Background()
	store := apart["racy"]()
	now := time.Now()
	a, b := newWriter(store), newWriter(store)
	a.o.Now = func() time.Time { return now }
	b.o.Now = a.o.Now
	c := a.leasing(t)
	if err := c.Lease(ctx); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		now = now.Add(Lease / 2)
		commit(t, c, Edit{})
		if err := b.leasing(t).Lease(ctx); !errors.Is(err, ErrLeased) {
			t.Fatalf("another run after %s: %v", Lease/2, err)
		}
	}
}

// Two that look at once, and both see no lease, do not both get it.
func TestLeaseTakenAtOnce(t *testing.T) {
	ctx := context.Background()
	for name, open := range apart {
		t.Run(name, func(t *testing.T) {
			store := open()
			ws := []*writer{newWriter(store), newWriter(store), newWriter(store)}
			var cs []*Catalog
			for _, w := range ws {
				cs = append(cs, w.leasing(t))
			}
			// Nobody writes before all have looked, nor looks again before all have written.
			var looked, written sync.WaitGroup
			looked.Add(len(cs))
			written.Add(len(cs))
			for _, c := range cs {
				c.o.Wait = func(context.Context, time.Duration) error {
					written.Done()
					written.Wait()
					return nil
				}
			}
			var mu sync.Mutex
			looks := 0
			store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if key != "p/"+leaseName {
					return buckettest.OK
				}
				mu.Lock()
				if op == buckettest.Get {
					looks++
				}
				first := op == buckettest.Get && looks <= len(cs)
				mu.Unlock()
				if first {
					looked.Done()
					looked.Wait()
				}
				return buckettest.OK
			}
			errs := make([]error, len(cs))
			var all sync.WaitGroup
			for i, c := range cs {
				all.Go(func() {
					if errs[i] = c.Lease(ctx); errs[i] != nil && !c.leased {
						written.Done() // it was refused, and does not wait
					}
				})
			}
			all.Wait()
			got := 0
			for _, err := range errs {
				if err == nil {
					got++
				} else if !errors.Is(err, ErrLeased) {
					t.Error(err)
				}
			}
			if got != 1 {
				t.Errorf("%d of %d have the lease: %v", got, len(cs), errs)
			}
		})
	}
}

// Where commits are safe by themselves, a lease costs nothing.
func TestNoLeaseWhereNoneIsNeeded(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	c := newWriter(store).leasing(t)
	before := len(store.Calls())
	if err := errors.Join(c.Lease(ctx), c.Release(ctx)); err != nil || len(store.Calls()) != before {
		t.Errorf("%v, %v", err, store.Calls()[before:])
	}
}

// What is no lease, or one from the far future, keeps nobody out.
func TestLeasesThatAreNotBelieved(t *testing.T) {
	ctx := context.Background()
	late := lease{writer: newID(), run: newID(), until: time.Now().Add(48 * time.Hour).UnixNano()}
	for name, body := range map[string]string{
		"empty": "", "foreign": "hello", "huge": leaseHead + strings.Repeat("x", 1<<20), "far future": string(late.encode()),
	} {
		t.Run(name, func(t *testing.T) {
			store := apart["heedless"]()
			put := func(key, body string) {
				if _, err := store.Put(ctx, key, strings.NewReader(body), int64(len(body)), bucket.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			put("p/"+leaseName, body)
			c := newWriter(store).leasing(t)
			if err := c.Lease(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// An intent from the far future keeps nobody out either.
func TestIntentFromTheFuture(t *testing.T) {
	store := &buckettest.Memory{}
	now := time.Now()
	wrong, right := newWriter(store), newWriter(store)
	wrong.o.Now = func() time.Time { return now.AddDate(50, 0, 0) }
	commit(t, wrong.open(t), Edit{Range: &manifest.Range{First: "a"}})
	c := right.open(t)
	if left := c.Abandoned(); len(left) != 1 || len(c.Foreign()) != 0 {
		t.Errorf("left over: %v; foreign: %v", left, c.Foreign())
	}
}

func FuzzLease(f *testing.F) {
	f.Add(lease{writer: manifest.ID{1}, run: manifest.ID{2}, until: 3}.encode())
	f.Add([]byte("merkur lease 1\nwriter \nrun \nuntil \n"))
	f.Add(fmt.Appendf(nil, "%swriter %064x\nrun %032x\nuntil -1\n", leaseHead, 1, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, ok := parseLease(b); ok && string(l.encode()) != string(b) {
			t.Errorf("%q parses, and is written as %q", b, l.encode())
		}
	})
}
