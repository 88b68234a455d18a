package manifest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/zeebo/blake3"
)

// A shelf keeps what builders make in memory: one object after the other, as packs or as the
// body of a root object, and hands it back as a Fetch does.
type shelf struct {
	body  []byte
	packs map[PackName][]byte
	pages [maxLevel + 1]int // pages stored, by level
	reads int
}

func newShelf() *shelf { return &shelf{body: AppendHead(nil, ID{}), packs: map[PackName][]byte{}} }

func (s *shelf) store(p *Page) (at Location, err error) {
	s.pages[p.Level]++
	s.body, at = AppendFrame(s.body, p)
	return at, nil
}

// seal turns what is in the body into a pack.
func (s *shelf) seal(b *Builder) {
	name := PackName(TagOf(s.body))
	s.packs[name] = s.body
	s.body = AppendHead(nil, ID{})
	b.Sealed(name)
}

// pack seals the body that ends with the top page of root, and returns the root as it is then.
func (s *shelf) pack(root Root) Root {
	if root.Top.At.Pack == (PackName{}) {
		root.Top.At.Pack = PackName(TagOf(s.body))
		s.packs[root.Top.At.Pack] = s.body
		s.body = AppendHead(nil, ID{})
	}
	return root
}

func (s *shelf) fetch(r Ref) ([]byte, error) {
	s.reads++
	from := s.body
	if r.At.Pack != (PackName{}) {
		from = s.packs[r.At.Pack]
	}
	if r.At.Off+uint64(r.At.Len) > uint64(len(from)) {
		return nil, corrupt("page at %q lies outside its object", r.First)
	}
	return from[r.At.Off : r.At.Off+uint64(r.At.Len)], nil
}

func (s *shelf) tree(r Root) Tree { return Tree{Root: r, Fetch: s.fetch} }

func build(t testing.TB, es []Entry) (*shelf, Root) {
	t.Helper()
	s := newShelf()
	b := NewBuilder(s.store)
	for _, e := range es {
		if err := b.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return s, root
}

func collect(t testing.TB, tree Tree) []Entry {
	t.Helper()
	var es []Entry
	for e, err := range tree.Entries("") {
		if err != nil {
			t.Fatal(err)
		}
		es = append(es, e)
	}
	return es
}

// entry makes an entry whose content is told by its version v.
func entry(key string, v int) Entry {
	content := fmt.Sprintf("%s %d", key, v)
	return Entry{
		Key: key, Size: int64(len(content)), Digest: Digest(blake3.Sum256([]byte(content))),
		Mode: 0o644, MTime: 1_700_000_000_000_000_000 + int64(v),
		Evidence: Evidence{ETag: fmt.Sprintf("%032x", v+len(key)), HasCRC64: true, CRC64: uint64(v) + 1},
	}
}

// randomTree makes a tree of n entries in nested directories.
func randomTree(rng *rand.Rand, n int) map[string]Entry {
	tree := map[string]Entry{}
	for len(tree) < n {
		depth := 1 + rng.IntN(4)
		names := make([]string, depth)
		for i := range names {
			names[i] = fmt.Sprintf("%c%x", 'a'+rng.IntN(6), rng.IntN(1+n/2))
		}
		key := strings.Join(names, "/")
		tree[key] = entry(key, 0)
	}
	return tree
}

func inOrder(tree map[string]Entry) []Entry {
	es := make([]Entry, 0, len(tree))
	for _, k := range slices.Sorted(maps.Keys(tree)) {
		es = append(es, tree[k])
	}
	return es
}

// mutate returns the tree with about n keys edited, n removed and n added, and the changes.
func mutate(rng *rand.Rand, tree map[string]Entry, n int) (map[string]Entry, []Change) {
	next := maps.Clone(tree)
	keys := slices.Sorted(maps.Keys(tree))
	for range n {
		if len(keys) > 0 {
			next[keys[rng.IntN(len(keys))]] = entry(keys[rng.IntN(len(keys))], 1)
			delete(next, keys[rng.IntN(len(keys))])
		}
		key := fmt.Sprintf("%c%x", 'a'+rng.IntN(7), rng.IntN(1<<30))
		next[key] = entry(key, 2)
	}
	for k, e := range next {
		e.Key = k
		next[k] = e
	}
	return next, mapDiff(tree, next)
}

// mapDiff is the obvious twin of Diff.
func mapDiff(old, new map[string]Entry) []Change {
	keys := map[string]bool{}
	for k := range old {
		keys[k] = true
	}
	for k := range new {
		keys[k] = true
	}
	var cs []Change
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		a, inOld := old[k]
		b, inNew := new[k]
		c := Change{Key: k}
		if inOld {
			c.Old = &a
		}
		if inNew {
			c.New = &b
		}
		if !inOld || !inNew || !a.Equal(b) {
			cs = append(cs, c)
		}
	}
	return cs
}

func sameChanges(t *testing.T, got, want []Change) {
	t.Helper()
	text := func(cs []Change) string {
		var b strings.Builder
		for _, c := range cs {
			fmt.Fprintf(&b, "%q", c.Key)
			for _, e := range []*Entry{c.Old, c.New} {
				if e == nil {
					b.WriteString(" none")
				} else {
					fmt.Fprintf(&b, " %+v", *e)
				}
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	if g, w := text(got), text(want); g != w {
		t.Fatalf("%d changes, want %d\ngot:\n%.2000s\nwant:\n%.2000s", len(got), len(want), g, w)
	}
}

func sameEntries(t *testing.T, got, want []Entry) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%d entries, want %d, or they differ", len(got), len(want))
	}
}

func TestTreeRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 2, 255, 256, 257, 4096, 4097, 20_000} {
		es := inOrder(randomTree(rng, n))
		s, root := build(t, es)
		sameEntries(t, collect(t, s.tree(root)), es)
		if int(root.Top.Files) != n {
			t.Errorf("root of %d entries counts %d", n, root.Top.Files)
		}
	}
}

func TestPagesKeepTheirBounds(t *testing.T) {
	var leaves []int
	b := NewBuilder(func(p *Page) (Location, error) {
		if p.Level == 0 {
			leaves = append(leaves, len(p.Entries))
		}
		return Location{}, nil
	})
	for i := range 300_000 {
		if err := b.Add(Entry{Key: fmt.Sprintf("%09d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Finish(); err != nil {
		t.Fatal(err)
	}
	for i, n := range leaves {
		if n > MaxPage || n < minLeaf && i < len(leaves)-1 {
			t.Errorf("leaf %d has %d entries", i, n)
		}
	}
	if mean := 300_000 / len(leaves); mean < 450 || mean > 575 {
		t.Errorf("mean leaf has %d entries, want about 512", mean)
	}
}

// Whatever the order of insertion, and in however many parts a tree is put together, its root
// is the same.
func TestRootIsIndependentOfHistory(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	es := inOrder(randomTree(rng, 12_000))
	_, want := build(t, es)
	for _, shards := range []int{1, 2, 3, 7, 40} {
		parts := make([][]Entry, shards)
		for _, e := range es {
			i := rng.IntN(shards)
			parts[i] = append(parts[i], e)
		}
		s, root := build(t, nil)
		root = s.pack(root)
		for _, part := range parts {
			var cs []Change
			for i := range part {
				cs = append(cs, Change{Key: part[i].Key, New: &part[i]})
			}
			root = update(t, s, root, cs)
		}
		if root.Digest != want.Digest {
			t.Errorf("%d shards: root %s, want %s", shards, root.Digest, want.Digest)
		}
		sameEntries(t, collect(t, s.tree(root)), es)
	}
}

// update applies changes to the tree in s, whose pages must be in packs. The new tree goes on
// in the same shelf.
func update(t *testing.T, s *shelf, root Root, cs []Change) Root {
	t.Helper()
	b := NewBuilder(s.store)
	if err := (Update{Base: s.tree(root)}).Apply(b, cs); err != nil {
		t.Fatal(err)
	}
	next, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return s.pack(next)
}

// Changes that are not in key order are refused: some of them would be made and others not.
func TestUpdateRefusesDisorder(t *testing.T) {
	for _, keys := range [][]string{{"b", "a"}, {"a", "a"}} {
		var changes []Change
		for _, key := range keys {
			changes = append(changes, Change{Key: key})
		}
		if err := (Update{}).Apply(NewBuilder(nil), changes); err == nil {
			t.Errorf("changes of %v are made", keys)
		}
	}
}

func TestUpdateEqualsBuild(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for round := range 25 {
		tree := randomTree(rng, rng.IntN(6000))
		s, root := build(t, inOrder(tree))
		root = s.pack(root)
		for range 3 {
			next, cs := mutate(rng, tree, rng.IntN(1+rng.IntN(60)))
			got := update(t, s, root, cs)
			_, want := build(t, inOrder(next))
			if got.Digest != want.Digest {
				t.Fatalf("round %d: update of %d entries by %d changes gives another root than a build", round, len(tree), len(cs))
			}
			sameEntries(t, collect(t, s.tree(got)), inOrder(next))
			tree, root = next, got
		}
	}
}

// buildTall builds a tree of two index levels.
func buildTall(t *testing.T) ([]Entry, *shelf, Root) {
	es := make([]Entry, 700_000)
	for i := range es {
		es[i] = Entry{Key: fmt.Sprintf("file-%07d", 1_000_000+i)}
	}
	s, root := build(t, es)
	if root.Top.Level != 2 {
		t.Fatalf("top page of level %d; the test wants 2", root.Top.Level)
	}
	return es, s, s.pack(root)
}

// Removing all but a few keys must leave the tree that a build of those few gives, at every
// height; and editing a value must write one page a level.
func TestUpdateOfTallTree(t *testing.T) {
	es, s, root := buildTall(t)
	for _, keep := range []int{0, 600, 650_000} {
		var cs []Change
		for _, e := range es[keep:] {
			cs = append(cs, Change{Key: e.Key})
		}
		got := update(t, s, root, cs)
		if _, want := build(t, es[:keep]); got.Digest != want.Digest {
			t.Errorf("shrunk to %d entries: another root than a build", keep)
		}
	}
	rng := rand.New(rand.NewPCG(4, 1))
	for range 20 {
		e := es[rng.IntN(len(es))]
		e.Size++
		s.pages = [maxLevel + 1]int{}
		root = update(t, s, root, []Change{{Key: e.Key, New: &e}})
		if want := [maxLevel + 1]int{1, 1, 1}; s.pages != want {
			t.Fatalf("editing %q wrote %v pages by level, want %v", e.Key, s.pages, want)
		}
	}
}

func TestDiffEqualsMapDiff(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	for range 30 {
		a := randomTree(rng, rng.IntN(6000))
		b, want := mutate(rng, a, rng.IntN(80))
		if rng.IntN(10) == 0 {
			b = randomTree(rng, rng.IntN(3000))
			want = mapDiff(a, b)
		}
		sa, ra := build(t, inOrder(a))
		sb, rb := build(t, inOrder(b))
		var got []Change
		for c, err := range Diff(sa.tree(ra), sb.tree(rb)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c)
		}
		sameChanges(t, got, want)

		got = nil
		for c, err := range DiffPages(sa.tree(ra), leavesOf(inOrder(b))) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c)
		}
		sameChanges(t, got, want)
	}
}

// leavesOf folds entries and yields the leaves as they close.
func leavesOf(es []Entry) func(func(*Page, error) bool) {
	return func(yield func(*Page, error) bool) {
		done := false
		b := NewBuilder(func(p *Page) (Location, error) {
			if p.Level == 0 && !done {
				done = !yield(p, nil)
			}
			return Location{}, nil
		})
		for _, e := range es {
			if err := b.Add(e); err != nil {
				yield(nil, err)
				return
			}
		}
		if _, err := b.Finish(); err != nil {
			yield(nil, err)
		}
	}
}

func TestDiffReadsOnlyWhatDiffers(t *testing.T) {
	var es []Entry
	for i := range 200_000 {
		es = append(es, entry(fmt.Sprintf("%08d", i), 0))
	}
	sa, ra := build(t, es)
	es[123_456] = entry(es[123_456].Key, 1)
	sb, rb := build(t, es)
	sa.reads, sb.reads = 0, 0
	n := 0
	for _, err := range Diff(sa.tree(ra), sb.tree(rb)) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	height := int(ra.Top.Level) + 1
	if n != 1 || sa.reads != height || sb.reads != height {
		t.Errorf("%d changes found by reading %d and %d pages, want 1 by %d each", n, sa.reads, sb.reads, height)
	}
}

func TestSubtreeIsLocationIndependent(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	inner := inOrder(randomTree(rng, 5000))
	_, want := build(t, inner)
	for _, prefix := range []string{"", "0/", "c0/d", "deep/er/", "z.d/"} {
		tree := map[string]Entry{}
		if prefix != "" {
			tree = randomTree(rng, 3000) // of keys that begin with a to f and a number
		}
		for _, e := range inner {
			e.Key = prefix + e.Key
			tree[e.Key] = e
		}
		s, root := build(t, inOrder(tree))
		got, err := s.tree(root).Subtree(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest != want.Digest {
			t.Errorf("subtree %q has another root than the same tree on its own", prefix)
		}
	}
}

func TestTreeGetAndFrom(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	es := inOrder(randomTree(rng, 8000))
	s, root := build(t, es)
	for range 200 {
		i := rng.IntN(len(es))
		if e, ok, err := s.tree(root).Get(es[i].Key); err != nil || !ok || e != es[i] {
			t.Fatalf("get %q: %v, %v", es[i].Key, ok, err)
		}
		if _, ok, _ := s.tree(root).Get(es[i].Key + "\x00"); ok {
			t.Fatalf("get of a key beside %q finds something", es[i].Key)
		}
		n := i
		for e, err := range s.tree(root).Entries(es[i].Key) {
			if err != nil || e != es[n] {
				t.Fatalf("entries from %q: %q, %v, want %q", es[i].Key, e.Key, err, es[n].Key)
			}
			if n++; n > i+1500 {
				break
			}
		}
	}
}

func TestTreeFind(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	es := inOrder(randomTree(rng, 8000))
	s, root := build(t, es)
	var keys []string
	var want []Entry
	for _, e := range es {
		switch rng.IntN(100) {
		case 0:
			keys, want = append(keys, e.Key), append(want, e)
		case 1:
			keys = append(keys, e.Key+"\x00")
		}
	}
	var got []Entry
	for e, err := range s.tree(root).Find(keys) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	sameEntries(t, got, want)
}

func TestBuilderRefuses(t *testing.T) {
	bad := []Entry{
		{Key: ""}, {Key: strings.Repeat("k", MaxKey+1)}, {Key: "k", Kind: 3}, {Key: "k", Size: -1},
		{Key: "k", Target: "t"}, {Key: "k", Evidence: Evidence{CRC64: 1}}, {Key: "a"}, {Key: "b"},
	}
	for _, e := range bad {
		b := NewBuilder(nil)
		if err := b.Add(Entry{Key: "b"}); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(e); err == nil {
			t.Errorf("entry %+v is taken after \"b\"", e)
		}
	}
}

func TestSealedPages(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	es := inOrder(randomTree(rng, 15_000))
	s := newShelf()
	var b *Builder
	b = NewBuilder(func(p *Page) (Location, error) {
		if len(s.body) > 100_000 {
			s.seal(b)
		}
		return s.store(p)
	})
	for i, e := range es {
		if err := b.Add(e); err != nil {
			t.Fatal(err)
		}
		if i%5000 == 4999 {
			s.seal(b)
		}
	}
	s.seal(b) // so that the index page lies in another pack than the leaves
	root, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.packs) < 4 {
		t.Fatalf("%d packs", len(s.packs))
	}
	sameEntries(t, collect(t, s.tree(root)), es)
	if _, want := build(t, es); want.Digest != root.Digest {
		t.Error("where pages are stored changes the root")
	}
}

func TestLeavesAreThoseOfTheBuilder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{0, 1, 600, 40_000} {
		es := inOrder(randomTree(rng, n))
		s, root := build(t, es)
		var files uint64
		last := ""
		for leaf, err := range s.tree(root).Leaves() {
			if err != nil || leaf.Level != 0 || files > 0 && leaf.First <= last {
				t.Fatalf("%d entries: %+v, %v", n, leaf, err)
			}
			files, last = files+leaf.Files, leaf.First
		}
		if files != uint64(n) {
			t.Errorf("%d entries: leaves of %d", n, files)
		}
	}
}

// Leaves from a key on are the last of all leaves, from the one that the key belongs to.
func TestLeavesFrom(t *testing.T) {
	es := inOrder(randomTree(rand.New(rand.NewPCG(3, 4)), 20_000))
	s, root := build(t, es)
	var firsts []string
	for leaf := range s.tree(root).Leaves() {
		firsts = append(firsts, leaf.First)
	}
	for _, from := range []string{"", es[0].Key, es[777].Key, firsts[3], firsts[3] + "\x00", es[len(es)-1].Key, es[len(es)-1].Key + "x"} {
		n, _ := slices.BinarySearch(firsts, from+"\x00")
		want := firsts[max(n-1, 0):]
		var got []string
		for leaf, err := range s.tree(root).LeavesFrom(from) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, leaf.First)
		}
		if !slices.Equal(got, want) {
			t.Errorf("from %q: %d leaves, want %d", from, len(got), len(want))
		}
	}
}

func TestPick(t *testing.T) {
	for _, n := range []int{0, 1, 600, 20_000} {
		es := inOrder(randomTree(rand.New(rand.NewPCG(3, 5)), n))
		s, root := build(t, es)
		for _, positions := range [][]uint64{{}, {0}, {0, 1, 2}, {uint64(n) / 2, uint64(max(n, 1) - 1), uint64(n)}, {1 << 40}} {
			var want, got []Entry
			for i, p := range positions {
				if p < uint64(n) && (i == 0 || p > positions[i-1]) {
					want = append(want, es[p])
				}
			}
			fetched := map[Location]bool{}
			tree := s.tree(root)
			fetch := tree.Fetch
			tree.Fetch = func(r Ref) ([]byte, error) {
				fetched[r.At] = true
				return fetch(r)
			}
			for e, err := range tree.Pick(slices.Compact(positions)) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if sameEntries(t, got, want); len(fetched) > 1+2*len(positions) {
				t.Errorf("%d pages are fetched for %d entries", len(fetched), len(positions))
			}
		}
	}
}
