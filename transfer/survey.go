package transfer

import (
	"context"
	"iter"

	"merkur/manifest"
)

// surveyed lists a range of the destination's keys and yields how its tree has to change to say
// what is there.
func (r *run) surveyed(ctx context.Context, keys manifest.Range) iter.Seq2[manifest.Change, error] {
	to := r.o.To
	to.Store = r.store
	return func(yield func(manifest.Change, error) bool) {
		for p, err := range join(r.listed(ctx, to, keys), part(r.catalog.Tree(ctx), keys)) {
			if err == nil && p.from != nil && p.to != nil && known(p) {
				continue
			}
			c := manifest.Change{Key: p.key}
			if p.to != nil {
				c.Old = &p.to.Entry
			}
			if p.from != nil {
				c.New = &p.from.Entry
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// known reports whether a listed object is the one that the tree tells of.
func known(p pair) bool {
	etag := p.from.Evidence.ETag
	return etag != "" && etag == p.to.Evidence.ETag && p.from.Size == p.to.Size
}

// part are the entries of a tree in a range of keys, as a stream.
func part(t manifest.Tree, keys manifest.Range) stream {
	return func(yield func(*Found, error) bool) {
		for e, err := range t.Entries(keys.First) {
			if err == nil && !keys.Contains(e.Key) {
				return
			}
			if !yield(inTree(&e), err) || err != nil {
				return
			}
		}
	}
}
