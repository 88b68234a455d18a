package hashing

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"merkur/manifest"
)

// memoryCache keeps records in a map.
type memoryCache struct {
	mu         sync.Mutex
	records    map[string][]byte
	recalled   int
	remembered int
}

func newMemoryCache() *memoryCache { return &memoryCache{records: make(map[string][]byte)} }

func (c *memoryCache) Recall(name []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recalled++
	return c.records[string(name)]
}

func (c *memoryCache) Remember(name, record []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remembered++
	if record == nil {
		delete(c.records, string(name))
		return
	}
	c.records[string(name)] = record
}

// later is a clock by which everything that was just made has been left alone for long.
func later() time.Time { return time.Now().Add(time.Hour) }

// trusting returns options under which a scan of new files remembers them and trusts what is
// remembered, wherever the tests keep their files.
func trusting(c Cache) Options { return Options{Cache: c, Now: later, TrustStat: true} }

// needTrust skips where no fingerprint is strong enough for an exact count.
func needTrust(t *testing.T, s Stats) {
	t.Helper()
	if s.FileSystem == weak.String() {
		t.Skip("the test directory is on a file system that can not be trusted")
	}
}

// edit changes bytes of a file but neither its size nor its modification time.
func edit(t *testing.T, path, content string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if int(info.Size()) != len(content) {
		t.Fatalf("%s has %d bytes", path, info.Size())
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func TestCache(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{
		"a/1": "one", "a/2": "two", "b/3": "three", "b/c/4": "four", "gone/5": "five",
	})
	c := newMemoryCache()
	step := func(name string, o Options, hashed, trusted int64, remembered int) []manifest.Entry {
		t.Helper()
		before := c.remembered
		_, entries, s := scan(t, root, o)
		needTrust(t, s)
		if s.HashedFiles != hashed || s.TrustedFiles != trusted || c.remembered-before != remembered {
			t.Errorf("%s: %d hashed, %d trusted, %d remembered; want %d, %d, %d", name,
				s.HashedFiles, s.TrustedFiles, c.remembered-before, hashed, trusted, remembered)
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(root, e.Key))
			if err != nil || e.Digest != Sum(content) {
				t.Errorf("%s: %s: digest of something else (%v)", name, e.Key, err)
			}
		}
		return entries
	}
	o := trusting(c)
	young := o
	young.Now = time.Now
	step("too young to be remembered", young, 5, 0, 0)
	first := step("first", o, 5, 0, 4)
	second := step("nothing changed", o, 0, 5, 0)
	if !slices.Equal(first, second) {
		t.Errorf("entries differ: %v, %v", first, second)
	}
	step("clock set back", young, 5, 0, 4)
	step("hashed once more", o, 5, 0, 4)

	edit(t, filepath.Join(root, "a/2"), "TWO")
	step("edited, size and time kept", o, 1, 4, 1)
	plant(t, root, map[string]string{"a/3": "new"})
	step("added", o, 1, 5, 1)
	if err := os.Remove(filepath.Join(root, "a/3")); err != nil {
		t.Fatal(err)
	}
	step("removed", o, 0, 5, 1)
	if err := os.Rename(filepath.Join(root, "a/1"), filepath.Join(root, "a/0")); err != nil {
		t.Fatal(err)
	}
	step("renamed", o, 1, 4, 1)
	if err := os.RemoveAll(filepath.Join(root, "gone")); err != nil {
		t.Fatal(err)
	}
	step("directory removed", o, 0, 4, 0)

	some := o
	some.Select = func(key string) bool { return key != "a/0" }
	step("not selected", some, 0, 3, 0)
	step("selected again", o, 0, 4, 0)
	all := o
	all.Rehash = true
	step("read all", all, 4, 0, 0)
	links := o
	links.Follow = true
	step("another policy for links", links, 4, 0, 3)

	for _, r := range c.records {
		r[len(r)/2] ^= 1
	}
	step("damaged", o, 4, 0, 3)
	for name := range c.records {
		c.records[name] = []byte("x")
	}
	step("rubbish", o, 4, 0, 3)
}

// TestSwappedRecords gives every record to another directory.
func TestSwappedRecords(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{"a/x": "1", "b/x": "2"})
	c := newMemoryCache()
	scan(t, root, trusting(c))
	var names []string
	for name := range c.records {
		names = append(names, name)
	}
	if len(names) != 2 {
		t.Skipf("%d records", len(names))
	}
	c.records[names[0]], c.records[names[1]] = c.records[names[1]], c.records[names[0]]
	if _, _, s := scan(t, root, trusting(c)); s.HashedFiles != 2 {
		t.Errorf("stats %+v", s)
	}
}

// TestOtherRoot puts another directory in the place of the root.
func TestOtherRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	plant(t, root, map[string]string{"a": "1"})
	c := newMemoryCache()
	_, _, s := scan(t, root, trusting(c))
	needTrust(t, s)
	if err := os.Rename(root, root+"-old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root+"-old", "a"), filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	scan(t, root, trusting(c))
	if len(c.records) != 2 {
		t.Errorf("%d records of two roots", len(c.records))
	}
}

// TestLies forges a record: same fingerprint, another digest.
func TestLies(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{"a": "1", "b": "2"})
	c := newMemoryCache()
	_, want, _ := scan(t, root, trusting(c))
	for name, r := range c.records {
		rec, ok := openRecord([]byte(name), r)
		if !ok {
			t.Fatal("record is not valid")
		}
		k, _ := rec.find([]byte("a"))
		k2, _ := rec.find([]byte("b"))
		k.digest[0]++
		c.records[name] = encodeRecord([]byte(name), []known{k, k2})
	}
	o := trusting(c)
	o.Rehash = true
	_, got, s := scan(t, root, o)
	needTrust(t, s)
	if !slices.Equal(got, want) || s.FingerprintLies != 1 || s.RehashedFiles != 2 || s.TrustedFiles != 0 {
		t.Errorf("stats %+v", s)
	}
	if _, got, s = scan(t, root, trusting(c)); !slices.Equal(got, want) || s.TrustedFiles != 2 {
		t.Errorf("the lie lives on: %+v", s)
	}
}

func TestRehashShare(t *testing.T) {
	tree := make(map[string]string)
	for i := range 400 {
		tree[fmt.Sprint(i)] = "x"
	}
	root := plant(t, t.TempDir(), tree)
	c := newMemoryCache()
	scan(t, root, trusting(c))
	o := trusting(c)
	o.RehashShare = 0.25
	counts := make(map[int64]bool)
	for o.Seed = range 4 {
		_, _, s := scan(t, root, o)
		needTrust(t, s)
		if s.RehashedFiles < 60 || s.RehashedFiles > 140 || s.FingerprintLies != 0 {
			t.Errorf("seed %d: %+v", o.Seed, s)
		}
		counts[s.RehashedFiles] = true
	}
	if len(counts) == 1 {
		t.Error("every seed picks as many files")
	}
}

// TestSlices changes one name of a wide directory and expects the cache to be told of the one
// slice that it is in.
func TestSlices(t *testing.T) {
	tree := make(map[string]string)
	for i := range 2 * sliceMost {
		tree[fmt.Sprintf("d/%d", i)] = "x"
	}
	root := plant(t, t.TempDir(), tree)
	c := newMemoryCache()
	_, _, s := scan(t, root, trusting(c))
	needTrust(t, s)
	if c.remembered < 2 || c.remembered > 8 {
		t.Errorf("%d files in %d records", s.Files, c.remembered)
	}
	before := c.remembered
	edit(t, filepath.Join(root, "d/1234"), "y")
	if _, _, s = scan(t, root, trusting(c)); s.HashedFiles != 1 || c.remembered != before+1 {
		t.Errorf("%d records are new; %+v", c.remembered-before, s)
	}
}
