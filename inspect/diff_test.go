package inspect

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// lines are the differences as text.
func lines(t *testing.T, a, b *View, selected func(string) bool) []string {
	t.Helper()
	var got []string
	for d, err := range Diff(context.Background(), a, b, selected) {
		if err != nil {
			t.Fatal(err)
		}
		mark := "~ "
		switch {
		case d.A == nil:
			mark = "+ "
		case d.B == nil:
			mark = "- "
		case d.Unclear:
			mark = "? "
		}
		got = append(got, mark+d.Key)
	}
	return got
}

// view is the tree of a world's manifest.
func (w *world) view() *View {
	c, err := readCommitted(context.Background(), w.Memory, under, nil, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return Of("manifest", c.tree(context.Background()), &Bucket{Store: w.Memory, Prefix: under}, "")
}

func (w *world) listed() *View { return Listed("listing", Bucket{Store: w.Memory, Prefix: under}) }

// tree writes files into a directory, and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDiffKinds compares the same two trees in all forms in which they can be, with a slow twin.
func TestDiffKinds(t *testing.T) {
	for range 1 {
		a, b := map[string]string{}, map[string]string{}
		for i := range 800 {
			key := fmt.Sprintf("d%d/f%04d", i%3, i)
			body := fmt.Sprint("content ", i)
			switch rand.IntN(300) {
			case 0:
				a[key] = body
			case 1:
				b[key] = body
			case 2:
				a[key], b[key] = body, "CONTENT "+fmt.Sprint(i)
			case 3:
				a[key], b[key] = body, body+" and more"
			default:
				a[key], b[key] = body, body
			}
		}
		var want []string
		for key := range a {
			if body, ok := b[key]; !ok {
				want = append(want, "- "+key)
			} else if body != a[key] {
				want = append(want, "~ "+key)
			}
		}
		for key := range b {
			if _, ok := a[key]; !ok {
				want = append(want, "+ "+key)
			}
		}
		slices.SortFunc(want, func(x, y string) int { return strings.Compare(x[2:], y[2:]) })
		forms := func(files map[string]string) map[string]*View {
			w := newWorld(t)
			for k, body := range files {
				w.mirror(k, body)
			}
			w.commit(0)
			dir := tree(t, files)
			saved := filepath.Join(t.TempDir(), "saved")
			if _, err := Save(context.Background(), saved, w.view(), &w.m); err != nil {
				t.Fatal(err)
			}
			s, err := OpenFile(saved)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return map[string]*View{
				"manifest": w.view(), "listing": w.listed(), "saved": Of(saved, s.Tree, nil, ""),
				"dir": Dir{Path: dir}.View(), "seen": Dir{Path: dir, Scan: hashing.Options{Stat: true}}.View(),
			}
		}
		for x, va := range forms(a) {
			for y, vb := range forms(b) {
				if x == "seen" && y != "listing" || y == "seen" && x != "listing" {
					continue // who only looks at files has to have something to compare them with
				}
				if got := lines(t, va, vb, nil); !slices.Equal(got, want) {
					t.Fatalf("%s and %s:\n got %q\nwant %q", x, y, got, want)
				}
			}
		}
		odd := func(key string) bool { return strings.HasPrefix(key, "d1/") }
		some := slices.DeleteFunc(slices.Clone(want), func(l string) bool { return !odd(l[2:]) })
		if got := lines(t, forms(a)["manifest"], forms(b)["dir"], odd); !slices.Equal(got, some) {
			t.Fatalf("selected: %q, want %q", got, some)
		}
	}
}

// TestDiffEqualRoots fetches nothing where roots are equal.
func TestDiffEqualRoots(t *testing.T) {
	w := newWorld(t)
	w.many(3000)
	w.commit(20 << 10)
	a, b := w.view(), w.view()
	before := len(w.Calls())
	if got := lines(t, a, b, nil); got != nil || len(w.Calls()) != before {
		t.Errorf("%q for %d requests", got, len(w.Calls())-before)
	}
}

// TestDiffByOtherSums compares files with objects of which ETag and checksum say different things.
func TestDiffByOtherSums(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	body := strings.Repeat("0123456789", 1000)
	other := "X" + body[1:]
	dir := tree(t, map[string]string{"parts": body, "crc": body, "wrong": body, "kms": body, "md5": body, "archived": body})
	part := md5.Sum([]byte(body[:6000]))
	rest := md5.Sum([]byte(body[6000:]))
	total := md5.Sum(append(part[:], rest[:]...))
	for key, change := range map[string]func(*bucket.Object){
		"crc":   func(o *bucket.Object) { o.ETag = "anything" },
		"wrong": func(o *bucket.Object) {},
		"kms": func(o *bucket.Object) {
			o.HasCRC64, o.CRC64, o.ETag, o.Encryption = false, 0, strings.Repeat("0", 32), "aws:kms"
		},
		"md5":      func(o *bucket.Object) { o.HasCRC64, o.CRC64 = false, 0 },
		"archived": func(o *bucket.Object) { o.Class, o.HasCRC64, o.CRC64, o.ETag = "GLACIER", false, 0, "x" },
	} {
		stored := body
		if key == "wrong" || key == "md5" {
			stored = other
		}
		w.put(under+key, stored)
		w.Set(under+key, change)
	}
	up, err := w.Upload(ctx, under+"parts", bucket.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []string{body[:6000], body[6000:]} {
		o := w.put("part", p)
		if err := up.Part(ctx, i+1, strings.NewReader(p), int64(len(p)), o.CRC64); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := up.Complete(ctx); err != nil {
		t.Fatal(err)
	}
	w.Set(under+"parts", func(o *bucket.Object) {
		if want := fmt.Sprintf("%x-2", total); o.ETag != want {
			t.Errorf("ETag %s, want %s", o.ETag, want)
		}
		o.HasCRC64, o.CRC64 = false, 0
	})
	want := []string{"? archived", "? kms", "~ md5", "~ wrong"}
	for _, d := range []Dir{{Path: dir}, {Path: dir, Scan: hashing.Options{Stat: true}}} {
		if got := lines(t, d.View(), w.listed(), nil); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if got := lines(t, w.listed(), d.View(), nil); !slices.Equal(got, want) {
			t.Errorf("the other way: %q, want %q", got, want)
		}
	}
}

// TestDiffProblems says nothing of what could not be read.
func TestDiffProblems(t *testing.T) {
	w := newWorld(t)
	for _, k := range []string{"a", "broken", "sub/x", "sub/y", "z"} {
		w.mirror(k, k)
	}
	w.commit(0)
	dir := tree(t, map[string]string{"a": "a"})
	for _, link := range []string{"broken", "sub"} {
		if err := os.Symlink("nowhere", filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	var problems []string
	v := Dir{Path: dir, Scan: hashing.Options{Follow: true}, Problem: func(p *hashing.Problem) { problems = append(problems, p.Key) }}.View()
	if got := lines(t, w.view(), v, nil); !slices.Equal(got, []string{"- z"}) || !slices.Equal(problems, []string{"broken", "sub"}) {
		t.Errorf("%q, problems %q", got, problems)
	}
}

// TestSub views directories of trees.
func TestSub(t *testing.T) {
	ctx := context.Background()
	files := map[string]string{"a/b/c": "1", "a/b/d/e": "2", "a/bb": "3", "a0": "4", "a/b0/x": "5"}
	w := newWorld(t)
	for k, body := range files {
		w.mirror(k, body)
	}
	w.put(under+"a/b/", "")
	w.commit(0)
	dir := tree(t, files)
	var roots []manifest.Digest
	for _, v := range []*View{
		Of("", w.view().whole(), nil, "a/b/"), Dir{Path: dir, Sub: "a/b/"}.View(), Dir{Path: filepath.Join(dir, "a/b")}.View(),
	} {
		r, err := v.Root(ctx)
		if err != nil || r.Top.Files != 2 {
			t.Fatalf("%d files, %v", r.Top.Files, err)
		}
		roots = append(roots, r.Digest)
	}
	if roots[0] != roots[1] || roots[1] != roots[2] {
		t.Errorf("roots %v", roots)
	}
	if got := lines(t, Of("", w.view().whole(), &Bucket{Store: w.Memory, Prefix: under}, "a/b/"), Listed("", Bucket{Store: w.Memory, Prefix: under + "a/b/"}), nil); got != nil {
		t.Errorf("manifest against listing: %q", got)
	}
}

func (v *View) whole() manifest.Tree { return *v.tree }

// TestNames compares directories with a slow twin.
func TestNames(t *testing.T) {
	w := newWorld(t)
	for i := range 3 * skipAfter {
		w.entries[fmt.Sprintf("big/%d/f%06d", i%2, i)] = manifest.Entry{}
	}
	for _, k := range []string{"big", "big/", "big.txt", "a//b", "a/b", "a/b/c", "c", "big/0.x", "big/1/z/y", "0/x", "0"} {
		w.entries[k] = manifest.Entry{}
	}
	for k := range w.entries {
		w.entries[k] = manifest.Entry{Key: k}
	}
	delete(w.entries, "big/")
	w.commit(0)
	for _, dir := range []string{"", "big/", "a/", "a//", "big/1/", "none/", "a/b/"} {
		var want []string
		for _, k := range w.keys() {
			rest, ok := strings.CutPrefix(k, dir)
			if !ok || rest == "" {
				continue
			}
			if i := strings.IndexByte(rest, '/'); i >= 0 {
				rest = rest[:i+1]
			}
			if len(want) == 0 || want[len(want)-1] != rest {
				want = append(want, rest)
			}
		}
		var got []string
		for n, err := range Names(w.view().whole(), dir) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, n.Name); (n.Entry == nil) != strings.HasSuffix(n.Name, "/") {
				t.Errorf("%q: name %q, entry %v", dir, n.Name, n.Entry)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %.200q\nwant %.200q", dir, got, want)
		}
	}
}

// TestSaved saves manifests and refuses what is none.
func TestSaved(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.many(2500)
	w.m.UUID, w.m.Writer, w.m.Time = manifest.ID{1}, manifest.ID{2}, 3
	w.commit(20<<10, manifest.Intent{Run: manifest.ID{4}, Range: &manifest.Range{First: "a"}, Doomed: &manifest.Ref{First: "x", Level: 0}})
	path := filepath.Join(t.TempDir(), "saved")
	root, err := Save(ctx, path, w.view(), &w.m)
	if err != nil || root.Digest != w.m.Root.Digest {
		t.Fatalf("root %v, %v", root.Digest, err)
	}
	s, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := s.Manifest
	if m.UUID != w.m.UUID || m.Writer != w.m.Writer || m.Time != 3 || m.Generation != 1 || len(m.Packs) > 0 || len(m.Intents) != 1 || m.Intents[0].Doomed != nil {
		t.Errorf("saved %+v", m)
	}
	n := 0
	for e, err := range s.Tree.Entries("") {
		if err != nil || e != w.entries[e.Key] {
			t.Fatalf("%+v, %v", e, err)
		}
		n++
	}
	if n != 2500 {
		t.Errorf("%d entries", n)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		b := slices.Clone(whole)
		at := rand.IntN(len(b))
		b[at] ^= 1 << rand.IntN(8)
		if err := readAll(t, b); !errors.Is(err, manifest.ErrCorrupt) && !errors.Is(err, manifest.ErrVersion) {
			t.Fatalf("byte %d of %d flipped: %v", at, len(b), err)
		}
		if err := readAll(t, whole[:rand.IntN(len(whole))]); !errors.Is(err, manifest.ErrCorrupt) {
			t.Fatalf("cut off: %v", err)
		}
	}
	// A root object with packs is half a manifest.
	if err := readAll(t, w.Objects()[under+rootName]); err == nil || errors.Is(err, manifest.ErrCorrupt) {
		t.Errorf("without its packs: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".merkur*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// readAll reads a saved manifest whole.
func readAll(t *testing.T, b []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "saved")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenFile(path)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, err := range s.Tree.Entries("") {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestAsk says how an object fits with its entry.
func TestAsk(t *testing.T) {
	w := newWorld(t)
	for _, k := range []string{"same", "other", "gone", "stamp", "barred"} {
		w.mirror(k, "content of "+k)
	}
	w.put(under+"other", "x")
	w.remove("gone")
	w.Set(under+"stamp", func(o *bucket.Object) { o.ETag = "x" })
	w.put(under+"new", "x")
	w.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		return map[bool]buckettest.Outcome{true: buckettest.Denied}[key == under+"barred"]
	}
	b := Bucket{Store: w.Memory, Prefix: under}
	for key, want := range map[string]Class{"same": "", "other": ForeignChanged, "gone": Missing, "stamp": Restamped, "new": ForeignNew, "never": "", "barred": ""} {
		var e *manifest.Entry
		if known, ok := w.entries[key]; ok {
			e = &known
		}
		r, err := b.Ask(context.Background(), key, e)
		if err != nil || r.Class != want || (r.Err != nil) != (key == "barred") || (r.Object == nil) != (key == "gone" || key == "never" || key == "barred") {
			t.Errorf("%s: %+v, %v; want %q", key, r, err, want)
		}
	}
}
