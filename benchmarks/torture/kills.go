package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"merkur/store/bucket/buckettest/faults"
)

// A massacre kills the program at each boundary of a kind of change, one after the other.
type massacre struct {
	course course
	counts func(faults.Request) bool
	kinds  []faults.Kind
	fresh  bool // into another destination each time
	filled bool // which another tool has filled
	grow   int  // files at first
	change int  // changes before each run
	large  bool // one of them is of a file in several parts
	most   int  // boundaries; 0: all
}

func writes(r faults.Request) bool { return r.Writes() }
func reads(r faults.Request) bool  { return r.Reads() }

// sides of a boundary.
var (
	aroundWrites = []faults.Kind{faults.HookBefore, faults.HookAfter}
	aroundReads  = []faults.Kind{faults.HookBefore, faults.HookAmid, faults.HookLater}
)

// massacres are all that there are; in each, the requests of one run are counted through.
func massacres(scale int) []massacre {
	return []massacre{
		{course: up, counts: writes, kinds: aroundWrites, grow: 12 * scale, change: 5 * scale, large: true},
		{course: down, counts: reads, kinds: aroundReads, grow: 8 * scale, change: 4 * scale, large: true},
		{course: across, counts: writes, kinds: aroundWrites, grow: 8 * scale, change: 4 * scale, large: true},
		{course: up, counts: writes, kinds: aroundWrites, grow: 4 * scale, change: 2 * scale, fresh: true},
		{course: across, counts: writes, kinds: aroundWrites, grow: 4 * scale, change: 2 * scale, fresh: true},
		{course: up, counts: writes, kinds: aroundWrites, grow: 8 * scale, change: 3 * scale, fresh: true, filled: true},
	}
}

// massacre goes through all boundaries of one kind. When the number of the boundary is greater
// than that of the requests, it is at its end.
func (g *rig) massacre(ctx context.Context, k massacre, seed uint64) error {
	name := "kill-" + string(k.course)
	if k.fresh {
		name += "-fresh"
	}
	if k.filled {
		name += "-filled"
	}
	var w *world
	defer func() {
		if w != nil {
			w.close()
		}
	}()
	for n := 1; k.most == 0 || n <= k.most; n++ {
		for i, kind := range k.kinds {
			if w == nil || k.fresh {
				if w != nil {
					w.close()
				}
				var err error
				if w, err = g.begin(ctx, k, fmt.Sprintf("%s-%d-%d", name, n, i), seed); err != nil {
					return err
				}
			}
			last, err := w.killAt(ctx, k, n, kind)
			if last || err != nil || w.dead || w.over(ctx) {
				return err
			}
		}
	}
	return nil
}

// begin makes a world with a tree, mirrored already unless the destination is to be fresh.
func (g *rig) begin(ctx context.Context, k massacre, name string, seed uint64) (*world, error) {
	w, err := g.world(ctx, name, seed)
	if err != nil {
		return nil, err
	}
	if err := w.tree.grow(k.grow); err != nil {
		return w, err
	}
	if k.filled {
		err = w.fill(ctx, k.course)
	}
	if err != nil || k.fresh {
		return w, err
	}
	if err := w.prepare(ctx, k.course); err != nil {
		return w, err
	}
	return w, w.settle(ctx, k.course, "beginning")
}

// killAt changes the tree, has the program killed at the nth request that counts, and looks at
// what that leaves and what the next run makes of it. It reports whether there was no such
// request.
func (w *world) killAt(ctx context.Context, k massacre, n int, kind faults.Kind) (last bool, err error) {
	if err := w.alter(k); err != nil {
		return false, err
	}
	if err := w.prepare(ctx, k.course); err != nil || w.dead {
		return false, err
	}
	before, err := w.destination(k.course)
	if err != nil {
		return false, err
	}
	boundary := "nothing"
	counts := func(r faults.Request) bool { return k.counts(r) }
	nth, seen := faults.Nth(n, counts, faults.Fault{Kind: kind, At: w.rng.Uint64(), Hook: w.kill})
	w.proxy.Set(func(r faults.Request) faults.Fault {
		f := nth(r)
		if f.Kind != "" {
			boundary = operation(r)
		}
		return f
	})
	where := fmt.Sprintf("killed at %d, %s", n, kind)
	o, err := w.run(ctx, nil, w.args(k.course, "--delete")...)
	if err != nil || !w.endedWell(where, o) {
		return false, err
	}
	if o.struck {
		w.tally.add(w.tally.kills, fmt.Sprintf("%s, %s %s", k.course, kind, boundary))
	}
	where += " of " + boundary
	if err := w.honest(k.course, where, before, true); err != nil || w.dead {
		return false, err
	}
	if o.struck && w.rng.IntN(3) == 0 {
		if err := w.killAgain(ctx, k, where); err != nil || w.dead {
			return false, err
		}
	}
	return seen() < n, w.settle(ctx, k.course, where+", and then")
}

// killAgain kills the next run too, while it looks at what the first one has left, or later.
func (w *world) killAgain(ctx context.Context, k massacre, where string) error {
	before, err := w.destination(k.course)
	if err != nil {
		return err
	}
	kind := k.kinds[w.rng.IntN(len(k.kinds))]
	nth, _ := faults.Nth(1+w.rng.IntN(8), k.counts, faults.Fault{Kind: kind, At: w.rng.Uint64(), Hook: w.kill})
	w.proxy.Set(nth)
	where += ", and again, " + string(kind)
	o, err := w.run(ctx, nil, w.args(k.course, "--delete")...)
	if err != nil || !w.endedWell(where, o) {
		return err
	}
	return w.honest(k.course, where, before, true)
}

// alter changes the tree for one kill: at random, and in each way that there is.
func (w *world) alter(k massacre) error {
	if err := w.tree.changes(k.change); err != nil {
		return err
	}
	put := func(name string, size int64) error {
		path := filepath.Join(w.tree.root, name)
		return errors.Join(os.RemoveAll(path), fill(path, w.rng.Uint64(), size))
	}
	w.turn++
	err := errors.Join(
		put(fmt.Sprintf("brief-%d", w.turn), 100),
		os.RemoveAll(filepath.Join(w.tree.root, fmt.Sprintf("brief-%d", w.turn-1))),
		put("lasting", 200),
	)
	if k.large {
		err = errors.Join(err, put("large", min(w.most, 2*partSize+5000)))
	}
	return err
}
