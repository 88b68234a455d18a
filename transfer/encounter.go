package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/drift"
)

// An encounter is an action that found the bucket not to hold what its manifest says.
type encounter struct {
	a      Action
	err    error
	source bool // it is the source's bucket
	again  bool // the action replaced what was missing, so that nothing is left to be done
}

// errAnother says that what an action met is the doing of another run of this program.
var errAnother = errors.New("another run has changed the object at the same time; run again")

// meets reports whether an error of an action is an encounter, and notes it.
func (r *run) meets(a Action, err error) bool {
	foreign, source := errors.Is(err, errForeign), errors.Is(err, errSource)
	if r.past != nil || r.o.Compare != compare.Content || !foreign && !source || errors.Is(err, bucket.ErrUncertain) {
		return false
	}
	r.meet(encounter{a: a, err: err, source: !foreign})
	return true
}

func (r *run) meet(e encounter) {
	r.events <- struct{}{}
	r.met = append(r.met, e)
	<-r.events
}

// takeMet returns the encounters so far, in key order, and forgets them.
func (r *run) takeMet() []encounter {
	r.events <- struct{}{}
	met := r.met
	r.met = nil
	<-r.events
	slices.SortFunc(met, func(a, b encounter) int { return strings.Compare(a.a.Key, b.a.Key) })
	return met
}

// transferTwice carries out the actions of a batch, and once more those that met drift at which
// something may be done. It returns the changes that they made, in key order.
func (r *run) transferTwice(ctx context.Context, batch []Action) ([]manifest.Change, error) {
	changes, err := r.transferRecorded(ctx, batch)
	if err != nil {
		return changes, err
	}
	again := r.reconsider(ctx)
	if len(again) == 0 {
		return changes, nil
	}
	more, err := r.transferRecorded(ctx, again)
	for _, m := range r.takeMet() {
		if !m.again && ctx.Err() == nil {
			r.fail(m.a, m.err) // it was not to be left, and has changed once more
		}
	}
	changes = append(changes, more...)
	slices.SortFunc(changes, func(a, b manifest.Change) int { return strings.Compare(a.Key, b.Key) })
	return changes, err
}

// reconsider finds out about the encounters of a batch, tells of drift, and returns the actions that
// may be tried again, on the condition of what was seen.
func (r *run) reconsider(ctx context.Context) []Action {
	met := r.takeMet()
	if ctx.Err() != nil {
		return nil // interrupted: what was not done is not told of
	}
	here, there := split(met)
	again := r.reconsiderAt(ctx, &watch{r: r, side: r.o.To, catalog: r.catalog, mends: true}, here)
	if len(there) == 0 {
		return again
	}
	c, err := r.readSource(ctx) // anew: another run may have written it meanwhile
	if err != nil || c == nil {
		for _, m := range there {
			r.fail(m.a, errors.Join(m.err, err))
		}
		return again
	}
	more := r.reconsiderAt(ctx, &watch{r: r, side: r.o.From, catalog: c}, there)
	again = append(again, more...)
	slices.SortFunc(again, func(a, b Action) int { return strings.Compare(a.Key, b.Key) })
	return again
}

func split(met []encounter) (destination, source []encounter) {
	for _, m := range met {
		if m.source {
			source = append(source, m)
		} else {
			destination = append(destination, m)
		}
	}
	return destination, source
}

func (r *run) reconsiderAt(ctx context.Context, w *watch, met []encounter) (again []Action) {
	if len(met) == 0 {
		return nil
	}
	list := make([]suspect, len(met))
	for i, m := range met {
		list[i] = suspect{key: m.a.Key, seen: &manifest.Entry{Key: m.a.Key}}
	}
	err := w.settle(ctx, list, true)
	for i, m := range met {
		if err != nil {
			r.fail(m.a, errors.Join(m.err, err))
			continue
		}
		answer := r.answerAtSource
		if w.mends {
			answer = r.answer
		}
		if a, ok := answer(m, &list[i]); ok {
			again = append(again, a)
			r.o.Meter.plan(a)
		}
	}
	return again
}

// answer is what is done about an encounter at the destination.
func (r *run) answer(m encounter, s *suspect) (Action, bool) {
	a := m.a
	before := a.Old
	if a.Stray {
		before = nil
	}
	switch {
	case m.again:
		if s.found != elsewhose && sameETag(s.known, before) {
			s.seen = nil // as it was met
			r.tell(s, false, drift.Restore)
		}
		return a, false
	case s.found == elsewhose, !sameETag(s.known, before):
		r.fail(a, errAnother)
		return a, false
	case s.found == asKnown: // it is as it should be after all
		return a, true
	case s.found == sameBytes:
		e := refreshed(*s.known, *s.seen)
		a.Old = &e
		return a, true
	}
	s.there, s.from = true, &a.From
	action := s.action(r.o.Foreign)
	r.tell(s, false, action)
	switch {
	case action == drift.Keep:
		r.sent.left.Add(1)
		return a, false
	case s.seen == nil:
		a.Old, a.Stray, a.Verb = nil, false, transfers[r.way]
	default:
		a.Old, a.Stray, a.Verb = s.seen, true, Prove
	}
	return a, true
}

// answerAtSource is what is done about an encounter at the source: what is not what its manifest says
// is not taken.
func (r *run) answerAtSource(m encounter, s *suspect) (Action, bool) {
	a := m.a
	switch {
	case s.found == elsewhose, !sameETag(s.known, &a.From.Entry):
		r.fail(a, errAnother)
		return a, false
	case s.found == asKnown: // it is as it should be after all
		return a, true
	case s.found == sameBytes:
		a.From.Entry = refreshed(a.From.Entry, *s.seen)
		return a, true
	}
	r.tell(s, true, drift.Keep)
	r.sent.left.Add(1)
	return a, false
}

// sameETag reports whether two entries, nil for none, tell of one object.
func sameETag(a, b *manifest.Entry) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Evidence.ETag == b.Evidence.ETag && a.Size == b.Size
}

// readSource reads the manifest of the source; nil if there is none that may be read. With a key,
// there has to be one.
func (r *run) readSource(ctx context.Context) (*catalog.Catalog, error) {
	o := catalog.Options{
		Prefix: r.o.From.Prefix, Place: r.o.From.Place, Pages: r.o.Pages, State: r.o.State,
		Seal: r.seal(r.o.From), Mark: r.mark(r.o.FromMark), AcceptRollback: r.o.AcceptRollback,
	}
	c, err := catalog.Open(ctx, r.o.From.Store, o)
	sealed := r.o.Key != nil
	switch {
	case denied(err) && !sealed:
		return nil, nil
	case err != nil:
		return nil, err
	}
	r.doubtOf(c)
	switch {
	case !c.Exists() && sealed:
		return nil, fmt.Errorf("%s: %w", r.o.From, ErrNoManifest)
	case !c.Exists():
		return nil, nil
	}
	return c, nil
}
