package transfer

import (
	"merkur/manifest"
	"merkur/transfer/drift"
)

// A Drift is a key at which a bucket does not hold what its manifest says.
type Drift struct {
	Class  drift.Class
	Key    string
	Source bool            // the bucket is the source's, which is never changed; else the destination's
	Known  *manifest.Entry // what the manifest says; nil: nothing
	Seen   *manifest.Entry // what the bucket holds; nil: nothing
	Action drift.Action    // what is done about it
	// Since is the run that is being undone, after which somebody has changed the object: then Known
	// is what that run left. Empty: it is no undo.
	Since string
}

// mostTold bounds how many keys are remembered of which a run has told that they drifted, so
// that it tells once. Who has more may be told of some twice.
const mostTold = 1 << 14

// tell tells of drift, and counts it. It reports whether the object is the one that the key was told of with, if it
// was told of before.
func (r *run) tell(s *suspect, source bool, action drift.Action) bool {
	d := Drift{Class: s.class(), Key: s.key, Source: source, Known: s.known, Seen: s.seen, Action: action, Since: r.undoes()}
	r.events <- struct{}{}
	defer func() { <-r.events }()
	name, now := toldKey{d.Key, source}, told{action: action}
	if s.seen != nil {
		now.etag = s.seen.Evidence.ETag
	}
	if before, again := r.toldOf[name]; again {
		return before.etag == now.etag
	}
	if len(r.toldOf) < mostTold {
		r.toldOf[name] = now
	}
	r.sum.Drift.Add(d.Class)
	r.o.Report(Event{Drift: &d})
	return true
}

// A toldKey names a key of one of the two sides.
type toldKey struct {
	key    string
	source bool
}

// A told is what was told of a key.
type told struct {
	action drift.Action
	etag   string // of the object that was there; empty: there was none
}

// leaves reports whether a key of the destination is known to be somebody else's, and left so.
func (r *run) leaves(key string) bool {
	r.events <- struct{}{}
	defer func() { <-r.events }()
	was, ok := r.toldOf[toldKey{key: key}]
	return ok && was.action == drift.Keep
}

// expect notes what a key of the destination, which the manifest does not name, holds, so that it
// need not be found out by a transfer that is refused. It may forget.
func (r *run) expect(e manifest.Entry) {
	if len(r.expected) < mostTold {
		r.expected[e.Key] = e
	}
}
