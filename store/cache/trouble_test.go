package cache

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const smallTree = 540 // directories: a little more than a memtable

// small makes a closed cache with a few records, one of them long, and tables on two levels.
func small(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cache")
	c := open(t, dir)
	load(c, smallTree, 0)
	closeQuietly(t, c)
	c = open(t, dir)
	load(c, 40, 1)
	c.State().Remember([]byte("long"), longState)
	closeQuietly(t, c)
	return dir
}

var longState = bytes.Repeat([]byte("state"), pieceSize)

// wantNoLie fails if any record of small, or of what a child has churned, is not one that
// was written. It returns how many were found.
func wantNoLie(t *testing.T, c *Cache, n, rounds int) int {
	t.Helper()
	found := 0
	for i := range n {
		got := c.Digests().Recall(dirName(i))
		if got == nil {
			continue
		}
		found++
		written := false
		for round := range rounds {
			written = written || bytes.Equal(got, dirRecord(i, round))
		}
		if !written {
			t.Errorf("record %d was never written", i)
		}
	}
	if got := c.State().Recall([]byte("long")); got != nil && !bytes.Equal(got, longState) {
		t.Error("the long record was never written")
	}
	return found
}

// wantWorking fails unless a cache takes a record and gives it back to the next run.
func wantWorking(t *testing.T, dir string) {
	t.Helper()
	c := Open(dir, testOptions)
	c.Pages().Remember([]byte("after"), []byte("all"))
	closeQuietly(t, c)
	wantRecord(t, open(t, dir).Pages(), "after", []byte("all"))
}

func wantNotes(t *testing.T, c *Cache, want ...string) {
	t.Helper()
	notes := c.Notes()
	if len(notes) != len(want) {
		t.Fatalf("notes:\n%q\nwant\n%q", notes, want)
	}
	for i := range want {
		if got := strings.ReplaceAll(notes[i], c.dir, "DIR"); got != want[i] {
			t.Errorf("note:\n%s\nwant\n%s", got, want[i])
		}
	}
}

func wantInactive(t *testing.T, c *Cache, note string) {
	t.Helper()
	c.Digests().Remember([]byte("a"), []byte("b"))
	wantRecord(t, c.Digests(), "a", nil)
	closeQuietly(t, c)
	wantNotes(t, c, note)
}

func TestOpenElsewhere(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(base, "documents")
	if err := os.MkdirAll(filepath.Join(other, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dir, note string
		change    func(*system)
	}{
		{file, "cache DIR: mkdir DIR: not a directory; this run goes without it", nil},
		{other, `cache DIR: is not empty and not a cache (it holds "db"); this run goes without it`, nil},
		{filepath.Join(base, "nfs"), "cache DIR: is on a network file system (NFS), where memory maps are not safe; this run goes without it",
			func(s *system) { s.network = func(string) (string, error) { return "NFS", nil } }},
		{filepath.Join(base, "full"), "cache DIR: 10 MiB are free on its disk and 64 MiB needed; this run goes without it",
			func(s *system) { s.free = func(string) (uint64, error) { return 10 << 20, nil } }},
		{filepath.Join(base, "foreign"), "cache DIR: belongs to another user; this run goes without it",
			func(s *system) { s.foreign = func(fs.FileInfo) bool { return true } }},
		{filepath.Join(base, "dead"), "cache DIR: no answer; this run goes without it",
			func(s *system) { s.network = func(string) (string, error) { return "", errors.New("no answer") } }},
	} {
		t.Run(filepath.Base(test.dir), func(t *testing.T) {
			sys := localSystem()
			if test.change != nil {
				test.change(&sys)
			}
			c := openOn(test.dir, testOptions, sys)
			wantInactive(t, c, test.note)
			if entries, _ := os.ReadDir(filepath.Join(test.dir, "db")); len(entries) > 0 {
				t.Errorf("files were made: %v", entries)
			}
		})
	}
}

func TestLocked(t *testing.T) {
	dir := small(t)
	first := open(t, dir)
	wantInactive(t, Open(dir, testOptions), "cache DIR: in use by another run; this run goes without it")
	wantRecord(t, first.State(), "long", longState) // the first one is not disturbed
	closeQuietly(t, first)
	wantRecord(t, open(t, dir).State(), "long", longState)
}

func TestLockedByProcess(t *testing.T) {
	dir := small(t)
	holder := child("hold", dir, 0)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	wantInactive(t, Open(dir, testOptions), "cache DIR: in use by another run; this run goes without it")
	in.Close()
	if err := holder.Wait(); err != nil {
		t.Fatal(err)
	}
	wantRecord(t, open(t, dir).State(), "long", longState)
}

func TestAnotherIdentity(t *testing.T) {
	dir := small(t)
	other := Options{Identity: []byte("another tree")}
	c := Open(dir, other)
	wantNotes(t, c, "cache DIR: made for another tree or by another version; set aside as DIR/db.bad and begun anew")
	wantRecord(t, c.State(), "long", nil)
	c.State().Remember([]byte("x"), []byte("y"))
	closeQuietly(t, c)
	c = Open(dir, other)
	wantNotes(t, c)
	wantRecord(t, c.State(), "x", []byte("y"))
	closeQuietly(t, c)

	// Only the last database set aside is kept.
	c = Open(dir, testOptions)
	wantRecord(t, c.State(), "x", nil)
	closeQuietly(t, c)
	if bad, _ := filepath.Glob(dir + "/*bad*"); len(bad) != 1 {
		t.Errorf("set aside: %q", bad)
	}
}

// Even files moved under the stamp of another tree are not believed.
func TestForeignDatabase(t *testing.T) {
	dir := small(t)
	stolen := t.TempDir()
	other := Options{Identity: []byte("another tree")}
	closeQuietly(t, Open(stolen, other))
	if err := os.RemoveAll(filepath.Join(stolen, dbName)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, dbName), filepath.Join(stolen, dbName)); err != nil {
		t.Fatal(err)
	}
	c := Open(stolen, other)
	if n := wantNoLie(t, c, smallTree, 0); n > 0 {
		t.Errorf("%d records of another tree are believed", n)
	}
	c.Close()
	wantNotes(t, c, "cache DIR: 541 records did not match their checksums and were dropped")
}

func TestStamp(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"missing": os.Remove,
		"empty":   func(p string) error { return os.Truncate(p, 0) },
		"cut":     func(p string) error { return os.Truncate(p, 20) },
		"flipped": func(p string) error { return flip(p, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := small(t)
			if err := spoil(filepath.Join(dir, stampName)); err != nil {
				t.Fatal(err)
			}
			c := Open(dir, testOptions)
			if n := wantNoLie(t, c, smallTree, 2); n > 0 {
				t.Errorf("%d records are believed", n)
			}
			closeQuietly(t, c)
			if len(c.Notes()) != 1 || !strings.HasSuffix(c.Notes()[0], "db.bad and begun anew") {
				t.Errorf("notes: %q", c.Notes())
			}
			wantWorking(t, dir)
		})
	}
}

// If no new database can be made either, the fault is not in the old one, which stays.
func TestNothingIsLostToABadMoment(t *testing.T) {
	dir := small(t)
	before, err := os.ReadFile(filepath.Join(dir, stampName))
	if err != nil {
		t.Fatal(err)
	}
	// A directory in the place of the file that becomes the stamp makes writing it fail.
	stamp := filepath.Join(dir, stampName)
	if err := errors.Join(os.Remove(stamp), os.Mkdir(stamp, 0o700)); err != nil {
		t.Fatal(err)
	}
	c := Open(dir, testOptions)
	closeQuietly(t, c)
	wantNotes(t, c, "cache DIR: open DIR/merkur.stamp: is a directory; this run goes without it")
	if err := errors.Join(os.Remove(stamp), os.WriteFile(stamp, before, 0o600)); err != nil {
		t.Fatal(err)
	}
	if n := wantNoLie(t, open(t, dir), smallTree, 2); n != smallTree {
		t.Errorf("%d of %d records are left", n, smallTree)
	}
}

func TestPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "cache")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	closeQuietly(t, open(t, dir))
	for _, path := range []string{dir, filepath.Join(dir, dbName)} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o700 {
			t.Errorf("%s: permissions %v", path, got)
		}
	}
}

func TestDefaultDir(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere/cache")
	dir, err := DefaultDir()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := os.UserCacheDir(); err != nil || dir != filepath.Join(want, "merkur") {
		t.Errorf("got %s, want merkur in %s (%v)", dir, want, err)
	}
}
