package hashing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"merkur/manifest"
)

// plant makes a tree: a key that ends in "/" is an empty directory, a content that begins
// with "-> " a symbolic link.
func plant(t testing.TB, root string, tree map[string]string) string {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		path := filepath.Join(root, filepath.FromSlash(key))
		target, isLink := strings.CutPrefix(tree[key], "-> ")
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case isDir(key):
			err = os.MkdirAll(path, 0o755)
		case isLink:
			err = os.Symlink(target, path)
		default:
			err = os.WriteFile(path, []byte(tree[key]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// scan runs a whole scan and returns its items, each on a line: the key, and for a problem
// the reason.
func scan(t testing.TB, root string, o Options) (lines []string, entries []manifest.Entry, stats Stats) {
	t.Helper()
	s, err := New(root, o)
	if err != nil {
		t.Fatal(err)
	}
	for it, err := range s.Items(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if p := it.Problem; p != nil {
			lines = append(lines, p.Key+": "+p.Reason.String())
			continue
		}
		if err := it.Entry.Valid(); err != nil {
			t.Error(err)
		}
		lines = append(lines, it.Entry.Key)
		entries = append(entries, it.Entry)
	}
	return lines, entries, s.Stats()
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestScan(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{
		"a-b": "1", "a/x": "22", "a/y/z": "333", "a0": "", "a.": "55555", "é": "6", "B": "7",
		"empty/": "", ".merkur/root": "ours", "sub/.merkur/root": "theirs", ".merkurx": "", "z/.hidden": "8",
	})
	if err := os.Chmod(filepath.Join(root, "B"), 0o640); err != nil {
		t.Fatal(err)
	}
	when := time.Date(2001, 2, 3, 4, 5, 6, 789012345, time.UTC)
	if err := os.Chtimes(filepath.Join(root, "B"), when, when); err != nil {
		t.Fatal(err)
	}
	lines, entries, stats := scan(t, root, Options{})
	expect(t, lines, ".merkurx", "B", "a-b", "a.", "a/x", "a/y/z", "a0", "z/.hidden", "é")

	b := entries[1]
	want := manifest.Entry{Key: "B", Size: 1, Digest: Sum([]byte("7")), Mode: 0o640, MTime: when.UnixNano()}
	if runtime.GOOS == "windows" {
		want.Mode = b.Mode
	}
	if b != want {
		t.Errorf("entry %+v, want %+v", b, want)
	}
	if stats.Files != 9 || stats.HashedFiles != 9 || stats.Bytes != 14 || stats.Dirs != 6 || stats.Problems != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// TestOrder compares random trees with the sorted list of all their keys.
func TestOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		root := t.TempDir()
		want := map[string]manifest.Digest{}
		var grow func(dir string, depth int)
		grow = func(dir string, depth int) {
			for range rnd.IntN(12) {
				n := make([]byte, 1+rnd.IntN(4))
				for i := range n {
					n[i] = "ab-.0!~"[rnd.IntN(7)]
				}
				key := dir + string(n)
				path := filepath.Join(root, key)
				if _, err := os.Lstat(path); err == nil {
					continue // also "." and ".."
				}
				if depth < 5 && rnd.IntN(3) == 0 {
					plant(t, root, map[string]string{key + "/": ""})
					grow(key+"/", depth+1)
					continue
				}
				plant(t, root, map[string]string{key: key})
				want[key] = Sum([]byte(key))
			}
		}
		grow("", 0)
		lines, entries, _ := scan(t, root, Options{Workers: 1 + round%4})
		expect(t, lines, slices.Sorted(maps.Keys(want))...)
		for _, e := range entries {
			if e.Digest != want[e.Key] {
				t.Errorf("%s: digest %v, want %v", e.Key, e.Digest, want[e.Key])
			}
		}
	}
}

func TestNew(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{"file": "x"})
	if _, err := New(filepath.Join(root, "none"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing root: %v", err)
	}
	if _, err := New(filepath.Join(root, "file"), Options{}); !errors.Is(err, ErrNotDir) {
		t.Errorf("file as root: %v", err)
	}
	lines, _, _ := scan(t, t.TempDir(), Options{})
	expect(t, lines)
}

// TestUnwanted checks that what is not selected is neither looked at nor told, broken or not.
func TestUnwanted(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{
		"keep/a.go": "1", "keep/b.o": "2", "skip/c.go": "3", "broken": "-> nowhere", "broken.go": "-> nowhere", "cache/d.go": "4",
	})
	var mu sync.Mutex
	var asked []string
	o := Options{
		Follow: true,
		Select: func(key string) bool { return strings.HasSuffix(key, ".go") },
		Descend: func(key string) bool {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, key)
			return key != "skip/" && key != "broken/"
		},
		Leave: []string{filepath.Join(root, "cache"), filepath.Join(root, "none")},
	}
	lines, _, stats := scan(t, root, o)
	expect(t, lines, "broken.go: does not exist", "broken.go/: does not exist", "keep/a.go")
	slices.Sort(asked)
	expect(t, asked, "broken.go/", "broken/", "cache/", "keep/", "skip/")
	if stats.Problems != 1 || stats.Dirs != 2 {
		t.Errorf("stats %+v", stats)
	}
}

func TestLinks(t *testing.T) {
	outside := plant(t, t.TempDir(), map[string]string{"f": "far", "d/g": "away"})
	root := plant(t, t.TempDir(), map[string]string{
		"to-file": "-> " + filepath.Join(outside, "f"), "to-dir": "-> " + filepath.Join(outside, "d"),
		"to-dir.x": "x", "broken": "-> nowhere", "self": "-> self",
		"a/up": "-> ..", "a/here": "-> .", "a/b/c": "-> ../../e", "e/back": "-> ../a/b", "e/f": "1",
	})
	lines, _, _ := scan(t, root, Options{})
	expect(t, lines, "e/f", "to-dir.x")

	lines, entries, stats := scan(t, root, Options{Follow: true})
	expect(t, lines,
		"a/b/c/back/: link loop", "a/b/c/f", "a/here/: link loop", "a/up/: link loop",
		"broken: does not exist", "broken/: does not exist",
		"e/back/c/: link loop", "e/f",
		"self: does not exist", "self/: does not exist",
		"to-dir.x", "to-dir/g", "to-file")
	if last := entries[len(entries)-1]; last.Kind != manifest.File || last.Digest != Sum([]byte("far")) {
		t.Errorf("link to a file: %+v", last)
	}
	if stats.Problems != 6 {
		t.Errorf("%d problems", stats.Problems)
	}
}

// crowd makes directories "0/", "1/" and so on with that many empty files in each. They are
// all one file under many names, which is the cheapest kind to make.
func crowd(t testing.TB, dirs, files int) string {
	root := t.TempDir()
	one := filepath.Join(t.TempDir(), "one")
	plant(t, filepath.Dir(one), map[string]string{"one": ""})
	for d := range dirs {
		dir := filepath.Join(root, fmt.Sprint(d))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range files {
			if err := os.Link(one, filepath.Join(dir, fmt.Sprint(f))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// goroutines waits until no more goroutines run than before, which they do at once or never.
func goroutines(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestBreakOff(t *testing.T) {
	root := crowd(t, 20, 100)
	before := runtime.NumGoroutine()
	for _, stop := range []int{1, 2, 99, 100, 1000, 1999, 2000} {
		s, err := New(root, Options{})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, err := range s.Items(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen == stop {
				break
			}
		}
		if got := s.Stats().Files; got != int64(stop) {
			t.Errorf("broken off after %d: %d files counted", stop, got)
		}
		goroutines(t, before)
	}
}

func TestCancel(t *testing.T) {
	root := crowd(t, 20, 100)
	before := runtime.NumGoroutine()
	gone := errors.New("enough")
	for _, stop := range []int{0, 1, 500} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if stop == 0 {
			cancel(gone)
		}
		s, err := New(root, Options{})
		if err != nil {
			t.Fatal(err)
		}
		seen, last := 0, error(nil)
		for _, err := range s.Items(ctx) {
			if last = err; err == nil {
				if seen++; seen == stop {
					cancel(gone)
				}
			}
		}
		if !errors.Is(last, gone) {
			t.Errorf("cancelled after %d: %v", stop, last)
		}
		goroutines(t, before)
		cancel(nil)
	}
}

func TestUsedTwice(t *testing.T) {
	s, err := New(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []error
	for range 2 {
		for _, err := range s.Items(t.Context()) {
			got = append(got, err)
		}
	}
	if len(got) != 1 || got[0] == nil {
		t.Errorf("errors %v", got)
	}
}

// TestRootGone takes the root away at different times.
func TestRootGone(t *testing.T) {
	for _, when := range []string{"before", "meanwhile", "replaced"} {
		t.Run(when, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			plant(t, root, map[string]string{"a": "1", "b": "2"})
			s, err := New(root, Options{})
			if err != nil {
				t.Fatal(err)
			}
			away := func() {
				if err := os.Rename(root, root+"-away"); err != nil {
					t.Fatal(err)
				}
				if when == "replaced" {
					plant(t, root, map[string]string{"other/": ""})
				}
			}
			if when == "before" {
				away()
			}
			var last error
			seen := 0
			for _, err := range s.Items(t.Context()) {
				if last = err; err == nil {
					if seen++; seen == 1 {
						away()
					}
				}
			}
			if !errors.Is(last, fs.ErrNotExist) {
				t.Errorf("error %v after %d items", last, seen)
			}
		})
	}
}

// TestReach scans with windows that are full most of the time, and with directories that are
// too wide to be listed ahead.
func TestReach(t *testing.T) {
	root := crowd(t, 3, 3*sliceMost)
	tree := make(map[string]string)
	for i := range 600 {
		tree[fmt.Sprintf("0a/%04d/x", i)] = "x"
	}
	plant(t, root, tree)
	want := int64(3*3*sliceMost + 600)
	for _, r := range []reach{usualReach, {1, 0}, {1000, 1}, {0, 0}, {2000, 4000}} {
		for _, workers := range []int{1, 2, 8} {
			var marks []string
			names, last := 0, ""
			s, err := New(root, Options{Workers: workers, Ahead: func(key string, n int) {
				marks, names = append(marks, key), names+n
			}})
			if err != nil {
				t.Fatal(err)
			}
			s.reach = r
			for it, err := range s.Items(t.Context()) {
				if err != nil || it.Problem != nil || it.Entry.Key <= last {
					t.Fatalf("%+v: %+v, %v after %s", r, it, err, last)
				}
				last = it.Entry.Key
			}
			if got := s.Stats().Files; got != want {
				t.Errorf("%+v: %d files, want %d", r, got, want)
			}
			// How many marks there are is up to the workers, who may begin with what lies far ahead.
			if most := int(want) + 700; len(marks) == 0 || !slices.IsSorted(marks) || names > most || names < markNames*len(marks) {
				t.Errorf("%+v: told of %d names of %d, by %q", r, names, most, marks)
			}
		}
	}
}

// BenchmarkScan scans files that the cache knows, and files that have to be read.
func BenchmarkScan(b *testing.B) {
	root := crowd(b, 20, 100)
	for name, o := range map[string]Options{"known": trusting(newMemoryCache()), "new": {}} {
		scan(b, root, o)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := New(root, o)
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range s.Items(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2000, "ns/file")
		})
	}
}
