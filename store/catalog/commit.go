package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
)

// An Edit is what a commit does to the manifest.
type Edit struct {
	// Changes to entries, in key order. Old is what the tree that the run began with says of
	// the key; New is what the bucket holds now; nil: nothing.
	Changes []manifest.Change
	// The intent that this run has from now on: keys it may write, objects it is deleting. The
	// one it had is replaced. Neither: none.
	Range  *manifest.Range
	Doomed []manifest.Entry // at most manifest.MaxPage, in key order
	// Meant states what may be stored in the range. Nil, or more than manifest.MaxMeant statements: whatever is
	// found there may be this run's.
	Meant *manifest.Meant
	// Listed says that the doomed were found in a listing: the tree need not have named them.
	Listed bool
	// Settled are the runs whose abandoned intents have been dealt with.
	Settled []manifest.ID
	// First says that the edit is for a place that has no manifest: where another run has made one by now, it
	// is [ErrMoved].
	First bool
}

func (e Edit) settles(run manifest.ID) bool { return slices.Contains(e.Settled, run) }

// A Conflict is a key that this run and another writer changed at once.
type Conflict struct {
	Key string
	// Kept is set if what the other did stands, and the change of this run is left out.
	Kept bool
	// Gone is set if what the other did is what this run was about to do: remove the object.
	Gone bool
}

// maxTries bounds how often a commit is made anew because others commit too.
const maxTries = 30

// Commit publishes the edit. On success the returned conflicts are settled; the other changes
// are all in the manifest. On failure the manifest is as before, or, if the error is
// [bucket.ErrUncertain], perhaps not.
func (c *Catalog) Commit(ctx context.Context, e Edit) ([]Conflict, error) {
	for try := range maxTries {
		now, conflicts, err := c.adapt(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("merge with the manifest of another writer: %w", err)
		}
		next, err := c.compose(ctx, now)
		if err == nil {
			err = c.publish(ctx, next)
		}
		switch {
		case err == nil:
			c.take(next)
			return conflicts, nil
		case errors.Is(err, bucket.ErrChanged) && next != nil:
			c.discard(ctx, next.sealed)
		case !errors.Is(err, bucket.ErrUncertain) && !errors.Is(err, ErrMoved):
			return nil, fmt.Errorf("commit manifest: %w", err)
		}
		if done, err := c.reread(ctx, next); done || err != nil {
			return conflicts, err
		}
		if e.First && c.Exists() {
			return nil, fmt.Errorf("commit manifest: %w", ErrMoved)
		}
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("commit manifest: other writers changed it %d times", maxTries)
}

// take goes on from a root that this run has stored.
func (c *Catalog) take(next *snapshot) {
	if !c.committed {
		c.before = c.Generation()
	}
	c.cur, c.committed = next, true
	c.remember(next)
	// A mark that cannot be moved would have stopped the run when it began. One that cannot be
	// moved any more is an earlier one, and no less true.
	_ = c.o.Mark.move(next.sighting())
}

// publish stores the root object if the present one is still the base of next.
func (c *Catalog) publish(ctx context.Context, next *snapshot) error {
	if err := c.keepLease(ctx); err != nil {
		return err
	}
	o := bucket.PutOptions{Condition: bucket.Condition{IfNone: true}, Headers: bucket.Headers{Metadata: metadata(next.m)}}
	if c.cur != nil {
		o.Condition = bucket.Condition{IfMatch: c.cur.etag}
	}
	if c.careful {
		cur, err := c.disregard(ctx)
		if err != nil {
			return err
		}
		if (cur == nil) != (c.cur == nil) || cur != nil && cur.etag != c.cur.etag {
			return bucket.ErrChanged
		}
	}
	obj, err := c.put(ctx, c.o.Prefix+rootName, next.have, o)
	next.etag = obj.ETag
	c.noteVersion(obj.Version)
	return err
}

// discard removes packs of a root that the server has refused. Those of a root whose fate was
// in doubt stay: a late put could still name them.
func (c *Catalog) discard(ctx context.Context, packs []manifest.PackName) {
	for _, name := range packs {
		c.store.Delete(ctx, c.o.Prefix+packKey(name), bucket.Condition{}) // what is left is only garbage
	}
}

// reread finds out what became of a put whose condition did not hold or whose answer was lost.
// It reports whether the root is next after all.
func (c *Catalog) reread(ctx context.Context, next *snapshot) (ours bool, err error) {
	cur, err := c.loadSeen(ctx)
	if err != nil && c.cur != nil && !c.Exists() {
		cur, err = c.disregard(ctx) // it could not be read before either
	}
	if err != nil {
		return false, fmt.Errorf("read manifest again: %w", err)
	}
	switch {
	case next != nil && cur != nil && bytes.Equal(cur.footer, next.footer):
		next.etag = cur.etag
		c.take(next)
		return true, nil
	case c.cur != nil && cur != nil && cur.etag == c.cur.etag, c.cur == nil && cur == nil:
		return false, nil // not stored: try again
	case c.Exists() && (cur == nil || cur.m.UUID != c.cur.m.UUID):
		return false, ErrMoved
	}
	c.cur, c.diverged = cur, true
	c.met++
	return false, nil
}

// adapt makes an edit fit the present root: it leaves out what other writers stand in the way
// of. A key that is left out is a conflict that leaves the other's entry as it is.
func (c *Catalog) adapt(ctx context.Context, e Edit) (Edit, []Conflict, error) {
	var err error
	if e.Doomed, err = c.absent(ctx, e); err != nil {
		return e, nil, err
	}
	// What was found in a listing, the tree may never have named.
	removals := without(e.Changes, func(ch manifest.Change) bool { return ch.New != nil || e.Listed })
	conflicts := c.yield(e.Doomed)
	if conflicts, err = c.avoid(ctx, e.Changes, conflicts); err != nil {
		return e, nil, err
	}
	if c.diverged {
		changes, more, err := c.merge(ctx, e)
		if err != nil {
			return e, nil, err
		}
		e.Changes, conflicts = changes, append(conflicts, more...)
	}
	kept := map[string]bool{}
	for _, conflict := range conflicts {
		kept[conflict.Key] = conflict.Kept
	}
	if len(kept) > 0 {
		back, err := c.takenBack(ctx, removals, kept)
		if err != nil {
			return e, nil, err
		}
		e.Changes = append(without(e.Changes, func(ch manifest.Change) bool { return kept[ch.Key] }), back...)
		slices.SortFunc(e.Changes, func(a, b manifest.Change) int { return strings.Compare(a.Key, b.Key) })
		e.Doomed = without(e.Doomed, func(d manifest.Entry) bool { return kept[d.Key] })
	}
	return e, conflicts, nil
}

// takenBack are the changes that name entries again whose removal is left out now, and which an earlier try of the
// commit has removed, whose answer was lost: neither the tree nor an intent would know of their objects any more.
func (c *Catalog) takenBack(ctx context.Context, removals []manifest.Change, kept map[string]bool) ([]manifest.Change, error) {
	own, err := c.Doomed(ctx)
	if err != nil || len(own) == 0 {
		return nil, err
	}
	ours := map[string]bool{}
	for i := range own {
		ours[own[i].Key] = true
	}
	removals = without(removals, func(ch manifest.Change) bool { return ch.Old == nil || !kept[ch.Key] || !ours[ch.Key] })
	present, err := c.entries(ctx, removals)
	if err != nil {
		return nil, err
	}
	var back []manifest.Change
	for _, ch := range removals {
		if present[ch.Key] == nil {
			back = append(back, manifest.Change{Key: ch.Key, New: ch.Old})
		}
	}
	return back, nil
}

// absent returns those of the doomed entries that will not be in the tree: the edit removes
// them, or nobody has put their keys into it again since somebody else removed them.
func (c *Catalog) absent(ctx context.Context, e Edit) ([]manifest.Entry, error) {
	removed := map[string]bool{}
	for _, ch := range e.Changes {
		removed[ch.Key] = ch.New == nil
	}
	var keys []string
	for i := range e.Doomed {
		if !removed[e.Doomed[i].Key] {
			keys = append(keys, e.Doomed[i].Key)
		}
	}
	present := map[string]bool{}
	for found, err := range c.Tree(ctx).Find(keys) {
		if err != nil {
			return nil, err
		}
		present[found.Key] = true
	}
	return without(e.Doomed, func(d manifest.Entry) bool { return present[d.Key] }), nil
}

// yield returns a conflict for each object that is to be deleted and that another run may be
// writing: its bytes may by now be there on that run's account, under the same ETag.
func (c *Catalog) yield(doomed []manifest.Entry) (conflicts []Conflict) {
	for _, i := range c.Foreign() {
		for k := range doomed {
			if i.Range != nil && i.Range.Contains(doomed[k].Key) {
				conflicts = append(conflicts, Conflict{Key: doomed[k].Key, Kept: true})
			}
		}
	}
	return conflicts
}

// avoid adds a conflict for each entry that is to be named while another run is deleting its object.
// Who says before that the keys are its own meets none; who only writes down what is there may.
func (c *Catalog) avoid(ctx context.Context, changes []manifest.Change, conflicts []Conflict) ([]Conflict, error) {
	var named []string
	for i := range changes {
		if changes[i].New != nil {
			named = append(named, changes[i].Key)
		}
	}
	deleting, err := c.Deleting(ctx, named)
	for _, key := range named {
		if deleting[key] {
			conflicts = append(conflicts, Conflict{Key: key, Kept: true})
		}
	}
	return conflicts, err
}

// without returns a new list of what is not to go.
func without[T any](list []T, goes func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), goes)
}

// merge leaves those of the changes that can be made to the present tree. A key at which it
// does not say what the run began with has been changed by somebody else too; then what the
// bucket holds decides. So it does where the tree says what it said before: an ETag is a hash
// of content, and somebody else may have brought the old content back over ours.
func (c *Catalog) merge(ctx context.Context, e Edit) ([]manifest.Change, []Conflict, error) {
	theirs, err := c.entries(ctx, e.Changes)
	if err != nil {
		return nil, nil, err
	}
	doomed := map[string]bool{} // others keep their hands off these
	for i := range e.Doomed {
		doomed[e.Doomed[i].Key] = true
	}
	unclear := func(ch manifest.Change) bool {
		if their := theirs[ch.Key]; !sameObject(their, ch.Old) {
			return !sameObject(their, ch.New)
		}
		return ch.Old != nil && !doomed[ch.Key]
	}
	mine, err := c.holding(ctx, e.Changes, unclear)
	if err != nil {
		return nil, nil, err
	}
	own, err := c.Doomed(ctx) // of an earlier try of this commit, whose answer was lost
	if err != nil {
		return nil, nil, err
	}
	ours := map[string]bool{}
	for i := range own {
		ours[own[i].Key] = true
	}
	var merged []manifest.Change
	var conflicts []Conflict
	for i, ch := range e.Changes {
		if doomed[ch.Key] && theirs[ch.Key] == nil && !ours[ch.Key] && !e.Listed {
			conflicts = append(conflicts, Conflict{Key: ch.Key, Kept: true, Gone: true})
			continue
		}
		if mine[i] {
			merged = append(merged, ch)
		}
		if unclear(ch) && !(mine[i] && sameObject(theirs[ch.Key], ch.Old)) {
			conflicts = append(conflicts, Conflict{Key: ch.Key, Kept: !mine[i]})
		}
	}
	return merged, conflicts, nil
}

// entries returns what the present tree says of the keys of the changes.
func (c *Catalog) entries(ctx context.Context, changes []manifest.Change) (map[string]*manifest.Entry, error) {
	keys := make([]string, len(changes))
	for i := range changes {
		keys[i] = changes[i].Key
	}
	found := map[string]*manifest.Entry{}
	for e, err := range c.Tree(ctx).Find(keys) {
		if err != nil {
			return nil, err
		}
		found[e.Key] = &e
	}
	return found, nil
}

// looksAtOnce bounds how many objects a merge looks at at the same time.
const looksAtOnce = 16

// holding reports of each change whether the bucket holds what it says. It looks where that is
// unclear, and takes the rest for granted.
func (c *Catalog) holding(ctx context.Context, changes []manifest.Change, unclear func(manifest.Change) bool) ([]bool, error) {
	held := make([]bool, len(changes))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(looksAtOnce)
	for i, ch := range changes {
		if held[i] = true; !unclear(ch) {
			continue
		}
		g.Go(func() (err error) {
			held[i], err = c.holds(ctx, ch)
			return err
		})
	}
	return held, g.Wait()
}

// holds reports whether the bucket holds what the change says.
func (c *Catalog) holds(ctx context.Context, ch manifest.Change) (bool, error) {
	obj, err := c.store.Head(ctx, c.o.Prefix+ch.Key, bucket.HeadOptions{Customer: c.o.Customer})
	if errors.Is(err, bucket.ErrNotFound) {
		return ch.New == nil, nil
	}
	return ch.New != nil && obj.ETag == ch.New.Evidence.ETag, err
}

// sameObject reports whether two entries, nil for none, tell of one object.
func sameObject(a, b *manifest.Entry) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b) && a.Evidence.ETag == b.Evidence.ETag && a.Evidence.Version == b.Evidence.Version
}

// metadata lets a HEAD of the root object tell what is in it.
func metadata(m *manifest.Manifest) map[string]string {
	return map[string]string{
		"merkur-root":       m.Root.Digest.String(),
		"merkur-generation": strconv.FormatUint(m.Generation, 10),
		"merkur-files":      strconv.FormatUint(m.Root.Top.Files, 10),
		"merkur-bytes":      strconv.FormatUint(m.Root.Top.Bytes, 10),
		"merkur-format":     strconv.Itoa(manifest.Format),
	}
}

// pause waits a random while, longer with each try, so that writers get out of step.
func pause(ctx context.Context, try int) error {
	return wait(ctx, rand.N(min(5*time.Millisecond<<min(try, 10), time.Second)))
}

func (c *Catalog) putBytes(ctx context.Context, key string, b []byte, o bucket.PutOptions) (bucket.Object, error) {
	o.Terms = c.o.Terms
	return c.store.Put(ctx, key, bytes.NewReader(b), int64(len(b)), o)
}
