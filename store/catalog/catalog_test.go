package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// A table is a Space in memory.
type table struct {
	mu sync.Mutex
	m  map[string][]byte
}

func newTable() *table { return &table{m: map[string][]byte{}} }

func (t *table) Recall(name []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m[string(name)]
}

func (t *table) Remember(name, record []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.m[string(name)] = slices.Clone(record)
}

// A writer opens catalogs over one store, as the runs of one machine do.
type writer struct {
	store    bucket.Store
	o        Options
	packSize int // 0: the real one
	merge    int // mergeAbove; 0: the real one
}

func newWriter(s bucket.Store) *writer {
	return &writer{store: s, o: Options{
		Prefix: "p/", Place: "test", Pages: newTable(), State: newTable(),
		Identity: Identity{Writer: newID()},
	}}
}

func (w *writer) open(t *testing.T) *Catalog {
	t.Helper()
	c, err := Open(context.Background(), w.store, w.o)
	if err != nil {
		t.Fatal(err)
	}
	if w.packSize > 0 {
		c.packSize = w.packSize
	}
	if w.merge > 0 {
		c.mergeAbove = w.merge
	}
	return c
}

func entry(key string, v int) manifest.Entry {
	content := fmt.Sprint(key, v)
	return manifest.Entry{
		Key: key, Size: int64(len(content)), Digest: manifest.Digest(blake3.Sum256([]byte(content))),
		Evidence: manifest.Evidence{ETag: fmt.Sprintf("%x", blake3.Sum256([]byte(content)))[:32]},
	}
}

func puts(es ...manifest.Entry) (cs []manifest.Change) {
	for _, e := range es {
		cs = append(cs, manifest.Change{Key: e.Key, New: &e})
	}
	return cs
}

func many(n int, v int) (es []manifest.Entry) {
	for i := range n {
		es = append(es, entry(fmt.Sprintf("dir%03d/%07d", i/1000, i), v))
	}
	return es
}

func commit(t *testing.T, c *Catalog, e Edit) []Conflict {
	t.Helper()
	conflicts, err := c.Commit(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return conflicts
}

// audit reads the manifest as a stranger does, with no cache, and checks that it has just the
// entries wanted and that the bucket has just the packs it names.
func audit(t *testing.T, s bucket.Store, want []manifest.Entry) *Catalog {
	t.Helper()
	c, err := Open(context.Background(), s, Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	var got []manifest.Entry
	for e, err := range c.Tree(context.Background()).Entries("") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("manifest has %d entries, want %d, or they differ", len(got), len(want))
	}
	b := manifest.NewBuilder(nil)
	for _, e := range want {
		if err := b.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if root, err := b.Finish(); err != nil || root.Digest != c.Root().Digest {
		t.Fatalf("root %s, %v, is not that of the entries: %s", c.Root().Digest, err, root.Digest)
	}
	named := map[string]bool{}
	if c.cur != nil {
		for _, p := range c.cur.m.Packs {
			named["p/"+packKey(p.Name)] = true
		}
		for _, p := range c.cur.m.Retired {
			named["p/"+packKey(p.Name)] = true
		}
	}
	if m, ok := s.(*buckettest.Memory); ok {
		for key := range m.Objects() {
			if strings.HasPrefix(key, "p/"+packs) {
				if !named[key] {
					t.Errorf("pack %s is named nowhere", key)
				}
				delete(named, key)
			}
		}
		for key := range named {
			t.Errorf("pack %s is missing", key)
		}
	}
	return c
}

func TestCommitAndReadBack(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	c := w.open(t)
	if c.Exists() || c.Root().Digest != emptyRoot().Digest {
		t.Fatal("an empty bucket has a manifest")
	}
	es := many(5000, 0)
	commit(t, c, Edit{Changes: puts(es...)})
	audit(t, store, es)

	es[77] = entry(es[77].Key, 1)
	commit(t, c, Edit{Changes: puts(es[77])})
	es = slices.Delete(es, 100, 101)
	commit(t, w.open(t), Edit{Changes: []manifest.Change{{Key: "dir000/0000100", Old: ptr(entry("dir000/0000100", 0))}}})
	if got := audit(t, store, es).Generation(); got != 3 {
		t.Errorf("generation %d after 3 commits", got)
	}
}

func ptr[T any](v T) *T { return &v }

// A run that finds nothing to do asks the bucket once, with or without a cache.
func TestOpenIsOneRequest(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	es := many(5000, 0)
	commit(t, w.open(t), Edit{Changes: puts(es...)})
	for _, cold := range []bool{false, true} {
		if cold {
			w.o.State, w.o.Pages = nil, nil
		}
		before := len(store.Calls())
		c := w.open(t)
		top, err := c.Tree(context.Background()).Fetch(c.Root().Top)
		if err != nil || len(top) == 0 {
			t.Fatal(err)
		}
		if calls := store.Calls()[before:]; len(calls) != 1 || calls[0].Op != buckettest.Get {
			t.Errorf("cold %v: %v", cold, calls)
		}
	}
}

func TestPacksAboveTheThreshold(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a manifest of 20 MB")
	}
	store := &buckettest.Memory{}
	w := newWriter(store)
	es := many(250_000, 0)
	for i := 0; i < len(es); i += 50_000 {
		commit(t, w.open(t), Edit{Changes: puts(es[i : i+50_000]...)})
	}
	audit(t, store, es)
	for key, body := range store.Objects() {
		if len(body) > packSize+1<<20 {
			t.Errorf("%s has %d bytes", key, len(body))
		}
	}
	for _, cold := range []bool{false, true} {
		if cold {
			w.o.State, w.o.Pages = nil, nil
		}
		for i := range 5 {
			es[i*40_000+7] = entry(es[i*40_000+7].Key, i+1)
			c := w.open(t)
			before := len(store.Calls())
			commit(t, c, Edit{Changes: puts(es[i*40_000+7])})
			n := 0
			for _, call := range store.Calls()[before:] {
				if call.Op == buckettest.Put {
					n++
				}
			}
			if n > 2 {
				t.Errorf("one change takes %d puts", n)
			}
		}
		audit(t, store, es)
	}
	if root := store.Objects()["p/"+rootName]; len(root) > inlineLimit+256<<10 {
		t.Errorf("root object of a large tree has %d bytes", len(root))
	}
}

func TestRetiredPacksGo(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	w.packSize = 100_000
	now := time.Now()
	w.o.Now = func() time.Time { return now }
	es := many(20_000, 0)
	commit(t, w.open(t), Edit{Changes: puts(es...)})
	var all []manifest.Change
	for i := range es {
		es[i] = entry(es[i].Key, 1)
		all = append(all, manifest.Change{Key: es[i].Key, New: &es[i]})
	}
	commit(t, w.open(t), Edit{Changes: all})
	if c := audit(t, store, es); len(c.cur.m.Retired) == 0 {
		t.Fatal("no pack is retired though all pages are new")
	}
	now = now.Add(keepRetired + time.Minute)
	commit(t, w.open(t), Edit{Changes: puts(es[0])})
	if c := audit(t, store, es); len(c.cur.m.Retired) != 0 {
		t.Errorf("%d packs are still retired after their time", len(c.cur.m.Retired))
	}
}

// Two writers of disjoint keys both win; of the same key, the one whose object is in the
// bucket, and the other hears of it.
func TestTwoWriters(t *testing.T) {
	store := &buckettest.Memory{}
	base := many(3000, 0)
	commit(t, newWriter(store).open(t), Edit{Changes: puts(base...)})
	a, b := newWriter(store).open(t), newWriter(store).open(t)

	change := func(i int, body string) (manifest.Change, manifest.Entry) {
		t.Helper()
		obj, err := store.Put(context.Background(), "p/"+base[i].Key, strings.NewReader(body), int64(len(body)), bucket.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e := base[i]
		e.Size, e.Digest, e.Evidence.ETag = obj.Size, manifest.Digest(blake3.Sum256([]byte(body))), obj.ETag
		return manifest.Change{Key: e.Key, Old: &base[i], New: &e}, e
	}
	ca, ea := change(10, "by a")
	cb, eb := change(2500, "by b")
	if got := commit(t, a, Edit{Changes: []manifest.Change{ca}}); len(got) != 0 {
		t.Errorf("conflicts %v", got)
	}
	if got := commit(t, b, Edit{Changes: []manifest.Change{cb, {Key: base[2600].Key, Old: &base[2600]}}}); len(got) != 0 {
		t.Errorf("conflicts %v", got)
	}
	want := slices.Clone(base)
	want[10], want[2500] = ea, eb
	want = slices.Delete(want, 2600, 2601)
	audit(t, store, want)

	cb, _ = change(20, "by b")
	ca, ea = change(20, "by a, later")
	if got := commit(t, b, Edit{Changes: []manifest.Change{cb}}); len(got) != 1 || !got[0].Kept || got[0].Key != base[20].Key {
		t.Errorf("conflicts %v", got)
	}
	if got := commit(t, a, Edit{Changes: []manifest.Change{ca}}); len(got) != 0 {
		t.Errorf("conflicts %v", got)
	}
	want[20] = ea
	audit(t, store, want)
}

// What another run has removed meanwhile is not on the list of those to be deleted; what an
// earlier try of the same commit has removed is.
func TestRemovedMeanwhile(t *testing.T) {
	store := &buckettest.Memory{}
	es := many(10, 0)
	commit(t, newWriter(store).open(t), Edit{Changes: puts(es...)})
	a, b := newWriter(store).open(t), newWriter(store).open(t)
	removal := func(i int) manifest.Change { return manifest.Change{Key: es[i].Key, Old: &es[i]} }
	commit(t, b, Edit{Changes: []manifest.Change{removal(3)}, Doomed: es[3:4]})
	commit(t, b, Edit{})
	failed := false
	store.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
		if op == buckettest.Put && !failed {
			failed = true
			return buckettest.Stored
		}
		return buckettest.OK
	}
	got := commit(t, a, Edit{Changes: []manifest.Change{removal(3), removal(5)}, Doomed: []manifest.Entry{es[3], es[5]}})
	if len(got) != 1 || !got[0].Kept || !got[0].Gone || got[0].Key != es[3].Key {
		t.Errorf("conflicts %v", got)
	}
	if left, err := a.Doomed(context.Background()); err != nil || !slices.Equal(left, es[5:6]) {
		t.Errorf("to be deleted: %v, %v", left, err)
	}
	audit(t, store, slices.Concat(es[:3], es[4:5], es[6:]))
}

// What another run may be writing is not deleted, also where an earlier try of the commit, whose answer was lost,
// has taken it out of the tree before that run said so: then it is named again, and not forgotten.
func TestYieldsWhatWasRemovedAlready(t *testing.T) {
	store := &buckettest.Memory{}
	es := many(10, 0)
	commit(t, newWriter(store).open(t), Edit{Changes: puts(es...)})
	a, b := newWriter(store).open(t), newWriter(store).open(t)
	removal := func(i int) manifest.Change { return manifest.Change{Key: es[i].Key, Old: &es[i]} }
	lost, claimed := false, false
	store.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
		switch {
		case !lost && op == buckettest.Put:
			lost = true
			return buckettest.Stored
		case lost && !claimed:
			claimed = true
			commit(t, b, Edit{Range: &manifest.Range{First: es[2].Key, Last: es[4].Key}, Meant: &manifest.Meant{}})
		}
		return buckettest.OK
	}
	got := commit(t, a, Edit{Changes: []manifest.Change{removal(3), removal(5)}, Doomed: []manifest.Entry{es[3], es[5]}})
	if len(got) != 1 || !got[0].Kept || got[0].Gone || got[0].Key != es[3].Key {
		t.Errorf("conflicts %v", got)
	}
	if left, err := a.Doomed(context.Background()); err != nil || !slices.Equal(left, es[5:6]) {
		t.Errorf("to be deleted: %v, %v", left, err)
	}
	audit(t, store, slices.Concat(es[:5], es[6:]))
}

// The other writer replaces our object by one with the old content before we commit: the tree
// says again what it said, and yet our entry would be a lie.
func TestOldContentComesBack(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	body := func(s string) manifest.Entry {
		obj, err := store.Put(ctx, "p/k", strings.NewReader(s), int64(len(s)), bucket.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e := entry("k", 0)
		e.Size, e.Digest, e.Evidence.ETag = obj.Size, manifest.Digest(blake3.Sum256([]byte(s))), obj.ETag
		return e
	}
	old := body("old")
	commit(t, newWriter(store).open(t), Edit{Changes: puts(old)})
	a := newWriter(store).open(t)
	new := body("new")
	body("old")
	b := newWriter(store).open(t)
	commit(t, b, Edit{Changes: puts(new)})
	commit(t, b, Edit{Changes: puts(old)})
	if got := commit(t, a, Edit{Changes: []manifest.Change{{Key: "k", Old: &old, New: &new}}}); len(got) != 1 || !got[0].Kept {
		t.Errorf("conflicts %v", got)
	}
	audit(t, store, []manifest.Entry{old})
}

// Each write of a commit fails in each way, and the run goes on or begins anew: the manifest
// is then as if nothing had happened.
func TestCommitFaults(t *testing.T) {
	outcomes := map[string]buckettest.Outcome{"stored": buckettest.Stored, "not stored": buckettest.NotStored}
	for name, outcome := range outcomes {
		for nth := range 6 {
			t.Run(fmt.Sprintf("write %d %s", nth, name), func(t *testing.T) {
				store := &buckettest.Memory{}
				writes := 0
				store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
					if op != buckettest.Put && op != buckettest.Delete {
						return buckettest.OK
					}
					if writes++; writes == nth+1 {
						return outcome
					}
					return buckettest.OK
				}
				w := newWriter(store)
				want := map[string]manifest.Entry{}
				for v := range 4 {
					es := many(700, v)[v*100:]
					for _, e := range es {
						want[e.Key] = e
					}
					c := w.open(t)
					edit := Edit{Range: &manifest.Range{First: es[0].Key}}
					if _, err := c.Commit(context.Background(), edit); err != nil {
						t.Fatal(err)
					}
					if _, err := c.Commit(context.Background(), Edit{Changes: puts(es...)}); err != nil {
						t.Fatal(err)
					}
					var sorted []manifest.Entry
					for _, k := range slices.Sorted(maps.Keys(want)) {
						sorted = append(sorted, want[k])
					}
					if c := audit(t, store, sorted); len(c.cur.m.Intents) != 0 {
						t.Errorf("intents are left: %v", c.cur.m.Intents)
					}
				}
			})
		}
	}
}

func TestIntents(t *testing.T) {
	store := &buckettest.Memory{}
	mine, other := newWriter(store), newWriter(store)
	now := time.Now()
	clock := func() time.Time { return now }
	mine.o.Now, other.o.Now = clock, clock
	ctx := context.Background()

	doomed := []manifest.Entry{entry("gone1", 0), entry("gone2", 0)}
	dying := mine.open(t)
	commit(t, dying, Edit{Range: &manifest.Range{First: "a", Last: "b"}, Doomed: doomed})

	// While another writes, the intent stays what it is.
	o := other.open(t)
	if got := o.Foreign(); len(got) != 1 || got[0].Range.Last != "b" {
		t.Fatalf("the other writer sees %v", got)
	}
	if got := o.Abandoned(); len(got) != 0 {
		t.Fatalf("the other writer may take over %v", got)
	}
	commit(t, o, Edit{Changes: puts(many(4000, 0)...)})

	// The same writer, started again, takes it over at once.
	again := mine.open(t)
	left := again.Abandoned()
	if len(left) != 1 {
		t.Fatalf("left over: %v", left)
	}
	if got, err := again.DoomedBy(ctx, left[0].Run); err != nil || !slices.Equal(got, doomed) {
		t.Fatalf("being deleted: %v, %v", got, err)
	}
	if got := again.Foreign(); len(got) != 0 {
		t.Errorf("own intent is foreign: %v", got)
	}

	// Anybody does when its lease has run out.
	now = now.Add(Lease + time.Second)
	o = other.open(t)
	left = o.Abandoned()
	if len(left) != 1 {
		t.Fatalf("after the lease: %v", left)
	}
	commit(t, o, Edit{Settled: []manifest.ID{left[0].Run}})
	if c := audit(t, store, many(4000, 0)); len(c.cur.m.Intents) != 0 {
		t.Errorf("intents are left: %v", c.cur.m.Intents)
	}
}

func TestUnreadableManifests(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	es := many(1000, 0)
	commit(t, newWriter(store).open(t), Edit{Changes: puts(es...)})
	good := store.Objects()["p/"+rootName]
	newer := slices.Clone(good)
	n, err := manifest.FooterSize(good)
	if err != nil {
		t.Fatal(err)
	}
	newer[len(good)-n+8]++ // the number of the format
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"empty":     {nil, manifest.ErrCorrupt},
		"truncated": {good[:len(good)-9], manifest.ErrCorrupt},
		"foreign":   {[]byte(strings.Repeat("x", 500)), manifest.ErrCorrupt},
		"newer":     {newer, manifest.ErrVersion},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := store.Put(ctx, "p/"+rootName, strings.NewReader(string(c.body)), int64(len(c.body)), bucket.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			w := newWriter(store)
			if _, err := Open(ctx, store, w.o); !errors.Is(err, c.want) {
				t.Fatalf("open: %v, want %v", err, c.want)
			}
			w.o.Rebuild = true
			cat := w.open(t)
			if cat.Exists() {
				t.Error("an unreadable manifest is said to exist")
			}
			commit(t, cat, Edit{Changes: puts(es[:10]...)})
			audit(t, store, es[:10])
		})
	}
}

// A server that does not answer is not asked a second question.
func TestNoAnswerIsFinal(t *testing.T) {
	for outcome, want := range map[buckettest.Outcome]int{buckettest.Throttled: 1, buckettest.Denied: 2} {
		store := &buckettest.Memory{Fault: func(buckettest.Op, string) buckettest.Outcome { return outcome }}
		if _, err := Open(context.Background(), store, newWriter(store).o); err == nil {
			t.Error("opened")
		}
		if calls := store.Calls(); len(calls) != want {
			t.Errorf("%v, want %d", calls, want)
		}
	}
}

// Another writer's deletes and ours keep out of each other's way.
func TestIntentsExcludeEachOther(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	es := many(100, 0)
	commit(t, newWriter(store).open(t), Edit{Changes: puts(es...)})
	writing, deleting := newWriter(store).open(t), newWriter(store).open(t)
	commit(t, writing, Edit{Range: &manifest.Range{First: es[10].Key, Last: es[20].Key}})

	removal := func(i int) manifest.Change { return manifest.Change{Key: es[i].Key, Old: &es[i]} }
	got := commit(t, deleting, Edit{Changes: []manifest.Change{removal(15), removal(30)}, Doomed: []manifest.Entry{es[15], es[30]}})
	if len(got) != 1 || !got[0].Kept || got[0].Key != es[15].Key {
		t.Errorf("a key that another run may be writing: %v", got)
	}
	commit(t, writing, Edit{Range: &manifest.Range{First: es[10].Key, Last: es[40].Key}})
	found, err := writing.Deleting(ctx, []string{es[15].Key, es[30].Key})
	if err != nil || len(found) != 1 || !found[es[30].Key] {
		t.Errorf("being deleted: %v, %v", found, err)
	}

	// Each goes on, though the other's root came between, and though a put is lost.
	failed := false
	store.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
		if op == buckettest.Put && !failed {
			failed = true
			return buckettest.NotStored
		}
		return buckettest.OK
	}
	commit(t, writing, Edit{})
	commit(t, deleting, Edit{})
	if c := audit(t, store, slices.Delete(slices.Clone(es), 30, 31)); len(c.cur.m.Intents) != 0 {
		t.Errorf("intents are left: %v", c.cur.m.Intents)
	}
}

// More intents than a reader takes are not written.
func TestTooManyIntents(t *testing.T) {
	store := &buckettest.Memory{}
	for n := range manifest.MaxIntents + 1 {
		_, err := newWriter(store).open(t).Commit(context.Background(), Edit{Range: &manifest.Range{First: "a"}})
		if (err != nil) != (n == manifest.MaxIntents) {
			t.Fatalf("intent %d: %v", n+1, err)
		}
	}
	newWriter(store).open(t)
}

// A page that is not what its parent names stops the read.
func TestDamagedPagesAreRefused(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	w := newWriter(store)
	w.packSize = 100_000
	commit(t, w.open(t), Edit{Changes: puts(many(20_000, 0)...)})
	for key, body := range store.Objects() {
		if !strings.HasPrefix(key, "p/"+packs) {
			continue
		}
		body[len(body)/2] ^= 1
		if _, err := store.Put(ctx, key, strings.NewReader(string(body)), int64(len(body)), bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c := newWriter(store).open(t)
	var err error
	for _, err = range c.Tree(ctx).Entries("") {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, manifest.ErrCorrupt) {
		t.Errorf("a flipped bit in a pack: %v", err)
	}
}

// A tree read while somebody else commits is read to its end, or the run hears of it.
func TestTreeMovesAway(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	es := many(1_500, 0) // in the root object, and more than its end
	commit(t, newWriter(store).open(t), Edit{Changes: puts(es...)})
	reader := newWriter(store).open(t)
	commit(t, newWriter(store).open(t), Edit{Changes: puts(entry("new", 0))})
	var err error
	for _, err = range reader.Tree(ctx).Entries("") {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrMoved) {
		t.Errorf("pages of a root that is gone: %v", err)
	}
}

func TestDraftWritesNothing(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	es := many(3000, 0)
	commit(t, newWriter(store).open(t), Edit{Changes: puts(es...)})
	before := store.Objects()
	d, err := NewDraft(store)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c, err := Open(ctx, d, Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, c, Edit{Changes: puts(entry("new", 0))})
	commit(t, c, Edit{Changes: puts(entry("newer", 0))})
	audit(t, d, append(slices.Clone(es), entry("new", 0), entry("newer", 0)))
	if !maps.EqualFunc(before, store.Objects(), func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Error("a draft has changed the bucket")
	}
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	first, err := Identify(dir, "s3://b/p")
	if err != nil {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := Identify(dir, "s3://b/p")
	if err != nil || second.Writer == first.Writer {
		t.Errorf("while the first run is under way: %+v, %v", second, err)
	}
	if first.past(second.Writer) || second.past(first.Writer) || !first.past(first.Writer) {
		t.Error("who is past, while two runs are under way")
	}
	second.Release()
	if !first.past(second.Writer) {
		t.Error("the second run is no more, and that is not known")
	}
	if again, err := Identify(dir, "s3://b/p"); err != nil || again.Writer != second.Writer {
		t.Errorf("after the second run: %+v, %v", again, err)
	} else {
		again.Release()
	}
	elsewhere, err := Identify(dir, "s3://b/q")
	if err != nil || elsewhere.Writer == first.Writer {
		t.Errorf("to another place: %+v, %v", elsewhere, err)
	}
	first.Release()
	third, err := Identify(dir, "s3://b/p")
	if err != nil || third.Writer != first.Writer {
		t.Errorf("after the first run: %+v, %v", third, err)
	}
	third.Release()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err == nil {
		fourth, err := Identify(copied, "s3://b/p")
		if err != nil || fourth.Writer == first.Writer {
			t.Errorf("a copy has the identity of the original: %+v, %v", fourth, err)
		}
		if fourth.past(second.Writer) {
			t.Error("a copy knows of the runs of the original")
		}
	}
	var all []Identity
	for range identities {
		id, err := Identify(dir, "s3://b/p")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	if id, err := Identify(dir, "s3://b/p"); err == nil || id.Writer == (manifest.ID{}) {
		t.Errorf("one run too many: %+v, %v", id, err)
	}
	for _, id := range all {
		id.Release()
	}
	if id, err := Identify("/dev/null/nowhere", "p"); err == nil || id.Writer == (manifest.ID{}) {
		t.Errorf("without a directory: %+v, %v", id, err)
	}
}

// Where two processes of a machine write at once and the second is killed, the next run takes over what it left,
// and while it lives nobody does.
func TestSecondProcessDies(t *testing.T) {
	dir := t.TempDir()
	store := &lastWords{Memory: &buckettest.Memory{}}
	process := func() *writer {
		w := newWriter(store)
		w.o.Identity = identify(t, dir)
		return w
	}
	first, second := process(), process()
	defer first.o.Identity.Release()
	c := second.open(t)
	commit(t, c, Edit{Range: &manifest.Range{First: "a", Last: "b"}})
	if c := first.open(t); len(c.Abandoned()) != 0 || len(c.Foreign()) != 1 {
		t.Fatalf("while it lives: %v are abandoned, %v respected", c.Abandoned(), c.Foreign())
	}
	store.said = func() {
		commit(t, c, Edit{Range: &manifest.Range{First: "c", Last: "d"}})
		second.o.Identity.Release()
	}
	next := first.open(t)
	if len(next.Abandoned()) != 1 || next.Abandoned()[0].Range.First != "c" || len(next.Foreign()) != 0 {
		t.Fatalf("after its death: %v are abandoned, %v respected", next.Abandoned(), next.Foreign())
	}
	third := process()
	commit(t, third.open(t), Edit{Range: &manifest.Range{First: "e"}})
	if err := next.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	third.o.Identity.Release()
	if got := next.Foreign(); len(got) != 1 || got[0].Range.First != "e" {
		t.Errorf("of one that came later and died, respected are %v", got)
	}
}

// lastWords lets something happen after the next get of the root was answered.
type lastWords struct {
	*buckettest.Memory
	said func()
}

func (s *lastWords) Get(ctx context.Context, key string, o bucket.GetOptions) (io.ReadCloser, bucket.Object, error) {
	body, obj, err := s.Memory.Get(ctx, key, o)
	if said := s.said; said != nil {
		s.said = nil
		said()
	}
	return body, obj, err
}

// A catalog that is read again shows what others have committed, says that it was others, and tells
// of the keys that they may be changing, whether they are alive or dead.
func TestRefresh(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	es := many(10, 0)
	watching := newWriter(store).open(t)
	commit(t, watching, Edit{Changes: puts(es...)})
	refresh := func(met int) {
		t.Helper()
		if err := watching.Refresh(ctx); err != nil || watching.Met() != met {
			t.Errorf("%d roots of others, want %d; %v", watching.Met(), met, err)
		}
	}
	refresh(0)
	other := newWriter(store).open(t)
	commit(t, other, Edit{Changes: puts(entry("new", 0))})
	refresh(1)
	refresh(1)
	if _, found, err := watching.Tree(ctx).Get("new"); !found || err != nil {
		t.Errorf("what the other has committed is not seen: %v", err)
	}
	commit(t, watching, Edit{Changes: puts(entry("own", 0)), Range: &manifest.Range{First: "own", Last: "own"}})
	removal := manifest.Change{Key: es[9].Key, Old: &es[9]}
	commit(t, other, Edit{Changes: []manifest.Change{removal}, Range: &manifest.Range{First: es[0].Key, Last: es[1].Key}, Doomed: es[9:]})
	refresh(2)
	for _, w := range []Options{watching.o, {Prefix: "p/", Now: func() time.Time { return time.Now().Add(2 * Lease) }}} {
		watching.o.Now = w.Now
		if w.Now == nil {
			watching.o.Now = time.Now
		}
		got, err := watching.Pending(ctx, []string{es[0].Key, es[5].Key, es[9].Key, "own"})
		if err != nil || len(got) != 2 || !got[es[0].Key] || !got[es[9].Key] {
			t.Errorf("pending: %v, %v", got, err)
		}
	}
	store.Delete(ctx, "p/"+rootName, bucket.Condition{})
	if err := watching.Refresh(ctx); !errors.Is(err, ErrMoved) {
		t.Errorf("the root is gone: %v", err)
	}
}

// Who only writes down what a bucket holds gives way to a run that is deleting it.
func TestNamingGivesWayToDeleting(t *testing.T) {
	store := &buckettest.Memory{}
	es := many(10, 0)
	naming := newWriter(store).open(t)
	commit(t, naming, Edit{Changes: puts(es...)})
	stray := entry("stray", 0)
	deleting := newWriter(store).open(t)
	commit(t, deleting, Edit{Changes: []manifest.Change{{Key: stray.Key, Old: &stray}}, Doomed: []manifest.Entry{stray}, Listed: true})
	got := commit(t, naming, Edit{Changes: puts(stray, entry("zz", 0))})
	if len(got) != 1 || !got[0].Kept || got[0].Key != stray.Key {
		t.Errorf("%v", got)
	}
	commit(t, deleting, Edit{})
	audit(t, store, append(slices.Clone(es), entry("zz", 0)))
}

// What is drawn in a directory of the caller's is there for who opens it next, and does not reach the bucket.
func TestDraftIn(t *testing.T) {
	ctx := context.Background()
	store, dir := &buckettest.Memory{}, t.TempDir()
	es := many(3000, 0)
	for range 2 { // the second time, as another process
		d, err := DraftIn(store, dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(ctx, d, Options{Prefix: "p/"})
		if err != nil {
			t.Fatal(err)
		}
		if !c.Exists() {
			if d.Drawn() != 0 {
				t.Errorf("%d gets of nothing", d.Drawn())
			}
			commit(t, c, Edit{Changes: puts(es...)})
		} else if d.Drawn() == 0 {
			t.Error("nobody counted the gets")
		}
		audit(t, d, es)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(store.Objects()); n != 0 {
		t.Errorf("the bucket has %d objects", n)
	}
}
