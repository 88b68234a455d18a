package transfer

import (
	"context"
	"errors"
	"sync/atomic"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/compare"
	"merkur/transfer/history"
)

// carry carries out one action that stores something. It returns what is different in the
// bucket afterwards, or nil, and what is to be recorded of it, if anything. It calls end where there
// is no point in going on.
func (r *run) carry(ctx context.Context, a Action, end context.CancelCauseFunc) (*manifest.Change, *history.Outcome) {
	a.moved, a.effect, a.says = new(atomic.Int64), new(effect), new([]manifest.Statement)
	e, err := r.do(ctx, a)
	if err == nil || ctx.Err() == nil { // else it is cut off, neither done nor failed
		r.o.Meter.end(a)
	}
	if err != nil && (ctx.Err() != nil || hopeless(err) != nil || isUncertain(err)) {
		a.becomes(unsure)
	}
	if err != nil && r.postpone(a, err) {
		return nil, a.outcome(e)
	}
	switch {
	case err == nil:
		return r.learnt(a, e), a.outcome(e)
	case errors.Is(err, errLeftOut):
		return nil, nil
	case errors.Is(err, bucket.ErrArchived) && r.o.Archive != ArchiveForce && r.way != compare.Up && a.Verb != Restore:
		r.archived(a, "GLACIER") // a manifest does not tell the class
		return nil, nil
	case ctx.Err() == nil && hopeless(err) != nil:
		r.inDoubt(a)
		end(hopeless(err))
		return nil, a.outcome(e)
	case ctx.Err() != nil || isUncertain(err):
		r.inDoubt(a)
		if ctx.Err() != nil {
			return nil, a.outcome(e) // interrupted: not a failure of this file
		}
	}
	if !r.meets(a, err) {
		r.fail(a, err)
	}
	return nil, a.outcome(e)
}

// learnt is the change to the manifest that comes of an action that left e, or nil.
func (r *run) learnt(a Action, e manifest.Entry) *manifest.Change {
	if a.Verb == Prove && a.Old != nil && e.Equal(*a.Old) && r.o.Compare != compare.Content {
		return nil // a listing knows less than the manifest may
	}
	if a.Verb == Restore && a.Stray {
		if a.Old == nil {
			return nil
		}
		return &manifest.Change{Key: a.Key, Old: a.Old} // it is somebody else's, as it was
	}
	return &manifest.Change{Key: a.Key, Old: a.Old, New: &e}
}

// outcome is what is to be recorded of an action that left e, or nothing.
func (a Action) outcome(e manifest.Entry) *history.Outcome {
	switch *a.effect {
	case untouched:
		return nil
	case altered:
		return &history.Outcome{Key: a.Key, New: &e}
	}
	return &history.Outcome{Key: a.Key, Doubt: true}
}

// do carries out an action, and returns what the destination has after it.
func (r *run) do(ctx context.Context, a Action) (manifest.Entry, error) {
	if r.hearsay(a) {
		return a.From.Entry, errUnproven
	}
	if a.Verb == Prove {
		e, equal, err := r.prove(ctx, a)
		if err != nil {
			return e, err
		}
		if equal {
			r.sent.proved.Add(1)
			return e, nil
		}
		if r.o.NoOverwrite {
			return *a.Old, nil // it is taken over as it is
		}
		if a.Verb = transfers[r.way]; !r.permitted(a) {
			return e, errLeftOut
		}
	}
	switch gone, err := r.keep(ctx, a); {
	case err != nil:
		return a.From.Entry, err
	case gone && (a.Verb == Describe || r.past != nil || r.catalog != nil && r.o.Compare == compare.Content):
		return a.From.Entry, errForeign // it was there, and is no more: what is done instead is recorded as what it is
	case gone:
		if r.catalog != nil {
			r.meet(encounter{a: a, again: true})
		}
		a.Old = nil // there is nothing to be replaced
	}
	switch a.Verb {
	case Restore:
		return r.restore(ctx, a)
	case Get:
		return a.From.Entry, r.fetch(ctx, a)
	case Copy:
		return r.copy(ctx, a)
	case Describe:
		return r.describe(ctx, a)
	}
	return r.send(ctx, a)
}

// hearsay reports whether an action would take from a bucket what no manifest vouches for, where only
// that counts. What is put back stays hearsay.
func (r *run) hearsay(a Action) bool {
	return r.o.Key != nil && r.way != compare.Up && a.Verb != Delete && a.Verb != Restore && a.From.Unproven
}
