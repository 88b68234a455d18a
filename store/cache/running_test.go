package cache

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dgraph-io/badger/v4/table"
)

// everyTable applies a change to each table of a cache.
func everyTable(t *testing.T, dir string, change func(path string) error) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, dbName, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables: %q, %v", tables, err)
	}
	for _, path := range tables {
		if err := change(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A record that is damaged on the disk is not found, and removed.
func TestDamagedRecord(t *testing.T) {
	dir := small(t)
	everyTable(t, dir, func(path string) error { return flip(path, 5000) })
	c := open(t, dir)
	// One directory, and a piece of the long record.
	if n := wantNoLie(t, c, smallTree, 2); n != smallTree-1 {
		t.Errorf("%d of %d records are left, want one less", n, smallTree)
	}
	wantRecord(t, c.State(), "long", nil)
	if len(c.Notes()) != 1 {
		t.Errorf("notes: %q", c.Notes())
	}
	c.Close()
	wantNotes(t, c, "cache DIR: 2 records did not match their checksums and were dropped")
	c = open(t, dir)
	if n := wantNoLie(t, c, smallTree, 2); n != smallTree-1 {
		t.Errorf("%d of %d records are left, want one less", n, smallTree)
	}
	closeQuietly(t, c)
	wantNotes(t, c)
}

// A file that shrinks under a memory map is a bus error for whoever reads it.
func TestFilesShrinkMeanwhile(t *testing.T) {
	dir := small(t)
	c := open(t, dir)
	everyTable(t, dir, func(path string) error { return os.Truncate(path, 4096) })
	wantNoLie(t, c, smallTree, 2)
	c.Close()
	notes := c.Notes()
	if len(notes) == 0 || !strings.Contains(notes[0], ": damaged (") ||
		!strings.HasSuffix(notes[0], "this run goes on without it and the next one begins anew") {
		t.Errorf("notes: %q", notes)
	}
	if n := wantNoLie(t, open(t, dir), smallTree, 2); n > 0 {
		t.Errorf("%d records are left in a new cache", n)
	}
}

// When the disk fills up, writing ends and reading goes on.
func TestDiskFillsUp(t *testing.T) {
	dir := small(t)
	var full atomic.Bool
	sys := localSystem()
	sys.free = func(string) (uint64, error) {
		if full.Load() {
			return 1 << 20, nil
		}
		return 1 << 40, nil
	}
	c := openOn(dir, testOptions, sys)
	load(c, 100, 1)
	full.Store(true)
	load(c, smallTree, 1)
	if n := wantNoLie(t, c, smallTree, 2); n != smallTree {
		t.Errorf("%d of %d records are found", n, smallTree)
	}
	full.Store(false)
	if err := c.Close(); err != nil {
		t.Error(err) // said already
	}
	wantNotes(t, c, "cache DIR: 1 MiB are free on its disk and 64 MiB needed; nothing more is written to it")
	if n := wantNoLie(t, open(t, dir), smallTree, 2); n != smallTree {
		t.Errorf("%d of %d records are left", n, smallTree)
	}
}

// A disk that is still full at the end leaves the cache as a crash would, locked until the
// process ends.
func TestDiskStaysFull(t *testing.T) {
	dir := small(t)
	var full atomic.Bool
	sys := localSystem()
	sys.free = func(string) (uint64, error) {
		if full.Load() {
			return 1 << 20, nil
		}
		return 1 << 40, nil
	}
	c := openOn(dir, testOptions, sys)
	full.Store(true)
	load(c, smallTree, 1)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	wantInactive(t, Open(dir, testOptions), "cache DIR: in use by another run; this run goes without it")
	if n := wantNoLie(t, open(t, copyTree(t, dir)), smallTree, 2); n != smallTree {
		t.Errorf("%d of %d records are left", n, smallTree)
	}
}

// Badger tries for ever to write a table that it cannot; a run does not wait for that.
func TestTablesCannotBeWritten(t *testing.T) {
	dir := small(t)
	c := open(t, dir)
	for id := range uint64(100) { // there is something in the place of every new table
		os.Mkdir(table.NewFilename(id, filepath.Join(dir, dbName)), 0o700)
	}
	load(c, 3000, 1)
	if n := wantNoLie(t, c, smallTree, 2); n != smallTree {
		t.Errorf("%d of %d records are found", n, smallTree)
	}
	c.Close()
	notes := c.Notes()
	if len(notes) != 1 || !strings.Contains(notes[0], "cannot be written (") ||
		!strings.HasSuffix(notes[0], "file exists); nothing more is written to it") {
		t.Errorf("notes: %q", notes)
	}
	wantInactive(t, Open(dir, testOptions), "cache DIR: in use by another run; this run goes without it")
}
