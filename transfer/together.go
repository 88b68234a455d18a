package transfer

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
)

// manyDeletes are so many that it is worth it to ask the server first whether it heeds the condition of each
// object where one request deletes many.
const manyDeletes = 100

// requestsTogether is how many requests that delete many objects are made at once: all of a leaf.
const requestsTogether = (spoolLeaf + bucket.MaxBatch - 1) / bucket.MaxBatch

// learnTogether finds out, once and before so many objects are deleted, whether they can go together.
func (r *run) learnTogether(ctx context.Context, deletes uint64) {
	if r.catalog != nil && r.powers != nil && deletes > manyDeletes {
		r.powers.Batches = r.catalog.ProbeBatches(ctx)
	}
}

// together picks the objects of a leaf that one request may delete with others: each under the ETag of its
// evidence, where the server heeds that; and without conditions where there would be none anyway.
func together(leaf []manifest.Entry, conditional bool, does catalog.Batches) (picked []int) {
	if conditional && does != catalog.BatchesHeed {
		return nil
	}
	for i := range leaf {
		if !conditional || leaf[i].Evidence.ETag != "" {
			picked = append(picked, i)
		}
	}
	if len(picked) < 2 {
		return nil
	}
	return picked
}

// deleteTogether deletes objects with few requests. Only those end here that are surely gone: whatever else a
// server answers, those objects are deleted one by one afterwards, which tells more. The first request is
// made alone: if it is of no use at all, none follows in this run.
func (r *run) deleteTogether(ctx context.Context, d *deletes) {
	deleter, ok := r.store.(bucket.BatchDeleter)
	if !ok || r.apart {
		return
	}
	does := catalog.BatchesUnknown
	if r.powers != nil {
		does = r.powers.Batches
	}
	picked := together(d.leaf, r.conditional(), does)
	if len(picked) == 0 {
		return
	}
	requests := (len(picked) + bucket.MaxBatch - 1) / bucket.MaxBatch
	var g errgroup.Group
	g.SetLimit(min(requestsTogether, r.gate.Most()))
	for part := range slices.Chunk(picked, (len(picked)+requests-1)/requests) {
		if r.proven {
			g.Go(func() error {
				r.deletePart(ctx, deleter, d, part)
				return nil
			})
			continue
		}
		if r.proven = r.deletePart(ctx, deleter, d, part); !r.proven {
			r.apart = true
			return
		}
	}
	g.Wait()
}

// deletePart deletes some objects of a leaf with one request, and reports whether that was of any use.
func (r *run) deletePart(ctx context.Context, deleter bucket.BatchDeleter, d *deletes, part []int) (useful bool) {
	list := make([]bucket.Deletion, len(part))
	for n, i := range part {
		list[n].Key = r.o.To.Prefix + d.leaf[i].Key
		if r.conditional() {
			list[n].IfMatch = d.leaf[i].Evidence.ETag
		}
	}
	var failed map[string]error
	err := r.pass(ctx, Action{Verb: Delete}, 0, func(ctx context.Context) error {
		failed = deleter.DeleteAll(ctx, list)
		return nil
	})
	if err != nil {
		return false // interrupted before it began
	}
	for n, i := range part {
		err := failed[list[n].Key]
		switch {
		case err == nil, hopeless(err) != nil:
			r.finish(ctx, d, i, err)
		case isUncertain(err):
			d.doubt[i] = err
		}
		useful = useful || err == nil || errors.Is(err, bucket.ErrChanged)
	}
	return useful
}
