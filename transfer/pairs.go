package transfer

import (
	"context"
	"errors"
	"iter"
	"os"

	"merkur/manifest"
	"merkur/transfer/compare"
)

// errStopped ends a scan whose entries nobody takes any more.
var errStopped = errors.New("nobody takes the entries any more")

// pairs yields, in key order, the keys at which the two sides may differ. Where both are trees,
// only pages that differ are looked at; else all keys of both sides are.
func (r *run) pairs(ctx context.Context) iter.Seq2[pair, error] {
	switch {
	case r.byTrees() && r.way == compare.Up:
		return counted(r, changed(manifest.DiffPages(r.catalog.Tree(ctx), r.fold(ctx)), inTree, inDir))
	case r.byTrees() && r.way == compare.Down:
		return counted(r, turned(changed(manifest.DiffPages(r.source.Tree(ctx), r.fold(ctx)), inTree, inDir)))
	case r.byTrees():
		return changed(manifest.Diff(r.catalog.Tree(ctx), r.source.Tree(ctx)), inTree, inTree)
	}
	return counted(r, join(r.stream(ctx, r.o.From), r.stream(ctx, r.o.To)))
}

// byTrees reports whether the sides can be compared page by page. Rules for headers ask for a
// look at each object.
func (r *run) byTrees() bool {
	return r.o.Compare == compare.Content && r.o.Rules == nil && (r.policy.open == nil || r.o.Key != nil) &&
		(r.o.From.local() || r.source != nil) && (r.o.To.local() || r.catalog != nil)
}

// stream is all that a side has: what a scan finds, what a manifest says, or a listing.
func (r *run) stream(ctx context.Context, s Side) stream {
	switch {
	case s.local():
		return r.scanned(ctx)
	case r.o.Compare == compare.Content && s == r.o.From && r.source != nil:
		return r.sourceTree(ctx)
	case r.o.Compare == compare.Content && s == r.o.To && r.catalog != nil:
		return part(r.catalog.Tree(ctx), manifest.Range{})
	}
	return r.listed(ctx, s, manifest.Range{})
}

// sourceTree is what the source's manifest says, and for the keys that a run may be writing or
// did not come to the end of, what is really there.
func (r *run) sourceTree(ctx context.Context) stream {
	tree, open := r.source.Tree(ctx), r.policy.open
	if open == nil || r.o.Key != nil { // what is listed is not sealed
		return part(tree, manifest.Range{})
	}
	return func(yield func(*Found, error) bool) {
		before, after := outside(tree, *open)
		whole := true
		pass := func(f *Found, err error) bool {
			whole = yield(f, err) && err == nil
			return whole
		}
		before(pass)
		if !whole {
			return
		}
		for p, err := range join(r.listed(ctx, r.o.From, *open), part(tree, *open)) {
			switch {
			case err != nil:
				pass(nil, err)
			case p.from == nil: // it is gone
			case p.to != nil && known(p):
				pass(p.to, nil)
			default:
				pass(p.from, nil)
			}
			if !whole {
				return
			}
		}
		after(pass)
	}
}

// outside are the entries of a tree before and after a range.
func outside(t manifest.Tree, keys manifest.Range) (before, after stream) {
	cut := func(from string, in func(key string) bool) stream {
		return func(yield func(*Found, error) bool) {
			for e, err := range t.Entries(from) {
				if err == nil && !in(e.Key) {
					return
				}
				if !yield(inTree(&e), err) || err != nil {
					return
				}
			}
		}
	}
	none := func(func(*Found, error) bool) {}
	if before = none; keys.First != "" {
		before = cut("", func(key string) bool { return key < keys.First })
	}
	if after = none; keys.Last != "" {
		after = cut(keys.Last+"\x00", func(string) bool { return true })
	}
	return before, after
}

// changed makes pairs of changes: what is new is the source's.
func changed(changes iter.Seq2[manifest.Change, error], old, new func(*manifest.Entry) *Found) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		for c, err := range changes {
			if !yield(pair{c.Key, new(c.New), old(c.Old)}, err) || err != nil {
				return
			}
		}
	}
}

// turned swaps the sides.
func turned(pairs iter.Seq2[pair, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		for p, err := range pairs {
			if !yield(pair{p.key, p.to, p.from}, err) || err != nil {
				return
			}
		}
	}
}

// counted counts what each side has, as far as the pairs tell.
func counted(r *run, pairs iter.Seq2[pair, error]) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		for p, err := range pairs {
			if p.from != nil {
				r.seen.from++
			}
			if p.to != nil {
				r.seen.to++
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// emptied reports whether the source has nothing in it: no file or object, or, where filters
// may have hidden all files, not even a name.
func (r *run) emptied() bool {
	switch {
	case r.source != nil && r.byTrees():
		return r.source.Root().Top.Files == 0
	case !r.o.From.local():
		return r.seen.from == 0
	case r.o.Meter.Scanned.Load() > 0:
		return false
	case !r.o.Filters.Some():
		return true
	}
	names, err := os.ReadDir(r.o.From.Dir)
	return err == nil && len(names) == 0
}

// present is how many files or objects the destination had at the beginning, of which a part may
// be deleted.
func (r *run) present() uint64 {
	switch {
	case r.o.To.local():
		return max(r.seen.to, uint64(r.o.Meter.Scanned.Load()))
	case r.catalog != nil && r.o.Compare == compare.Content:
		return r.atFirst + r.strays.n
	}
	return r.seen.to
}
