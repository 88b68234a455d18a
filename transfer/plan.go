package transfer

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/compare"
)

// A Verb is what is done to a file or an object.
type Verb int

// The verbs. Prove is part of a plan and never told in an event.
const (
	Put      Verb = iota // upload the file
	Prove                // find out whether the destination has the source's content; else transfer it
	Delete               // remove what is at the destination
	Get                  // download the object
	Copy                 // copy the object from bucket to bucket
	Describe             // give the object at the destination other headers; its content stays
	Restore              // put back an object that an earlier run has replaced or deleted
)

// An Action is one thing to do to one file or object.
type Action struct {
	Verb Verb
	Key  string
	From Found           // what the source has; nothing for a Delete
	Old  *manifest.Entry // what the destination has; nil: nothing
	// Unseen says that there may be something at a local destination that could not be looked
	// at. It is replaced, as by aws.
	Unseen bool
	// Stray says that the manifest of the destination does not name Old: somebody else has put it
	// there. What is put back so is not to be named either.
	Stray bool
	// Guessed says of what is to be put back that nobody knows whether the run that is undone has come to replace it.
	Guessed bool

	moved  *atomic.Int64         // bytes of it that the meter has seen; nil: nobody counts
	effect *effect               // what it did to the destination; nil: nobody asks
	says   *[]manifest.Statement // what was stated of it beside what was planned; nil: nobody asks
}

// Size is how many bytes the action moves, if it moves any.
func (a Action) Size() int64 {
	if a.Verb == Delete || a.Verb == Describe {
		return 0
	}
	return a.From.Size
}

// An effect is what an action did to the destination, whether it succeeded or not.
type effect uint8

const (
	untouched effect = iota
	altered
	unsure // it may have changed it, or done half of what it was to do
)

// becomes notes the effect of the action.
func (a Action) becomes(f effect) {
	if a.effect != nil {
		*a.effect = f
	}
}

// condition is the state of the key under which the action may be done: just the one that is
// known.
func (a Action) condition() bucket.Condition {
	if a.Old == nil {
		return bucket.Condition{IfNone: true}
	}
	return bucket.Condition{IfMatch: a.Old.Evidence.ETag}
}

// transfers are the verbs by direction.
var transfers = map[compare.Direction]Verb{compare.Up: Put, compare.Down: Get, compare.Across: Copy}

// A policy says what is done about a pair.
type policy struct {
	way     compare.Direction
	same    compare.Strategy
	delete  bool
	selects func(key string) bool
	unknown unknown
	open    *manifest.Range         // keys of which the manifest of the source may not tell all; nil: none
	learns  bool                    // an object of which nothing is known may be found to be a copy
	headers func(key string) uint64 // tag of the headers that an object should have; nil: any will do
}

// plan decides what to do about a pair. It returns false if nothing is to be done; then the action has no
// more than its verb and key. It keeps nothing of the pair.
func (p *policy) plan(at pair) (Action, bool) {
	verb, some := p.verb(at)
	a := Action{Verb: verb, Key: at.key}
	if !some {
		return a, false
	}
	if at.to != nil {
		a.Old = &at.to.kept().Entry
	}
	if at.from != nil {
		a.From = *at.from.kept()
	}
	return a, true
}

// verb is what is to be done about a pair; false: nothing.
func (p *policy) verb(at pair) (v Verb, some bool) {
	switch {
	case !p.selects(at.key) || hashing.IsDraft(at.key):
		return v, false
	case at.from == nil:
		return Delete, p.delete && !p.unknown.covers(at.key) && !p.unsettled(at.key)
	case at.to == nil:
		return transfers[p.way], true
	}
	switch p.same(p.way, at.from.facts(), at.to.facts()) {
	case compare.Differs:
		return transfers[p.way], true
	case compare.Unclear:
		return Prove, true
	}
	if p.learns && at.to.Unproven && !at.from.Unproven {
		return Prove, true // what is known of the source is known of its copy
	}
	return Describe, p.headers != nil && p.headers(at.key) != at.to.Headers
}

// unsettled reports whether a run may have stored the key at the source without saying so yet.
func (p *policy) unsettled(key string) bool {
	return p.open != nil && p.open.Contains(key)
}

// why says in the words of aws why an action is to be done.
func (a Action) why(from, to string) string {
	switch {
	case a.Verb == Delete:
		return fmt.Sprintf("syncing: (None) -> %s (remove), file does not exist at source (%s) and delete mode enabled", to, from)
	case a.Old == nil:
		return fmt.Sprintf("syncing: %s -> %s, file does not exist at destination", from, to)
	case a.Verb == Describe:
		return fmt.Sprintf("syncing: %s -> %s, headers changed", from, to)
	case a.Verb == Prove:
		return fmt.Sprintf("syncing: %s -> %s, unless the content is found to be equal", from, to)
	}
	return fmt.Sprintf("syncing: %s -> %s, size: %d -> %d, modified time: %s -> %s", from, to,
		a.From.Size, a.Old.Size, shown(a.From.MTime, a.From.Evidence.Modified), shown(a.Old.MTime, a.Old.Evidence.Modified))
}

// shown is the time of a file in nanoseconds, or else that of an object in seconds.
func shown(file, object int64) string {
	t := time.Unix(object, 0)
	if file != 0 {
		t = time.Unix(0, file)
	}
	return t.UTC().Format("2006-01-02 15:04:05.999999-07:00")
}

// unknown collects the paths that the scan could not read. What the other side holds for them is
// never deleted: that they were not seen does not mean that they are gone.
type unknown map[string]bool

// add notes a path. What cannot be read may have been a file, or a directory of the bucket.
func (u unknown) add(key string) { u[strings.TrimSuffix(key, "/")] = true }

// covers reports whether the key is one of the paths or below one.
func (u unknown) covers(key string) bool {
	if len(u) == 0 {
		return false
	}
	for i := range len(key) {
		if key[i] == '/' && u[key[:i]] {
			return true
		}
	}
	return u[key] || u[""]
}
