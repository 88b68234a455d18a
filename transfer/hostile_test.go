package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/pace"
)

// A fate is what becomes of a key that is downloaded.
type fate struct {
	key    string
	file   string // path of the file that it becomes; empty: none
	warned bool
	failed bool
}

// hostile are keys that no tree has, beside some that it has. The content of each is its name.
var hostile = []fate{
	{key: "a/b", file: "a/b"},
	{key: "a//b", warned: true},
	{key: "a/./b", warned: true},
	{key: "./a/b", warned: true},
	{key: "c/../a/b", warned: true},
	{key: "../x", warned: true},
	{key: "../dest-sibling", warned: true},
	{key: "a/../../x", warned: true},
	{key: "a/../../dest/x", warned: true},
	{key: "/../x", warned: true},
	{key: "..", warned: true},
	{key: "../", warned: true},
	{key: ".", warned: true},
	{key: "/", warned: true},
	{key: "a/..", warned: true},
	{key: "//y", file: "y"},
	{key: "/y", warned: true}, // the same file as //y
	{key: "/etc/passwd", file: "etc/passwd"},
	{key: "o/../only", file: "only"},
	{key: "p//q///r", file: "p/q/r"},
	{key: "single/.", file: "single"},
	{key: "content/", failed: true},
	{key: "/content/", failed: true},
	{key: "...", file: "..."},
	{key: "..a", file: "..a"},
	{key: "a../b", file: "a../b"},
	{key: "ctl\x01\x1f\x7f\r\n\t", file: "ctl\x01\x1f\x7f\r\n\t"},
	{key: `back\slash\..\x`, file: `back\slash\..\x`},
	{key: "nul\x00", failed: true},
	{key: "Twin", file: "Twin"},
	{key: "twin", file: "twin"},
	{key: "TWIN/x", file: "TWIN/x"},
	{key: "é", file: "é"},
	{key: "e\u0301", file: "e\u0301"},
	{key: "*?[x]", file: "*?[x]"},
	{key: "-rf", file: "-rf"},
	{key: "~", file: "~"},
	{key: strings.Repeat("n", 255), file: strings.Repeat("n", 255)},
	{key: strings.Repeat("m", 256), failed: true},
	{key: "d/" + strings.Repeat("m", 256) + "/x", failed: true},
	{key: strings.Repeat("k", 1022), failed: true},
	{key: strings.Repeat("s/", 510) + "xx", file: strings.Repeat("s/", 510) + "xx"},
	{key: ".merkur", file: ".merkur"},
	{key: ".merkurx/y", file: ".merkurx/y"},
}

// unseen are keys that are our own, or a folder's.
var unseen = []string{".merkur/evil", "sub/.merkur/manifest", "/.merkur/evil", "marker/"}

// A place is a directory to download into, with things around it that are none of its business.
func newPlace(t *testing.T, store *buckettest.Memory) (m *machine, around func() []string) {
	m = newFetcher(t, store)
	parent := m.dir
	m.write(map[string]string{"x": "precious", "outside/x": "precious", "dest-sibling": "precious", "dest/keep-me": "", "dest.x": "precious"})
	m.dir = filepath.Join(parent, "dest")
	m.remove("keep-me")
	m.o.To.Dir = m.dir
	return m, func() []string {
		var list []string
		err := filepath.WalkDir(parent, func(path string, d fs.DirEntry, err error) error {
			if path == m.dir {
				return fs.SkipDir
			}
			body, _ := os.ReadFile(path)
			list = append(list, fmt.Sprintf("%s %v %s", path, d.Type(), body))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
}

// fill stores the hostile keys and those that are not to be seen.
func fill(t *testing.T, store *buckettest.Memory) (want Summary, tree map[string]string) {
	tree = map[string]string{}
	for _, f := range hostile {
		put(t, store, "p/"+f.key, "content of "+f.key)
		switch {
		case f.warned:
			want.Warnings++
		case f.failed:
			want.Failed++
		default:
			want.Transferred++
			tree[f.file] = "content of " + f.key
		}
	}
	for _, key := range unseen {
		body := ""
		if !strings.HasSuffix(key, "/") {
			body = "evil"
		}
		put(t, store, "p/"+key, body)
	}
	return want, tree
}

// short shows lines that may be long.
func short(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "%.100q\n", line)
	}
	return b.String()
}

// declare makes a manifest that names objects as they are.
func declare(t *testing.T, store *buckettest.Memory, keys []string) {
	t.Helper()
	ctx := context.Background()
	c, err := catalog.Open(ctx, store, catalog.Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	var edit catalog.Edit
	for _, key := range keys {
		body := store.Objects()["p/"+key]
		obj, err := store.Head(ctx, "p/"+key, bucket.HeadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e := manifest.Entry{Key: key, Size: obj.Size, Digest: hashing.Sum(body), Evidence: manifest.Evidence{ETag: obj.ETag}}
		edit.Changes = append(edit.Changes, manifest.Change{Key: key, New: &e})
	}
	if _, err := c.Commit(ctx, edit); err != nil {
		t.Fatal(err)
	}
}

// Whatever the keys are, nothing is written outside of the destination; what can be a file becomes
// one; and the runs after that have nothing to do.
func TestHostileKeys(t *testing.T) {
	for _, from := range []string{"manifest", "content", "aws", "size", "exact", "etag"} {
		for _, remove := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, delete %v", from, remove), func(t *testing.T) {
				store := &buckettest.Memory{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
				want, tree := fill(t, store)
				if from == "manifest" {
					var keys []string
					for _, f := range hostile {
						keys = append(keys, f.key)
					}
					declare(t, store, keys)
				}
				m, around := newPlace(t, store)
				if from != "manifest" {
					m.o.Compare = compare.Name(from)
				}
				m.write(map[string]string{"y": "before", "p/q/r": "before", "gone": "1", "etc/gone": "1", "only": "before"})
				if want.Deleted = 2; !remove {
					want.Deleted, tree["gone"], tree["etc/gone"] = 0, "1", "1"
				}
				before := around()
				for n := range 4 {
					if n == 3 {
						m.forget()
					}
					sum := m.run(func(o *Options) { o.Delete = remove })
					if n > 0 {
						want.Transferred, want.Deleted = 0, 0
					}
					if sum.Warnings != want.Warnings || sum.Failed != want.Failed || sum.Transferred != want.Transferred || sum.Deleted != want.Deleted {
						t.Fatalf("run %d: %d warnings, %d failed, %d transferred, %d deleted, want %d, %d, %d, %d\n%s", n, sum.Warnings, sum.Failed, sum.Transferred,
							sum.Deleted, want.Warnings, want.Failed, want.Transferred, want.Deleted, short(m.lines))
					}
					if after := around(); !slices.Equal(before, after) {
						t.Fatalf("run %d: around it were\n%q, and now are\n%q", n, before, after)
					}
					for name, body := range tree {
						if got := content(m, name); got != body {
							t.Errorf("run %d: %.50q holds %q", n, name, got)
						}
					}
					if got := files(t, m.dir); len(got) != len(tree) {
						t.Errorf("run %d: %d files, want %d: %.5000q", n, len(got), len(tree), got)
					}
					if got := m.fetched(); n > 0 && len(got) > 0 {
						t.Errorf("run %d: asks in vain for %.100q", n, got)
					}
				}
			})
		}
	}
}

// Keys that a scan does not yield as they are must not be fetched again and again.
func TestKeysThatNoScanYields(t *testing.T) {
	for _, key := range []string{hashing.DraftPrefix + "0123456789abcdef", "sub/" + hashing.DraftPrefix, "sub/" + hashing.DraftPrefix + "0/b/..", "latin\xe9", "\xff/x", "sub/.merkur/x", "a/../.merkur/y"} {
		for _, from := range []string{"manifest", "content", "size"} {
			store := &buckettest.Memory{}
			put(t, store, "p/"+key, "1")
			put(t, store, "p/z", "1")
			if from == "manifest" {
				declare(t, store, []string{key, "z"})
			}
			m, around := newPlace(t, store)
			if from == "size" {
				m.o.Compare = compare.Size
			}
			before := around()
			m.run(func(o *Options) { o.Delete = true })
			for n := range 2 {
				sum := m.run(func(o *Options) { o.Delete = true })
				if sum.Transferred != 0 || len(m.fetched()) > 0 || sum.Deleted != 0 {
					t.Errorf("%q by %s, run %d: %v, %v", key, from, n+1, m.lines, m.calls)
				}
			}
			if !slices.Equal(before, around()) || content(m, "z") != "1" {
				t.Errorf("%q by %s: %q", key, from, around())
			}
		}
	}
}

// A key and another that is below it cannot both be files. One of them is, and stays.
func TestFileAndDirectoryOfOneName(t *testing.T) {
	for n := range 8 {
		store := &buckettest.Memory{}
		for _, key := range []string{"a", "a/b", "/c", "c/d", "e/", "e/f"} {
			put(t, store, "p/"+key, "content of "+key)
		}
		m, around := newPlace(t, store)
		m.o.Compare = []compare.Name{compare.Content, compare.AWS}[n%2]
		remove := n%4 < 2
		before := around()
		m.run(func(o *Options) { o.Delete = remove })
		first := files(t, m.dir)
		if len(first) != 3 {
			t.Errorf("%v\n%v", first, m.lines)
		}
		for range 2 {
			sum := m.run(func(o *Options) { o.Delete = remove })
			if sum.Failed != 3 || sum.Transferred+sum.Deleted != 0 || len(m.fetched()) > 0 {
				t.Errorf("%+v\n%v\n%v", sum, m.lines, m.calls)
			}
			if !slices.Equal(first, files(t, m.dir)) || !slices.Equal(before, around()) {
				t.Errorf("%v, then %v", first, files(t, m.dir))
			}
		}
	}
}

// What a link leads to is outside, however the key is written.
func TestHostileLinks(t *testing.T) {
	for _, follow := range []bool{true, false} {
		for _, absolute := range []bool{true, false} {
			store := &buckettest.Memory{}
			up := newMachine(t, store)
			up.write(map[string]string{"d/x": "new", "d/sub/y": "new", "deep/d/x": "new", "up": "new", "kept": "1"})
			up.mirrors()
			put(t, store, "p/d//z", "new")
			m, around := newPlace(t, store)
			target := "../outside"
			if absolute {
				target = filepath.Join(filepath.Dir(m.dir), "outside")
			}
			m.write(map[string]string{"deep/x": "1", "kept": "1"})
			for link, target := range map[string]string{"d": target, "deep/d": filepath.Join("..", target), "up": "../x"} {
				if absolute {
					target = filepath.Join(filepath.Dir(m.dir), "outside")
				}
				if err := os.Symlink(target, filepath.Join(m.dir, link)); err != nil {
					t.Skip(err)
				}
			}
			before := around()
			for _, name := range []string{"manifest", "content", "aws", "aws, no delete"} {
				m.o.Scan.Follow = follow
				if m.o.Compare = compare.Content; strings.HasPrefix(name, "aws") {
					m.o.Compare = compare.AWS
				}
				if name == "content" {
					store.Delete(context.Background(), "p/"+manifest.Reserved+"manifest", bucket.Condition{})
				}
				sum := m.run(func(o *Options) { o.Delete = !strings.HasSuffix(name, "no delete") })
				if after := around(); !slices.Equal(before, after) {
					t.Fatalf("%s: around it were\n%q, and now are\n%q", name, before, after)
				}
				if sum.Failed < 2 || content(m, "kept") != "1" {
					t.Errorf("%s: %+v, %v", name, sum, m.lines)
				}
				if _, err := os.Lstat(filepath.Join(m.dir, "d")); err != nil {
					t.Errorf("the link is gone: %v", err)
				}
			}
		}
	}
}

// The place of a directory becomes a link to somewhere else while the run goes on.
func TestLinkAppearsMeanwhile(t *testing.T) {
	store := &buckettest.Memory{}
	up := newMachine(t, store)
	up.write(map[string]string{"d/a": "new", "d/b": "new", "d/c": "new"})
	up.mirrors()
	m, around := newPlace(t, store)
	m.write(map[string]string{"d/a": "old", "d/gone": "1"})
	before := around()
	var gets atomic.Int64
	store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Get && strings.HasPrefix(key, "p/d/") && gets.Add(1) == 1 {
			os.Rename(filepath.Join(m.dir, "d"), filepath.Join(m.dir, "was"))
			if err := os.Symlink("../outside", filepath.Join(m.dir, "d")); err != nil {
				t.Error(err)
			}
		}
		return buckettest.OK
	}
	sum := m.run(func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
	if sum.Failed != 3 || sum.Warnings != 1 || !slices.Equal(before, around()) {
		t.Errorf("%+v\n%v\n%q", sum, m.lines, around())
	}
	noDrafts(t, filepath.Join(m.dir, "was"))
}

// Names that differ in case only, and what the command line says about them.
func TestCaseConflicts(t *testing.T) {
	keys := []string{"Dir/x", "FILE", "File", "dir/x", "file", "other"}
	for c, want := range map[CaseConflict]struct{ gets, lines int }{CaseIgnore: {6, 6}, CaseSkip: {3, 6}, CaseWarn: {6, 9}} {
		for _, withManifest := range []bool{true, false} {
			store := &buckettest.Memory{}
			for _, key := range keys {
				put(t, store, "p/"+key, key)
			}
			if withManifest {
				declare(t, store, slices.Clone(keys))
			}
			m := newFetcher(t, store)
			m.o.Case = c
			if sum := m.run(nil); int(sum.Transferred) != want.gets || len(m.lines) != want.lines || sum.Warnings+sum.Failed != 0 {
				t.Errorf("%v: %+v, %v", c, sum, m.lines)
			}
			m.run(nil) // what was skipped comes now, one by one, if the file system can tell the names apart
			m.run(nil)
			if m.run(nil); len(m.lines) != 0 {
				t.Errorf("%v, the fourth run: %v", c, m.lines)
			}
			fresh := newFetcher(t, store)
			if _, err := fresh.try(context.Background(), func(o *Options) { o.Case = CaseError }); !errors.Is(err, ErrCase) {
				t.Errorf("%v", err)
			}
			noDrafts(t, fresh.dir)
		}
	}
}

// A file that a key stands for which is no path is not deleted, nor does it count as one to be
// deleted, nor does a dry run say so.
func TestOddKeysProtect(t *testing.T) {
	for strategy, many := range map[compare.Name]int{compare.Content: 150, compare.Size: spoolLeaf + 100} {
		store := &buckettest.Memory{}
		for i := range many {
			put(t, store, fmt.Sprintf("p//%04d", i), fmt.Sprintf("%04d", i))
		}
		put(t, store, "p/plain", "1")
		m := newFetcher(t, store)
		m.o.Compare = strategy
		if sum := m.run(func(o *Options) { o.Delete = true }); sum.Transferred != int64(many)+1 || sum.Failed != 0 {
			t.Fatalf("%+v", sum)
		}
		m.write(map[string]string{"gone": "1"})
		sum, err := m.try(context.Background(), func(o *Options) { o.Delete, o.DryRun = true, true })
		if err != nil || len(m.lines) != 1 || m.lines[0] != "delete gone" {
			t.Errorf("a dry run says %d things: %v", len(m.lines), err)
		}
		sum, err = m.try(context.Background(), func(o *Options) { o.Delete = true })
		if err != nil || sum.Deleted != 1 || sum.Transferred != 0 {
			t.Errorf("%+v, %v", sum, err)
		}
		if n := len(files(t, m.dir)); n != many+1 {
			t.Errorf("%d files", n)
		}
	}
}

// Such a key protects its file and nothing else, also in a dry run, and wherever it stands in key order.
func TestOddKeysProtectNoMore(t *testing.T) {
	store := &buckettest.Memory{}
	for _, key := range []string{"dir/", "dir/kept", "z/../a", "/b", "kept"} {
		put(t, store, "p/"+key, "content of "+key)
	}
	m := newFetcher(t, store)
	m.write(map[string]string{"dir/gone": "1", "a": "content of z/../a", "b": "content of /b", "bgone": "1"})
	m.run(func(o *Options) { o.Delete, o.DryRun = true, true })
	failure := "failed dir/: its key ends in a slash, and no file can be called so"
	m.wants("delete bgone", "delete dir/gone", failure, "get dir/kept", "get kept")
	m.run(func(o *Options) { o.Delete = true })
	m.wants("delete bgone", "delete dir/gone", failure, "get dir/kept", "get kept")
}

// If it cannot be found out whether the file of such a key is the right one, that is a failure.
func TestOddKeyThatCannotBeCompared(t *testing.T) {
	store := &buckettest.Memory{}
	put(t, store, "p//odd", "new")
	m := newFetcher(t, store)
	m.write(map[string]string{"odd": "old"})
	var heads atomic.Int64
	store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Head && key == "p//odd" && heads.Add(1) == 1 {
			return buckettest.NotStored
		}
		return buckettest.OK
	}
	sum, err := m.try(context.Background(), nil)
	if err == nil && sum.Failed == 0 && content(m, "odd") != "new" {
		t.Errorf("nothing is wrong, it says: %+v, %v", sum, m.lines)
	}
	store.Fault = nil
	m.run(nil)
	if content(m, "odd") != "new" {
		t.Errorf("%v", m.lines)
	}
}

// Hostile keys are keys like others on the way from bucket to bucket, but for our own.
func TestHostileKeysAcross(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	fill(t, source)
	m := newCopier(t, source)
	sum := m.run(nil)
	want := len(hostile)
	if int(sum.Transferred) != want || sum.Failed+sum.Warnings != 0 {
		t.Errorf("%+v, %v", sum, m.lines)
	}
	for _, f := range hostile {
		if got := string(m.store.Objects()["p/"+f.key]); got != "content of "+f.key {
			t.Errorf("%.50q holds %q", f.key, got)
		}
	}
	for key := range m.store.Objects() {
		if strings.HasSuffix(key, "evil") || key == "p/marker/" || key == "p/sub/.merkur/manifest" {
			t.Errorf("%s was copied", key)
		}
	}
	faithful(t, m.store)
	m.run(func(o *Options) { o.Delete = true })
	m.wants()
	// What merkur has made of them is a manifest like another.
	down, around := newPlace(t, m.store)
	before := around()
	first := down.run(nil)
	if second := down.run(nil); second.Transferred != 0 || second.Failed != first.Failed || !slices.Equal(before, around()) {
		t.Errorf("%+v, then %+v", first, second)
	}
}
