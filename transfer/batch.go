package transfer

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/history"
	"merkur/transfer/local"
)

// A batch is what one intent covers and one commit makes true. The first is small, so that the
// first bytes are on their way soon; then they grow, so that a large run commits seldom.
const (
	firstFiles = 256
	batchFiles = 16_384
	batchBytes = 4 << 30
)

// filesAtOnce is how many files are open at once, at most. How many of them move data is up to
// the gate.
const filesAtOnce = 64

// A batch is what is announced, transferred and committed together.
type batch struct {
	actions []Action
	late    bool // it comes after all that is not
}

// carryOut compares the two sides, plans the actions and carries them out, batch by batch. Deletes
// are only collected. While a batch is transferred, the next is planned.
func (r *run) carryOut(ctx context.Context, plan func(context.Context, chan<- batch) error) error {
	g, ctx := errgroup.WithContext(ctx)
	batches := make(chan batch)
	g.Go(func() error {
		defer close(batches)
		return plan(ctx, batches)
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

// cutter cuts actions into batches for whom carries them out.
func (r *run) cutter(ctx context.Context, batches chan<- batch) *cutter {
	return &cutter{limit: firstFiles, most: r.o.Ahead, flush: func(b batch) error {
		select {
		case batches <- b:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

// planAll cuts the actions that are needed into batches.
func (r *run) planAll(ctx context.Context, batches chan<- batch) error {
	c := r.cutter(ctx, batches)
	for p, err := range r.pairs(ctx) {
		if err != nil {
			return err
		}
		if err := r.dispose(p, c); err != nil {
			return err
		}
	}
	r.o.Meter.Complete.Store(true)
	if err := c.end(); err != nil {
		return err
	}
	if err := errors.Join(r.planOdd(ctx, c), c.end()); err != nil {
		return err
	}
	c.late = true
	err := errors.Join(r.late.each(c.addAll), r.keepLinked(ctx))
	if r.source != nil && r.o.Compare == compare.Content && r.o.Key == nil {
		err = errors.Join(err, r.confirmGone(ctx))
	}
	if r.o.DryRun && r.reconsiders() {
		err = errors.Join(err, r.doomed.each(c.addAll))
	}
	return errors.Join(err, c.end())
}

// carryOutBatch makes the keys of a batch known, transfers them and commits the outcome. If
// the next batch is there by then, the commit makes that one's keys known too.
func (r *run) carryOutBatch(ctx context.Context, b batch, batches <-chan batch) (next batch, more bool, err error) {
	if r.o.DryRun {
		if err := r.preview(ctx, b.actions); err != nil {
			return batch{}, false, err
		}
		next, more = <-batches
		return next, more, nil
	}
	r.pick(ctx, b)
	r.spare(b)
	changes, err := r.announceAndTransfer(ctx, b)
	if err != nil {
		r.salvage(ctx, changes, err)
		return batch{}, false, err
	}
	claim := r.doubt
	waiting := false
	select {
	case next, more = <-batches:
		claim = claim.and(r.claims(next.actions))
	default:
		waiting = true
	}
	// What has been stored is written down, also when the run is being interrupted.
	safe, cancel := graceful(ctx)
	defer cancel()
	if _, err := r.commit(safe, claim.of(catalog.Edit{Changes: changes})); err != nil {
		return batch{}, false, err
	}
	if err := ctx.Err(); err != nil {
		return batch{}, false, err
	}
	if waiting {
		next, more = <-batches
	}
	return next, more, nil
}

// carryOutAlone carries out actions, which are in key order, as a batch that no other follows.
func (r *run) carryOutAlone(ctx context.Context, actions []Action) error {
	for _, a := range actions {
		r.o.Meter.plan(a)
	}
	none := make(chan batch)
	close(none)
	_, _, err := r.carryOutBatch(ctx, batch{actions: actions}, none)
	return err
}

// announceAndTransfer makes the keys of a batch known and transfers them. A late batch is held
// back if something before it has failed.
func (r *run) announceAndTransfer(ctx context.Context, b batch) ([]manifest.Change, error) {
	if b.late && r.flawed() {
		for _, a := range b.actions {
			if r.o.Meter.end(a); a.Verb != Prove { // which may need no transfer at all
				r.fail(a, errHeld)
			}
		}
		return nil, nil
	}
	if err := r.ready(ctx); err != nil {
		return nil, err
	}
	if want := r.doubt.and(r.claims(b.actions)); !r.intent.covers(want) {
		if _, err := r.commit(ctx, want.of(catalog.Edit{})); err != nil {
			return nil, err
		}
	}
	actions, err := r.avoid(ctx, b.actions)
	if err != nil {
		return nil, err
	}
	return r.transferTwice(ctx, actions)
}

// commit publishes an edit, if there is a manifest to be kept true. It tells of keys at which
// another run stood in the way, and returns those of them where the other's entry stands.
func (r *run) commit(ctx context.Context, e catalog.Edit) (kept map[string]bool, err error) {
	if r.catalog == nil {
		return nil, nil
	}
	conflicts, err := r.catalog.Commit(ctx, e)
	if err != nil {
		return nil, err
	}
	r.intent, r.o.Rebuild = claimed(e), false // a restart goes on from here
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
		a := Action{Verb: transfers[r.way], Key: c.Key}
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
	if r.catalog == nil {
		return batch, nil
	}
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
			r.o.Meter.end(a)
			r.fail(a, errors.New("another run is deleting it at the same time; run again"))
		}
		return deleting[a.Key]
	}), nil
}

// transfer carries out the actions of a batch and returns, in key order, the changes that they
// made, also beside an error. While it takes long, the intent is renewed. A server that is gone, or
// that takes the credentials no more, is not asked for one object after the other: that ends the
// run.
func (r *run) transfer(outer context.Context, batch []Action) ([]manifest.Change, error) {
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	made := make([]*manifest.Change, len(batch))
	ends := make([]*history.Outcome, len(batch))
	var g errgroup.Group
	var begun atomic.Int64
	for range min(filesAtOnce, r.gate.Most(), len(batch)) {
		g.Go(func() error { // many actions for each goroutine, whose stack has to grow once only
			for i := begun.Add(1) - 1; i < int64(len(batch)) && ctx.Err() == nil; i = begun.Add(1) - 1 {
				made[i], ends[i] = r.carry(ctx, batch[i], end)
			}
			return nil
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Wait()
	}()
	err := r.renewUntil(ctx, done, r.intent.of(catalog.Edit{}))
	for _, o := range ends {
		r.ledger.note(o)
	}
	if err != nil {
		return nil, err
	}
	var changes []manifest.Change
	for _, c := range made {
		if c != nil {
			changes = append(changes, *c)
		}
	}
	if outer.Err() == nil && ctx.Err() != nil {
		return changes, context.Cause(ctx)
	}
	return changes, nil
}

// renewing does some work, and writes the intent again from time to time while that goes on.
func (r *run) renewing(ctx context.Context, intent catalog.Edit, work func() error) error {
	done := make(chan struct{})
	var failed error
	go func() {
		defer close(done)
		failed = work()
	}()
	err := r.renewUntil(ctx, done, intent)
	return errors.Join(err, failed)
}

// preview tells what would be done about a batch, in key order.
func (r *run) preview(ctx context.Context, actions []Action) error {
	equal, errs, err := r.proofs(ctx, actions)
	if err != nil {
		return err
	}
	for i, a := range actions {
		switch {
		case r.hearsay(a):
			r.fail(a, errUnproven)
			continue
		case errs[i] != nil:
			r.fail(a, errs[i])
			continue
		case equal[i]:
			r.sent.proved.Add(1)
			continue
		case a.Verb == Prove && r.o.NoOverwrite:
			continue
		case a.Verb == Prove:
			if a.Verb = transfers[r.way]; !r.permitted(a) {
				continue
			}
		}
		if a.Verb == Delete && r.tree != nil && r.tree.Link(a.Key) != "" {
			r.behindLink(a)
			continue
		}
		if err := r.obstacle(a); err != nil {
			r.fail(a, err)
			continue
		}
		r.tellKeep(a, "RUN")
		r.report(Event{Done: &a})
	}
	return nil
}

// proofs finds out which actions are not needed, in a dry run. An error says why it did not come to
// its end.
func (r *run) proofs(outer context.Context, actions []Action) (equal []bool, errs []error, err error) {
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	equal, errs = make([]bool, len(actions)), make([]error, len(actions))
	var g errgroup.Group
	g.SetLimit(min(filesAtOnce, r.gate.Most()))
	for i, a := range actions {
		if a.Verb == Prove && ctx.Err() == nil && !r.hearsay(a) {
			g.Go(func() error {
				if _, equal[i], errs[i] = r.prove(ctx, a); ctx.Err() == nil && hopeless(errs[i]) != nil {
					end(hopeless(errs[i]))
				}
				return nil
			})
		}
	}
	g.Wait()
	return equal, errs, context.Cause(ctx)
}

// obstacle returns what would keep a download from its place. Where files are compared as by aws,
// a dry run says what that one says, which looks at no places.
func (r *run) obstacle(a Action) error {
	if a.Verb != Get {
		return nil
	}
	name, ok := local.Place(a.Key)
	if !ok {
		return errNoPlace
	}
	err := r.tree.Free(name)
	if r.o.Compare != compare.Content && !errors.Is(err, local.ErrLeadsOut) || r.inTheWay(err) {
		return nil
	}
	return err
}
