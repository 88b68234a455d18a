package transfer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/transfer/compare"
	"merkur/transfer/filter"
	"merkur/transfer/headers"
	"merkur/transfer/pace"
)

// rules reads a file of rules.
func rules(t *testing.T, text string) *headers.Rules {
	t.Helper()
	r, err := headers.ParseRules(strings.NewReader(text), "rules", func(pattern string) func(string) bool { return filter.Match(pattern).MatchString })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// noon is a time on a whole second.
var noon = time.Unix(1_700_000_000, 0)

// A state is what one side has under a key; an empty body: nothing.
type state struct {
	body string
	at   time.Time
}

// What each strategy transfers, by direction: u for up, d for down, a for across.
var strategyTable = []struct {
	key      string
	from, to state
	want     map[string]string
}{
	{"new", state{"1", noon}, state{}, map[string]string{"aws": "uda", "exact": "uda", "size": "uda", "etag": "uda", "never": "uda", "content": "uda"}},
	{"gone", state{}, state{"1", noon}, nil},
	{"equal", state{"1", noon}, state{"1", noon}, nil},
	{"other content", state{"1", noon}, state{"2", noon}, map[string]string{"etag": "uda", "content": "uda"}},
	{"other size", state{"12", noon}, state{"1", noon}, map[string]string{"aws": "uda", "exact": "uda", "size": "uda", "etag": "uda", "content": "uda"}},
	{"other size, older", state{"12", noon.Add(-time.Hour)}, state{"1", noon}, map[string]string{"aws": "uda", "exact": "uda", "size": "uda", "etag": "uda", "content": "uda"}},
	{"newer", state{"1", noon.Add(time.Second)}, state{"1", noon}, map[string]string{"aws": "ua", "exact": "uda"}},
	{"older", state{"1", noon.Add(-time.Second)}, state{"1", noon}, map[string]string{"aws": "d", "exact": "d"}},
	{"half a second newer", state{"1", noon.Add(time.Second / 2)}, state{"1", noon}, map[string]string{"aws": "ua", "exact": "uda"}},
	{"half a second older", state{"1", noon}, state{"1", noon.Add(time.Second / 2)}, map[string]string{"aws": "d", "exact": "d"}},
	{"a microsecond newer", state{"1", noon.Add(time.Microsecond)}, state{"1", noon}, map[string]string{"aws": "ua", "exact": "uda"}},
	{"a microsecond older", state{"1", noon}, state{"1", noon.Add(time.Microsecond)}, map[string]string{"aws": "d", "exact": "d"}},
	{"less than a microsecond", state{"1", noon.Add(400)}, state{"1", noon}, nil},
	{"newer, other content", state{"1", noon.Add(time.Minute)}, state{"2", noon}, map[string]string{"aws": "ua", "exact": "uda", "etag": "uda", "content": "uda"}},
	{"before 1970", state{"1", time.Unix(-5, 0)}, state{"1", time.Unix(-5, 0)}, nil},
}

// lay puts the states of one side where they belong.
func lay(t *testing.T, m *machine, s Side, of func(i int) (string, state)) {
	for i := range strategyTable {
		key, at := of(i)
		switch {
		case at.body == "":
		case s.local():
			m.write(map[string]string{key: at.body})
			if err := os.Chtimes(filepath.Join(m.dir, key), at.at, at.at); err != nil {
				t.Fatal(err)
			}
		default:
			put(t, s.Store, s.Prefix+key, at.body)
			s.Store.(*buckettest.Memory).Set(s.Prefix+key, func(o *bucket.Object) { o.Modified = at.at })
		}
	}
}

func TestStrategies(t *testing.T) {
	for way, verb := range map[string]string{"u": "put ", "d": "get ", "a": "copy "} {
		for _, name := range []string{"aws", "exact", "size", "etag", "never", "content"} {
			for _, withManifest := range []bool{false, true} {
				t.Run(way+name+fmt.Sprint(withManifest), func(t *testing.T) {
					var m *machine
					switch way {
					case "u":
						m = newMachine(t, &buckettest.Memory{})
					case "d":
						m = newFetcher(t, &buckettest.Memory{})
					case "a":
						m = newCopier(t, &buckettest.Memory{Name: "a"})
					}
					lay(t, m, m.o.To, func(i int) (string, state) { return strategyTable[i].key, strategyTable[i].to })
					if withManifest {
						empty := newMachine(t, m.store)
						empty.o.To.Bucket = m.o.To.Bucket
						empty.run(nil) // adopts what is there
					}
					lay(t, m, m.o.From, func(i int) (string, state) { return strategyTable[i].key, strategyTable[i].from })
					if way == "d" && withManifest && name == "content" {
						withoutManifest(m.store) // it does not know of these
					}
					if m.o.Compare = compare.Name(name); name == "never" {
						m.o.Compare, m.o.NoOverwrite = compare.Size, true
					}
					var want []string
					for _, c := range strategyTable {
						if strings.Contains(c.want[name], way) {
							want = append(want, verb+c.key)
						}
					}
					slices.Sort(want)
					m.run(func(o *Options) { o.DryRun = true })
					got := events(m.lines)
					if !slices.Equal(got, want) {
						t.Errorf("a dry run says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
					m.run(nil)
					got = events(m.lines)
					if !slices.Equal(got, want) {
						t.Errorf("transferred\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
					checkManifest(t, m, way, name, withManifest)
					for _, c := range strategyTable {
						body := c.to.body
						if strings.Contains(c.want[name], way) {
							body = c.from.body
						}
						if got := held(m, c.key); got != body {
							t.Errorf("%s holds %q, want %q", c.key, got, body)
						}
					}
					m.run(nil)
					again := slices.DeleteFunc(slices.Clone(m.lines), func(line string) bool {
						// The time of an object that is finer than a second is none that a file gets.
						return way == "d" && name == "exact" && (strings.Contains(line, "half a") || strings.Contains(line, "microsecond"))
					})
					if len(again) > 0 {
						t.Errorf("the second run says %v", again)
					}
					m.run(func(o *Options) { o.Delete = true })
					if got := held(m, "gone"); got != "" || !slices.Contains(m.lines, "delete gone") {
						t.Errorf("not deleted: %v", m.lines)
					}
					checkManifest(t, m, way, name, withManifest)
				})
			}
		}
	}
}

// events are what a run told of that was done or not, without its notes.
func events(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, "note ") })
}

// held is what the destination has under a key.
func held(m *machine, key string) string {
	if m.o.To.local() {
		return content(m, key)
	}
	return string(m.store.Objects()["p/"+key])
}

// checkManifest checks that the manifest of a destination is true, if there was one, and that none
// was made by a strategy that does without.
func checkManifest(t *testing.T, m *machine, way, name string, withManifest bool) {
	t.Helper()
	if withManifest || name == "content" {
		faithful(t, m.store)
		if way != "d" && len(entries(t, m.store)) != len(objects(m.store)) {
			t.Errorf("the manifest names %d of %d objects", len(entries(t, m.store)), len(objects(m.store)))
		}
		return
	}
	for key := range m.store.Objects() {
		if strings.Contains(key, manifest.Reserved) {
			t.Errorf("%s was made", key)
		}
	}
}

// A file that was only touched is sent again by strategies that go by time. If the answer is lost, that the object
// has its bytes does not show that it was stored.
func TestTouchedFileInDoubt(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		for _, lost := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
			m := newMachine(t, &buckettest.Memory{})
			m.write(map[string]string{"a": "1"})
			m.run(func(o *Options) {
				if !withManifest {
					o.Compare = compare.AWS
				}
			})
			later := time.Now().Add(time.Hour)
			if err := os.Chtimes(filepath.Join(m.dir, "a"), later, later); err != nil {
				t.Fatal(err)
			}
			var once atomic.Bool
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if op == buckettest.Put && key == "p/a" && once.CompareAndSwap(false, true) {
					return lost
				}
				return buckettest.OK
			}
			sum := m.run(func(o *Options) { o.Compare, o.Headers = compare.AWS, headers.Set{CacheControl: "no-store"} })
			if o, _ := m.store.Options("p/a"); o.Headers.CacheControl != "no-store" || sum.Transferred != 1 || !once.Load() {
				t.Errorf("manifest %v, outcome %v: %+v, %+v", withManifest, lost, o.Headers, sum)
			}
			if withManifest {
				faithful(t, m.store)
			}
		}
	}
}

// A strategy that lists goes past a manifest, and past what others did; it keeps the manifest true.
func TestListingStrategiesSeeForeignChanges(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a": "1", "b": "1", "c": "1", "d": "1"})
	m.mirrors()
	put(t, m.store, "p/a", "somebody else's")
	put(t, m.store, "p/x", "somebody else's")
	m.store.Delete(context.Background(), "p/b", bucket.Condition{})
	m.remove("d")
	sum := m.run(func(o *Options) { o.Compare, o.Delete = compare.Size, true })
	m.wants("delete d", "delete x", "put a", "put b")
	if sum.Failed != 0 || !slices.Equal(objects(m.store), files(t, m.dir)) {
		t.Errorf("%+v", sum)
	}
	faithful(t, m.store)
	m.mirrors()
	m.wants()
}

// Pages come after what they refer to, and not at all if that is not there.
func TestPagesLast(t *testing.T) {
	for _, across := range []bool{false, true} {
		source := &buckettest.Memory{Name: "a"}
		up := newMachine(t, source)
		up.write(map[string]string{"a.html": "1", "b/index.HTML": "1", "c.css": "1", "d.xhtml": "1", "z.js": "1", "gone": "1"})
		for i := range 600 {
			up.write(map[string]string{fmt.Sprintf("pages/%03d.html", i): "x", fmt.Sprintf("pages/%03d.css", i): "x"})
		}
		m, op := up, buckettest.Put
		if across {
			up.mirrors()
			m, op = newCopier(t, source), buckettest.Copy
		}
		m.o.Order = PagesLast
		m.run(nil)
		late := false
		for _, c := range m.calls {
			if c.Op != op || strings.Contains(c.Key, manifest.Reserved) {
				continue
			}
			page := strings.HasSuffix(strings.ToLower(c.Key), "html")
			if late && !page {
				t.Fatalf("%s comes after a page", c.Key)
			}
			late = late || page
		}
		faithful(t, m.store)
		up.write(map[string]string{"a.html": "2", "c.css": "2", "z.js": "2"})
		up.remove("gone")
		if across {
			up.mirrors()
		}
		deny(m.store, op, "p/c.css")
		sum, err := m.try(context.Background(), func(o *Options) { o.Delete = true })
		if err != nil || sum.Failed != 2 || sum.Transferred != 1 || sum.Deleted != 0 || held(m, "a.html") != "1" {
			t.Errorf("%+v, %v, %v", sum, err, m.lines)
		}
		m.store.Fault = nil
		faithful(t, m.store)
		m.run(func(o *Options) { o.Delete = true })
		if across {
			m.wants("copy a.html", "copy c.css", "delete gone")
		} else {
			m.wants("delete gone", "put a.html", "put c.css")
		}
	}
}

// Other rules are other headers: the server copies the object to itself, and nothing is sent.
func TestDescribe(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.o.Parts = tiny
	m.o.Headers.Metadata = map[string]string{"team": "web"}
	m.write(map[string]string{"a.html": "1", "b.css": "1", "large.css": noise(3000), "empty.css": ""})
	m.o.Rules = rules(t, "/*.css\n  Cache-Control: no-cache\n")
	m.run(nil)
	m.store.SetTags(context.Background(), "p/b.css", "a=1")
	has := func(key, cache string) {
		t.Helper()
		o, _ := m.store.Options("p/" + key)
		kind := headers.Guess(key)
		if o.CacheControl != cache || o.Metadata["team"] != "web" || o.ContentType != kind {
			t.Errorf("%s has %+v", key, o.Headers)
		}
	}
	has("b.css", "no-cache")
	has("large.css", "no-cache")
	has("a.html", "")
	m.run(nil)
	if m.wants(); m.count(buckettest.Put)+m.count(buckettest.Copy)+m.count(buckettest.Head) > 0 {
		t.Errorf("nothing changed, and it takes %v", m.calls)
	}
	m.o.Rules = rules(t, "/*.css\n  Cache-Control: max-age=1\n")
	m.run(func(o *Options) { o.DryRun = true })
	m.wants("describe b.css", "describe empty.css", "describe large.css")
	sum := m.run(nil)
	m.wants("describe b.css", "describe empty.css", "describe large.css")
	for _, c := range m.calls {
		if (c.Op == buckettest.Put || c.Op == buckettest.Part) && !strings.Contains(c.Key, manifest.Reserved) {
			t.Errorf("sent: %v", c)
		}
	}
	if sum.Described != 3 || sum.Transferred != 0 {
		t.Errorf("%+v", sum)
	}
	has("b.css", "max-age=1")
	has("large.css", "max-age=1")
	has("a.html", "")
	if tags, _ := m.store.Tags(context.Background(), "p/b.css"); tags != "a=1" {
		t.Errorf("tags are %q", tags)
	}
	faithful(t, m.store)
	m.run(nil)
	m.wants()

	// What somebody else has put there is left alone; so is what the request meets on the way.
	put(t, m.store, "p/b.css", "somebody else's")
	m.store.Delete(context.Background(), "p/empty.css", bucket.Condition{})
	m.o.Rules = rules(t, "/*.css\n  Cache-Control: max-age=2\n")
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Copy && key == "p/large.css" {
			put(t, m.store, key, "somebody else's")
		}
		return buckettest.OK
	}
	sum, err := m.try(context.Background(), nil)
	m.store.Fault = nil
	if err != nil || sum.Failed != 0 || sum.Drift.Total() != 3 || sum.Described != 0 {
		t.Errorf("%+v, %v, %v", sum, err, m.lines)
	}
	for _, key := range []string{"b.css", "large.css"} {
		if got := held(m, key); got != "somebody else's" {
			t.Errorf("%s holds %q", key, got)
		}
	}
}

// Rules are for uploads: a copy has the headers of its source.
func TestCopyWithRules(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	up, m := newMachine(t, source), newCopier(t, source)
	up.o.Headers.CacheControl = "no-cache"
	up.write(map[string]string{"a": "1", "b": "1"})
	up.mirrors()
	m.o.Rules = rules(t, "/*\n  Cache-Control: max-age=1\n")
	m.run(nil)
	if o, _ := m.store.Options("p/a"); o.CacheControl != "no-cache" {
		t.Errorf("%+v", o.Headers)
	}
	if m.run(nil); len(m.calls) != 1 {
		t.Errorf("%v, %v", m.lines, m.calls)
	}
}

// An answer to a change of headers is lost. The manifest knows the object afterwards, or says that it
// does not.
func TestDescribeInDoubt(t *testing.T) {
	outcomes := []buckettest.Outcome{buckettest.OK, buckettest.Stored, buckettest.NotStored, buckettest.Throttled, buckettest.Denied}
	for _, checksums := range []bool{true, false} {
		for _, first := range outcomes[1:3] {
			for _, then := range outcomes {
				m := newMachine(t, &buckettest.Memory{})
				m.o.Parts = tiny
				m.write(map[string]string{"small": "1", "large": noise(3000), "kept": "1"})
				m.o.Rules = rules(t, "/*\n  Cache-Control: no-cache\n")
				m.mirrors()
				if !checksums {
					for _, key := range []string{"p/small", "p/large"} {
						m.store.Set(key, func(o *bucket.Object) { o.HasCRC64, o.CRC64 = false, 0 })
					}
				}
				m.o.Rules = rules(t, "/*a*\n  Cache-Control: max-age=1\n")
				tries := map[string]*atomic.Int64{"p/small": {}, "p/large": {}}
				m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
					switch n := tries[key]; {
					case n == nil || op != buckettest.Copy:
						return buckettest.OK
					case n.Add(1) == 1:
						return first
					}
					return then
				}
				_, err := m.try(context.Background(), nil)
				m.store.Fault = nil
				faithful(t, m.store)
				for range 3 {
					m.mirrors()
				}
				if m.wants(); err != nil || t.Failed() {
					t.Fatalf("checksums %v, %v, then %v: %v", checksums, first, then, err)
				}
				if o, _ := m.store.Options("p/large"); o.CacheControl != "max-age=1" {
					t.Fatalf("checksums %v, %v, then %v: %+v", checksums, first, then, o)
				}
			}
		}
	}
}

// A tree and two buckets, each a mirror of another in turn, by any strategy, while requests fail and
// runs are interrupted, and while other programs write to the buckets. At no time does a manifest lie or
// is anything half done in the tree; and after a quiet run by content the sides of it are equal.
func TestRandomDirections(t *testing.T) {
	seeds := 20
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newTriangle(t, uint64(seed)).rounds(6)
		})
	}
}

// A triangle is a tree and two buckets.
type triangle struct {
	*machine
	rng    *rand.Rand
	stores map[string]*buckettest.Memory
	sides  []Side
}

func newTriangle(t *testing.T, seed uint64) *triangle {
	a, b := &buckettest.Memory{Name: "a"}, &buckettest.Memory{Name: "b"}
	a.Others, b.Others = map[string]*buckettest.Memory{"b": b}, map[string]*buckettest.Memory{"a": a}
	m := newMachine(t, a)
	return &triangle{m, rand.New(rand.NewPCG(seed, 11)), map[string]*buckettest.Memory{"a": a, "b": b}, []Side{
		{Dir: m.dir}, {Store: a, Bucket: "a", Prefix: "p/", Place: "a"}, {Store: b, Bucket: "b", Prefix: "p/", Place: "b"},
	}}
}

// body is one of few, so that old ones come back; some are large enough to go in parts.
func (x *triangle) body() string {
	return strings.Repeat(fmt.Sprint(x.rng.IntN(3)), []int{0, 1, 1, 5, 2000}[x.rng.IntN(5)])
}

// edit changes a side. Another program that writes to a bucket takes the manifest for an object like
// others, and removes it.
func (x *triangle) edit(s Side) {
	for range 1 + x.rng.IntN(10) {
		key := fmt.Sprintf("%c/%02d", 'a'+x.rng.IntN(2), x.rng.IntN(12))
		switch remove := x.rng.IntN(3) == 0; {
		case s.local() && remove:
			x.remove(key)
		case s.local():
			x.write(map[string]string{key: x.body()})
		case remove:
			s.Store.Delete(context.Background(), s.Prefix+key, bucket.Condition{})
		default:
			put(x.t, s.Store, s.Prefix+key, x.body())
			if x.rng.IntN(4) == 0 {
				s.Store.(*buckettest.Memory).SetTags(context.Background(), s.Prefix+key, "a=1")
			}
		}
	}
	if !s.local() {
		withoutManifest(s.Store.(*buckettest.Memory))
	}
}

// trouble has requests fail, or interrupts.
func (x *triangle) trouble(cancel context.CancelFunc) {
	rng := rand.New(rand.NewPCG(x.rng.Uint64(), 1))
	rate, at := 5+x.rng.IntN(30), -1
	if x.rng.IntN(3) == 0 {
		at = x.rng.IntN(40)
	}
	var mu sync.Mutex
	n := 0
	for _, s := range x.stores {
		s.Fault = func(buckettest.Op, string) buckettest.Outcome {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == at {
				cancel()
			}
			if rng.IntN(rate) > 0 {
				return buckettest.OK
			}
			return []buckettest.Outcome{buckettest.Stored, buckettest.NotStored, buckettest.Throttled, buckettest.Denied}[rng.IntN(4)]
		}
	}
}

func (x *triangle) calm() {
	for _, s := range x.stores {
		s.Fault = nil
	}
}

// rounds makes so many runs in trouble, with a quiet one after each.
func (x *triangle) rounds(n int) {
	for round := range n {
		from := x.rng.IntN(3)
		to := (from + 1 + x.rng.IntN(2)) % 3
		x.o.From, x.o.To = x.sides[from], x.sides[to]
		for _, s := range x.sides {
			if x.rng.IntN(2) == 0 {
				x.edit(s)
			}
		}
		if x.rng.IntN(4) == 0 {
			x.forget()
		}
		x.o.Relay, x.o.Parts, x.o.Gate = x.rng.IntN(3) == 0, tiny, pace.Fixed(1+x.rng.IntN(4))
		names := []compare.Name{compare.Content, compare.Content, compare.AWS, compare.Exact, compare.Size, compare.ETag}
		name := names[x.rng.IntN(len(names))]
		remove := x.rng.IntN(2) == 0
		ctx, cancel := context.WithCancel(context.Background())
		x.trouble(cancel)
		all := func(o *Options) { o.Delete, o.AllowEmpty, o.MaxDelete = true, true, Limit{Percent: 100, Given: true} }
		x.try(ctx, func(o *Options) {
			all(o)
			o.Compare, o.Delete, o.Order = name, remove, Order(x.rng.IntN(2))
			if age := x.rng.IntN(4); age > 0 {
				o.Rules = rules(x.t, fmt.Sprintf("/a/*\n  Content-Type: text/html\n/*\n  Cache-Control: max-age=%d\n", age))
			}
		})
		cancel()
		x.calm()
		x.audit()
		what := fmt.Sprintf("round %d, %s to %s, first by %s", round, x.o.From, x.o.To, name)
		if x.t.Failed() {
			x.t.Fatalf("%s: %v", what, x.lines)
		}
		if sum, err := x.try(context.Background(), all); err != nil || sum.Failed+sum.Problems+sum.Warnings > 0 {
			x.t.Fatalf("%s: a quiet run: %+v, %v, %v", what, sum, err, x.lines)
		}
		x.audit()
		if got, want := x.all(x.o.To), x.all(x.o.From); !slices.Equal(got, want) {
			x.t.Fatalf("%s: the destination holds\n%v\nthe source\n%v\n%v", what, got, want, x.lines)
		}
		sum, err := x.try(context.Background(), all)
		if x.lines = events(x.lines); err != nil || len(x.lines) > 0 {
			x.t.Fatalf("%s: the second quiet run: %+v, %v, %v", what, sum, err, x.lines)
		}
	}
}

// all lists what a side holds.
func (x *triangle) all(s Side) []string {
	if s.local() {
		return files(x.t, s.Dir)
	}
	return objects(s.Store.(*buckettest.Memory))
}

// audit looks at the manifests and the tree.
func (x *triangle) audit() {
	x.t.Helper()
	for _, s := range x.stores {
		faithful(x.t, s)
	}
	noDrafts(x.t, x.dir)
}
