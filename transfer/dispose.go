package transfer

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/compare"
	"merkur/transfer/drift"
	"merkur/transfer/local"
)

// dispose plans what to do about a pair, and when.
func (r *run) dispose(p pair, c *cutter) error {
	a, ok := r.policy.plan(p)
	if r.way == compare.Down && p.from != nil && !local.Plain(p.key) {
		r.protect(p.key)
	}
	if !ok && a.Verb == Delete && r.policy.delete && r.policy.unsettled(a.Key) {
		r.warn(Warning{Key: a.Key, Text: fmt.Sprintf("Skipping file %s. A run that has not come to its end may have stored %s; nothing is deleted yet.",
			r.name(r.o.To, a.Key), r.name(r.o.From, a.Key))})
	}
	if !ok || !r.permitted(a) || r.o.DryRun && r.leaves(a.Key) {
		return nil
	}
	if e, ok := r.expected[a.Key]; ok && a.Old == nil {
		a.Verb, a.Old, a.Stray = Prove, &e, true
	}
	if r.o.Explain {
		r.report(Event{Why: a.why(r.name(r.o.From, a.Key), r.name(r.o.To, a.Key))})
	}
	switch {
	case a.Verb == Delete:
		if err := r.doomed.add(a); err != nil || !r.o.DryRun || r.reconsiders() {
			return err
		}
		return c.add(a)
	case r.way == compare.Down && (!local.Plain(a.Key) || r.throughLink(&a)):
		return r.odd.add(a)
	case r.way == compare.Down:
		a.Unseen = a.Old == nil && r.policy.unknown.covers(a.Key)
		if skip, err := r.clashes(a); skip || err != nil {
			return err
		}
	}
	r.o.Meter.plan(a)
	if r.o.Order == PagesLast && r.page(a.Key) {
		return r.late.add(a)
	}
	return c.add(a)
}

// name is what a key is called on a side, for people.
func (r *run) name(s Side, key string) string {
	if s.local() {
		return s.Dir + "/" + key
	}
	return s.String() + key
}

// A cutter cuts actions into batches.
type cutter struct {
	limit, most int // actions in the next batch, and in any
	late        bool
	open        []Action
	bytes       int64
	flush       func(batch) error
}

func (c *cutter) add(a Action) error {
	c.open, c.bytes = append(c.open, a), c.bytes+a.Size()
	if len(c.open) < min(c.limit, c.most) && c.bytes < batchBytes {
		return nil
	}
	c.limit = min(4*c.limit, c.most)
	return c.end()
}

func (c *cutter) addAll(actions []Action) error {
	for _, a := range actions {
		if err := c.add(a); err != nil {
			return err
		}
	}
	return nil
}

// end closes the batch that is open.
func (c *cutter) end() error {
	if len(c.open) == 0 {
		return nil
	}
	b := batch{c.open, c.late}
	c.open, c.bytes = nil, 0
	return c.flush(b)
}

// reconsiders reports whether it is known only in the end what is to be deleted: some of it may
// be in the place of an odd key, or be at the source though its manifest does not name it.
func (r *run) reconsiders() bool {
	return r.way == compare.Down || r.source != nil && r.o.Compare == compare.Content
}

// confirmGone takes out of the deletes what the source has after all: the manifest tells what was
// done through it, and somebody else may have put more there. A server that does not let us look
// leaves us with the manifest; one that is gone ends the run.
func (r *run) confirmGone(outer context.Context) error {
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	err := r.doomed.drop(func(leaf []Action) []bool {
		there := make([]bool, len(leaf))
		seen := make([]*manifest.Entry, len(leaf))
		var g errgroup.Group
		g.SetLimit(min(deletesAtOnce, r.gate.Most()))
		for i := range leaf {
			g.Go(func() error {
				if there[i] = ctx.Err() != nil; !there[i] {
					seen[i], there[i] = r.isThere(ctx, leaf[i], end)
				}
				return nil
			})
		}
		g.Wait()
		r.tellThere(ctx, seen)
		return there
	})
	return errors.Join(err, context.Cause(ctx))
}

// tellThere tells of objects of the source that its manifest does not name. Another run may have put
// them there since the manifest was read.
func (r *run) tellThere(ctx context.Context, seen []*manifest.Entry) {
	var list []suspect
	for _, e := range seen {
		if e != nil {
			list = append(list, suspect{key: e.Key, seen: e})
		}
	}
	if len(list) == 0 {
		return
	}
	c, err := r.readSource(ctx)
	if err == nil && c != nil {
		err = (&watch{r: r, side: r.o.From, catalog: c}).settle(ctx, list, true)
	}
	for i := range list {
		s := &list[i]
		if err == nil && s.found == drifted && s.class() == drift.New {
			r.tell(s, true, drift.Keep)
			continue
		}
		r.warn(Warning{Key: s.key, Text: fmt.Sprintf("Skipping file %s. It has come since this run began.", r.name(r.o.From, s.key))})
	}
}

// isThere reports whether the source has an object that is about to be deleted at the destination,
// or may have it; and which, if it has. It calls end where there is no point in going on.
func (r *run) isThere(ctx context.Context, a Action, end context.CancelCauseFunc) (*manifest.Entry, bool) {
	obj, err := target{r.o.From.Store, r.o.From, manifest.Entry{}, a.Key}.head(ctx, 0)
	switch {
	case errors.Is(err, bucket.ErrNotFound), denied(err):
		return nil, false
	case ctx.Err() != nil:
		return nil, true
	case hopeless(err) != nil:
		end(hopeless(err))
		return nil, true
	case err != nil:
		r.fail(a, fmt.Errorf("see whether the source has it: %w", err))
		return nil, true
	}
	e := unproven(obj, a.Key)
	return &e, true
}
