package cache

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A process that is killed at any moment of writing leaves a cache that opens without a word
// and does not lie.
func TestKilledWriter(t *testing.T) {
	for _, rounds := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "cache")
			writer := child("churn", dir, 900)
			out, err := writer.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := writer.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for range rounds + 1 {
				lines.Scan()
			}
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = writer.Wait()

			c := open(t, dir)
			if n := wantNoLie(t, c, 900, rounds+20); n < 800 {
				t.Errorf("%d of 900 records are left", n)
			}
			closeQuietly(t, c)
			wantWorking(t, dir)
		})
	}
}

// Whatever moment of replacing the database a crash picks, the records are there.
func TestKilledWhileReplacing(t *testing.T) {
	origin := small(t)
	for name, arrange := range map[string]func(db string) error{
		"rewrite begun":   func(db string) error { return os.Mkdir(db+".new", 0o700) },
		"rewrite done":    func(db string) error { return os.CopyFS(db+".new", os.DirFS(db)) },
		"old moved":       func(db string) error { return os.Rename(db, db+".old") },
		"new moved":       func(db string) error { return os.CopyFS(db+".old", os.DirFS(db)) },
		"old half gone":   func(db string) error { return os.MkdirAll(db+".old", 0o700) },
		"nothing touched": func(db string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyTree(t, origin)
			if err := arrange(filepath.Join(dir, dbName)); err != nil {
				t.Fatal(err)
			}
			if n := wantNoLie(t, open(t, dir), smallTree, 2); n != smallTree {
				t.Errorf("%d of %d records are left", n, smallTree)
			}
			for _, left := range []string{newName, oldName} {
				if _, err := os.Lstat(filepath.Join(dir, left)); err == nil {
					t.Errorf("%s is left", left)
				}
			}
		})
	}
}

// A process that is killed between making a log and giving it its size, or between emptying one and
// removing it, leaves it empty: that costs nothing, and is nothing to speak of.
func TestEmptyLog(t *testing.T) {
	dir := crashed(t)
	if err := overwrite(filepath.Join(dir, dbName, "00099.mem"), nil); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir)
	if n := wantNoLie(t, c, smallTree, 2); n != smallTree {
		t.Errorf("%d of %d records are left", n, smallTree)
	}
	closeQuietly(t, c)
	wantWorking(t, dir)
}
