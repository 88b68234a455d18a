package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A forest is a directory whose files change at random.
type forest struct {
	root string
	rng  *rand.Rand
	most int64 // bytes of the largest files
}

// Sizes at which something else happens: from the threshold on an object goes in parts of 5 MiB.
const (
	threshold = 64 << 10
	partSize  = 5 << 20
)

// names are those of files and directories; what is odd about them is that some program somewhere
// has not been ready for it.
var names = []string{
	"a", "b", "c", "d", "e", "f", "Z", "two words", "plus+", "per%20cent", "é", "e\u0301", "漢字", "😀", `"quoted"`, "it's",
	"#hash", "q?x=1&y=2", `back\slash`, "-dash", "..dots", "dot.", "~", "a.html", "a-b", "a.b", "[x]", "*", "$HOME", "<&>", "tab\there",
	"new\nline", strings.Repeat("long", 40),
}

func (f *forest) name() string { return names[f.rng.IntN(len(names))] }

// path is that of a file that may be there or not, up to three directories down.
func (f *forest) path() string {
	parts := []string{}
	for range f.rng.IntN(4) {
		parts = append(parts, names[f.rng.IntN(8)])
	}
	return filepath.Join(append(append([]string{f.root}, parts...), f.name())...)
}

// size is that of a new file.
func (f *forest) size() int64 {
	switch n := f.rng.IntN(100); {
	case n < 5:
		return 0
	case n < 80:
		return f.rng.Int64N(2000)
	case n < 97:
		return threshold - 2 + f.rng.Int64N(threshold)
	}
	return min(f.most, partSize-1+f.rng.Int64N(2*partSize))
}

// write makes a file with content of its own, or with one of a few that come back again and again.
// What stands in its way goes.
func (f *forest) write(path string) error {
	seed, size := f.rng.Uint64(), f.size()
	if f.rng.IntN(3) == 0 {
		seed, size = f.rng.Uint64N(4), 100
	}
	for dir := filepath.Dir(path); len(dir) > len(f.root); dir = filepath.Dir(dir) {
		if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
			os.Remove(dir)
		}
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		os.RemoveAll(path)
	}
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), fill(path, seed, size))
}

func fill(path string, seed uint64, size int64) error {
	b := make([]byte, size)
	var key [32]byte
	copy(key[:], fmt.Sprint(seed))
	rand.NewChaCha8(key).Read(b)
	return os.WriteFile(path, b, 0o644)
}

// files are those that there are, or those and directories.
func (f *forest) files(dirs bool) (paths []string) {
	filepath.WalkDir(f.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != f.root && (dirs || !d.IsDir()) {
			paths = append(paths, path)
		}
		return nil
	})
	return paths
}

func (f *forest) pick(dirs bool) string {
	paths := f.files(dirs)
	if len(paths) == 0 {
		return ""
	}
	return paths[f.rng.IntN(len(paths))]
}

// change makes one change.
func (f *forest) change() error {
	switch path := f.pick(false); f.rng.IntN(12) {
	case 0, 1, 2:
		return f.write(f.path())
	case 3, 4, 5:
		if path != "" {
			return f.write(path)
		}
	case 6:
		return f.sameSize(path)
	case 7:
		then := time.Unix(1_600_000_000+f.rng.Int64N(100_000_000), f.rng.Int64N(1e9))
		return ignoreMissing(os.Chtimes(path, then, then))
	case 8, 9:
		return ignoreMissing(os.Remove(path))
	case 10:
		return f.rename()
	case 11:
		return f.swap(path)
	}
	return nil
}

// sameSize replaces content in place, and puts the time back.
func (f *forest) sameSize(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return ignoreMissing(err)
	}
	return errors.Join(fill(path, f.rng.Uint64(), info.Size()), os.Chtimes(path, info.ModTime(), info.ModTime()))
}

// rename moves a file or directory to another name beside it.
func (f *forest) rename() error {
	from := f.pick(true)
	if from == "" {
		return nil
	}
	to := filepath.Join(filepath.Dir(from), f.name())
	if from == to {
		return nil
	}
	return errors.Join(os.RemoveAll(to), os.Rename(from, to))
}

// swap makes a directory of a file, or a file of a directory.
func (f *forest) swap(path string) error {
	if path == "" {
		return nil
	}
	if dir := filepath.Dir(path); dir != f.root && f.rng.IntN(2) == 0 {
		return f.write(dir)
	}
	return errors.Join(os.Remove(path), f.write(filepath.Join(path, f.name())))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f *forest) changes(n int) error {
	for range n {
		if err := f.change(); err != nil {
			return fmt.Errorf("change the tree %s: %w", f.root, err)
		}
	}
	return nil
}

// grow writes n files.
func (f *forest) grow(n int) error {
	if err := os.MkdirAll(f.root, 0o755); err != nil {
		return err
	}
	for range n {
		if err := f.write(f.path()); err != nil {
			return err
		}
	}
	return nil
}
