package cache

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A crash in the middle of writing a table costs that table only, of which there still is
// the log.
func TestCutOffTable(t *testing.T) {
	dir := crashed(t)
	if err := overwrite(filepath.Join(dir, dbName, "000077.sst"), make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir)
	if n := wantNoLie(t, c, smallTree, 2); n != smallTree {
		t.Errorf("%d of %d records are left", n, smallTree)
	}
	for i := range 300 {
		wantRecord(t, c.Digests(), string(dirName(i)), dirRecord(i, 1))
	}
}

// flip changes one bit of a file.
func flip(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 1 << (at % 8)
	if err == nil {
		_, err = f.WriteAt(b, at)
	}
	return errors.Join(err, f.Close())
}

func overwrite(path string, b []byte) error { return os.WriteFile(path, b, 0o600) }

// copyTree copies the files of a cache.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "cache")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// crashed makes a cache as kill -9 leaves it, with the log of a memtable.
func crashed(t *testing.T) string {
	t.Helper()
	dir := small(t)
	c := open(t, dir)
	load(c, 300, 1) // fits into a memtable
	c.batch.flush(c)
	copied := copyTree(t, dir)
	closeQuietly(t, c)
	return copied
}

// After any damage to any file: no lie, no panic, and the cache works again, at the latest
// for the run after the next.
func TestDamage(t *testing.T) {
	for name, origin := range map[string]string{"closed": small(t), "crashed": crashed(t)} {
		files, err := os.ReadDir(filepath.Join(origin, dbName))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if name == "crashed" && filepath.Ext(file.Name()) != ".mem" {
				continue // as in the other
			}
			for kind, spoil := range map[string]func(path string) error{
				"missing": os.Remove,
				"empty":   func(p string) error { return os.Truncate(p, 0) },
				"half":    func(p string) error { return os.Truncate(p, fileSize(p)/2) },
				"longer":  func(p string) error { return os.Truncate(p, fileSize(p)+4096) },
				"noise":   func(p string) error { return overwrite(p, dirRecord(1, 1)) },
				"tail":    func(p string) error { return flip(p, fileSize(p)-1) },
			} {
				t.Run(fmt.Sprintf("%s/%s/%s", name, file.Name(), kind), func(t *testing.T) {
					t.Parallel() // it waits for the disk
					dir := copyTree(t, origin)
					if err := spoil(filepath.Join(dir, dbName, file.Name())); err != nil {
						t.Fatal(err)
					}
					wantRecovery(t, dir)
				})
			}
		}
	}
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// wantRecovery opens a damaged cache, reads all of it in every way, and uses it.
func wantRecovery(t *testing.T, dir string) {
	t.Helper()
	c := Open(dir, testOptions)
	wantNoLie(t, c, smallTree, 2)
	if c.active() {
		// What a rewrite would do. Any error will do, too, but no more than that.
		_ = guarded(func() error { return c.copyLive(func(_, _ []byte) error { return nil }) })
	}
	load(c, 50, 1)
	c.Close()
	for _, note := range c.Notes() {
		if strings.Contains(note, "goroutine") || strings.Contains(note, "\n") {
			t.Errorf("note is not for a person: %q", note)
		}
	}
	c = Open(dir, testOptions)
	wantNoLie(t, c, smallTree, 2)
	c.Pages().Remember([]byte("after"), []byte("all"))
	wantRecord(t, c.Pages(), "after", []byte("all"))
	c.Close()
}

// Bit flips anywhere in the files, some hundred of them.
func TestBitFlips(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	origins := []string{small(t), crashed(t)}
	for trial := range 16 {
		t.Run(fmt.Sprint(trial), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, uint64(trial)))
			dir := copyTree(t, origins[trial%2])
			for range 1 + random.IntN(8) {
				flipSomewhere(t, random, filepath.Join(dir, dbName))
			}
			wantRecovery(t, dir)
		})
	}
}

func flipSomewhere(t *testing.T, random *rand.Rand, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, files[random.IntN(len(files))].Name())
	if n := fileSize(path); n > 0 {
		if err := flip(path, random.Int64N(n)); err != nil {
			t.Fatal(err)
		}
	}
}
