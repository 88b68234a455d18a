package transfer

import (
	"fmt"
	"strings"

	"merkur/manifest"
	"merkur/store/bucket"
)

// A Verb is what is done to an object.
type Verb int

// The verbs.
const (
	Put    Verb = iota // store the file's content
	Prove              // find out whether the object has the file's content; else Put
	Delete             // remove the object
)

// An Action is one thing to do to one object.
type Action struct {
	Verb Verb
	Key  string
	File manifest.Entry  // of Put and Prove: what the scan says of the file
	Old  *manifest.Entry // what the manifest says of the object; nil: nothing
}

// condition is the state of the key under which the action may be done: just the one that the
// manifest knows.
func (a Action) condition() bucket.Condition {
	if a.Old == nil {
		return bucket.Condition{IfNone: true}
	}
	return bucket.Condition{IfMatch: a.Old.Evidence.ETag}
}

// A policy says which changes of a tree are made to the bucket.
type policy struct {
	delete  bool
	selects func(key string) bool
	unknown unknown
}

// plan decides what to do about a change. It returns false if nothing is to be done.
func (p policy) plan(c manifest.Change) (Action, bool) {
	switch {
	case c.New == nil:
		a := Action{Verb: Delete, Key: c.Key, Old: c.Old}
		return a, p.delete && p.selects(c.Key) && !p.unknown.covers(c.Key)
	case c.Old != nil && c.Old.Unproven && c.Old.Size == c.New.Size:
		return Action{Verb: Prove, Key: c.Key, File: *c.New, Old: c.Old}, true
	}
	return Action{Verb: Put, Key: c.Key, File: *c.New, Old: c.Old}, true
}

// unknown collects the paths that the scan could not read. What the bucket holds for them is
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

// A Limit bounds how many objects a run may delete.
type Limit struct {
	Count   uint64 // objects, if Percent is 0
	Percent uint64 // of the objects that the manifest names
	Given   bool   // said by the user; else the limit below holds
}

// Without a limit of the user's, a run may delete half of the objects, and always as many as
// fewObjects.
const (
	usualPercent = 50
	fewObjects   = 100
)

// ErrTooManyDeletes and ErrEmptySource stop a run before it deletes anything.
var (
	ErrTooManyDeletes = fmt.Errorf("too many deletes")
	ErrEmptySource    = fmt.Errorf("the source is empty")
)

// guard decides whether deletes may go ahead, of which there are n where the manifest named
// total objects, and whether the source is empty.
func guard(n, total uint64, empty bool, limit Limit, allowEmpty bool) error {
	if n == 0 {
		return nil
	}
	if empty && !allowEmpty {
		return fmt.Errorf("%w: %d of %d objects would be deleted", ErrEmptySource, n, total)
	}
	most := limit.Count
	switch {
	case !limit.Given && empty:
		most = n // allowed by name
	case !limit.Given:
		most = max(fewObjects, total*usualPercent/100)
	case limit.Percent > 0:
		most = total * limit.Percent / 100
	}
	if n > most {
		return fmt.Errorf("%w: %d of %d objects would be deleted, at most %d may be", ErrTooManyDeletes, n, total, most)
	}
	return nil
}
