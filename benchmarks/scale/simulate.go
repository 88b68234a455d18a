package main

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"time"

	"merkur/manifest"
	"merkur/store/catalog"
)

// batchFiles is how many files a run announces, transfers and commits at once.
const batchFiles = 16_384

// A Cost is what the manifest costs in one run.
type Cost struct {
	Run string
	usage
	Modelled int64 // bytes that the model says are sent
	Stored   int64 // bytes in the bucket afterwards
	Time     time.Duration
	Peak     uint64 // bytes of memory that this process had from the system
}

// A world is a bucket with the manifest of a forest, and a machine that writes there.
type world struct {
	ctx    context.Context
	bucket *disk
	pages  *recent
	state  *recent
	writer manifest.ID
	tree   forest
	clock  time.Time
}

// simulate makes all kinds of runs, one after the other, and returns their costs.
func simulate(ctx context.Context, dir string, n int) (costs []Cost, err error) {
	debug.SetMemoryLimit(224 << 20) // both as the program has them
	debug.SetGCPercent(200)
	w := &world{
		ctx: ctx, bucket: newDisk(dir), pages: newRecent(32 << 20), state: newRecent(1 << 20),
		writer: manifest.ID{1}, tree: forest{n: n, version: original}, clock: time.Unix(1_800_000_000, 0),
	}
	model, few := Model{Files: n}, max(n/100, 1)
	for _, run := range []struct {
		name  string
		model int64
		work  func() error
	}{
		{"first run", model.First(), func() error { return w.write(changes(nil, w.tree, selection{0, n, 1})) }},
		{"no-op", 0, w.look},
		{"one change", model.Together(1), func() error { return w.edit(1, selection{n / 3, n/3 + 1, 1}) }},
		{"one more", model.Together(1), func() error { return w.edit(2, selection{n / 2, n/2 + 1, 1}) }},
		{"1 % in one place", model.Together(few), func() error { return w.edit(3, selection{n / 4, n/4 + few, 1}) }},
		{"1 % scattered", model.Scattered(few), func() error { return w.edit(4, selection{50, n, 100}) }},
		{"read whole, no cache", 0, func() error { return w.check(n) }},
	} {
		cost, err := w.measure(run.name, run.work)
		if err != nil {
			return costs, fmt.Errorf("%s: %w", run.name, err)
		}
		cost.Modelled = run.model
		costs = append(costs, cost)
	}
	return costs, nil
}

// measure does some work, a day after the one before, and returns what it cost.
func (w *world) measure(name string, work func() error) (Cost, error) {
	w.clock = w.clock.Add(25 * time.Hour)
	w.bucket.usage = usage{}
	runtime.GC()
	begin := time.Now()
	err := work()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Cost{
		Run: name, usage: w.bucket.usage, Stored: w.bucket.stored(), Time: time.Since(begin), Peak: m.Sys - m.HeapReleased,
	}, err
}

func (w *world) open() (*catalog.Catalog, error) {
	return catalog.Open(w.ctx, w.bucket, catalog.Options{
		Identity: catalog.Identity{Writer: w.writer}, Pages: w.pages, State: w.state, Now: func() time.Time { return w.clock },
	})
}

// look is a run that finds nothing to do.
func (w *world) look() error {
	_, err := w.open()
	return err
}

// edit gives the selected files a content of their own.
func (w *world) edit(version uint64, s selection) error {
	old := w.tree
	w.tree = old.edited(s, version)
	return w.write(changes(&old, w.tree, s))
}

// write announces and commits batches as a run does: each commit announces the next batch.
func (w *world) write(batches iter.Seq[[]manifest.Change]) error {
	c, err := w.open()
	if err != nil {
		return err
	}
	var done []manifest.Change
	for batch := range batches {
		if _, err := c.Commit(w.ctx, catalog.Edit{Changes: done, Range: rangeOf(batch)}); err != nil {
			return err
		}
		done = batch
	}
	_, err = c.Commit(w.ctx, catalog.Edit{Changes: done})
	return err
}

func rangeOf(batch []manifest.Change) *manifest.Range {
	return &manifest.Range{First: batch[0].Key, Last: batch[len(batch)-1].Key}
}

// check reads the whole manifest on a machine that knows nothing of it, and compares each entry with
// what it should be.
func (w *world) check(n int) error {
	w.pages, w.state = newRecent(32<<20), newRecent(1<<20)
	c, err := w.open()
	if err != nil {
		return err
	}
	i := 0
	for e, err := range c.Tree(w.ctx).Entries("") {
		if err != nil {
			return err
		}
		if want := w.tree.entry(i); e != want {
			return fmt.Errorf("entry %d is %+v, not %+v", i, e, want)
		}
		i++
	}
	if files := c.Root().Top.Files; i != n || files != uint64(n) {
		return fmt.Errorf("%d entries, and a root that says %d", i, files)
	}
	return nil
}

// recent remembers what came last, up to some bytes: the cache of a machine that has little room.
type recent struct {
	limit, size int
	records     map[string][]byte
	order       []string
}

func newRecent(limit int) *recent { return &recent{limit: limit, records: map[string][]byte{}} }

// Recall is part of [catalog.Space].
func (r *recent) Recall(name []byte) []byte { return r.records[string(name)] }

// Remember is part of [catalog.Space].
func (r *recent) Remember(name, record []byte) {
	if _, ok := r.records[string(name)]; !ok {
		r.order = append(r.order, string(name))
	}
	r.size += len(record) - len(r.records[string(name)])
	r.records[string(name)] = append([]byte(nil), record...)
	for r.size > r.limit && len(r.order) > 1 {
		r.size -= len(r.records[r.order[0]])
		delete(r.records, r.order[0])
		r.order = r.order[1:]
	}
}
