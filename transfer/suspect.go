package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer/drift"
)

// That a bucket does not hold what a manifest says is a suspicion at first: the listing may be older
// than the manifest or newer, another run may be at work, and another ETag may stand for the same
// bytes. This file turns suspicions into findings.

// A suspect is a key at which a bucket may not hold what its manifest says.
type suspect struct {
	key   string
	known *manifest.Entry // what the manifest says; nil: nothing
	seen  *manifest.Entry // what the bucket holds, as far as it says; nil: nothing
	found finding
	owner owner  // of one that was found under a claim
	from  *Found // what the source has, where that was asked; nil: nothing that could be taken
	there bool   // the source has something under the key, or may have
}

// A finding is what became of a suspicion.
type finding uint8

const (
	drifted   finding = iota // somebody else has changed it
	asKnown                  // the bucket holds what the newest manifest says
	sameBytes                // the object is another one, but its bytes are not
	elsewhose                // another run is at work there, or has left it unfinished
)

func (s *suspect) class() drift.Class {
	switch {
	case s.seen == nil:
		return drift.Missing
	case s.known == nil:
		return drift.New
	}
	return drift.Changed
}

// action is what is done about drift at a key of the destination. What the source cannot give, as
// things are, does not take the place of anything.
func (s *suspect) action(o drift.Options) drift.Action {
	a := drift.Decide(s.class(), o, s.there)
	if a == drift.Replace && s.from == nil {
		return drift.Keep
	}
	return a
}

// A watch looks at one bucket and its manifest. The catalog is its own while it looks.
type watch struct {
	r       *run
	side    Side
	catalog *catalog.Catalog
	// mends says that the bucket is the destination, where drift is not only told of.
	mends bool
	asks  bool // the source is asked what it has where the bucket differs
}

// settle finds out about suspects, which are in key order. The objects are looked at between two
// looks at the root: if no other writer has committed anything in between, and none is at work at
// a key, then what is different there is the doing of somebody who keeps no manifest.
//
// Suspects that were not looked at with the present root in hand are stale; else only those that the
// manifest names are looked at, since what was listed was there.
func (w *watch) settle(ctx context.Context, list []suspect, stale bool) error {
	for range maxLooks {
		met := w.catalog.Met()
		if stale {
			if err := w.reload(ctx, list); err != nil {
				return err
			}
		}
		if err := w.lookAtAll(ctx, list, stale); err != nil {
			return err
		}
		if err := w.catalog.Refresh(ctx); err != nil {
			return err
		}
		if w.catalog.Met() == met {
			return w.setAside(ctx, list)
		}
		stale = true
	}
	for i := range list {
		list[i].found = elsewhose // whoever writes so busily will be done sometime
	}
	return nil
}

// reload reads what the present manifest says of the suspects.
func (w *watch) reload(ctx context.Context, list []suspect) error {
	at := map[string]int{}
	keys := keysOf(list)
	for i := range list {
		at[list[i].key], list[i].known = i, nil
	}
	for e, err := range w.catalog.Tree(ctx).Find(keys) {
		if err != nil {
			return err
		}
		list[at[e.Key]].known = &e
	}
	return nil
}

func keysOf(list []suspect) []string {
	keys := make([]string, len(list))
	for i := range list {
		keys[i] = list[i].key
	}
	return keys
}

// setAside marks the suspects that another run may be changing.
func (w *watch) setAside(ctx context.Context, list []suspect) error {
	pending, err := w.catalog.Pending(ctx, keysOf(list))
	if err != nil {
		return err
	}
	for i := range list {
		doubtful := w.mends && w.r.doubt.has(list[i].key)
		if pending[list[i].key] || doubtful {
			list[i].found = elsewhose
		}
	}
	return nil
}

// lookAtAll asks the bucket about suspects, and, if drift is to be mended, the source as well.
func (w *watch) lookAtAll(ctx context.Context, list []suspect, stale bool) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(filesAtOnce, w.r.gate.Most()))
	for i := range list {
		s := &list[i]
		g.Go(func() (err error) {
			if stale || s.known != nil {
				if err := w.look(ctx, s); err != nil {
					return fmt.Errorf("see what %s holds: %w", w.r.name(w.side, s.key), err)
				}
			}
			if w.asks && s.found == drifted {
				s.from, s.there, err = w.r.atSource(ctx, s.key)
			}
			return err
		})
	}
	return g.Wait()
}

// look asks the bucket about one suspect. Where it does not answer, what was seen before stands.
func (w *watch) look(ctx context.Context, s *suspect) error {
	obj, err := target{w.store(), w.side, manifest.Entry{}, s.key}.head(ctx, 0)
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		s.seen = nil
	case unanswered(err):
		return nil
	case err != nil:
		return err
	default:
		e := unproven(obj, s.key)
		s.seen = &e
	}
	switch {
	case s.known == nil && s.seen == nil:
		s.found = asKnown
	case s.known == nil || s.seen == nil:
		s.found = drifted
	case known(pair{s.key, &Found{Entry: *s.seen}, &Found{Entry: *s.known}}):
		s.found = asKnown
	case w.r.isCopy(*s.known, obj):
		s.found = sameBytes
	default:
		s.found = drifted
	}
	return nil
}

func (w *watch) store() bucket.Store {
	if w.mends {
		return w.r.store // in a dry run, a draft of it
	}
	return w.side.Store
}

// unanswered reports whether a server does not tell about an object: whoever may not list is told
// so of one that is missing, and one under a customer's key wants that key.
func unanswered(err error) bool {
	var e *bucket.Error
	return errors.As(err, &e) && (e.Status == http.StatusForbidden || e.Status == http.StatusBadRequest)
}

// refreshed is the entry of an object that has the bytes that are known, and that the bucket now
// describes in another way. Nobody knows what headers it has.
func refreshed(known, seen manifest.Entry) manifest.Entry {
	e := known
	e.Headers = 0
	e.Evidence.ETag, e.Evidence.Version, e.Evidence.Modified = seen.Evidence.ETag, seen.Evidence.Version, seen.Evidence.Modified
	if e.Unproven {
		e.Digest = manifest.UnprovenDigest(e.Evidence.ETag, e.Size)
	}
	return e
}
