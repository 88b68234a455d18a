package inspect

import (
	"context"
	"iter"

	"merkur/manifest"
)

// A Difference is a key at which two views differ. At least one of A and B is set.
type Difference struct {
	Key     string
	A, B    *manifest.Entry // nil: the view does not have it
	Unclear bool            // both have it, of equal size, and nobody can tell without reading more
}

// looksAtOnce is how many files or objects are looked into at the same time.
const looksAtOnce = 8

// Diff yields the differences that lead from a to b among the keys that are selected, in key order.
func Diff(ctx context.Context, a, b *View, selected func(string) bool) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		if a.tree != nil && b.tree != nil && a.tree.Root.Digest == b.tree.Root.Digest {
			return
		}
		said := func(yield func(manifest.Change, error) bool) {
			for c, err := range changes(ctx, a, b) {
				if err == nil && (selected != nil && !selected(c.Key) || c.Old == nil && hides(a, c.Key) || c.New == nil && hides(b, c.Key)) {
					continue
				}
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
		judged := inOrder(ctx, looksAtOnce, said, func(ctx context.Context, c manifest.Change) (Difference, error) {
			return decide(ctx, a, b, c)
		})
		for d, err := range judged {
			if err == nil && d.Key == "" {
				continue
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// hides reports whether a view may have a key though it does not yield it.
func hides(v *View, key string) bool { return v.unknown != nil && v.unknown(key) }

// changes yields the keys at which entries are not equal, by the cheapest way.
func changes(ctx context.Context, a, b *View) iter.Seq2[manifest.Change, error] {
	switch {
	case a.tree != nil && b.tree != nil:
		return manifest.Diff(*a.tree, *b.tree)
	case a.tree != nil && b.leaves != nil:
		return manifest.DiffPages(*a.tree, b.leaves(ctx))
	case a.leaves != nil && b.tree != nil:
		return func(yield func(manifest.Change, error) bool) {
			for c, err := range manifest.DiffPages(*b.tree, a.leaves(ctx)) {
				if !yield(manifest.Change{Key: c.Key, Old: c.New, New: c.Old}, err) {
					return
				}
			}
		}
	}
	return join(a.entries(ctx), b.entries(ctx))
}

// join yields the keys at which two streams of entries in key order are not equal. It is pure.
func join(a, b iter.Seq2[manifest.Entry, error]) iter.Seq2[manifest.Change, error] {
	return func(yield func(manifest.Change, error) bool) {
		nextA, stopA := iter.Pull2(a)
		defer stopA()
		nextB, stopB := iter.Pull2(b)
		defer stopB()
		x, xerr, haveX := nextA()
		y, yerr, haveY := nextB()
		for haveX || haveY {
			if err := first(xerr, yerr); err != nil {
				yield(manifest.Change{}, err)
				return
			}
			var c manifest.Change
			takeX, takeY := haveX && (!haveY || x.Key <= y.Key), haveY && (!haveX || y.Key <= x.Key)
			if takeX {
				old := x
				c.Key, c.Old = x.Key, &old
				x, xerr, haveX = nextA()
			}
			if takeY {
				new := y
				c.Key, c.New = y.Key, &new
				y, yerr, haveY = nextB()
			}
			if c.Old != nil && c.New != nil && c.Old.Equal(*c.New) && c.Old.Digest != (manifest.Digest{}) {
				continue
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// An answer is what can be said of two entries of one key.
type answer uint8

const (
	same answer = iota
	differs
	unclear
)

// decide makes a difference of a change. Without a key, there is none.
func decide(ctx context.Context, a, b *View, c manifest.Change) (Difference, error) {
	d := Difference{Key: c.Key, A: c.Old, B: c.New}
	if c.Old == nil || c.New == nil {
		return d, nil
	}
	f, g := factsOf(c.Old), factsOf(c.New)
	said := compare(c.Old, c.New, f, g)
	// Of a file and an object in parts the bucket goes first: it says in which parts. Else the file does,
	// whose MD5 may be the ETag that is known already.
	views := []*View{a, b}
	entries, known := []*manifest.Entry{c.Old, c.New}, []*facts{&f, &g}
	order := [2]int{0, 1}
	if a.unknown != nil && inParts(g.etag) || b.unknown != nil && !inParts(f.etag) {
		order = [2]int{1, 0}
	}
	for _, i := range order {
		if said != unclear {
			break
		}
		if views[i].look == nil {
			continue
		}
		found, err := views[i].look(ctx, *entries[i], need{part: known[1-i].partSize})
		if err != nil {
			return d, err
		}
		*known[i] = found
		said = compare(c.Old, c.New, f, g)
	}
	if said == same {
		return Difference{}, nil
	}
	d.Unclear = said == unclear
	return d, nil
}

// compare compares two entries of one key by what they state and what else is known.
func compare(e, f *manifest.Entry, x, y facts) answer {
	none := manifest.Digest{}
	switch {
	case e.Kind != f.Kind || e.Size != f.Size || e.Target != f.Target:
		return differs
	case x.digest != none && y.digest != none:
		return sameIf(x.digest == y.digest)
	case x.etag != "" && x.etag == y.etag:
		return same
	case x.hasCRC && y.hasCRC:
		return sameIf(x.crc == y.crc)
	case e.Size == 0:
		return same
	case x.isMD5 && y.isMD5 && x.partSize == y.partSize:
		return differs
	}
	return unclear
}

func sameIf(is bool) answer {
	if is {
		return same
	}
	return differs
}
