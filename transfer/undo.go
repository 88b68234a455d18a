package transfer

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/drift"
	"merkur/transfer/history"
)

// Undo puts back what a run changed at o.To, where nobody has changed it since: server-side copies of
// what it replaced and deleted, deletes of what it created. It is a run like any other: announced,
// committed and recorded, so that it can be undone too. What was changed since that run is told of,
// counted as drift, and left as it is.
func Undo(ctx context.Context, o Options, past *Past) (Summary, error) {
	o.From, o.Compare, o.Relay, o.Delete = o.To, compare.Content, false, true
	o.Audit, o.Sample, o.Foreign, o.Rebuild = 0, 0, drift.Options{}, false
	r, err := newRun(o)
	if err != nil {
		return Summary{}, err
	}
	r.past = past
	err = r.putBack(ctx)
	for n := 0; errors.Is(err, catalog.ErrMoved) && n < maxRestarts; n++ {
		r.note("another run replaced the manifest; beginning anew")
		err = r.putBack(ctx)
	}
	r.close()
	return r.sum, err
}

// undoes is the name of the run that this one undoes.
func (r *run) undoes() string {
	if r.past == nil {
		return ""
	}
	return r.past.Name
}

// putBack is one attempt to undo a run.
func (r *run) putBack(ctx context.Context) error {
	r.reset()
	err := r.openMirror(ctx)
	if err == nil {
		err = r.carryOut(ctx, r.planBack)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && !r.o.DryRun {
		err = r.remove(ctx)
		if err == nil {
			err = r.transferPostponed(ctx)
		}
	}
	if err == nil && !within(r.intent.keys, r.doubt.keys) {
		_, err = r.commit(ctx, r.doubt.of(catalog.Edit{}))
	}
	return r.leave(ctx, err)
}

// openMirror reads the manifest and makes it true. A prefix without one gets none: then each object is
// looked at before it is touched.
func (r *run) openMirror(ctx context.Context) error {
	if err := r.openCatalog(ctx); err != nil {
		return err
	}
	if r.catalog.Exists() {
		return r.settle(ctx)
	}
	if r.o.Key != nil {
		return fmt.Errorf("%s: %w", r.o.To, ErrNoManifest)
	}
	r.catalog, r.powers = nil, &catalog.Powers{}
	return nil
}

// planBack plans how to put back what each record of the run tells. What became of its steps stands in
// the next record; of the last steps of a run that died, nobody knows.
func (r *run) planBack(ctx context.Context, batches chan<- batch) error {
	c := r.cutter(ctx, batches)
	var tree *manifest.Tree
	if r.catalog != nil {
		t := r.catalog.Tree(ctx)
		tree = &t
	}
	var steps []history.Step
	for i := range r.past.labels {
		rec, err := r.past.open(ctx, i)
		if err != nil {
			return err
		}
		if err := r.planSteps(ctx, c, tree, steps, outcomes(rec)); err != nil {
			return err
		}
		steps = rec.Steps
	}
	if err := r.planSteps(ctx, c, tree, steps, nil); err != nil {
		return err
	}
	r.o.Meter.Complete.Store(true)
	return c.end()
}

// outcomes are what a record tells of the steps before it. It is not nil.
func outcomes(rec *history.Record) map[string]history.Outcome {
	m := map[string]history.Outcome{}
	for _, o := range rec.Done {
		m[o.Key] = o
	}
	return m
}

// planSteps plans how to put back what some steps changed. Done is nil where nobody knows.
func (r *run) planSteps(ctx context.Context, c *cutter, tree *manifest.Tree, steps []history.Step, done map[string]history.Outcome) error {
	var open []history.Step
	for _, s := range steps {
		if _, ok := done[s.Key]; ok || done == nil {
			open = append(open, s)
		}
	}
	present, err := r.presentAt(ctx, tree, open)
	if err != nil {
		return err
	}
	for _, s := range open {
		o, known := done[s.Key]
		now := present[s.Key]
		a := Action{Verb: Restore, Key: s.Key, Old: now, Guessed: !known}
		switch back(s, o, known && !o.Doubt, now) {
		case later:
			r.overtakenSince(s.Key, left(s, o, known && !o.Doubt), now)
			continue
		case putBack:
			a.From.Entry, a.Stray = *s.Old, s.Stray
		case takeAway:
			if a.Verb = Delete; !r.o.DryRun {
				if err := r.doomed.add(a); err != nil {
					return err
				}
				continue
			}
		default:
			continue
		}
		r.o.Meter.plan(a)
		if err := c.add(a); err != nil {
			return err
		}
	}
	return c.end()
}

// presentAt is what the bucket holds under the keys of some steps: as the manifest says, or, where
// there is none, as the bucket says.
func (r *run) presentAt(ctx context.Context, tree *manifest.Tree, steps []history.Step) (map[string]*manifest.Entry, error) {
	found := map[string]*manifest.Entry{}
	if tree != nil {
		keys := make([]string, len(steps))
		for i := range steps {
			keys[i] = steps[i].Key
		}
		for e, err := range tree.Find(keys) {
			if err != nil {
				return nil, err
			}
			found[e.Key] = &e
		}
		return found, nil
	}
	entries := make([]*manifest.Entry, len(steps))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(filesAtOnce, r.gate.Most()))
	for i := range steps {
		g.Go(func() error {
			at := target{r.o.To.Store, r.o.To, manifest.Entry{}, steps[i].Key}
			obj, err := at.head(ctx, 0)
			if isMissing(err) {
				return nil
			}
			e := unproven(obj, steps[i].Key)
			entries[i] = &e
			return err
		})
	}
	err := g.Wait()
	for _, e := range entries {
		if e != nil {
			found[e.Key] = e
		}
	}
	return found, err
}

// A remedy is what is done about a step of a run that is undone.
type remedy int

const (
	nothing  remedy = iota // it is as it was before
	putBack                // the old object is copied back
	takeAway               // the new object is deleted
	later                  // somebody has changed it since
)

// back says what is to be done about a step. Known says that o tells what it left; else that is
// concluded from what the step wanted to leave, as it is with all that a run leaves that dies. Objects
// are told apart by their ETags, as everywhere, and by what the manifest says of their content: what an undo puts back is another version of what
// was there before, and the run before that can be undone too.
func back(s history.Step, o history.Outcome, known bool, now *manifest.Entry) remedy {
	switch {
	case s.Deed == history.Create && now == nil:
		return nothing
	case s.Deed == history.Delete && now == nil:
		return putBack
	case now == nil:
		return later // it was replaced, and removed since
	case s.Deed == history.Headers:
		return backHeaders(s, o, known, now)
	case known && o.New != nil && isObject(now, o.New), !known && isWanted(now, s):
		if s.Deed == history.Create {
			return takeAway
		}
		return putBack
	case s.Old != nil && isObject(now, s.Old):
		return nothing
	}
	return later
}

// backHeaders is back for a step that left the content, and so the ETag, as it was. The manifest knows
// which headers an object was given by name. Where nobody knows what became of the step, the old ones are
// given again.
func backHeaders(s history.Step, o history.Outcome, known bool, now *manifest.Entry) remedy {
	switch {
	case !isObject(now, s.Old) && !(o.New != nil && isObject(now, o.New)):
		return later
	case !known || o.New != nil && now.Headers == o.New.Headers:
		return putBack
	case now.Headers == s.Old.Headers:
		return nothing
	}
	return later
}

// isObject reports whether two entries tell of one object, as far as conditions can tell, or of two with
// the same content: an object in parts has another ETag when it has been put back.
func isObject(a, b *manifest.Entry) bool {
	return a.Size == b.Size && (a.Evidence.ETag != "" && a.Evidence.ETag == b.Evidence.ETag || isContent(a) && isContent(b) && a.Digest == b.Digest)
}

// isContent reports whether an entry tells what is in its object.
func isContent(e *manifest.Entry) bool { return !e.Unproven && e.Digest != manifest.Digest{} }

// isWanted reports whether an object may be the one that a step wanted to leave.
func isWanted(now *manifest.Entry, s history.Step) bool {
	switch {
	case s.Want == nil || s.Deed == history.Delete:
		return false
	case s.Old != nil && isObject(now, s.Old):
		return false // it has not come to that
	case now.Size != s.Want.Size:
		return false
	}
	return now.Unproven || s.Want.Digest == manifest.Digest{} || s.Want.Digest == now.Digest
}

// left is what a step left, as far as that is known; nil: nothing.
func left(s history.Step, o history.Outcome, known bool) *manifest.Entry {
	switch {
	case known:
		return o.New
	case s.Deed == history.Headers:
		return s.Old
	}
	return s.Want
}

// overtakenSince tells that an object is left as it is, since it was changed after the run that is
// undone: after that, there was what was left, and now there is something else. That is drift from the
// record, whoever has done it.
func (r *run) overtakenSince(key string, left, now *manifest.Entry) {
	r.tell(&suspect{key: key, known: left, seen: now}, false, drift.Keep)
}

// seenNow is what the destination holds under a key of which a condition did not hold; nil: nothing.
func (r *run) seenNow(key string) *manifest.Entry {
	safe, cancel := graceful(context.Background())
	defer cancel()
	obj, err := target{r.o.To.Store, r.o.To, manifest.Entry{}, key}.head(safe, 0)
	switch {
	case isMissing(err):
		return nil
	case err != nil:
		return &manifest.Entry{Key: key} // something that nobody can look at
	}
	e := unproven(obj, key)
	return &e
}
