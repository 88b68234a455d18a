package transfer

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/drift"
)

// auditAtOnce is how many suspects are dealt with at once. A bucket may hold millions of objects
// that are not the mirror's; no more of them than this are in memory.
const auditAtOnce = manifest.MaxPage

// audit lists a share of the keys of a bucket and compares it with its manifest. At the
// destination, what somebody else has changed is mended before the sides are compared, so that the
// ordinary run does the rest.
func (r *run) audit(ctx context.Context, w *watch) error {
	if r.o.Audit <= 0 || r.o.Compare != compare.Content || !w.catalog.Exists() {
		return nil
	}
	tree := w.catalog.Tree(ctx)
	start, err := r.auditStart(w.side, tree)
	if err != nil {
		return err
	}
	ranges, next, err := window(tree, r.o.Audit, start)
	if err != nil {
		return err
	}
	met := w.catalog.Met()
	for _, keys := range ranges {
		if err := w.auditRange(ctx, tree, keys, met); err != nil {
			return fmt.Errorf("audit %s: %w", w.side, err)
		}
	}
	r.auditNext = &auditPlace{w.side, next}
	return nil
}

// auditRange audits a range of keys. met tells which state of the manifest the tree is.
func (w *watch) auditRange(ctx context.Context, tree manifest.Tree, keys manifest.Range, met int) error {
	side := w.side
	side.Store = w.store()
	var list []suspect
	for p, err := range join(w.r.listed(ctx, side, keys), part(tree, keys)) {
		switch {
		case err != nil:
			return err
		case !w.r.policy.selects(p.key) || hashing.IsDraft(p.key), p.to != nil && hidden(p.key, p.to.Size):
			continue
		}
		if w.r.sum.Audited++; p.from != nil && p.to != nil && known(p) {
			continue
		}
		if list = append(list, newSuspect(p)); len(list) < auditAtOnce {
			continue
		}
		if _, err := w.mend(ctx, list, w.catalog.Met() != met); err != nil {
			return err
		}
		list = nil
	}
	_, err := w.mend(ctx, list, w.catalog.Met() != met)
	return err
}

// newSuspect is a pair of what was listed and what the manifest says.
func newSuspect(p pair) suspect {
	s := suspect{key: p.key}
	if p.from != nil {
		s.seen = &p.from.kept().Entry
	}
	if p.to != nil {
		s.known = &p.to.kept().Entry
	}
	return s
}

// mend finds out about suspects, tells of those that somebody else has changed, and makes the
// manifest of a destination such that the run can go on from there. It returns what is left to be
// transferred where no comparison of the two sides follows.
//
// Nothing is stored or deleted here, so that no intent is needed; and one that a run left which
// died in the middle would have the next run take what it finds there for that run's.
func (w *watch) mend(ctx context.Context, list []suspect, stale bool) ([]Action, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if err := w.settle(ctx, list, stale); err != nil {
		return nil, err
	}
	var changes []manifest.Change
	var rest []Action
	for i := range list {
		s := &list[i]
		switch {
		case s.found == sameBytes:
			e := refreshed(*s.known, *s.seen)
			changes = append(changes, manifest.Change{Key: s.key, Old: s.known, New: &e})
		case s.found != drifted:
		case !w.mends:
			w.r.tell(s, true, drift.Keep)
		default:
			change, a, err := w.r.treat(ctx, s)
			if err != nil {
				return nil, err
			}
			if change != nil {
				changes = append(changes, *change)
			}
			if a != nil {
				rest = append(rest, *a)
			}
		}
	}
	if !w.mends || len(changes) == 0 {
		return rest, nil
	}
	if err := w.r.ready(ctx); err != nil {
		return nil, err
	}
	// What it yields to another run is that one's business.
	edit := w.r.doubt.of(catalog.Edit{Changes: changes})
	if _, err := w.r.catalog.Commit(ctx, edit); err != nil {
		return nil, err
	}
	w.r.intent = claimed(edit)
	return rest, nil
}

// treat decides about drift at the destination, tells of it, and returns how the manifest has to
// change, and what to transfer after that.
func (r *run) treat(ctx context.Context, s *suspect) (*manifest.Change, *Action, error) {
	c := s.class()
	action := s.action(r.o.Foreign)
	if c == drift.New && s.from != nil && action == drift.Keep {
		// A transfer will meet it, and compare it; not in a dry run, and not where the source cannot give what it has.
		if equal, err := r.equalToSource(ctx, s); equal || err != nil || !r.o.DryRun {
			return nil, nil, err
		}
	}
	r.tell(s, false, action)
	change := &manifest.Change{Key: s.key, Old: s.known}
	var a *Action
	if s.from != nil {
		a = &Action{Verb: transfers[r.way], Key: s.key, From: *s.from}
	}
	switch action {
	case drift.Keep:
		return nil, nil, nil
	case drift.Delete:
		if c == drift.New {
			return nil, nil, r.stray(*s.seen)
		}
		return nil, nil, nil // the run finds that the source has none
	case drift.Adopt:
		change.New = s.seen
		if a != nil {
			a.Verb, a.Old = Prove, s.seen
		}
	case drift.Replace:
		r.expect(*s.seen)
		if a != nil {
			a.Verb, a.Old, a.Stray = Prove, s.seen, true
		}
		if c == drift.New {
			return nil, a, nil
		}
	}
	return change, a, nil
}

// equalToSource reports whether an object has the content of the source.
func (r *run) equalToSource(ctx context.Context, s *suspect) (bool, error) {
	if !r.o.DryRun {
		return false, nil
	}
	_, equal, err := r.prove(ctx, Action{Verb: Prove, Key: s.key, From: *s.from, Old: s.seen})
	return equal, err
}

// stray has an object deleted in the end that the manifest does not name.
func (r *run) stray(e manifest.Entry) error {
	a := Action{Verb: Delete, Key: e.Key, Old: &e, Stray: true}
	if r.o.DryRun {
		r.report(Event{Done: &a})
	}
	return r.strays.add(a)
}

// An auditPlace is where the next audit of a side begins.
type auditPlace struct {
	side Side
	key  string
}

func (p auditPlace) record() []byte { return []byte("audit " + p.side.Place) }

// auditStart is where an audit begins: where the last one ended, or, if that is not remembered,
// anywhere.
func (r *run) auditStart(s Side, tree manifest.Tree) (string, error) {
	if r.auditNext != nil { // the run has begun anew
		return r.auditFirst, nil
	}
	if r.o.State != nil {
		if b := r.o.State.Recall(auditPlace{side: s}.record()); len(b) > 0 {
			r.auditFirst = string(b[1:])
			return r.auditFirst, nil
		}
	}
	files := tree.Root.Top.Files
	if r.auditFirst = ""; files == 0 {
		return "", nil
	}
	at := rand.N(files)
	for leaf, err := range tree.Leaves() {
		if err != nil {
			return "", err
		}
		if leaf.Files > at {
			r.auditFirst = leaf.First
			break
		}
		at -= leaf.Files
	}
	return r.auditFirst, nil
}

// audited remembers where the next audit begins. The first byte tells the start of the tree from
// no record.
func (r *run) audited() {
	if r.auditNext != nil && r.o.State != nil && !r.o.DryRun && r.o.Audit < 1 {
		r.o.State.Remember(r.auditNext.record(), []byte("@"+r.auditNext.key))
	}
}

// window returns the keys that an audit looks at, so that it sees a share of the tree's entries,
// and where the next one begins. It begins at start, and goes round at the end of the tree. It
// ends where a page does, but that it takes the first key of the next one as well.
func window(tree manifest.Tree, share float64, start string) (ranges []manifest.Range, next string, err error) {
	if share >= 1 {
		return []manifest.Range{{}}, "", nil
	}
	w := &windower{want: uint64(math.Ceil(share * float64(tree.Root.Top.Files)))}
	if err := w.take(tree, start, ""); err != nil || w.done || start == "" {
		return w.ranges, w.next, err
	}
	if w.seen < w.want {
		err = w.take(tree, "", start)
	}
	return w.ranges, w.next, err
}

// A windower collects leaves until they have as many entries as are wanted.
type windower struct {
	want, seen uint64
	ranges     []manifest.Range
	next       string
	done       bool // the window ends before the tree does
}

// take takes the keys from first to last, both included, or as many as are wanted. An empty last
// is the end of the tree.
func (w *windower) take(tree manifest.Tree, first, last string) error {
	for leaf, err := range tree.LeavesFrom(first) {
		if err != nil {
			return err
		}
		if last != "" && leaf.First >= last {
			break
		}
		if w.seen >= w.want && leaf.First > first {
			w.ranges = append(w.ranges, manifest.Range{First: first, Last: leaf.First})
			w.next, w.done = leaf.First+"\x00", true
			return nil
		}
		w.seen += leaf.Files
	}
	w.ranges = append(w.ranges, manifest.Range{First: first, Last: last})
	w.next = last
	return nil
}
