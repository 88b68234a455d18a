package lab

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"merkur/lab/edits"
	"merkur/lab/report"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
)

// The test binary is the process of a measurement too: a strategy of its own that sends everything,
// nothing, or does not come to an end.
func TestMain(m *testing.M) {
	if strategy := os.Getenv("LAB_STRATEGY"); strategy != "" {
		os.Exit(play(strategy, os.Args[1]))
	}
	os.Exit(m.Run())
}

func play(strategy, dir string) int {
	r := NewRecorder(os.Stdout)
	switch strategy {
	case "dies":
		r.Transfer("a", 1)
		fmt.Fprintln(os.Stderr, "it died")
		return 1
	case "fails":
		return status(r.End(End{Error: "it does not go"}))
	case "everything":
		err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			r.Transfer(path, info.Size())
			return err
		})
		if err != nil {
			return status(err)
		}
	}
	return status(r.End(End{Requests: map[string]int64{"ListObjectsV2": 2}, Memory: PeakMemory(), Read: 7}))
}

func status(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A world is a tree, and a bucket that holds it.
type world struct {
	dir   string
	store *buckettest.Memory
	keys  []string
}

func newWorld(t *testing.T) *world {
	w := &world{dir: t.TempDir(), store: &buckettest.Memory{}}
	for i := range 40 {
		key := fmt.Sprintf("d%d/f%02d", i%4, i)
		w.keys = append(w.keys, key)
		content := strings.Repeat(fmt.Sprint(i, "\n"), i%6*50)
		name := place(w.dir, key)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
		w.put(t, key, content)
	}
	slices.Sort(w.keys)
	return w
}

func (w *world) put(t *testing.T, key, content string) {
	t.Helper()
	if _, err := w.store.Put(context.Background(), "p/"+key, strings.NewReader(content), int64(len(content)), bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) options(t *testing.T) Options {
	return Options{
		From: Side{Name: "dir", Dir: w.dir}, To: Side{Name: "s3://b/p/", Store: w.store, Prefix: "p/", Place: "s3://b/p/"},
		Strategies: []string{"nothing", "everything"}, Rounds: 2, Seed: 1, Limit: 1 << 20, Scratch: t.TempDir(), Prices: report.USEast1,
		Asked: func() map[string]int64 { return map[string]int64{"ListObjectsV2": 1} },
		Process: func(ctx context.Context, s Spec) *exec.Cmd {
			dir := w.dir
			if s.Dir != "" {
				dir = s.Dir
			}
			cmd := exec.CommandContext(ctx, os.Args[0], dir)
			cmd.Env = append(os.Environ(), "LAB_STRATEGY="+s.Strategy)
			return cmd
		},
	}
}

// state is all that is in the tree of the user, with its times.
func (w *world) state(t *testing.T) map[string]string {
	all := map[string]string{}
	for _, key := range w.keys {
		b, err := os.ReadFile(place(w.dir, key))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(place(w.dir, key))
		if err != nil {
			t.Fatal(err)
		}
		all[key] = fmt.Sprint(info.ModTime(), string(b))
	}
	return all
}

// What each strategy costs and gets wrong is found, and nothing is left or changed.
func TestRun(t *testing.T) {
	w := newWorld(t)
	before, objects := w.state(t), w.store.Objects()
	o := w.options(t)
	o.Wishes = []edits.Wish{{Kind: edits.Touch, Share: 1}, {Kind: edits.Quiet, Share: 0.1}, {Kind: edits.Rename, Share: 0.05}}
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		name                     string
		needed, missed, needless int64
	}{{report.AsItIs, 0, 0, 40}, {"touch", 0, 0, 40}, {"quiet-edit=10%", 3, 3, 37}, {"rename=5%", 2, 2, 38}} {
		c := r.Cases[i]
		last := c.Outcomes[len(c.Outcomes)-2]
		all := c.Outcomes[len(c.Outcomes)-1]
		if c.Name != want.name || c.Needed != want.needed || last.Missed != want.missed || last.Needless != 0 || all.Missed != 0 || all.Needless != want.needless {
			t.Errorf("%+v, want %+v", c, want)
		}
		if all.Wall <= 0 || all.WallMin > all.Wall || all.WallMax < all.Wall || all.Read != 7 || all.Requests.List != 2 || all.Requests.Put != 40 {
			t.Errorf("%s: %+v", c.Name, all)
		}
	}
	first := r.Cases[0].Outcomes
	if len(first) != 3 || first[0].State != report.First || first[1].State != report.Then {
		t.Errorf("of a bucket without a manifest: %+v", first)
	}
	if r.Truth.ByProof != 40 || r.Truth.ByWord != 0 || r.Truth.Unknown != 0 || r.Truth.Manifest || len(r.Conclusion) == 0 {
		t.Errorf("%+v, %q", r.Truth, r.Conclusion)
	}
	if !maps.Equal(before, w.state(t)) {
		t.Error("the tree of the user has changed")
	}
	if !maps.EqualFunc(objects, w.store.Objects(), bytes.Equal) {
		t.Error("the bucket has changed")
	}
	if left, err := os.ReadDir(o.Scratch); err != nil || len(left) > 0 {
		t.Errorf("left in the scratch directory: %v, %v", left, err)
	}
}

// Each simulation changes the content of the keys that its steps say, and taking it back leaves the
// copy as the tree is.
func TestSimulationsAreTrue(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	b := &bench{o: w.options(t), scratch: t.TempDir()}
	var err error
	if b.contents[1], err = readContents(ctx, b.o.To, b.file("contents")); err != nil {
		t.Fatal(err)
	}
	defer b.close()
	r := &replica{from: w.dir, dir: t.TempDir()}
	if err := r.fill(ctx, b.scanOptions(), 1<<20); err != nil {
		t.Fatal(err)
	}
	for _, kind := range edits.Kinds {
		wish := edits.Wish{Kind: kind, Share: 0.2}
		steps := edits.Plan(wish, 3, r.files)
		if err := r.apply(ctx, steps); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, s := range steps {
			if key := s.Changes(); key != "" {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		found, err := b.truth(ctx, r.dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(found.Needed)); !slices.Equal(got, want) || len(steps) < 6 {
			t.Errorf("%s: %d steps; needed %q, want %q", kind, len(steps), got, want)
		}
		if err := r.undo(ctx, steps); err != nil {
			t.Fatal(err)
		}
		again, err := b.truth(ctx, r.dir)
		if err != nil || len(again.Needed)+len(again.Unknown) > 0 {
			t.Errorf("after %s was taken back: %v, %v", kind, again.Needed, err)
		}
		for _, key := range w.keys {
			a, aerr := os.Stat(place(w.dir, key))
			c, cerr := os.Stat(place(r.dir, key))
			if aerr != nil || cerr != nil || !a.ModTime().Equal(c.ModTime()) || os.SameFile(a, c) {
				t.Fatalf("after %s was taken back: %s has another time, or is the same file: %v, %v", kind, key, aerr, cerr)
			}
		}
	}
}

// The time of a file is moved by what moves it, and only by that.
func TestTimes(t *testing.T) {
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for deed, moves := range map[edits.Deed]bool{edits.Stamp: true, edits.Rewrite: true, edits.Insert: true, edits.Flip: true, edits.FlipOld: false} {
		dir := t.TempDir()
		name := filepath.Join(dir, "f")
		if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
		if err := apply(dir, edits.Step{Key: "f", Deed: deed, At: 3, Text: "x"}); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(name); err != nil || info.ModTime().Equal(old) == moves {
			t.Errorf("deed %d: the file has the time %v, %v", deed, info.ModTime(), err)
		}
	}
}

// A manifest is believed where its evidence holds, and nowhere else.
func TestContents(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	side := w.options(t).To
	b := &bench{o: w.options(t), scratch: t.TempDir(), digests: &memoir{records: map[string][]byte{}}}
	var err error
	if b.contents[1], err = readContents(ctx, side, b.file("one")); err != nil {
		t.Fatal(err)
	}
	defer b.close()
	base, err := b.truth(ctx, w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.learn(ctx, base, w.dir); err != nil {
		t.Fatal(err)
	}
	for e, err := range b.contents[1].Tree.Entries("") {
		if err != nil || e.Unproven {
			t.Fatalf("%s was not learned, %v", e.Key, err)
		}
	}
	// A manifest that says so is put into the bucket itself.
	c, err := catalog.Open(ctx, w.store, catalog.Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	var changes []manifest.Change
	for e, err := range b.contents[1].Tree.Entries("") {
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, manifest.Change{Key: e.Key, New: &e})
	}
	if _, err := c.Commit(ctx, catalog.Edit{Changes: changes}); err != nil {
		t.Fatal(err)
	}
	w.put(t, "d0/f00", "somebody else's")
	w.put(t, "d9/new", "somebody else's")
	again, err := readContents(ctx, side, b.file("two"))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.objects != 41 || again.known != 39 || again.foreign != 2 || !again.manifest {
		t.Errorf("%+v", again)
	}
}

// What only the objects themselves tell is not known, or read once.
func TestUnknown(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	for _, key := range w.keys[:10] { // as of an encryption with a key of the server's: an ETag that is no MD5, and no checksum
		w.store.Set("p/"+key, func(o *bucket.Object) { o.ETag, o.HasCRC64, o.CRC64, o.Encryption = "0123"+key, false, 0, "aws:kms" })
	}
	empty := 0
	for _, key := range w.keys[:10] {
		if info, err := os.Stat(place(w.dir, key)); err == nil && info.Size() == 0 {
			empty++
		}
	}
	for _, read := range []bool{false, true} {
		b := &bench{o: w.options(t), scratch: t.TempDir()}
		b.o.Read, b.reads.digests = read, map[string]manifest.Digest{}
		var err error
		if b.contents[1], err = readContents(ctx, b.o.To, b.file("one")); err != nil {
			t.Fatal(err)
		}
		gets := w.store.Count(buckettest.Get)
		for range 2 {
			found, err := b.truth(ctx, w.dir)
			if err != nil || len(found.Needed) > 0 {
				t.Fatalf("%+v, %v", found, err)
			}
			if want := 10 - empty; !read && len(found.Unknown) != want || read && len(found.Unknown) > 0 {
				t.Errorf("read %v: %d unknown, want %d or 0", read, len(found.Unknown), want)
			}
		}
		if got := w.store.Count(buckettest.Get) - gets; read && got != 10-empty || !read && got != 0 {
			t.Errorf("read %v: %d objects were read", read, got)
		}
		b.close()
	}
}

// What cannot be measured is told, or ends the bench.
func TestRunFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string // of the error; empty: there is none
	}{
		{"a strategy fails", func(o *Options) { o.Strategies = []string{"nothing", "fails"} }, ""},
		{"a process dies", func(o *Options) { o.Strategies = []string{"dies"} }, "measure dies: it died"},
		{"no scratch", func(o *Options) { o.Scratch = filepath.Join(o.Scratch, "no") }, "make a scratch directory"},
		{"a tree too large", func(o *Options) { o.Limit, o.Wishes = 100, []edits.Wish{{Kind: edits.Touch, Share: 1}} }, "a copy of the tree would have"},
		{"no tree", func(o *Options) { o.From, o.Wishes = o.To, []edits.Wish{{Kind: edits.Touch, Share: 1}} }, "no local tree"},
	} {
		o := newWorld(t).options(t)
		scratch := o.Scratch
		c.change(&o)
		r, err := Run(context.Background(), o)
		if c.want == "" {
			if last := r.Cases[0].Outcomes[2]; err != nil || last.Error != "it does not go" {
				t.Errorf("%s: %+v, %v", c.name, last, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
			t.Errorf("%s: left in the scratch directory: %v, %v", c.name, left, err)
		}
	}
}

// Who stops a bench stops its processes, and leaves nothing.
func TestRunIsCancelled(t *testing.T) {
	o := newWorld(t).options(t)
	ctx, cancel := context.WithCancel(context.Background())
	o.Tell = func(text string) {
		if strings.Contains(text, "round 2") {
			cancel()
		}
	}
	if _, err := Run(ctx, o); err == nil || ctx.Err() == nil {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(o.Scratch); err != nil || len(left) > 0 {
		t.Errorf("left in the scratch directory: %v, %v", left, err)
	}
}

func TestRecorder(t *testing.T) {
	var b bytes.Buffer
	r := NewRecorder(&b)
	keys := []string{"a", "b<c>&\"\n", "ä/ö", "\u2028"}
	for i, key := range keys {
		r.Transfer(key, int64(i)<<40)
	}
	whole := End{Read: 1, Requests: map[string]int64{"GetObject": 2}, Memory: 3, Failed: 4, Unsettled: 5, Error: "e"}
	if err := r.End(whole); err != nil {
		t.Fatal(err)
	}
	var got []string
	end, err := readPlan(bytes.NewReader(b.Bytes()), func(key string, size int64) {
		if size != int64(len(got))<<40 {
			t.Errorf("%s has %d bytes", key, size)
		}
		got = append(got, key)
	})
	if err != nil || !slices.Equal(got, keys) || fmt.Sprint(end) != fmt.Sprint(whole) {
		t.Errorf("%q, %+v, %v", got, end, err)
	}
	if _, err := readPlan(bytes.NewReader(b.Bytes()[:b.Len()-3]), func(string, int64) {}); err == nil {
		t.Error("a plan without an end is taken")
	}
}
