// Package catalog keeps the committed manifest of one mirrored prefix in its bucket: it reads
// the root and pages, and publishes a new root in one instant, if nobody else did.
//
// # Where it is
//
// The root object is "manifest" below the reserved prefix, packs lie beside it as "p/…"; for a while
// there may be a "lease", and objects of a probe as "probe/…". What
// the bytes mean is specified in package manifest.
//
// # What a commit promises
//
// [Catalog.Commit] makes a new root of the present one and a list of changes, and stores it
// with one conditional put: that put is the commit, and before it nothing has changed for
// anybody. When the root has moved meanwhile, the changes are made to the new one instead: keys
// that nobody else touched are taken over, and a key that somebody else changed too is a
// [Conflict], settled by looking at what the bucket really holds. Nobody's entry is lost. When
// the answer to the put is lost, the root is read again, and recognised as ours by its random
// head.
//
// # Intents
//
// A run that is about to write objects says so first, in the root: an intent names the range of the
// keys, and states what is to be stored there, so that what a run leaves which dies is told from what
// somebody else has stored.
// So the one request that reads the root also tells of every run that did not finish; to find
// that out takes no listing, and no second request. The commit that makes the entries of a run
// true removes its intent, by the same put.
//
// Since all intents go through the one root, they exclude each other: a run does not write what
// another is deleting, nor delete what another may be writing.
//
// # Servers and strangers
//
// All this hangs on a server that checks a condition and stores in one step. [Catalog.Probe] finds
// out whether it does; where it does not, [Catalog.Lease] has runs take turns. With a seal, only
// manifests are read that somebody with the key has made for this place, and with a [Mark] none that is
// older than one seen before.
//
// # Who writes
//
// An [Identity] outlives its process and is had by one process at a time. Beside it a [Journal] keeps
// the uploads in parts that are under way, for the next process that has the identity.
//
// # What it does not do
//
// It knows nothing of files and writes no data object. A Catalog belongs to one goroutine; the
// trees it hands out may be read by others.
package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
)

// Names below the reserved prefix.
const (
	rootName = manifest.Reserved + "manifest"
	packs    = manifest.Reserved + "p/"
	probes   = manifest.Reserved + "probe/"
)

// Lease is how long an intent of another writer is respected after it was last written.
const Lease = 15 * time.Minute

// ErrMoved says that the manifest was replaced by another while it was being read. The run has
// to begin anew.
var ErrMoved = errors.New("the manifest was replaced meanwhile")

// A Space remembers records by name. It may forget, and it never fails. Package cache has one.
type Space interface {
	Recall(name []byte) []byte
	Remember(name, record []byte)
}

// Options say whose catalog it is and where it may remember what it read.
type Options struct {
	Prefix string // of the mirrored keys: empty, or ending in "/"
	Place  string // names endpoint, bucket and prefix to the cache, and to nobody else
	Pages  Space  // pages by tag; nil: none
	State  Space  // the last root, and what the server can do; nil: none
	// Who writes: intents left by it are taken over at once.
	Identity Identity
	// Terms are those on which root and packs are kept.
	Terms bucket.Terms
	// Customer is the key that the objects, not root and packs, are encrypted with; nil: none.
	Customer *bucket.CustomerKey
	// Seal is what the manifest is sealed with: only one that passes it is read, and only such
	// are written. Nil: none.
	Seal *manifest.Seal
	// Mark is what was seen last of this manifest. AcceptRollback takes what is there all the same.
	Mark           *Mark
	AcceptRollback bool
	// Copies has Probe find out about copies as well.
	Copies bool
	// Rebuild starts from nothing, whatever the manifest says. The first commit replaces it.
	Rebuild bool
	Now     func() time.Time // nil: time.Now
	// Wait waits for a while, or until the context ends; nil: really.
	Wait func(context.Context, time.Duration) error
}

// A Catalog is the committed manifest of one prefix.
type Catalog struct {
	store bucket.Store
	o     Options
	run   manifest.ID
	cur   *snapshot // nil while there is no root
	// diverged is set once somebody else's commit came between ours: from then on changes are
	// checked against what the root says before they are made to it.
	diverged bool
	met      int // commits of others that were found when the root was read again
	// careful is set once a probe found that the server ignores conditions: then the root is
	// read before it is written, which narrows the gap for another writer but does not close it.
	careful bool
	// versions is set once the server named the version of a root object that it stored or read.
	versions   bool
	powers     Powers               // what the probe found
	probed     time.Time            // when; zero: that is not to be remembered
	leased     bool                 // this run has the lease
	doubt      string               // see Doubt
	committed  bool                 // this run has stored the root
	before     uint64               // generation before it did
	past       map[manifest.ID]bool // see findPast
	packed     ahead                // what was read of packs
	packSize   int                  // packSize, but for tests
	mergeAbove int                  // mergeAbove, but for tests
}

// Open reads the root. A prefix without one is no error: see Exists. Errors are
// [bucket.ErrNoBucket], [manifest.ErrCorrupt], [manifest.ErrVersion], those of seals, [ErrRolledBack] and those of the store.
func Open(ctx context.Context, store bucket.Store, o Options) (*Catalog, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Seal != nil {
		o.Mark = o.Mark.sealed()
	}
	c := &Catalog{store: store, o: o, run: newID(), packSize: packSize, mergeAbove: mergeAbove}
	load := c.loadSeen
	if o.Rebuild {
		load = c.disregard
	}
	cur, err := load(ctx)
	if errors.Is(err, manifest.ErrCorrupt) {
		cur, err = load(ctx) // a bit may have been another one on its way, and that passes
	}
	if c.cur = cur; err == nil && c.findPast() {
		c.cur, err = load(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest %s%s: %w", o.Prefix, rootName, err)
	}
	return c, nil
}

// Exists reports whether the prefix has a manifest.
func (c *Catalog) Exists() bool { return c.cur != nil && c.cur.m.Generation > 0 }

// Root returns the committed tree's root; the empty tree's if there is none.
func (c *Catalog) Root() manifest.Root {
	if c.cur == nil {
		return emptyRoot()
	}
	return c.cur.m.Root
}

// Generation counts the commits so far; 0 where there is no manifest.
func (c *Catalog) Generation() uint64 {
	if c.cur == nil {
		return 0
	}
	return c.cur.m.Generation
}

// Manifest returns what the root object says besides its pages; nil where there is none. It is not
// to be changed.
func (c *Catalog) Manifest() *manifest.Manifest {
	if !c.Exists() {
		return nil
	}
	return c.cur.m
}

// New reports whether there is no root object at all, not even one that is disregarded.
func (c *Catalog) New() bool { return c.cur == nil }

// Versioned reports whether the bucket keeps versions. That is known as soon as the root has been
// written.
func (c *Catalog) Versioned() bool { return c.versions }

// noteVersion draws conclusions from the version of a root object: "null" is what an object has
// that was stored while no versions are kept.
func (c *Catalog) noteVersion(version string) {
	if version != "" {
		c.versions = version != "null"
	}
}

// Tree returns the committed tree as it is now. It can be read on after later commits of this
// catalog.
func (c *Catalog) Tree(ctx context.Context) manifest.Tree {
	if c.cur == nil {
		return manifest.Tree{Root: emptyRoot()}
	}
	return c.tree(ctx, c.cur)
}

// Refresh reads the root again. The tree is then that of the newest root, whoever wrote it.
// Errors: [ErrMoved], and those of the store.
func (c *Catalog) Refresh(ctx context.Context) error {
	_, err := c.reread(ctx, nil)
	return err
}

// Met counts how often the root was found to be another's when it was read again. While it stays
// the same, nobody else has committed anything between two looks at the root.
func (c *Catalog) Met() int { return c.met }

// Pending returns those of the keys, which ascend, whose objects another run may be writing or
// deleting, or may have been when it died.
func (c *Catalog) Pending(ctx context.Context, keys []string) (map[string]bool, error) {
	found := map[string]bool{}
	for _, i := range c.intents() {
		if i.Run == c.run {
			continue
		}
		doomed, err := c.doomed(ctx, i)
		if err != nil {
			return nil, err
		}
		for k := range doomed {
			found[doomed[k].Key] = true
		}
		for _, key := range keys {
			if i.Range != nil && i.Range.Contains(key) {
				found[key] = true
			}
		}
	}
	return found, nil
}

// Abandoned returns the intents of runs that did not finish and that this writer may take
// over: its own earlier ones, those of other processes of this machine, and those whose lease has run
// out. What they were deleting and meant to store is told by DoomedBy and MeantBy, one by one: each may
// be a page that takes much memory.
func (c *Catalog) Abandoned() []manifest.Intent {
	return slices.DeleteFunc(c.intents(), func(i manifest.Intent) bool { return !c.dead(i) || i.Run == c.run })
}

// Foreign returns the intents of other writers that are to be respected.
func (c *Catalog) Foreign() []manifest.Intent {
	return slices.DeleteFunc(c.intents(), func(i manifest.Intent) bool {
		return c.dead(i) || i.Run == c.run
	})
}

// Intents returns the intents of all runs, under way or not.
func (c *Catalog) Intents() []manifest.Intent { return c.intents() }

// Doomed returns the entries that this run's own intent lists as being deleted: those of the
// last edit that nothing stood in the way of.
func (c *Catalog) Doomed(ctx context.Context) ([]manifest.Entry, error) {
	return c.DoomedBy(ctx, c.run)
}

// DoomedBy returns the entries that the intent of a run lists as being deleted.
func (c *Catalog) DoomedBy(ctx context.Context, run manifest.ID) ([]manifest.Entry, error) {
	for _, i := range c.intents() {
		if i.Run == run {
			return c.doomed(ctx, i)
		}
	}
	return nil, nil
}

// MeantBy returns what the intent of a run states that it may store in its range; nil: it does not say.
func (c *Catalog) MeantBy(ctx context.Context, run manifest.ID) (*manifest.Meant, error) {
	for _, i := range c.intents() {
		if i.Run != run || i.Meant == nil {
			continue
		}
		frame, err := c.fetch(ctx, c.cur, manifest.Ref{At: *i.Meant})
		if err != nil {
			return nil, err
		}
		m, err := manifest.DecodeMeant(frame, *i.Meant)
		return &m, err
	}
	return nil, nil
}

// Deleting returns those of the keys, which ascend, whose objects another run is deleting.
func (c *Catalog) Deleting(ctx context.Context, keys []string) (map[string]bool, error) {
	found := map[string]bool{}
	for _, i := range c.Foreign() {
		doomed, err := c.doomed(ctx, i)
		if err != nil {
			return nil, err
		}
		for _, e := range doomed {
			if _, ok := slices.BinarySearch(keys, e.Key); ok {
				found[e.Key] = true
			}
		}
	}
	return found, nil
}

// doomed reads the entries that an intent lists as being deleted.
func (c *Catalog) doomed(ctx context.Context, i manifest.Intent) ([]manifest.Entry, error) {
	if i.Doomed == nil {
		return nil, nil
	}
	frame, err := c.fetch(ctx, c.cur, *i.Doomed)
	if err != nil {
		return nil, err
	}
	p, err := manifest.DecodeFrame(frame, *i.Doomed)
	if err != nil {
		return nil, err
	}
	return p.Entries, nil
}

func (c *Catalog) intents() []manifest.Intent {
	if c.cur == nil {
		return nil
	}
	return slices.Clone(c.cur.m.Intents)
}

// dead reports whether the run that wrote the intent is no more. A writer has one run at a
// time, so that another run of ours is.
func (c *Catalog) dead(i manifest.Intent) bool {
	return i.Writer == c.o.Identity.Writer || c.past[i.Run] || !c.ahead(i.Until)
}

// findPast finds out which intents are those of other processes of this machine that are no more, and reports
// whether there are any: then the root is to be read again, since they may have stored it once more before they
// ended. That is done once, when the run begins: it settles what is found then, and goes on to respect what
// comes later.
func (c *Catalog) findPast() bool {
	c.past = map[manifest.ID]bool{}
	for _, i := range c.intents() {
		if i.Writer != c.o.Identity.Writer && c.o.Identity.past(i.Writer) {
			c.past[i.Run] = true
		}
	}
	return len(c.past) > 0
}

func newID() (id manifest.ID) {
	rand.Read(id[:])
	return id
}

func emptyRoot() manifest.Root {
	root, err := manifest.NewBuilder(nil).Finish()
	if err != nil {
		panic("catalog: empty tree: " + err.Error()) // nothing is stored, so nothing can fail
	}
	return root
}
