package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
)

// A batch is what one intent covers and one commit makes true. The first is small, so that the
// first bytes are on their way soon; then they grow, so that a large run commits seldom.
const (
	firstFiles = 256
	batchFiles = 16_384
	batchBytes = 4 << 30
)

// carryOut compares the tree with base, plans the changes and carries out the actions, batch by
// batch. Deletes are only collected. While a batch is transferred, the next is planned.
func (r *run) carryOut(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	batches := make(chan []Action)
	changes := manifest.DiffPages(r.catalog.Tree(ctx), r.fold(ctx))
	g.Go(func() error {
		defer close(batches)
		return r.planAll(ctx, changes, batches)
	})
	g.Go(func() error {
		next, more := <-batches
		for more {
			var err error
			if next, more, err = r.carryOutBatch(ctx, next, batches); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// planAll cuts the actions that the changes ask for into batches.
func (r *run) planAll(ctx context.Context, changes iter.Seq2[manifest.Change, error], batches chan<- []Action) error {
	var batch []Action
	limit, bytes := firstFiles, int64(0)
	flush := func() error {
		select {
		case batches <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
		batch, bytes, limit = nil, 0, min(4*limit, batchFiles)
		return nil
	}
	for c, err := range changes {
		if err != nil {
			return err
		}
		a, ok := r.policy.plan(c)
		if !ok {
			continue
		}
		if a.Verb == Delete {
			if err := r.doomed.add(*a.Old); err != nil {
				return err
			}
			if !r.o.DryRun {
				continue
			}
		} else {
			r.o.Meter.Files.Add(1)
			r.o.Meter.Bytes.Add(a.File.Size)
		}
		batch, bytes = append(batch, a), bytes+a.File.Size
		if len(batch) >= limit || bytes >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	r.o.Meter.Complete.Store(true)
	if len(batch) > 0 {
		return flush()
	}
	return nil
}

// carryOutBatch makes the keys of a batch known, transfers them and commits the outcome. If
// the next batch is there by then, the commit makes that one's keys known too.
func (r *run) carryOutBatch(ctx context.Context, batch []Action, batches <-chan []Action) (next []Action, more bool, err error) {
	if r.o.DryRun {
		if err := r.preview(ctx, batch); err != nil {
			return nil, false, err
		}
		next, more = <-batches
		return next, more, nil
	}
	if err := r.ready(ctx); err != nil {
		return nil, false, err
	}
	if want := hull(r.doubt, rangeOf(batch)); !within(want, r.intent) {
		if _, err := r.commit(ctx, catalog.Edit{Range: want}); err != nil {
			return nil, false, err
		}
	}
	if batch, err = r.avoid(ctx, batch); err != nil {
		return nil, false, err
	}
	changes, err := r.transfer(ctx, batch)
	if err != nil {
		return nil, false, err
	}
	edit := catalog.Edit{Changes: changes, Range: r.doubt}
	waiting := false
	select {
	case next, more = <-batches:
		edit.Range = hull(r.doubt, rangeOf(next))
	default:
		waiting = true
	}
	// What has been stored is written down, also when the run is being interrupted.
	safe, cancel := graceful(ctx)
	defer cancel()
	if _, err := r.commit(safe, edit); err != nil {
		return nil, false, err
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	if waiting {
		next, more = <-batches
	}
	return next, more, nil
}

// commit publishes an edit, tells of keys at which another run stood in the way, and returns
// those of them where the other's entry stands.
func (r *run) commit(ctx context.Context, e catalog.Edit) (kept map[string]bool, err error) {
	conflicts, err := r.catalog.Commit(ctx, e)
	if err != nil {
		return nil, err
	}
	r.intent, r.o.Rebuild = e.Range, false // a restart goes on from here
	kept = map[string]bool{}
	deleting := map[string]bool{}
	for i := range e.Doomed {
		deleting[e.Doomed[i].Key] = true
	}
	for _, c := range conflicts {
		if !c.Kept {
			r.note("%s was changed by another run at the same time; the object of this run stands", c.Key)
			continue
		}
		a := Action{Verb: Put, Key: c.Key}
		if deleting[c.Key] {
			a.Verb = Delete
		}
		if kept[c.Key] = true; c.Gone {
			continue
		}
		r.fail(a, errors.New("another run is writing it at the same time; what that run does stands"))
	}
	return kept, nil
}

// avoid takes out of a batch, which has been announced, what another run is deleting at this
// moment.
func (r *run) avoid(ctx context.Context, batch []Action) ([]Action, error) {
	keys := make([]string, len(batch))
	for i := range batch {
		keys[i] = batch[i].Key
	}
	deleting, err := r.catalog.Deleting(ctx, keys)
	if err != nil || len(deleting) == 0 {
		return batch, err
	}
	return slices.DeleteFunc(batch, func(a Action) bool {
		if deleting[a.Key] {
			r.fail(a, errors.New("another run is deleting it at the same time; run again"))
		}
		return deleting[a.Key]
	}), nil
}

// transfer carries out the actions of a batch and returns, in key order, the changes that they
// made. While it takes long, the intent is renewed. A server that is gone is not asked for one
// object after the other: that ends the run.
func (r *run) transfer(outer context.Context, batch []Action) ([]manifest.Change, error) {
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	made := make([]*manifest.Change, len(batch))
	var g errgroup.Group
	g.SetLimit(r.o.Concurrency)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, a := range batch {
			if ctx.Err() != nil {
				break
			}
			g.Go(func() error {
				made[i] = r.carry(ctx, a, end)
				return nil
			})
		}
		g.Wait()
	}()
	if err := r.renewUntil(ctx, done, catalog.Edit{Range: r.intent}); err != nil {
		return nil, err
	}
	if outer.Err() == nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var changes []manifest.Change
	for _, c := range made {
		if c != nil {
			changes = append(changes, *c)
		}
	}
	return changes, nil
}

// renewUntil writes the intent again from time to time, until done is closed.
func (r *run) renewUntil(ctx context.Context, done <-chan struct{}, intent catalog.Edit) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-tick.C:
			if _, err := r.commit(ctx, intent); err != nil && ctx.Err() == nil {
				<-done
				return err
			}
		}
	}
}

// carry carries out one action that stores something. It returns what is different in the
// bucket afterwards, or nil. It calls end where there is no point in going on.
func (r *run) carry(ctx context.Context, a Action, end context.CancelCauseFunc) *manifest.Change {
	e, err := r.send(ctx, a)
	r.o.Meter.DoneFiles.Add(1)
	if a.File.Size < wholeLimit { // larger ones are counted as they go
		r.o.Meter.DoneBytes.Add(a.File.Size)
	}
	switch {
	case err == nil:
		return &manifest.Change{Key: a.Key, Old: a.Old, New: &e}
	case ctx.Err() == nil && unreachable(err):
		r.doubtful(a.Key)
		end(fmt.Errorf("the server cannot be reached any more: %w", err))
		return nil
	case ctx.Err() != nil || errors.Is(err, bucket.ErrUncertain):
		r.doubtful(a.Key)
		if ctx.Err() != nil {
			return nil // interrupted: not a failure of this file
		}
	}
	r.fail(a, err)
	return nil
}

// unreachable reports whether no connection to the server could be made.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// doubtful notes that it is not known what the bucket holds under a key.
func (r *run) doubtful(key string) {
	r.events <- struct{}{}
	r.doubt = hull(r.doubt, &manifest.Range{First: key, Last: key})
	<-r.events
}

// preview tells what would be done about a batch, in key order.
func (r *run) preview(ctx context.Context, batch []Action) error {
	for _, a := range batch {
		if a.Verb == Prove {
			_, equal, err := r.prove(ctx, a)
			if err != nil && ctx.Err() == nil {
				r.fail(a, err)
				continue
			}
			if equal {
				r.sent.proved.Add(1)
				continue
			}
			a.Verb = Put
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.report(Event{Done: &a})
	}
	return nil
}

func rangeOf(batch []Action) *manifest.Range {
	if len(batch) == 0 {
		return nil
	}
	return &manifest.Range{First: batch[0].Key, Last: batch[len(batch)-1].Key}
}

// hull returns the least range that contains both; nil is the empty one.
func hull(a, b *manifest.Range) *manifest.Range {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	h := manifest.Range{First: min(a.First, b.First), Last: max(a.Last, b.Last)}
	if a.Last == "" || b.Last == "" {
		h.Last = ""
	}
	return &h
}

// within reports whether the range a, if any, lies in b.
func within(a, b *manifest.Range) bool {
	return a == nil || b != nil && b.First <= a.First && (b.Last == "" || a.Last != "" && a.Last <= b.Last)
}

// errForeign says that an object is not the one the manifest knows.
var errForeign = errors.New("somebody else has changed the object since it was last seen; it is left as it is")

// errNoETag says that there is nothing to recognise an object by.
var errNoETag = errors.New("the server gives it no ETag, so that it cannot be replaced or deleted safely; it is left as it is")

// errUnsettled says that a file did not hold still.
func errUnsettled(path string) error { return fmt.Errorf("%s changed while it was read", path) }
