package transfer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/drift"
	"merkur/transfer/history"
)

// deletesAtOnce is how many deletes are made at once, if the gate lets as many through.
const deletesAtOnce = 64

// remove carries out the deletes. A leaf full of objects at a time is taken out of the
// manifest, which at the same time says that they are being deleted; then they are deleted;
// and the next commit drops that note. Dying in between leaves the note, and the next run goes
// on from there.
func (r *run) remove(ctx context.Context) error {
	if r.doomed.n+r.strays.n == 0 {
		return nil
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	r.learnTogether(ctx, r.doomed.n+r.strays.n)
	delete := r.deleteAll
	if r.tree != nil {
		delete = r.unlinkAll
	}
	if err := r.removeFrom(ctx, &r.doomed, r.o.Compare != compare.Content, delete); err != nil {
		return err
	}
	return r.removeFrom(ctx, &r.strays, true, r.deleteStrays)
}

// removeFrom carries out the deletes of a spool. listed says that their objects were found in a
// listing, so that the manifest may not name them.
func (r *run) removeFrom(ctx context.Context, doomed *spool, listed bool, delete func(context.Context, []manifest.Entry) ([]manifest.Change, error)) error {
	if doomed.n == 0 {
		return nil
	}
	var back []manifest.Change // objects that could not be deleted: the manifest names them again
	err := doomed.each(func(actions []Action) (err error) {
		actions = inKeyOrder(actions)
		if err := r.inform(ctx, actions); err != nil {
			return err
		}
		leaf, recorded, err := r.secure(ctx, actions)
		if err != nil {
			return err
		}
		defer func() {
			if err != nil { // if the note stands, whoever finds it deletes them
				r.ledger.leave(leaf)
			}
		}()
		edit := r.doubt.of(catalog.Edit{Changes: back, Doomed: leaf, Listed: listed})
		for i := range leaf {
			edit.Changes = append(edit.Changes, manifest.Change{Key: leaf[i].Key, Old: &leaf[i]})
		}
		slices.SortFunc(edit.Changes, func(a, b manifest.Change) int { return strings.Compare(a.Key, b.Key) })
		kept, err := r.commit(ctx, edit)
		if err != nil {
			return err
		}
		leaf = only(leaf, func(key string) bool { return !kept[key] })
		if !recorded { // only now is it known for sure whether the bucket keeps versions
			if err := r.record(ctx, without(actions, kept)); err != nil {
				return err
			}
		}
		return r.renewing(ctx, claimed(edit).of(catalog.Edit{Doomed: leaf}), func() (err error) {
			back, err = delete(ctx, leaf)
			return err
		})
	})
	if err != nil {
		return err // the note stays, and the next run does the rest
	}
	_, err = r.commit(ctx, r.doubt.of(catalog.Edit{Changes: back}))
	return err
}

// inKeyOrder sorts deletes, as commits and records want them. They may come otherwise: an audit goes round
// at the end of the tree, and the batches of a run that is undone overlap.
func inKeyOrder(deletes []Action) []Action {
	slices.SortStableFunc(deletes, func(a, b Action) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(deletes, func(a, b Action) bool { return a.Key == b.Key })
}

// spareStrays takes out of the strays what lies where the scan could not look.
func (r *run) spareStrays() error {
	if r.strays.n == 0 || len(r.policy.unknown) == 0 {
		return nil
	}
	return r.strays.drop(func(leaf []Action) []bool {
		spared := make([]bool, len(leaf))
		for i := range leaf {
			spared[i] = r.policy.unknown.covers(leaf[i].Key)
		}
		return spared
	})
}

// deleteAll deletes objects at once, and returns the changes that name again, in the manifest,
// those that could not be deleted. Those that are not the ones the manifest knew are somebody
// else's: they go only if that was asked for. An error says why it did not come to its end.
func (r *run) deleteAll(ctx context.Context, leaf []manifest.Entry) ([]manifest.Change, error) {
	failed, met, err := r.deleteEach(ctx, leaf)
	if err != nil {
		return nil, err
	}
	back := named(failed)
	if len(met) == 0 {
		return back, nil
	}
	more, err := r.deleteStillDoomed(ctx, r.stillDoomed(ctx, met))
	back = append(back, more...)
	slices.SortFunc(back, func(a, b manifest.Change) int { return strings.Compare(a.Key, b.Key) })
	return back, err
}

// deleteStillDoomed deletes objects as they were found to be. It returns the changes that name again those
// that are still there and not somebody else's.
func (r *run) deleteStillDoomed(ctx context.Context, doomed []Action) (back []manifest.Change, err error) {
	leaf := olds(doomed)
	if r.ledger.name != "" { // else nothing is recorded, and the manifest is being committed meanwhile
		if leaf, _, err = r.secure(ctx, doomed); err != nil {
			return nil, err
		}
	}
	failed, err := r.deleteFound(ctx, leaf)
	gone := map[string]bool{} // not those of which no copy can be kept
	for i := range leaf {
		gone[leaf[i].Key] = true
	}
	for i := range failed {
		gone[failed[i].Key] = false
	}
	doomed = slices.DeleteFunc(doomed, func(a Action) bool { return a.Stray || gone[a.Key] })
	return named(olds(doomed)), err
}

// named are the changes that name objects again.
func named(objects []manifest.Entry) (changes []manifest.Change) {
	for i := range objects {
		changes = append(changes, manifest.Change{Key: objects[i].Key, New: &objects[i]})
	}
	return changes
}

// deleteStrays deletes objects that somebody else has put there. What cannot be deleted stays
// theirs.
func (r *run) deleteStrays(ctx context.Context, leaf []manifest.Entry) ([]manifest.Change, error) {
	_, err := r.deleteFound(ctx, leaf)
	return nil, err
}

// deleteFound deletes objects as they were found to be, and returns those that could not be deleted. One
// that has changed once more is left alone.
func (r *run) deleteFound(ctx context.Context, leaf []manifest.Entry) (failed []manifest.Entry, err error) {
	failed, met, err := r.deleteEach(ctx, leaf)
	for i := range met {
		r.fail(deleting(&met[i]), errForeign)
	}
	return failed, err
}

// stillDoomed looks at objects that are not those that were to be deleted, tells of drift, and returns
// those that are to be deleted all the same, as they are now.
func (r *run) stillDoomed(ctx context.Context, met []manifest.Entry) (doomed []Action) {
	list := make([]suspect, len(met))
	for i := range met {
		list[i] = suspect{key: met[i].Key, known: &met[i], seen: &manifest.Entry{Key: met[i].Key}}
	}
	w := &watch{r: r, side: r.o.To, catalog: r.catalog, mends: true}
	if err := w.lookAtAll(ctx, list, true); err != nil {
		for i := range met {
			r.fail(deleting(&met[i]), err)
		}
		return nil
	}
	for i := range list {
		s := &list[i]
		switch {
		case s.found == asKnown:
			doomed = append(doomed, deleting(s.known))
		case s.found == sameBytes:
			e := refreshed(*s.known, *s.seen)
			doomed = append(doomed, deleting(&e))
		case s.seen == nil: // gone by now, as it should be
		default:
			action := s.action(r.o.Foreign)
			switch asTold := r.tell(s, false, action); {
			case action == drift.Keep:
				r.sent.left.Add(1)
			case !asTold: // it has changed again
				r.fail(deleting(s.seen), errForeign)
			default:
				doomed = append(doomed, Action{Verb: Delete, Key: s.key, Old: s.seen, Stray: true})
			}
		}
	}
	return doomed
}

// secure records that objects are to be deleted and keeps copies of them, where there is a place for
// that: before the manifest says that they go, since from then on any run may finish it. It returns
// those that may go, and whether there is a record.
func (r *run) secure(ctx context.Context, deletes []Action) (safe []manifest.Entry, recorded bool, err error) {
	leaf := olds(deletes)
	if _, recorded = r.shelf(); !recorded {
		return leaf, false, nil
	}
	if err := r.record(ctx, deletes); err != nil {
		return nil, false, err
	}
	failed, err := r.keepAll(ctx, leaf)
	return only(leaf, func(key string) bool { return !failed[key] }), true, err
}

// deleteEach deletes objects at once, several with one request where that is as good. It returns those
// that could not be deleted, and those that are not the objects that were to be deleted. An error says why
// it did not come to its end.
func (r *run) deleteEach(outer context.Context, leaf []manifest.Entry) (failed, met []manifest.Entry, err error) {
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	d := newDeletes(leaf, end)
	r.deleteTogether(ctx, d)
	var g errgroup.Group
	g.SetLimit(min(deletesAtOnce, r.gate.Most()))
	for i := range leaf {
		if d.ended[i] {
			continue
		}
		g.Go(func() error {
			r.finish(ctx, d, i, r.pass(ctx, deleting(&leaf[i]), 0, func(ctx context.Context) error {
				return r.deleteObject(ctx, &leaf[i], d.doubt[i])
			}))
			return nil
		})
	}
	g.Wait()
	for _, end := range d.ends {
		r.ledger.note(end)
	}
	r.sum.Deleted += d.deleted.Load()
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	for i, err := range d.outcome {
		switch {
		case errors.Is(err, errForeign):
			met = append(met, leaf[i])
		case err != nil:
			failed = append(failed, leaf[i])
		}
	}
	return failed, met, nil
}

// A deletes is a leaf of objects that are being deleted. Who deletes an object has what is at its index.
type deletes struct {
	leaf    []manifest.Entry
	doubt   []error // of an earlier try, which may have been carried out
	ended   []bool
	outcome []error // of those that are still there
	ends    []*history.Outcome
	deleted atomic.Int64
	end     func(error) // ends all of them
}

func newDeletes(leaf []manifest.Entry, end func(error)) *deletes {
	n := len(leaf)
	return &deletes{leaf: leaf, doubt: make([]error, n), ended: make([]bool, n), outcome: make([]error, n), ends: make([]*history.Outcome, n), end: end}
}

// finish draws the conclusions from how the delete of the ith object ended.
func (r *run) finish(ctx context.Context, d *deletes, i int, err error) {
	a := deleting(&d.leaf[i])
	d.ended[i] = true
	if err == nil {
		d.ends[i] = &history.Outcome{Key: a.Key}
	} else if ctx.Err() != nil || hopeless(err) != nil || isUncertain(err) {
		d.ends[i] = &history.Outcome{Key: a.Key, Doubt: true}
	}
	foreign := errors.Is(err, errForeign)
	switch {
	case err == nil:
		d.deleted.Add(1)
		r.report(Event{Done: &a})
	case hopeless(err) != nil:
		d.end(hopeless(err))
	case ctx.Err() != nil:
	case foreign && r.past == nil && r.o.Compare == compare.Content:
		d.outcome[i] = err
	default:
		r.fail(a, err)
		switch {
		case foreign:
		case r.absent(ctx, a.Old): // whoever did it: an undo has to look
			d.ends[i] = &history.Outcome{Key: a.Key, Doubt: true}
		default:
			d.outcome[i] = err
		}
		if errors.Is(err, bucket.ErrUncertain) {
			r.doubtful(a.Key, manifest.Touches(a.Key)) // it may still be carried out
		}
	}
}

// absent reports whether an object that could not be deleted is not there, or is another one: an
// earlier try, also one of a run before, may have deleted it. Where that cannot be found out,
// the key is in doubt.
func (r *run) absent(ctx context.Context, e *manifest.Entry) bool {
	obj, err := r.store.Head(ctx, r.o.To.Prefix+e.Key, bucket.HeadOptions{Customer: r.o.To.Customer})
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return true
	case err != nil:
		r.doubtful(e.Key, manifest.Touches(e.Key))
		return false
	}
	return obj.ETag != e.Evidence.ETag
}

// deleteObject removes the object that e tells of, and no other. Doubt is that of an earlier try, or nil.
// An error that is [bucket.ErrUncertain] leaves open whether it is gone.
func (r *run) deleteObject(ctx context.Context, e *manifest.Entry, doubt error) error {
	key := r.o.To.Prefix + e.Key
	if !r.conditional() {
		if err := r.store.Delete(ctx, key, bucket.Condition{}); err != nil {
			return both(doubt, err)
		}
		return nil
	}
	if e.Evidence.ETag == "" {
		return errNoETag
	}
	for range maxLooks {
		err := r.deleteOnce(ctx, key, e.Evidence.ETag)
		if !errors.Is(err, bucket.ErrUncertain) {
			if err == nil || errors.Is(err, errForeign) {
				return err
			}
			return both(doubt, err)
		}
		doubt = err
	}
	// A late delete with a condition does nothing to another object. One without it might.
	if r.powers.DeleteConditions && errors.Is(r.changed(ctx, key, e.Evidence.ETag), errForeign) {
		return errForeign
	}
	return doubt
}

// conditional reports whether deletes have conditions. Where there is no manifest they have none, as with
// aws, unless they put something back.
func (r *run) conditional() bool { return r.catalog != nil || r.past != nil }

// deleteOnce deletes the object under a key if it has the ETag. A missing one is success.
func (r *run) deleteOnce(ctx context.Context, key, etag string) error {
	cond := bucket.Condition{IfMatch: etag}
	if !r.powers.DeleteConditions {
		err := r.check(ctx, key, cond)
		if errors.Is(err, bucket.ErrChanged) {
			return r.changed(ctx, key, etag)
		}
		if err != nil {
			return err
		}
		cond = bucket.Condition{}
	}
	err := r.store.Delete(ctx, key, cond)
	if errors.Is(err, bucket.ErrChanged) {
		return r.changed(ctx, key, etag)
	}
	return err
}

// changed says what became of an object that was not as it should be: nothing is left to do if
// it is gone.
func (r *run) changed(ctx context.Context, key, etag string) error {
	obj, err := r.store.Head(ctx, key, bucket.HeadOptions{Customer: r.o.To.Customer})
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return nil
	case err != nil:
		return err
	case obj.ETag == etag:
		return bucket.ErrUncertain // it is as it should be after all
	}
	return errForeign
}
