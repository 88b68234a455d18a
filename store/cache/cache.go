// Package cache keeps on the local disk what would cost time to find out again: the digests
// of files with the fingerprints they were taken under, the manifest pages fetched from a
// bucket, and small facts about a bucket. It is a cache: losing it costs time, never truth.
//
// # Guarantees
//
// A run with a broken, foreign, locked or missing cache does exactly what a run with none
// does. No method fails and none panics: what goes wrong is told by [Cache.Notes], in
// sentences for a person, and the cache is inactive from then on, which means that reads
// find nothing and writes do nothing.
//
// What a read returns is what was written under that name, for this tree, by this schema.
// Every record carries an XXH64 over all four, seeded by schema and identity. It is not a
// CRC-32C, because that is what the database below uses already, and a flaw that slips
// through one should meet another; and it is 64 bits wide, because a record decides which
// files are believed without being read. It guards against accidents. An enemy who can
// write to the directory is kept out by its permissions, and a directory that belongs to
// another user is not used.
//
// A record that was written may be missing later, or an older one may stand in its place:
// writes are collected and not synced, and a crash loses the last of them. Records must
// therefore be true for themselves, as a digest next to its fingerprint is.
//
// # On disk
//
//	dir/merkur.lock    held by the one run that uses the cache; marks dir as a cache
//	dir/merkur.stamp   schema and identity
//	dir/db             the database (Badger)
//	dir/db.bad         the last database that was set aside; never read
//	dir/db.new         a rewrite that is not finished; removed when the cache is opened
//	dir/db.old         what a rewrite was about to replace
//
// Nothing else in dir is touched, and a directory with other things in it but without a
// merkur.lock is refused.
//
// # Badger
//
// Badger maps its files into memory, and works on them in goroutines of its own, where a
// damaged byte is a panic and a full disk a bus error that nobody can recover from. So
// nothing of it runs in the background here but the flush of what this run itself wrote:
// tables are checked before it sees them, its compaction is off, and when old versions pile
// up, [Cache.Close] rewrites the database in one pass in key order, which also drops what
// is damaged. As no table is ever unmapped while the cache is open, the pages it read can
// be given back to the system, so that memory does not grow with the cache.
//
// Space is checked before each write. A disk that another program fills within the moment
// between the check and the write, by more than the reserve of 64 MiB, is not survived.
package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
)

// schema is part of every stamp and checksum: raise it when the meaning of a record, or the
// size of the memtables, changes.
const schema = "merkur cache 1"

// Options say what a cache is for.
type Options struct {
	// Identity says which tree, or which pair of buckets, the records are about, and by which
	// version of the record formats. A cache that was made for another identity starts empty.
	Identity []byte
}

// DefaultDir returns the directory under which a user's caches belong: merkur below
// $XDG_CACHE_HOME or ~/.cache, or the like of another system.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache directory: %w", err)
	}
	return filepath.Join(dir, "merkur"), nil
}

// A Cache is an open cache, or an inactive one. Its methods may be called from many
// goroutines at once.
type Cache struct {
	dir      string
	seed     uint64 // of all checksums: schema and identity
	sys      system
	resident *residency
	unlock   func()

	// open is held for reading while the database is in use and for writing to close it.
	open sync.RWMutex
	db   *badger.DB // nil: inactive or closed

	fresh int64 // bytes on level 0 when the cache was opened

	batch   batch
	full    atomic.Bool   // nothing more is written, for want of space
	failed  chan struct{} // closed when Badger cannot write what it was given
	giveUp  sync.Once     // closes failed
	damaged atomic.Bool   // the database is not believed, and set aside by Close
	dropped atomic.Int64  // records with a wrong checksum
	written atomic.Int64  // bytes of records, by this run

	notesMu sync.Mutex
	notes   []string
}

// Open opens or makes the cache kept in dir. It never fails: see [Cache.Notes]. A database
// that is corrupt, or was made for another identity or by another schema, is set aside as
// dir/db.bad and begun anew. A cache that is locked by another run, that cannot be written,
// has no space, belongs to another user, or lies on a network file system, where neither
// locks nor memory maps are safe, stays as it is, and the Cache returned is inactive.
func Open(dir string, o Options) *Cache { return openOn(dir, o, localSystem()) }

func openOn(dir string, o Options, sys system) *Cache {
	c := &Cache{dir: dir, seed: seedOf(o.Identity), sys: sys, failed: make(chan struct{}), unlock: func() {}}
	c.batch.init()
	unlock, err := claim(dir, sys)
	if err != nil {
		c.note("%v; this run goes without it", err)
		return c
	}
	c.unlock = unlock
	if err := c.begin(stampOf(o.Identity)); err != nil {
		c.note("%v; this run goes without it", err)
		c.release()
		return c
	}
	_, c.fresh, _ = levels(c.db)
	return c
}

// begin opens the database of the stamp, or puts an empty one in its place.
func (c *Cache) begin(stamp []byte) error {
	if err := recoverRewrite(c.dir); err != nil {
		return err
	}
	c.resident = newResidency(c.dir)
	why := checkStamp(c.dir, stamp)
	if why == nil {
		db, err := openDB(c.database(), c.fail)
		if err == nil {
			c.db = db
			return nil
		}
		if starved(err) {
			return err
		}
		why = fmt.Errorf("damaged (%v)", err)
	}
	return c.beginAnew(stamp, why)
}

// beginAnew sets the database aside and opens an empty one. If that cannot be opened either,
// the fault is not in the data, and the old one is put back.
func (c *Cache) beginAnew(stamp []byte, why error) error {
	moved, err := setAside(c.dir)
	if err != nil {
		return err
	}
	db, err := openDB(c.database(), c.fail)
	if err == nil {
		c.db = db
		// Before anything is written: the stamp must never be another's than the records.
		err = writeStamp(c.dir, stamp)
	}
	if err != nil {
		c.abandon(moved)
		return err
	}
	if moved {
		c.note("%v; set aside as %s and begun anew", why, c.badDatabase())
	}
	return nil
}

// abandon undoes what beginAnew has done.
func (c *Cache) abandon(moved bool) {
	// Errors are of no use any more: the caller has one already, and goes without the cache.
	if c.db != nil {
		_ = guarded(c.db.Close)
		c.db = nil
	}
	if moved {
		_ = putBack(c.dir)
	}
}

// Digests returns the scan records, one a directory or a part of one, by its path.
func (c *Cache) Digests() Records { return Records{c, 'd'} }

// Pages returns the manifest pages fetched from a bucket, by their tags.
func (c *Cache) Pages() Records { return Records{c, 'p'} }

// State returns small facts about a bucket by name: the last root seen, what was probed.
func (c *Cache) State() Records { return Records{c, 's'} }

// Notes returns, in the order in which it happened, what a person should be told about the
// cache, one sentence each and each once. It is complete after [Cache.Close].
func (c *Cache) Notes() []string {
	c.notesMu.Lock()
	defer c.notesMu.Unlock()
	notes := append([]string(nil), c.notes...)
	if n := c.dropped.Load(); n > 0 {
		notes = append(notes, fmt.Sprintf("cache %s: %d records did not match their checksums and were dropped", c.dir, n))
	}
	return notes
}

func (c *Cache) note(format string, args ...any) {
	c.notesMu.Lock()
	defer c.notesMu.Unlock()
	sentence := "cache " + c.dir + ": " + fmt.Sprintf(format, args...)
	for _, s := range c.notes {
		if s == sentence {
			return
		}
	}
	c.notes = append(c.notes, sentence)
}

// Close writes what is collected, rewrites the database if that is worthwhile, and gives the
// directory free. Its error is the last of the notes that it adds; no run need fail because
// of it. A second Close does nothing.
func (c *Cache) Close() error {
	before := len(c.Notes())
	c.batch.flush(c)
	c.open.Lock()
	defer c.open.Unlock()
	if c.db != nil && c.settle() {
		c.release()
	}
	if notes := c.Notes(); len(notes) > before {
		return errors.New(notes[len(notes)-1])
	}
	return nil
}

// settle closes the database and leaves in its place what the next run shall find there. It
// reports whether the directory can be given free.
func (c *Cache) settle() bool {
	rewritten := c.writable() && c.rewrite()
	if !c.closeDB() {
		return false
	}
	makePrivate(c.database())
	var err error
	switch {
	case c.damaged.Load():
		_, err = setAside(c.dir)
	case rewritten:
		err = swap(c.dir)
	}
	if err != nil {
		c.note("%v", err)
	}
	return true
}

// closeDB closes the database, unless Badger is stuck or lacks the space to write its
// memtable. Then it is left as a crash would leave it, which is safe, and locked until the
// process ends, because Badger still works on it.
func (c *Cache) closeDB() (closed bool) {
	db := c.db
	c.db = nil
	if c.full.Load() && c.sys.room(c.dir, 0) != nil {
		return false
	}
	if err := c.await(db.Close); err != nil && !c.stuck() {
		c.note("%v", err)
	}
	return !c.stuck()
}

func (c *Cache) release() {
	c.unlock()
	c.unlock = func() {}
}

func (c *Cache) database() string    { return filepath.Join(c.dir, dbName) }
func (c *Cache) badDatabase() string { return filepath.Join(c.dir, badName) }

// stuck reports whether Badger has failed to write what it was given.
func (c *Cache) stuck() bool {
	select {
	case <-c.failed:
		return true
	default:
		return false
	}
}

// writable reports whether writes are still tried.
func (c *Cache) writable() bool { return !c.full.Load() && !c.damaged.Load() && !c.stuck() }

// fail ends all writing for this run, because Badger cannot. Reads go on.
func (c *Cache) fail(err error) {
	c.giveUp.Do(func() {
		c.note("cannot be written (%v); nothing more is written to it", err)
		close(c.failed)
	})
}

// condemn ends all use of the database for this run, and for good.
func (c *Cache) condemn(err error) {
	if !c.damaged.Swap(true) {
		c.note("damaged (%v); this run goes on without it and the next one begins anew", err)
	}
}

var errStuck = errors.New("the database cannot be written")

// await runs f, which may wait in Badger for ever once that has failed to write, until it is
// done or Badger has failed.
func (c *Cache) await(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- guarded(f) }()
	select {
	case err := <-done:
		return err
	case <-c.failed:
		return errStuck
	}
}

// guarded runs f and makes an error of a panic, and of a fault in a mapped file, which is
// what reading a page that the disk does not give amounts to.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = errors.New("a file in memory cannot be read or written")
		default:
			err = plain(fmt.Sprint(p))
		}
	}()
	return f()
}
