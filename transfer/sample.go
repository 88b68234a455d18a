package transfer

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"merkur/store/catalog"
	"merkur/transfer/compare"
)

// mostLooks bounds how many untouched objects a run looks at.
const mostLooks = 16

// looks is how many untouched objects a run looks at that transfers so many: on average a share of
// them. chance, from 0 to 1, decides about what is left of a whole one.
func looks(transfers int, share, chance float64) int {
	want := float64(transfers) * share
	n := min(int(want), mostLooks)
	if n < mostLooks && chance < want-float64(n) {
		n++
	}
	return n
}

// pick picks the untouched objects that the run is going to look at, when it is known that it transfers
// something: out of all that the manifest names with the same chance. The first batch tells how
// many; one that more follow is large enough for the most.
func (r *run) pick(ctx context.Context, b batch) {
	if r.picked || r.o.Compare != compare.Content || r.o.Sample <= 0 {
		return
	}
	r.picked = true
	_, c := r.watched()
	if c == nil {
		return
	}
	n := looks(transfersIn(b), r.o.Sample, rand.Float64())
	for e, err := range c.Tree(ctx).Pick(positions(n, c.Root().Top.Files)) {
		if err != nil {
			return // it is only a sample
		}
		if r.policy.selects(e.Key) {
			r.sample = append(r.sample, suspect{key: e.Key, known: &e, found: asKnown})
		}
	}
}

// positions are n of the numbers below total, or all, in order.
func positions(n int, total uint64) []uint64 {
	at := map[uint64]bool{}
	for uint64(len(at)) < min(uint64(n), total) {
		at[rand.N(total)] = true
	}
	list := make([]uint64, 0, len(at))
	for p := range at {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

func transfersIn(b batch) (n int) {
	for _, a := range b.actions {
		if a.Verb != Delete && a.Verb != Describe {
			n++
		}
	}
	return n
}

// watched is the side whose manifest is looked after: the destination, or, of a download, the
// source.
func (r *run) watched() (Side, *catalog.Catalog) {
	if r.way == compare.Down {
		return r.o.From, r.source
	}
	return r.o.To, r.catalog
}

// spare takes the keys of a batch out of the sample.
func (r *run) spare(b batch) {
	r.sample = slices.DeleteFunc(r.sample, func(s suspect) bool {
		_, touched := slices.BinarySearchFunc(b.actions, s.key, func(a Action, key string) int { return strings.Compare(a.Key, key) })
		return touched
	})
}

// lookAround looks at the sample. If there is drift in it, it is mended like any other, and there may
// be more.
func (r *run) lookAround(ctx context.Context) error {
	list := r.sample
	if r.sample = nil; len(list) == 0 || r.o.DryRun {
		return nil
	}
	side, c := r.watched()
	w := &watch{r: r, side: side, catalog: c, mends: r.way != compare.Down, asks: r.way != compare.Down}
	if err := w.lookAtAll(ctx, list, true); err != nil {
		return ctx.Err() // it is only a sample
	}
	looked := len(list)
	list = slices.DeleteFunc(list, func(s suspect) bool { return s.found == asKnown })
	if len(list) == 0 {
		return nil
	}
	before := r.sum.Drift.Total()
	rest, err := w.mend(ctx, list, true)
	if err != nil {
		return err
	}
	if n := r.sum.Drift.Total() - before; n > 0 {
		r.note("of %d objects that were looked at by chance, somebody else has changed %d; --audit=full looks at all", looked, n)
	}
	if len(rest) == 0 {
		return nil
	}
	return r.carryOutAlone(ctx, rest)
}
