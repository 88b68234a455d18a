package transfer

import (
	"context"
	"time"

	"merkur/manifest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
)

// A claim is what an intent says of keys that are written: which they may be, and what is meant to be
// stored there.
type claim struct {
	keys  *manifest.Range // nil: none
	meant manifest.Meant
	any   bool // nothing is stated: whatever is found there may be the run's
	// proves says that what has the content of the source is ours, and nothing else is. No intent says so.
	proves bool
}

// firstClaim is the claim to what is found where there is no manifest: all is to be the mirror's. Where this
// machine has seen one before, somebody has removed it, and who has done that may have stored anything.
func (r *run) firstClaim() claim {
	lost := r.catalog.New() && r.catalog.Doubt() != "" && !r.o.Foreign.Adopt
	return claim{keys: &manifest.Range{}, any: !lost, proves: lost}
}

// since is what has become of the claim of a dead run. If that was a first one which came to nothing, and another
// run has filled the manifest since, what is found beside it may be anybody's.
func (r *run) since(c claim) claim {
	if c.any && *c.keys == (manifest.Range{}) && r.catalog.Root().Top.Files > 0 && !r.o.Foreign.Adopt {
		c.any, c.proves = false, true
	}
	return c
}

// and returns a claim of both.
func (c claim) and(o claim) claim {
	return claim{keys: hull(c.keys, o.keys), meant: c.meant.And(o.meant), any: c.any || o.any}
}

// covers reports whether who has this claim has the other one too.
func (c claim) covers(o claim) bool {
	return within(o.keys, c.keys) && c.any == o.any && c.meant.HasAll(o.meant)
}

// of makes the claim that of an edit.
func (c claim) of(e catalog.Edit) catalog.Edit {
	if e.Range = c.keys; e.Range != nil && !c.any {
		e.Meant = &c.meant
	}
	return e
}

// claimed is the claim of an edit.
func claimed(e catalog.Edit) claim {
	c := claim{keys: e.Range}
	if c.any = e.Range != nil && e.Meant == nil; e.Meant != nil {
		c.meant = *e.Meant
	}
	return c
}

// has reports whether a key lies in the range.
func (c claim) has(key string) bool { return c.keys != nil && c.keys.Contains(key) }

// An owner is whose doing it is that the bucket does not hold what the manifest says.
type owner uint8

const (
	foreign owner = iota // somebody else's
	ours                 // that of the run which claimed the key
	unclear              // the content tells
)

// whose says whose an object is that was found under a claimed key, and that is not the one which the
// manifest names. Seen is nil where there is none: no run that stores removes one before.
func (c claim) whose(key string, seen *manifest.Entry) owner {
	switch {
	case c.any, c.meant.Has(manifest.Touches(key)):
		return ours
	case seen == nil:
		return foreign
	case c.meant.Has(manifest.StoresSize(key, seen.Size)):
		return ours
	case c.proves, c.meant.HasSize(key, seen.Size):
		return unclear
	}
	return foreign
}

// claims is the claim of a batch.
func (r *run) claims(batch []Action) claim {
	c := claim{keys: rangeOf(batch)}
	if r.catalog == nil {
		return c
	}
	for i := range batch {
		if s, ok := r.states(batch[i].From.Entry); ok {
			c.meant = append(c.meant, s)
		}
	}
	c.meant = manifest.NewMeant(c.meant)
	return c
}

// states is what is stated about an object that is to be stored. Where content is compared, that of a
// file is always known when it is sent, and if it is not known before that, nothing is stated yet.
func (r *run) states(e manifest.Entry) (s manifest.Statement, ok bool) {
	switch {
	case isContent(&e):
		return manifest.Stores(e.Key, e.Size, e.Digest), true
	case r.way == compare.Up && r.o.Compare == compare.Content && !r.unread:
		return 0, false
	}
	return manifest.StoresSize(e.Key, e.Size), true
}

// A statement is one that is to be made before a transfer goes on.
type statement struct {
	says manifest.Statement
	made chan error
}

// state has it stated what is to be stored, if that is not what was planned: the file has changed since,
// or nobody had looked at its content. Without a digest, which comes only with the last byte, the
// size is stated.
func (r *run) state(ctx context.Context, a Action, e manifest.Entry) error {
	if r.catalog == nil {
		return nil
	}
	planned, stated := r.states(a.From.Entry)
	if stated && (a.From.Size == e.Size && !isContent(&a.From.Entry) || planned == manifest.Stores(a.Key, e.Size, e.Digest)) {
		return nil
	}
	s := manifest.StoresSize(a.Key, e.Size)
	if isContent(&e) {
		s = manifest.Stores(a.Key, e.Size, e.Digest)
	}
	return r.say(ctx, a, s)
}

// say makes a statement, and waits until it can be read in the bucket.
func (r *run) say(ctx context.Context, a Action, s manifest.Statement) error {
	if a.says != nil {
		*a.says = append(*a.says, s)
	}
	ask := statement{s, make(chan error, 1)}
	select {
	case r.statements <- ask:
		return <-ask.made
	case <-ctx.Done():
		return ctx.Err()
	}
}

// renewUntil writes the intent again from time to time, and when there is more to be stated, until done is
// closed.
func (r *run) renewUntil(ctx context.Context, done <-chan struct{}, intent catalog.Edit) (failed error) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		var asked []statement
		select {
		case <-done:
			return failed
		case <-tick.C:
		case first := <-r.statements:
			asked = r.allAsked(first)
		}
		err := failed
		if err == nil {
			intent = claimed(intent).and(toldOf(asked)).of(intent)
			if _, err = r.commit(ctx, intent); err != nil && ctx.Err() == nil {
				failed = err
			}
		}
		for _, s := range asked {
			s.made <- err
		}
	}
}

// allAsked are the statements for which somebody waits at this moment.
func (r *run) allAsked(first statement) []statement {
	for list := []statement{first}; ; {
		select {
		case s := <-r.statements:
			list = append(list, s)
		default:
			return list
		}
	}
}

func toldOf(asked []statement) (c claim) {
	for _, s := range asked {
		c.meant = append(c.meant, s.says)
	}
	c.meant = manifest.NewMeant(c.meant)
	return c
}

// doubtful notes that it is not known what the bucket holds under a key, but for what may have been
// stored there.
func (r *run) doubtful(key string, may ...manifest.Statement) {
	r.events <- struct{}{}
	r.doubt = r.doubt.and(claim{keys: &manifest.Range{First: key, Last: key}, meant: manifest.NewMeant(may)})
	<-r.events
}

// inDoubt notes that it is not known whether an action was carried out.
func (r *run) inDoubt(a Action) {
	var may []manifest.Statement
	if s, ok := r.states(a.From.Entry); ok {
		may = append(may, s)
	}
	if a.says != nil {
		may = append(may, *a.says...)
	}
	r.doubtful(a.Key, may...)
}
