package transfer

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zeebo/blake3"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
)

// An attacker may write to a bucket and knows all that was ever in it. He has no key.
type attacker struct {
	t     *testing.T
	store *buckettest.Memory
	rng   *rand.Rand
	seen  map[string][][]byte // bodies by key
	keys  []string
}

func (x *attacker) look() {
	for key, body := range x.store.Objects() {
		if x.seen[key] == nil {
			x.keys = append(x.keys, key)
		}
		if !slices.ContainsFunc(x.seen[key], func(b []byte) bool { return string(b) == string(body) }) {
			x.seen[key] = append(x.seen[key], body)
		}
	}
	slices.Sort(x.keys)
}

// strike changes some objects: by others, by what they were, by a flipped bit, by nothing.
func (x *attacker) strike() {
	x.look()
	for range x.rng.IntN(4) {
		key, other := x.keys[x.rng.IntN(len(x.keys))], x.keys[x.rng.IntN(len(x.keys))]
		if x.rng.IntN(3) == 0 {
			key = "p/.merkur/manifest"
		}
		was := x.seen[key]
		switch x.rng.IntN(6) {
		case 0:
			x.store.Delete(context.Background(), key, bucket.Condition{})
		case 1:
			put(x.t, x.store, key, string(x.seen[other][0]))
		case 2, 3:
			put(x.t, x.store, key, string(was[x.rng.IntN(len(was))]))
		case 4:
			b := slices.Clone(was[len(was)-1])
			if len(b) > 0 {
				b[x.rng.IntN(len(b))] ^= 1 << x.rng.IntN(8)
			}
			put(x.t, x.store, key, string(b))
		case 5:
			put(x.t, x.store, fmt.Sprintf("p/%02d", x.rng.IntN(40)), "evil")
		}
	}
}

// digests are those of the files in a directory.
func digests(t *testing.T, dir string) map[string]manifest.Digest {
	t.Helper()
	m := map[string]manifest.Digest{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		key, _ := filepath.Rel(dir, path)
		m[filepath.ToSlash(key)] = blake3.Sum256(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sealed is what the manifest says, if it passes the seal.
func sealed(store *buckettest.Memory, key *manifest.Key) (generation uint64, m map[string]manifest.Digest, ok bool) {
	ctx := context.Background()
	c, err := catalog.Open(ctx, store, catalog.Options{Prefix: "p/", Seal: &manifest.Seal{Key: *key, Place: "b/p/"}})
	if err != nil || !c.Exists() {
		return 0, nil, false
	}
	m = map[string]manifest.Digest{}
	for e, err := range c.Tree(ctx).Entries("") {
		if err != nil {
			return 0, nil, false
		}
		m[e.Key] = e.Digest
	}
	return c.Generation(), m, true
}

// TestRandomAttacker has an attacker at work between uploads and downloads with a key. A download changes no
// file but to what a manifest says that is as new as any it has seen, and deletes none that this
// manifest names. An upload that reports nothing leaves a manifest that tells just its files.
func TestRandomAttacker(t *testing.T) {
	seeds := 30
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(seed), 11))
			store := &buckettest.Memory{}
			x := &attacker{t: t, store: store, rng: rng, seen: map[string][][]byte{}}
			up, down := sealing(newMachine(t, store)), sealing(newFetcher(t, store))
			history := map[uint64]map[string]manifest.Digest{}
			least, refused, changed := uint64(0), 0, 0
			all := func(o *Options) { o.Delete, o.AllowEmpty, o.MaxDelete = true, true, Limit{Percent: 100, Given: true} }
			for range 25 {
				for range 1 + rng.IntN(8) {
					if name := fmt.Sprintf("%02d", rng.IntN(30)); rng.IntN(4) == 0 {
						up.remove(name)
					} else {
						up.write(map[string]string{name: fmt.Sprint(rng.Uint64())})
					}
				}
				sum, err := up.try(context.Background(), all)
				if generation, says, ok := sealed(store, up.o.Key); err == nil && ok {
					for key, d := range digests(t, up.dir) {
						told := func(line string) bool {
							return strings.HasPrefix(line, "failed "+key+": ") || strings.HasPrefix(line, "drift "+key+": ") && strings.HasSuffix(line, ", keep")
						}
						if says[key] != d && !slices.ContainsFunc(up.lines, told) {
							t.Fatalf("the manifest says of %s something else than the file, and %+v:\n%s", key, sum, strings.Join(up.lines, "\n"))
						}
					}
					history[generation] = says
				}
				x.strike()
				if rng.IntN(3) == 0 {
					down.forget()
				}
				before := digests(t, down.dir)
				if _, err := down.try(context.Background(), all); err != nil {
					refused++
				}
				now := digests(t, down.dir)
				if changed += follows(t, before, now, history, &least); t.Failed() {
					t.Fatal(strings.Join(down.lines, "\n"))
				}
				// The owner looks into it, and goes on from what is there.
				if rng.IntN(3) == 0 {
					up.try(context.Background(), func(o *Options) { all(o); o.Rebuild = true })
					down.o.FromMark = catalog.NewMark(t.TempDir(), "from")
					history, least = map[uint64]map[string]manifest.Digest{}, 0
					if generation, says, ok := sealed(store, up.o.Key); ok {
						history[generation] = says
					}
					x.seen, x.keys = map[string][][]byte{}, nil // what went before passes the seal of one that has no mark
					x.look()
				}
			}
			if t.Logf("%d downloads refused, %d files changed", refused, changed); refused == 0 || changed == 0 {
				t.Error("nothing was tried")
			}
		})
	}
}

// follows checks that what a download did to a tree is what one manifest says, one that is no older than
// the least; and that one is the least from now on. It returns how many files are not what they were.
func follows(t *testing.T, before, now map[string]manifest.Digest, history map[uint64]map[string]manifest.Digest, least *uint64) (changed int) {
	t.Helper()
	fits := func(says map[string]manifest.Digest) bool {
		for key, d := range now {
			if before[key] != d && says[key] != d {
				return false
			}
		}
		for key := range before {
			if _, there := now[key]; !there && says[key] != (manifest.Digest{}) {
				return false
			}
		}
		return true
	}
	for key, d := range now {
		if before[key] != d {
			changed++
		}
	}
	for key := range before {
		if _, there := now[key]; !there {
			changed++
		}
	}
	if changed == 0 {
		return 0
	}
	for _, generation := range slices.Sorted(maps.Keys(history)) {
		if generation >= *least && fits(history[generation]) {
			*least = generation
			return changed
		}
	}
	t.Errorf("a download made of %v %v, which no manifest says", before, now)
	return changed
}
