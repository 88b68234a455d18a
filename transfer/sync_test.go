package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/filter"
	"merkur/transfer/pace"
)

// A table is a Space and a scan's cache, in memory.
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

// A machine mirrors one directory to one store, again and again.
type machine struct {
	t       *testing.T
	dir     string
	store   *buckettest.Memory
	o       Options
	lines   []string // what the last run told
	undoing *Past    // nil: try syncs
	powers  []byte   // a record of what the server can do, which is not forgotten; nil: there is none
	calls   []buckettest.Call
}

func newMachine(t *testing.T, store *buckettest.Memory) *machine {
	m := &machine{t: t, dir: t.TempDir(), store: store}
	m.o = Options{
		From: Side{Dir: m.dir}, To: Side{Store: store, Bucket: "b", Prefix: "p/", Place: "test"}, Gate: pace.Fixed(4),
		Scan: hashing.Options{Follow: true, TrustStat: true},
	}
	rand.Read(m.o.Identity.Writer[:])
	m.forget()
	return m
}

// forget loses the cache.
func (m *machine) forget() {
	m.o.Pages, m.o.State, m.o.Scan.Cache = newTable(), newTable(), newTable()
	if m.powers != nil {
		m.o.State.Remember([]byte("powers test"), m.powers)
		m.o.State.Remember([]byte("powers with copies test"), m.powers)
	}
}

// knowsBatches has the machine know what the server does with conditions in batches of deletes, which it
// else finds out when there are many.
func (m *machine) knowsBatches() {
	m.t.Helper()
	for _, copies := range []bool{false, true} {
		c, err := catalog.Open(m.t.Context(), m.store, catalog.Options{Place: "test", State: m.o.State, Copies: copies})
		if err == nil {
			_, err = c.Probe(m.t.Context())
		}
		if err != nil || c.ProbeBatches(m.t.Context()) == catalog.BatchesUnknown {
			m.t.Fatalf("probe: %v", err)
		}
	}
	m.powers = m.o.State.Recall([]byte("powers with copies test"))
}

func (m *machine) write(files map[string]string) {
	m.t.Helper()
	for name, body := range files {
		path := filepath.Join(m.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *machine) remove(name string) {
	m.t.Helper()
	if err := os.RemoveAll(filepath.Join(m.dir, name)); err != nil {
		m.t.Fatal(err)
	}
}

// nextInstant waits for the clock to show another millisecond: names of runs sort by those, and two
// programs one after the other never have the same.
func nextInstant() {
	<-time.After(time.Until(time.Now().Truncate(time.Millisecond).Add(time.Millisecond)))
}

// try runs Sync and returns what it returns.
func (m *machine) try(ctx context.Context, change func(*Options)) (Summary, error) {
	o := m.o
	if change != nil {
		change(&o)
	}
	m.lines = nil
	nextInstant()
	o.Report = func(e Event) {
		switch {
		case e.Done != nil:
			m.lines = append(m.lines, []string{"put", "prove", "delete", "get", "copy", "describe", "restore"}[e.Done.Verb]+" "+e.Done.Key)
		case e.Failed != nil:
			m.lines = append(m.lines, fmt.Sprintf("failed %s: %v", e.Failed.Action.Key, e.Failed.Err))
		case e.Problem != nil:
			m.lines = append(m.lines, fmt.Sprintf("problem %s: %v", e.Problem.Key, e.Problem.Reason))
		case e.Drift != nil:
			side := ""
			if e.Drift.Source {
				side = " at the source"
			}
			m.lines = append(m.lines, fmt.Sprintf("drift %s%s: %v, %v", e.Drift.Key, side, e.Drift.Class, e.Drift.Action))
		case e.Warning != nil:
			m.lines = append(m.lines, "warning "+e.Warning.Text)
		default:
			m.lines = append(m.lines, "note "+e.Note)
		}
	}
	before := len(m.store.Calls())
	sum, err := m.act(ctx, o)
	m.calls = m.store.Calls()[before:]
	slices.Sort(m.lines)
	return sum, err
}

// act syncs, or undoes.
func (m *machine) act(ctx context.Context, o Options) (Summary, error) {
	if m.undoing != nil {
		return Undo(ctx, o, m.undoing)
	}
	return Sync(ctx, o)
}

// run runs Sync, which must succeed, and checks what it left with audit.
func (m *machine) run(change func(*Options)) Summary {
	m.t.Helper()
	sum, err := m.try(context.Background(), change)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, strings.Join(m.lines, "\n"))
	}
	audit(m.t, m.store)
	return sum
}

// mirrors runs Sync with --delete and checks that the bucket then is the tree.
func (m *machine) mirrors() Summary {
	m.t.Helper()
	sum := m.run(func(o *Options) { o.Delete = true })
	if got, want := objects(m.store), files(m.t, m.dir); !slices.Equal(got, want) {
		m.t.Fatalf("bucket:\n%s\ntree:\n%s\nthe run said:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), strings.Join(m.lines, "\n"))
	}
	return sum
}

func (m *machine) wants(lines ...string) {
	m.t.Helper()
	if !slices.Equal(m.lines, lines) {
		m.t.Errorf("the run said:\n%s\nwant:\n%s", strings.Join(m.lines, "\n"), strings.Join(lines, "\n"))
	}
}

func (m *machine) count(op buckettest.Op) (n int) {
	for _, c := range m.calls {
		if c.Op == op {
			n++
		}
	}
	return n
}

// objects lists key and digest of all that is not the program's own.
func objects(store *buckettest.Memory) (list []string) {
	for key, body := range store.Objects() {
		if key := strings.TrimPrefix(key, "p/"); !strings.HasPrefix(key, manifest.Reserved) {
			list = append(list, fmt.Sprintf("%s %x", key, blake3.Sum256(body)))
		}
	}
	slices.Sort(list)
	return list
}

// files lists key and digest of all files of a directory.
func files(t *testing.T, dir string) (list []string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		key, _ := filepath.Rel(dir, path)
		list = append(list, fmt.Sprintf("%s %x", filepath.ToSlash(key), blake3.Sum256(body)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// audit reads the manifest as a stranger does: each entry must be the object in the bucket,
// unless an intent says that it may not be.
func audit(t *testing.T, store *buckettest.Memory) {
	t.Helper()
	ctx := context.Background()
	c, err := catalog.Open(ctx, store, catalog.Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	pending := func(key string) bool {
		for _, i := range c.Foreign() {
			if i.Range != nil && i.Range.Contains(key) {
				return true
			}
		}
		return false
	}
	bodies := store.Objects()
	for e, err := range c.Tree(ctx).Entries("") {
		if err != nil {
			t.Fatal(err)
		}
		body, ok := bodies["p/"+e.Key]
		switch {
		case pending(e.Key):
		case !ok:
			t.Errorf("the manifest names %s, which is not there", e.Key)
		case !e.Unproven && manifest.Digest(blake3.Sum256(body)) != e.Digest:
			t.Errorf("the manifest lies about %s", e.Key)
		case int64(len(body)) != e.Size:
			t.Errorf("the manifest is wrong about the size of %s", e.Key)
		}
	}
}

func tree() map[string]string {
	files := map[string]string{"empty": "", "a.txt": "a", "a/b": "ab", "a0": "a0", "dir/é": "e"}
	for i := range 40 {
		files[fmt.Sprintf("many/%02d", i)] = fmt.Sprint("file ", i)
	}
	return files
}

func TestUploadStory(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(tree())
	if sum := m.mirrors(); sum.Transferred != 45 || sum.Deleted != 0 {
		t.Errorf("first run: %+v", sum)
	}
	root := m.mirrors().Root.Digest

	m.wants()
	if len(m.calls) != 1 || m.count(buckettest.Get) != 1 {
		t.Errorf("nothing changed, and it took %v", m.calls)
	}

	touched := time.Now().Add(-time.Hour)
	for name := range tree() {
		if err := os.Chtimes(filepath.Join(m.dir, name), touched, touched); err != nil {
			t.Fatal(err)
		}
	}
	if sum := m.mirrors(); sum.Transferred != 0 || sum.Root.Digest != root || len(m.calls) != 1 {
		t.Errorf("touched: %+v, %v", sum, m.calls)
	}

	m.write(map[string]string{"a.txt": "b"})
	m.mirrors()
	m.wants("put a.txt")
	if m.count(buckettest.List) != 0 {
		t.Error("an edit needs a listing")
	}

	m.remove("many/07")
	m.run(nil)
	m.wants()
	if len(m.calls) != 1 {
		t.Errorf("a deleted file without --delete takes %v", m.calls)
	}
	m.run(func(o *Options) { o.Delete, o.DryRun = true, true })
	m.wants("delete many/07")
	if m.count(buckettest.Put)+m.count(buckettest.Delete) != 0 {
		t.Error("a dry run writes")
	}
	m.mirrors()
	m.wants("delete many/07")

	m.forget()
	if sum := m.mirrors(); sum.Transferred != 0 || len(m.calls) != 1 {
		t.Errorf("without a cache: %+v, %v", sum, m.calls)
	}

	m.remove("a")
	m.write(map[string]string{"a": "now a file", "a.txt": "c"})
	m.remove("dir")
	m.mirrors()
	m.wants("delete a/b", "delete dir/é", "put a", "put a.txt")
}

func TestLargeFilesGoInParts(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	body := strings.Repeat("0123456789abcdef", (20<<20)/16)
	m.write(map[string]string{"large": body, "exact": body[:usualPart], "whole": body[:usualPart-1]})
	m.mirrors()
	if begun, parts := m.count(buckettest.Begin), m.count(buckettest.Part); begun != 2 || parts != 4 {
		t.Errorf("%d uploads of %d parts", begun, parts)
	}
	m.mirrors()
	m.wants()
	m.write(map[string]string{"large": body + "x"})
	m.mirrors()
	m.wants("put large")
	if m.store.Uploads() != 0 {
		t.Error("uploads are left behind")
	}
}

func put(t *testing.T, store bucket.Store, key, body string) {
	t.Helper()
	if _, err := store.Put(context.Background(), key, strings.NewReader(body), int64(len(body)), bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A prefix that another tool filled is taken over, and nothing that is equal is sent again.
func TestAdopt(t *testing.T) {
	ctx := context.Background()
	m := newMachine(t, &buckettest.Memory{})
	m.write(tree())
	parts := strings.Repeat("part", 5<<20/4)
	m.write(map[string]string{"parts": parts + parts + "tail"})
	for key, body := range tree() {
		put(t, m.store, "p/"+key, body)
	}
	up, err := m.store.Upload(ctx, "p/parts", bucket.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range []string{parts, parts, "tail"} {
		if err := up.Part(ctx, i+1, strings.NewReader(body), int64(len(body)), sumCRC(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := up.Complete(ctx); err != nil {
		t.Fatal(err)
	}
	put(t, m.store, "p/a.txt", "z")   // same size, other content
	put(t, m.store, "p/a0", "longer") // other size
	put(t, m.store, "p/foreign/x", "not ours")
	put(t, m.store, "p/marker/", "")
	put(t, m.store, "q/elsewhere", "not in the prefix")

	m.run(func(o *Options) { o.DryRun = true })
	m.wants("note 47 objects were found that the manifest did not know; comparing their content", "put a.txt", "put a0")
	if m.count(buckettest.Put) != 0 {
		t.Error("a dry run writes")
	}
	sum := m.run(nil)
	m.wants("note 47 objects were found that the manifest did not know; comparing their content", "put a.txt", "put a0")
	if sum.Proved != 44 {
		t.Errorf("%d proved", sum.Proved)
	}
	if sum = m.run(nil); len(m.calls) != 1 {
		t.Errorf("the next run takes %v", m.calls)
	}
	m.run(func(o *Options) { o.Delete = true })
	m.wants("delete foreign/x")
	if _, ok := m.store.Objects()["q/elsewhere"]; !ok {
		t.Error("an object outside of the prefix is gone")
	}
	if _, ok := m.store.Objects()["p/marker/"]; !ok {
		t.Error("the marker of a folder is gone")
	}
}

// What somebody else did behind the manifest's back is noticed at the keys that are touched.
func TestForeignChanges(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"edited": "1", "removed": "1", "doomed": "1", "same": "1", "left": "1"})
	m.mirrors()
	put(t, m.store, "p/edited", "somebody else's")
	put(t, m.store, "p/doomed", "somebody else's")
	put(t, m.store, "p/new", "somebody else's")
	put(t, m.store, "p/same", "2")
	if err := m.store.Delete(context.Background(), "p/removed", bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	m.write(map[string]string{"edited": "2", "removed": "2", "same": "2", "new": "2"})
	m.remove("doomed")
	sum, err := m.try(context.Background(), func(o *Options) { o.Delete = true })
	if err != nil {
		t.Fatal(err)
	}
	m.wants("drift doomed: foreign-changed, keep", "drift edited: foreign-changed, keep", "drift new: foreign-new, keep",
		"drift removed: missing, restore", "put removed")
	if sum.Failed != 0 || sum.Drift.Total() != 4 || sum.Deleted != 0 {
		t.Errorf("%+v", sum)
	}
	for key, want := range map[string]string{"edited": "somebody else's", "doomed": "somebody else's", "new": "somebody else's", "same": "2", "removed": "2"} {
		if got := m.store.Objects()["p/"+key]; string(got) != want {
			t.Errorf("%s holds %q", key, got)
		}
	}
}

// Nothing is deleted that was not seen.
func TestProblemsProtect(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"file": "1", "link": "1", "dir/x": "1", "dir/y/z": "1", "gone": "1"})
	m.mirrors()
	for _, name := range []string{"link", "dir", "gone"} {
		m.remove(name)
	}
	for link, target := range map[string]string{"link": "nowhere", "dir": "."} {
		if err := os.Symlink(target, filepath.Join(m.dir, link)); err != nil {
			t.Skip(err)
		}
	}
	sum := m.run(func(o *Options) { o.Delete = true })
	if sum.Deleted != 1 || sum.Problems != 2 {
		t.Errorf("%+v", sum)
	}
	for _, key := range []string{"link", "dir/x", "dir/y/z"} {
		if _, ok := m.store.Objects()["p/"+key]; !ok {
			t.Errorf("%s is gone", key)
		}
	}
}

func TestGuardsStopDeletes(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	for i := range 300 {
		m.write(map[string]string{fmt.Sprintf("%03d", i): "x"})
	}
	m.mirrors()
	for i := range 200 {
		m.remove(fmt.Sprintf("%03d", i))
	}
	ctx := context.Background()
	if _, err := m.try(ctx, func(o *Options) { o.Delete = true }); !errors.Is(err, ErrTooManyDeletes) {
		t.Errorf("200 of 300: %v", err)
	}
	for i := 200; i < 300; i++ {
		m.remove(fmt.Sprintf("%03d", i))
	}
	if _, err := m.try(ctx, func(o *Options) { o.Delete, o.MaxDelete = true, Limit{Percent: 100, Given: true} }); !errors.Is(err, ErrEmptySource) {
		t.Errorf("an empty source: %v", err)
	}
	if n := len(objects(m.store)); n != 300 {
		t.Fatalf("%d objects are left of 300", n)
	}
	m.run(func(o *Options) { o.Delete, o.AllowEmpty = true, true })
	if n := len(objects(m.store)); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// More deletes than one leaf of the manifest holds.
func TestManyDeletes(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	for i := range manifest.MaxPage + 500 {
		put(t, m.store, fmt.Sprintf("p/old/%05d", i), "x")
	}
	m.write(map[string]string{"new": "1"})
	m.run(nil)
	sum := m.run(func(o *Options) { o.Delete, o.MaxDelete = true, Limit{Percent: 100, Given: true} })
	if sum.Deleted != manifest.MaxPage+500 {
		t.Errorf("%d deleted", sum.Deleted)
	}
	m.mirrors()
	m.wants()
}

// After n requests the network is gone for good, as it is when the process is killed; n goes
// through the whole run. The next run, on a machine that lost its cache or did not, must bring
// bucket, manifest and tree together, and what the manifest says must be so at every moment.
func TestDeathAfterEveryRequest(t *testing.T) {
	files := map[string]string{"edited": "1", "removed": "1", "kept": "1", "many/0": "0", "many/1": "1"}
	for _, last := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
		for how := range 4 {
			forget, batches := how%2 == 1, how >= 2
			for n, whole := 0, false; !whole; n++ {
				m := newMachine(t, &buckettest.Memory{})
				if batches {
					m.knowsBatches()
				}
				m.write(files)
				m.mirrors()
				m.write(map[string]string{"edited": "2", "added": "1", "another/one": "1"})
				m.remove("removed")
				m.remove("many/0")
				var seen atomic.Int64
				m.store.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
					switch i := int(seen.Add(1)); {
					case i <= n:
						return buckettest.OK
					case i == n+1:
						return last
					}
					return buckettest.NotStored
				}
				_, err := m.try(context.Background(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
				m.store.Fault = nil
				whole = err == nil && int(seen.Load()) <= n
				audit(t, m.store)
				if whole && (m.count(buckettest.Batch) > 0) != batches {
					t.Errorf("batches are to be sent: %v; requests: %v", batches, m.calls)
				}
				if t.Failed() {
					t.Fatalf("died after request %d (%v)", n, last)
				}
				// Meanwhile the tree goes on.
				m.write(map[string]string{"edited": "3"})
				m.remove("another")
				if forget {
					m.forget()
				}
				m.mirrors()
				if m.mirrors(); len(m.calls) != 1 {
					t.Fatalf("died after request %d: the second run after that takes %v", n, m.calls)
				}
			}
		}
	}
}

// Each single request fails once, in each way; the run goes on as far as it can.
func TestEveryRequestFailsOnce(t *testing.T) {
	for _, outcome := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored, buckettest.Throttled} {
		for n, whole := 0, false; !whole; n++ {
			m := newMachine(t, &buckettest.Memory{})
			m.write(map[string]string{"edited": "1", "removed": "1", "kept": "1"})
			m.mirrors()
			m.write(map[string]string{"edited": "2", "added": "1"})
			m.remove("removed")
			var seen atomic.Int64
			m.store.Fault = func(buckettest.Op, string) buckettest.Outcome {
				if int(seen.Add(1)) == n+1 {
					return outcome
				}
				return buckettest.OK
			}
			m.try(context.Background(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
			m.store.Fault = nil
			whole = int(seen.Load()) <= n
			audit(t, m.store)
			m.mirrors()
		}
	}
}

// An interrupted run writes down what it did; the next one goes on.
func TestInterrupt(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(tree())
	ctx, cancel := context.WithCancel(context.Background())
	var puts atomic.Int64
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Put && !strings.Contains(key, manifest.Reserved) && puts.Add(1) == 20 {
			cancel()
		}
		return buckettest.OK
	}
	meter := &Meter{}
	sum, err := m.try(ctx, func(o *Options) { o.Meter = meter })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if done := meter.DoneFiles.Load(); done != sum.Transferred+sum.Failed || done == 45 {
		t.Errorf("%d are said to be done of %d sent, %d failed", done, sum.Transferred, sum.Failed)
	}
	m.store.Fault = nil
	audit(t, m.store)
	first := len(objects(m.store))
	sum = m.mirrors()
	if first < 15 || int(sum.Transferred)+first < 45 || sum.Transferred > 30 {
		t.Errorf("%d objects before the interrupt, %d sent after it", first, sum.Transferred)
	}
	if m.mirrors(); len(m.calls) != 1 {
		t.Errorf("the run after that takes %v", m.calls)
	}
}

// A scan that cannot begin says so once.
func TestScanFails(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(tree())
	m.run(nil)
	m.store.Fault = func(buckettest.Op, string) buckettest.Outcome {
		os.RemoveAll(m.dir)
		return buckettest.OK
	}
	if _, err := m.try(t.Context(), nil); err == nil || strings.Count(err.Error(), "scan") != 1 {
		t.Error(err)
	}
}

// Two machines mirror their own subtrees into one prefix at the same time.
func TestTwoMachines(t *testing.T) {
	store := &buckettest.Memory{}
	a, b := newMachine(t, store), newMachine(t, store)
	var g sync.WaitGroup
	for i, m := range []*machine{a, b} {
		for n := range 300 {
			m.write(map[string]string{fmt.Sprintf("%c/%03d", 'a'+i, n): fmt.Sprint(n)})
		}
		g.Go(func() {
			for range 3 {
				if _, err := m.try(context.Background(), nil); err != nil {
					t.Error(err)
				}
				m.write(map[string]string{fmt.Sprintf("%c/007", 'a'+i): fmt.Sprint(time.Now())})
			}
			if sum, err := m.try(context.Background(), nil); err != nil || sum.Failed > 0 {
				t.Errorf("%v, %+v", err, sum)
			}
		})
	}
	g.Wait()
	audit(t, store)
	want := slices.Concat(files(t, a.dir), files(t, b.dir))
	slices.Sort(want)
	if !slices.Equal(objects(store), want) {
		t.Error("the bucket is not the two trees")
	}
	c, err := catalog.Open(context.Background(), store, catalog.Options{Prefix: "p/"})
	if err != nil || c.Root().Top.Files != 600 || len(c.Foreign()) != 0 {
		t.Errorf("the manifest names %d objects, and intents %v are left, %v", c.Root().Top.Files, c.Foreign(), err)
	}
}

// Filters select on both sides: what they hide is neither sent nor deleted.
func TestFiltersProtect(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a.txt": "1", "b.py": "1", "sub/c.txt": "1", "sub/d.py": "1"})
	m.mirrors()
	m.write(map[string]string{"a.txt": "2", "b.py": "2"})
	m.remove("sub")
	m.run(func(o *Options) {
		o.Delete, o.Filters = true, filter.New([]filter.Filter{{Pattern: "*.py"}}, m.dir, "b/p")
	})
	m.wants("delete sub/c.txt", "put a.txt")
	m.run(func(o *Options) {
		o.Delete, o.Filters = true, filter.New([]filter.Filter{{Pattern: "/*"}}, m.dir, "b/p")
	})
	m.wants()
	m.mirrors()
	m.wants("delete sub/d.py", "put b.py")
}

// A server that heeds no condition is no reason to overwrite what somebody else wrote.
func TestHeedlessServer(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{Heedless: map[buckettest.Op]bool{
		buckettest.Put: true, buckettest.Delete: true, buckettest.Complete: true,
	}})
	m.write(map[string]string{"a": "1", "b": "1", "c": "1"})
	m.run(nil)
	put(t, m.store, "p/a", "somebody else's")
	put(t, m.store, "p/b", "somebody else's")
	m.write(map[string]string{"a": "2", "c": "2"})
	m.remove("b")
	sum, err := m.try(context.Background(), func(o *Options) { o.Delete = true })
	if err != nil || sum.Failed != 0 || sum.Drift.Changed != 2 || sum.Transferred != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	for key, want := range map[string]string{"a": "somebody else's", "b": "somebody else's", "c": "2"} {
		if got := m.store.Objects()["p/"+key]; !bytes.Equal(got, []byte(want)) {
			t.Errorf("%s holds %q", key, got)
		}
	}
}

// A server that takes no checksums is told so once, and mirrored to all the same.
func TestServerWithoutChecksums(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{NoChecksum: true})
	m.write(map[string]string{"a": "1", "large": strings.Repeat("x", usualPart+1)})
	m.mirrors()
	m.wants("note this server takes no CRC-64/NVME checksums: what is sent is not verified by the server", "put a", "put large")
}

// Files that change between the scan and the transfer: what is recorded is what is stored, or
// nothing is; and the next run finds what this one could not.
func TestFilesThatMove(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	large := strings.Repeat("x", usualPart+100)
	m.write(map[string]string{"a first one": "1", "grows": "1", "shrinks": "12345", "replaced": "1", "vanishes": "1", "large": large, "quiet": "1"})
	var once sync.Once
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Put && key == "p/a first one" { // the scan is over
			once.Do(func() {
				m.write(map[string]string{"grows": strings.Repeat("1", 9_000), "shrinks": "1", "replaced": "2", "large": "y" + large[1:]})
				m.remove("vanishes")
				if err := os.Mkdir(filepath.Join(m.dir, "vanishes"), 0o755); err != nil {
					t.Error(err)
				}
			})
		}
		return buckettest.OK
	}
	sum, err := m.try(context.Background(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
	if err != nil {
		t.Fatal(err)
	}
	audit(t, m.store)
	if sum.Failed != 2 || sum.Transferred != 5 {
		t.Errorf("%+v\n%s", sum, strings.Join(m.lines, "\n"))
	}
	for _, name := range []string{"large", "vanishes"} {
		if _, ok := m.store.Objects()["p/"+name]; ok {
			t.Errorf("%s was stored", name)
		}
		if !slices.ContainsFunc(m.lines, func(l string) bool {
			return strings.HasPrefix(l, "failed "+name+": ") && strings.Contains(l, filepath.Join(m.dir, name))
		}) {
			t.Errorf("the failure of %s does not name the path:\n%s", name, strings.Join(m.lines, "\n"))
		}
	}
	if m.store.Uploads() != 0 {
		t.Error("an upload is left behind")
	}
	m.store.Fault = nil
	m.mirrors()
}

// Who may upload and not delete hears of it where it matters, and is not told what is not so.
func TestMayNotDelete(t *testing.T) {
	for _, deletes := range []bool{false, true} {
		m := newMachine(t, &buckettest.Memory{Fault: func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Delete {
				return buckettest.Denied
			}
			return buckettest.OK
		}})
		m.write(map[string]string{"a": "1"})
		if sum, err := m.try(t.Context(), func(o *Options) { o.Delete = deletes }); err != nil || sum.Transferred != 1 {
			t.Fatalf("%v, %+v", err, sum)
		}
		if told := strings.Join(m.lines, "\n"); strings.Contains(told, "or allows no deletes") != deletes {
			t.Errorf("with deletes %v: %s", deletes, told)
		}
	}
}

// The same with the completion of an upload in parts alone: it is looked at right before.
func TestHeedlessComplete(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{Heedless: map[buckettest.Op]bool{buckettest.Complete: true}})
	body := strings.Repeat("x", usualPart)
	m.write(map[string]string{"large": body})
	m.mirrors()
	put(t, m.store, "p/large", "somebody else's")
	m.write(map[string]string{"large": body + "y"})
	if sum, err := m.try(context.Background(), nil); err != nil || sum.Failed != 0 || sum.Drift.Changed != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	if got := m.store.Objects()["p/large"]; string(got) != "somebody else's" {
		t.Error("it was overwritten")
	}
}

// The answers to all writes of one key are lost, again and again, though they are carried out.
// The manifest must not say that it knows; a quiet run brings all together.
func TestOneKeyInLastingDoubt(t *testing.T) {
	for _, checksums := range []bool{true, false} {
		m := newMachine(t, &buckettest.Memory{NoChecksum: !checksums})
		body := strings.Repeat("x", usualPart)
		m.write(map[string]string{"doomed": "1", "large": body, "small": "1"})
		m.mirrors()
		for _, op := range []buckettest.Op{buckettest.Delete, buckettest.Put, buckettest.Complete} {
			m.write(map[string]string{"large": body + fmt.Sprint(op), "small": fmt.Sprint(op)})
			m.remove("doomed")
			m.store.Fault = func(o buckettest.Op, key string) buckettest.Outcome {
				if o == op && !strings.Contains(key, manifest.Reserved) {
					return buckettest.Stored
				}
				return buckettest.OK
			}
			if _, err := m.try(context.Background(), func(o *Options) { o.Delete = true }); err != nil {
				t.Fatal(err)
			}
			m.store.Fault = nil
			audit(t, m.store)
			m.write(map[string]string{"doomed": "1"}) // the same bytes again
			m.mirrors()
		}
	}
}

// Two runs at once, of which one deletes what the other stores with the same bytes.
func TestDeleteMeetsPut(t *testing.T) {
	for nth := range 8 {
		store := &buckettest.Memory{}
		a, b := newMachine(t, store), newMachine(t, store)
		a.write(map[string]string{"k": "1", "z": "1"})
		a.mirrors()
		a.remove("k")
		b.write(map[string]string{"k": "1", "z": "1", "other": "1"})
		var writes atomic.Int64
		store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if (op == buckettest.Put || op == buckettest.Delete) && int(writes.Add(1)) == nth+1 {
				b.try(context.Background(), nil)
			}
			return buckettest.OK
		}
		a.try(context.Background(), func(o *Options) { o.Delete = true })
		store.Fault = nil
		audit(t, store)
		b.run(nil)
		if _, ok := store.Objects()["p/k"]; !ok {
			t.Errorf("write %d: the file of the other run is lost", nth)
		}
	}
}

// An object that may not be deleted is a failure of its own, also in the run after a crash.
func TestDeniedDelete(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"k": "1", "other": "1", "stays": "1"})
	m.mirrors()
	m.remove("k")
	m.remove("other")
	ctx, cancel := context.WithCancel(context.Background())
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Delete && key == "p/k" {
			cancel()
			return buckettest.Denied
		}
		return buckettest.OK
	}
	if _, err := m.try(ctx, func(o *Options) { o.Delete = true }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	sum, err := m.try(context.Background(), nil)
	if err != nil || sum.Failed != 1 {
		t.Errorf("after the crash: %+v, %v", sum, err)
	}
	audit(t, m.store)
	sum, err = m.try(context.Background(), nil)
	if err != nil || sum.Failed != 0 {
		t.Errorf("after that: %+v, %v", sum, err)
	}
	m.store.Fault = nil
	m.mirrors()
}

// What gives no ETag cannot be told apart, and is left alone.
func TestObjectsWithoutETag(t *testing.T) {
	for _, a := range []Action{{Verb: Put, Key: "k", Old: &manifest.Entry{Key: "k"}}, {Verb: Delete, Key: "k", Old: &manifest.Entry{Key: "k"}}} {
		r, err := newRun(Options{From: Side{Dir: t.TempDir()}, To: Side{Store: &buckettest.Memory{}}})
		if err != nil {
			t.Fatal(err)
		}
		r.catalog = &catalog.Catalog{}
		_, err = r.send(context.Background(), a)
		if a.Verb == Delete {
			err = r.deleteObject(context.Background(), a.Old, nil)
		}
		if !errors.Is(err, errNoETag) {
			t.Errorf("%v: %v", a.Verb, err)
		}
	}
}

// A damaged manifest is made anew, whatever is damaged in it.
func TestRebuild(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(tree())
	m.mirrors()
	root := m.store.Objects()["p/"+manifest.Reserved+"manifest"]
	for _, at := range []int{0, 40, len(root) / 2, len(root) - 1} {
		damaged := bytes.Clone(root)
		damaged[at] ^= 1
		put(t, m.store, "p/"+manifest.Reserved+"manifest", string(damaged))
		m.forget()
		sum := m.run(func(o *Options) { o.Rebuild = true })
		if sum.Transferred != 0 || int(sum.Proved) != len(tree()) {
			t.Errorf("byte %d: %+v", at, sum)
		}
		if m.mirrors(); len(m.calls) != 1 {
			t.Errorf("byte %d: the next run takes %v", at, m.calls)
		}
	}
	empty := newMachine(t, &buckettest.Memory{})
	put(t, empty.store, "p/"+manifest.Reserved+"manifest", "damaged")
	empty.run(func(o *Options) { o.Rebuild = true })
	empty.run(nil)
}

// Two runs take over a prefix without a manifest at once, and one of them deletes.
func TestAdoptMeetsDelete(t *testing.T) {
	for nth := range 10 {
		store := &buckettest.Memory{}
		a, b := newMachine(t, store), newMachine(t, store)
		for _, key := range []string{"k", "z"} {
			put(t, store, "p/"+key, "1")
		}
		a.write(map[string]string{"z": "1"})
		b.write(map[string]string{"z": "1"})
		var writes atomic.Int64
		store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if (op == buckettest.Put || op == buckettest.Delete || op == buckettest.List) && int(writes.Add(1)) == nth+1 {
				b.try(context.Background(), func(o *Options) { o.Delete = true })
			}
			return buckettest.OK
		}
		a.try(context.Background(), nil)
		store.Fault = nil
		audit(t, store)
		a.run(nil)
		b.mirrors()
	}
}

// A run that dies while it deletes is settled by another, late, while a third puts the same
// bytes there again.
func TestSettleMeetsPut(t *testing.T) {
	for nth := range 10 {
		store := &buckettest.Memory{}
		a, b := newMachine(t, store), newMachine(t, store)
		a.write(map[string]string{"k": "1", "z": "1"})
		a.mirrors()
		a.remove("k")
		b.write(map[string]string{"k": "1", "z": "1"})
		ctx, cancel := context.WithCancel(context.Background())
		store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Delete && key == "p/k" {
				cancel()
				return buckettest.NotStored
			}
			return buckettest.OK
		}
		a.try(ctx, func(o *Options) { o.Delete = true })
		var writes atomic.Int64
		store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if (op == buckettest.Put || op == buckettest.Delete) && int(writes.Add(1)) == nth+1 {
				b.try(context.Background(), nil)
			}
			return buckettest.OK
		}
		a.try(context.Background(), nil)
		store.Fault = nil
		audit(t, store)
		b.run(nil)
		if _, ok := store.Objects()["p/k"]; !ok {
			t.Errorf("write %d: the file of the other run is lost", nth)
		}
	}
}

// A damaged manifest is made anew also on a server without conditions, and if the first answer
// is lost.
func TestRebuildInTrouble(t *testing.T) {
	for name, store := range map[string]*buckettest.Memory{
		"heedless":     {Heedless: map[buckettest.Op]bool{buckettest.Put: true, buckettest.Delete: true, buckettest.Complete: true}},
		"lost answers": {},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, store)
			m.write(tree())
			m.mirrors()
			put(t, store, "p/"+manifest.Reserved+"manifest", "damaged")
			var once sync.Once
			store.Fault = func(op buckettest.Op, key string) (outcome buckettest.Outcome) {
				if op == buckettest.Put && strings.HasSuffix(key, "/manifest") && name != "heedless" {
					once.Do(func() { outcome = buckettest.NotStored })
				}
				return outcome
			}
			if sum := m.run(func(o *Options) { o.Rebuild = true }); sum.Transferred != 0 {
				t.Errorf("%+v", sum)
			}
			m.mirrors()
		})
	}
}

// A run is interrupted at its delete of an object, and the one that settles it fails there too,
// each in any way: the object must not be named while it is not there.
func TestDeleteFailsTwice(t *testing.T) {
	outcomes := []buckettest.Outcome{buckettest.Stored, buckettest.NotStored, buckettest.Throttled, buckettest.Denied}
	for _, first := range outcomes {
		for _, then := range outcomes {
			m := newMachine(t, &buckettest.Memory{})
			m.write(map[string]string{"k": "1", "z": "1"})
			m.mirrors()
			m.remove("k")
			ctx, cancel := context.WithCancel(context.Background())
			outcome := first
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if op == buckettest.Delete && key == "p/k" {
					cancel()
					return outcome
				}
				return buckettest.OK
			}
			m.try(ctx, func(o *Options) { o.Delete = true })
			outcome = then
			m.try(context.Background(), nil)
			m.store.Fault = nil
			audit(t, m.store)
			m.run(nil)
			m.mirrors()
			if m.mirrors(); len(m.calls) != 1 || t.Failed() {
				t.Fatalf("outcomes %v and %v: a quiet run takes %v", first, then, m.calls)
			}
		}
	}
}
