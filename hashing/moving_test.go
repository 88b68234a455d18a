//go:build linux && !portable

package hashing

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUnreadableMeanwhile closes a directory, and a file, when the scan is about to come to them.
func TestUnreadableMeanwhile(t *testing.T) {
	if !asNobody(t) {
		return
	}
	root := plant(t, t.TempDir(), map[string]string{"a": "1", "b/x": "2", "b/y/z": "3", "c": "4", "d/e": "5"})
	closing := func(key string) bool {
		switch key {
		case "b/", "c":
			path := filepath.Join(root, key)
			if err := os.Chmod(path, 0); err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { os.Chmod(path, 0o700) })
		}
		return true
	}
	lines, _, _ := scan(t, root, Options{Workers: 1, Select: closing, Descend: closing})
	expect(t, lines, "a", "b/: not permitted", "c: not permitted", "d/e")
}

// TestSettleRule edits files so that nothing shows, again and again: by a store through a mapping of a page
// that is dirty already, and with the size and the time kept. While they are young no scan believes
// what it remembers of them.
func TestSettleRule(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{"edited": "0", "mapped": "0"})
	f, err := os.OpenFile(filepath.Join(root, "mapped"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, 1, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Skipf("no mapping here: %v", err)
	}
	defer unix.Munmap(page)
	o := Options{Cache: newMemoryCache(), TrustStat: true}
	when := time.Now().Add(-time.Hour)
	for i := range 20 {
		page[0] = byte('a' + i)
		path := filepath.Join(root, "edited")
		plant(t, root, map[string]string{"edited": string(page[:1])})
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		_, entries, stats := scan(t, root, o)
		for _, e := range entries {
			if e.Digest != Sum(page[:1]) {
				t.Errorf("round %d: an old digest of %s", i, e.Key)
			}
		}
		if stats.TrustedFiles != 0 || stats.UnsettledFiles != 2 {
			t.Errorf("round %d: %+v", i, stats)
		}
	}
}
