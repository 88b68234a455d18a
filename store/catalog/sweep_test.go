package catalog

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// packsOf are the packs that are in the store.
func packsOf(m *buckettest.Memory) (keys []string) {
	for key := range m.Objects() {
		if strings.HasPrefix(key, "p/"+packs) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Packs that no root names go, but not before they are a day old; packs that a root names, also
// as retired, and what is no pack, stay.
func TestSweep(t *testing.T) {
	ctx := context.Background()
	now := time.Now()
	clock := func() time.Time { return now }
	store := &buckettest.Memory{Now: clock}
	w := newWriter(store)
	w.packSize, w.o.Now = 100_000, clock
	es := many(20_000, 0)
	commit(t, w.open(t), Edit{Changes: puts(es...)})
	left := packKey(manifest.PackName{1})
	young := packKey(manifest.PackName{2})
	odd := packs + "notes.txt"
	plant(t, store, "p/"+left, []byte("left by a run that died"))
	plant(t, store, "p/"+odd, []byte("somebody's"))

	sweep := func(want int) {
		t.Helper()
		c := w.open(t)
		if n, err := c.Sweep(ctx); n != 0 || err != nil {
			t.Fatalf("before a commit: %d, %v", n, err)
		}
		es[5] = entry(es[5].Key, int(now.UnixNano()))
		commit(t, c, Edit{Changes: puts(es[5])})
		if n, err := c.Sweep(ctx); n != want || err != nil {
			t.Fatalf("%d packs removed, %v, want %d", n, err, want)
		}
	}
	sweep(0) // the first time, weeks begin to count
	now = now.Add(6 * 24 * time.Hour)
	sweep(0)
	now = now.Add(2 * 24 * time.Hour)
	plant(t, store, "p/"+young, []byte("of a run that is under way"))
	before := store.Count(buckettest.List)
	sweep(1)
	sweep(0)
	if n := store.Count(buckettest.List) - before; n != 1 {
		t.Errorf("%d listings", n)
	}
	objects := store.Objects()
	if objects["p/"+left] != nil || objects["p/"+young] == nil || objects["p/"+odd] == nil {
		t.Errorf("left: %v", packsOf(store))
	}
	now = now.Add(8 * 24 * time.Hour)
	sweep(1)
	if err := store.Delete(ctx, "p/"+odd, bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	audit(t, store, es)
}

// A machine that remembers nothing sweeps once in so many commits, and so does one that forgets now and then.
func TestSweepOfTheForgetful(t *testing.T) {
	for name, forgets := range map[string]int{"at once": 1, "now and then": 10, "never": 3 * sweepCommits} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			store := &buckettest.Memory{Now: func() time.Time { return now }}
			w := newWriter(store)
			w.o.Now = store.Now
			left := "p/" + packKey(manifest.PackName{1})
			plant(t, store, left, []byte("left by a run that died"))
			now = now.Add(2 * 24 * time.Hour)
			for i := range 2 * sweepCommits {
				if i == sweepCommits+9 {
					plant(t, store, left, []byte("left by another one"))
					now = now.Add(2 * 24 * time.Hour)
				}
				if i%forgets == 0 {
					w.o.State = newTable()
				}
				if forgets == 1 {
					w.o.State = nil
				}
				c := w.open(t)
				commit(t, c, Edit{Changes: puts(entry("a", i))})
				n, err := c.Sweep(context.Background())
				if due := c.Generation()%sweepCommits == 0; err != nil || (n == 1) != due || (store.Count(buckettest.List) > int(c.Generation())/sweepCommits) {
					t.Fatalf("commit %d: %d removed, %v", c.Generation(), n, err)
				}
			}
			if store.Objects()[left] != nil {
				t.Error("a pack is left")
			}
		})
	}
}

// Where somebody else has committed meanwhile, another root may name what this one does not.
func TestSweepNeedsItsOwnRoot(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	store := &buckettest.Memory{Now: clock}
	w, other := newWriter(store), newWriter(store)
	w.o.Now, other.o.Now = clock, clock
	commit(t, w.open(t), Edit{Changes: puts(many(10, 0)...)})
	w.open(t).sweepIsDue()
	left := "p/" + packKey(manifest.PackName{1})
	plant(t, store, left, []byte("of the other"))
	now = now.Add(10 * 24 * time.Hour)
	c := w.open(t)
	commit(t, c, Edit{Changes: puts(entry("a", 0))})
	commit(t, other.open(t), Edit{Changes: puts(entry("b", 0))})
	if n, err := c.Sweep(context.Background()); n != 0 || err != nil || store.Objects()[left] == nil {
		t.Errorf("%d removed, %v", n, err)
	}
}

// A run that may not list goes without.
func TestSweepDenied(t *testing.T) {
	now := time.Now()
	store := &buckettest.Memory{}
	w := newWriter(store)
	w.o.Now = func() time.Time { return now }
	w.open(t).sweepIsDue()
	now = now.Add(10 * 24 * time.Hour)
	store.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
		if op == buckettest.List {
			return buckettest.Denied
		}
		return buckettest.OK
	}
	c := w.open(t)
	commit(t, c, Edit{Changes: puts(entry("a", 0))})
	if n, err := c.Sweep(context.Background()); n != 0 || err != nil || c.sweepIsDue() {
		t.Errorf("%d, %v, due again: %v", n, err, c.sweepIsDue())
	}
}

// A large tree that is edited a thousand times has few packs, and an edit stores little.
// MERKUR_TREE sets how large; then packs have their real size.
func TestManyEdits(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a thousand commits")
	}
	files, edits := 60_000, 300
	w := newWriter(&buckettest.Memory{})
	w.packSize, w.merge = 2<<20, 4
	if n, err := strconv.Atoi(os.Getenv("MERKUR_TREE")); err == nil {
		files, edits, w.packSize, w.merge = n, 1000, 0, 0
	}
	store := w.store.(*buckettest.Memory)
	now := time.Now()
	w.o.Now = func() time.Time { return now }
	es := many(files, 0)
	for i := 0; i < len(es); i += 25_000 {
		commit(t, w.open(t), Edit{Changes: puts(es[i:min(i+25_000, len(es))]...)})
	}
	most, stored := 0, 0
	for n := range edits {
		now = now.Add(3 * time.Minute)
		i := n * 7919 % files
		es[i] = entry(es[i].Key, n+1)
		c := w.open(t)
		before := packsOf(store)
		commit(t, c, Edit{Changes: puts(es[i])})
		for _, key := range packsOf(store) {
			if !slices.Contains(before, key) {
				stored += len(store.Objects()[key])
			}
		}
		stored += len(store.Objects()["p/"+rootName])
		most = max(most, len(c.cur.m.Packs))
	}
	c := audit(t, store, es)
	live := uint64(0)
	for _, p := range c.cur.m.Packs {
		live += p.Live
	}
	last := w.open(t)
	bound := last.mergeAbove + 1 + int(4*live/uint64(last.packSize)) + 1
	t.Logf("%d files, %d edits: %d packs at most, %d in the end, %d retired, %d bytes live, %d bytes stored an edit",
		files, edits, most, len(c.cur.m.Packs), len(c.cur.m.Retired), live, stored/edits)
	if most > bound {
		t.Errorf("%d packs, more than %d", most, bound)
	}
	if stored/edits > 1<<20 {
		t.Errorf("an edit stores %d bytes", stored/edits)
	}
}

// Packs are merged while the tree changes at random, and it stays what it should be.
func TestMergeKeepsTheTree(t *testing.T) {
	seeds := 4
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			store := &buckettest.Memory{}
			w := newWriter(store)
			w.packSize, w.merge = 400_000, 5
			if seed%2 == 1 {
				w.o.Pages, w.o.State = nil, nil
			}
			have := map[string]manifest.Entry{}
			es := many(40_000, 0)
			merged := 0
			for n := range 40 {
				at := (n*7919 + seed*131) % (len(es) - 600)
				var changes []manifest.Change
				for i := at; i < at+600; i += 1 + n%7 {
					if old, ok := have[es[i].Key]; ok && (i+n)%3 == 0 {
						delete(have, es[i].Key)
						changes = append(changes, manifest.Change{Key: old.Key, Old: &old})
						continue
					}
					e := entry(es[i].Key, n)
					have[e.Key] = e
					changes = append(changes, manifest.Change{Key: e.Key, New: &e})
				}
				if n == 0 {
					changes = puts(es...)
					for _, e := range es {
						have[e.Key] = e
					}
				}
				c := w.open(t)
				before := 0
				if c.Exists() {
					before = len(c.cur.m.Packs)
				}
				commit(t, c, Edit{Changes: changes})
				if len(c.cur.m.Packs) < before {
					merged++
				}
			}
			var want []manifest.Entry
			for _, e := range es {
				if h, ok := have[e.Key]; ok {
					want = append(want, h)
				}
			}
			if audit(t, store, want); merged == 0 {
				t.Error("nothing was ever merged")
			}
		})
	}
}
