package catalog

import (
	"context"
	"fmt"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket/buckettest"
)

func TestAhead(t *testing.T) {
	a, b := manifest.PackName{1}, manifest.PackName{2}
	page := func(pack manifest.PackName, off, n int) manifest.Location {
		return manifest.Location{Pack: pack, Off: uint64(off), Len: uint32(n)}
	}
	const kib = 1 << 10
	for name, c := range map[string]struct {
		before []manifest.Location
		at     manifest.Location
		want   uint64
	}{
		"the first":                    {nil, page(a, 0, 40*kib), 40 * kib},
		"the next":                     {[]manifest.Location{page(a, 0, 40*kib)}, page(a, 40*kib, 30*kib), aheadFirst},
		"behind a gap":                 {[]manifest.Location{page(a, 0, 40*kib)}, page(a, 50*kib, 30*kib), aheadFirst},
		"far behind":                   {[]manifest.Location{page(a, 0, 40*kib)}, page(a, 140*kib, 30*kib), 30 * kib},
		"before":                       {[]manifest.Location{page(a, 90*kib, 40*kib)}, page(a, 0, 30*kib), 30 * kib},
		"of another pack":              {[]manifest.Location{page(a, 0, 40*kib)}, page(b, 40*kib, 30*kib), 30 * kib},
		"larger than what is read":     {[]manifest.Location{page(a, 0, 40*kib)}, page(a, 40*kib, 300*kib), 300 * kib},
		"with others in between":       {[]manifest.Location{page(a, 0, 40*kib), page(b, 0, 9), page(a, 900*kib, 9)}, page(a, 40*kib, 30*kib), aheadFirst},
		"the third":                    {[]manifest.Location{page(a, 0, 9), page(a, 9, 9)}, page(a, 18, 9), 2 * aheadFirst},
		"the ninth, at the most":       {[]manifest.Location{page(a, 0, 1), page(a, 1, 1), page(a, 2, 1), page(a, 3, 1), page(a, 4, 1), page(a, 5, 1)}, page(a, 6, 1), aheadMost},
		"of a stream that was dropped": {append([]manifest.Location{page(a, 0, 9)}, strangers(streamsMost)...), page(a, 9, 9), 9},
	} {
		t.Run(name, func(t *testing.T) {
			var r ahead
			for _, at := range c.before {
				r.find(at)
			}
			if frame, want := r.find(c.at); frame != nil || want != c.want {
				t.Errorf("%d bytes are asked for and %d are there, want %d and none", want, len(frame), c.want)
			}
		})
	}
}

// strangers are pages in packs of their own.
func strangers(n int) (pages []manifest.Location) {
	for i := range n {
		pages = append(pages, manifest.Location{Pack: manifest.PackName{9, byte(i)}, Len: 1})
	}
	return pages
}

// What was read ahead is given out as the page that it is, and as no other.
func TestAheadKeeps(t *testing.T) {
	var r ahead
	at := func(off int) manifest.Location { return manifest.Location{Off: uint64(off), Len: 4} }
	r.find(at(0))
	r.find(at(4))
	r.keep(at(4), []byte("4567890123"))
	for off, want := range map[int]string{4: "4567", 8: "8901"} {
		if frame, _ := r.find(at(off)); string(frame) != want {
			t.Errorf("at %d: %q, want %q", off, frame, want)
		}
	}
	if frame, _ := r.find(at(12)); frame != nil {
		t.Errorf("%q, of which only a part was read", frame)
	}
}

// A machine that knows nothing reads a large tree with few requests.
func TestColdReadIsFewRequests(t *testing.T) {
	store := &buckettest.Memory{}
	es := many(60_000, 0)
	commit(t, newWriter(store).open(t), Edit{Changes: puts(es...)})
	cold := newWriter(store)
	cold.o.State, cold.o.Pages = nil, nil
	c := cold.open(t)
	leaves, before, i := 0, len(store.Calls()), 0
	for e, err := range c.Tree(context.Background()).Entries("") {
		if err != nil {
			t.Fatal(err)
		}
		if e != es[i] {
			t.Fatal(fmt.Errorf("entry %d is %+v, not %+v", i, e, es[i]))
		}
		i++
	}
	for _, err := range c.Tree(context.Background()).Leaves() {
		if err != nil {
			t.Fatal(err)
		}
		leaves++
	}
	if calls := len(store.Calls()) - before; i != len(es) || calls > leaves/6 {
		t.Errorf("%d entries in %d leaves are read with %d requests", i, leaves, calls)
	}
}
