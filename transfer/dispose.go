package transfer

import (
	"merkur/transfer/compare"
	"merkur/transfer/local"
)

// dispose plans what to do about a pair, and when.
func (r *run) dispose(p pair, c *cutter) error {
	a, ok := r.policy.plan(p)
	if r.way == compare.Down && p.from != nil && !local.Plain(p.key) {
		r.protect(p.key)
	}
	if !ok || !r.permitted(a) {
		return nil
	}
	if r.o.Explain {
		r.report(Event{Why: a.why(r.name(r.o.From, a.Key), r.name(r.o.To, a.Key))})
	}
	switch {
	case a.Verb == Delete:
		if err := r.doomed.add(a); err != nil || !r.o.DryRun || r.way == compare.Down {
			return err
		}
		return c.add(a)
	case r.way == compare.Down && !local.Plain(a.Key):
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
