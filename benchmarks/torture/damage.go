package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A harm is something that a loss of power, or anybody, may do to a file that a process keeps.
type harm struct {
	name string
	do   func(w *world, path string, size int64) error
}

var harms = []harm{
	{"removed", func(_ *world, p string, _ int64) error { return os.Remove(p) }},
	{"emptied", func(_ *world, p string, _ int64) error { return os.Truncate(p, 0) }},
	{"cut", func(w *world, p string, n int64) error { return os.Truncate(p, w.rng.Int64N(n+1)) }},
	{"longer", func(_ *world, p string, n int64) error { return os.Truncate(p, n+4096) }},
	{"bit", func(w *world, p string, n int64) error { return w.overwrite(p, w.rng.Int64N(n+1), 1, false) }},
	{"zeros", func(w *world, p string, n int64) error { return w.overwrite(p, w.rng.Int64N(n+1), 4096, true) }},
	{"half zeros", func(w *world, p string, n int64) error { return w.overwrite(p, n/2, n-n/2, true) }},
}

// overwrite zeros bytes of a file from an offset on, or flips a bit in each. The file does not grow.
func (w *world) overwrite(path string, at, length int64, zero bool) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := at; i < min(at+length, int64(len(b))); i++ {
		if b[i] ^= 1 << w.rng.IntN(8); zero {
			b[i] = 0
		}
	}
	return os.WriteFile(path, b, 0o600)
}

// spoil damages some files below some directories of the machine.
func (w *world) spoil(below ...string) error {
	var paths []string
	for _, sub := range below {
		err := filepath.WalkDir(filepath.Join(w.dir, sub), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(paths) == 0 {
		return nil
	}
	for range 1 + w.rng.IntN(4) {
		path := paths[w.rng.IntN(len(paths))]
		info, err := os.Stat(path)
		if err != nil {
			continue // gone by now
		}
		h := harms[w.rng.IntN(len(harms))]
		if err := h.do(w, path, info.Size()); err != nil {
			return fmt.Errorf("damage %s: %w", path, err)
		}
		w.tally.add(w.tally.damage, h.name)
	}
	return nil
}

// lossOfPower damages cache and state after each run, or puts back what they were some runs before,
// whole or in part. Each run has to do what one without a cache would do.
func (g *rig) lossOfPower(ctx context.Context, seed uint64, rounds int) error {
	c := courses[seed%uint64(len(courses))]
	w, err := g.world(ctx, "power-"+string(c), seed)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.tree.grow(30); err != nil {
		return err
	}
	old := filepath.Join(w.dir, "old")
	for round := range rounds {
		if w.dead || w.over(ctx) {
			return ctx.Err()
		}
		where := fmt.Sprintf("round %d", round)
		if err := errors.Join(w.prepare(ctx, c), w.settle(ctx, c, where)); err != nil || w.dead {
			return err
		}
		if round%3 == 0 {
			if err := errors.Join(os.RemoveAll(old), os.CopyFS(old, os.DirFS(filepath.Join(w.dir, "cache")))); err != nil {
				return err
			}
		}
		if err := w.tree.changes(w.rng.IntN(6)); err != nil {
			return err
		}
		if w.rng.IntN(4) > 0 {
			err = w.spoil("cache", "state")
		} else {
			err = w.putBack(old)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// putBack brings back files of the cache as they were once: all of them, or any.
func (w *world) putBack(old string) error {
	all := w.rng.IntN(2) == 0
	if all {
		w.tally.add(w.tally.damage, "all put back")
		cache := filepath.Join(w.dir, "cache")
		return errors.Join(os.RemoveAll(cache), os.CopyFS(cache, os.DirFS(old)))
	}
	var paths []string
	err := filepath.WalkDir(old, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	w.rng.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	for _, path := range slices.Clip(paths[:len(paths)/2]) {
		rel, err := filepath.Rel(old, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(w.dir, "cache", rel), b, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	w.tally.add(w.tally.damage, "some put back")
	return nil
}
