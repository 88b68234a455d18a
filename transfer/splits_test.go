package transfer

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/listing"
	"merkur/transfer/compare"
)

func TestLead(t *testing.T) {
	l := &lead{}
	wants := func(key string, count int, more bool) {
		t.Helper()
		if s, m := l.next(); s != (listing.Split{Key: key, Count: count}) || m != more {
			t.Errorf("%+v, %v; want %q, %d, %v", s, m, key, count, more)
		}
	}
	wants("", 0, true)
	l.tell("a", 1)
	l.tell("b", 2)
	wants("a", 1, true)
	l.end()
	wants("b", 2, true)
	wants("", 0, false)
	for i := range 3 * maxLead {
		l.tell(fmt.Sprint(i), i)
	}
	wants(fmt.Sprint(2*maxLead), 2*maxLead, true)
}

// A patient store says where it was asked to list from. The first listing does not get to its second
// page before the scan is well ahead, nor, unless it takes forever, to its third before it was cut.
type patient struct {
	*buckettest.Memory
	scan  *lead
	mu    sync.Mutex
	after []string
}

func (p *patient) List(ctx context.Context, prefix, start string) iter.Seq2[bucket.Listed, error] {
	p.mu.Lock()
	p.after = append(p.after, start)
	first := len(p.after) == 1
	p.mu.Unlock()
	return func(yield func(bucket.Listed, error) bool) {
		n := 0
		for o, err := range p.Memory.List(ctx, prefix, start) {
			for n++; first && n == 1500 && !p.ahead() && p.cuts() == 0; {
				runtime.Gosched()
			}
			for i := 0; first && n == 2500 && i < 1<<20 && p.cuts() == 0; i++ {
				runtime.Gosched()
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// cuts is how many more listings there are than one.
func (p *patient) cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.after) - 1
}

// ahead reports whether the scan has come to enough for a cut.
func (p *patient) ahead() bool {
	p.scan.mu.Lock()
	defer p.scan.mu.Unlock()
	names := 0
	for _, s := range p.scan.places {
		names += s.Count
	}
	return names > 6000 || p.scan.ended
}

// TestListingFollowsScan lists what has keys that are hard to guess, beside a tree with the same: it
// is cut where the scan found some.
func TestListingFollowsScan(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	files := map[string]string{}
	for i := range 9000 {
		key := fmt.Sprintf("%x", uint32(i*i)*2654435761)
		files[key[:1+i%len(key)]+fmt.Sprint(i)] = ""
	}
	m.write(files)
	for key := range files {
		put(t, m.store, "p/"+key, "")
	}
	m.o.Compare = compare.Size
	r := &run{o: m.o, way: compare.Up}
	r.o.Meter = &Meter{}
	if err := r.openLocal(); err != nil {
		t.Fatal(err)
	}
	store := &patient{Memory: m.store, scan: r.lead}
	r.o.To.Store = store
	for p, err := range join(r.scanned(t.Context()), r.listed(t.Context(), r.o.To, manifest.Range{})) {
		if err != nil || p.from == nil || p.to == nil {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	cuts := slices.Sorted(slices.Values(store.after))
	for _, key := range cuts[1:] {
		if _, ok := files[key[len("p/"):]]; !ok {
			t.Errorf("cut at %q", key)
		}
	}
	if len(cuts) < 2 || cuts[0] != "" {
		t.Errorf("cuts at %q", cuts)
	}
}
