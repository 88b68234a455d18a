package listing

import (
	"container/heap"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"merkur/store/bucket"
)

// A shape makes a sorted set of about n keys.
type shape struct {
	name string
	keys func(n int) []string
}

func made(n int, key func(i int) string) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = key(i)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func hash(i int) string {
	sum := sha256.Sum256(fmt.Append(nil, i))
	return hex.EncodeToString(sum[:])
}

// word is the i-th of the names that people give: of different length and not evenly spread.
func word(i int) string {
	syllables := []string{"al", "ba", "con", "de", "e", "form", "ing", "in", "ma", "mo", "re", "ser", "st", "ta", "ter", "tion", "un", "vi"}
	var b strings.Builder
	for i++; i > 0; i /= len(syllables) {
		b.WriteString(syllables[i%len(syllables)])
	}
	return b.String()
}

var shapes = []shape{
	{"uniform hex", func(n int) []string { return made(n, hash) }},
	{"one directory of numbers", func(n int) []string {
		return made(n, func(i int) string { return fmt.Sprintf("data/part-%06d", i) })
	}},
	{"long prefix, numbers without zeros", func(n int) []string {
		return made(n, func(i int) string { return strings.Repeat("very/long/prefix/", 20) + fmt.Sprint("file", i, ".jpg") })
	}},
	{"dates", func(n int) []string {
		start := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
		return made(n, func(i int) string {
			at := start.Add(time.Duration(i) * 73 * time.Second)
			return at.Format("logs/2006/01/02/15-04-05-") + hash(i)[:8] + ".gz"
		})
	}},
	{"huge directory amid small ones", func(n int) []string {
		return made(n, func(i int) string {
			switch {
			case i < n/10:
				return fmt.Sprintf("%s/%s", word(i/7), word(i))
			default:
				return fmt.Sprintf("huge/%07d.bin", i)
			}
		})
	}},
	{"deep tree of names", func(n int) []string {
		return made(n, func(i int) string {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			var b strings.Builder
			for range 2 + r.IntN(5) {
				b.WriteString(word(int(r.ExpFloat64() * 8)))
				b.WriteByte('/')
			}
			return b.String() + word(i) + ".go"
		})
	}},
	{"clusters of 1,500", func(n int) []string {
		return made(n, func(i int) string { return fmt.Sprintf("set-%s/v%04d", hash(i / 1500)[:10], i%1500) })
	}},
	{"words", func(n int) []string { return made(n, func(i int) string { return word(i) }) }},
	{"numbers at the end of hashes", func(n int) []string {
		return made(n, func(i int) string { return hash(i / 20)[:2] + "/" + hash(i / 20)[2:] + fmt.Sprint("/", i%20) })
	}},
	{"exponential", func(n int) []string {
		return made(n, func(i int) string { return strings.Repeat("a", i%500) + fmt.Sprintf("%06d", i/500) })
	}},
	{"no ASCII", func(n int) []string {
		return made(n, func(i int) string {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			return fmt.Sprintf("%c%c%c/übung-%d", 0x4e00+r.IntN(3000), 0x4e00+r.IntN(3000), 0x430+r.IntN(32), i)
		})
	}},
}

// A figure is what a simulated listing came to.
type figure struct {
	requests int
	time     float64 // with 1 for each request
	held     int
}

type event struct {
	at    float64
	piece *piece
	keys  []string
	ended bool
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// simulate carries out a plan on sorted keys with requests that take the time that latency says,
// and a consumer that takes none.
func simulate(t testing.TB, keys []string, o Options, latency func() float64) figure {
	return simulateFed(t, keys, o, latency, &feed{})
}

// simulateFed tells a feed how far it is.
func simulateFed(t testing.TB, keys []string, o Options, latency func() float64, hints *feed) figure {
	pl := newPlan(o)
	var f figure
	var queue events
	now := 0.0
	start := func(p *piece) {
		i := sort.SearchStrings(keys, p.after+"\x00")
		j := min(i+pageSize, len(keys))
		f.requests++
		heap.Push(&queue, event{now + latency(), p, keys[i:j], j == len(keys)})
	}
	idle := o.Width
	var got int
	for {
		for more := true; more && pl.ready(); {
			var objects []bucket.Listed
			var err error
			objects, err, more = pl.take()
			if err != nil {
				t.Fatal(err)
			}
			for _, obj := range objects {
				if obj.Key != keys[got] {
					t.Fatalf("object %d is %q; want %q", got, obj.Key, keys[got])
				}
				got++
				hints.given = got
			}
		}
		for idle > 0 {
			p := pl.assign()
			if p == nil {
				break
			}
			idle--
			start(p)
		}
		f.held = max(f.held, pl.held+pl.busy*pageSize)
		if len(queue) == 0 {
			break
		}
		e := heap.Pop(&queue).(event)
		now = e.at
		objects := make([]bucket.Listed, len(e.keys))
		for i, key := range e.keys {
			objects[i].Key = key
		}
		pl.deliver(e.piece, objects, e.ended, nil)
		idle++
	}
	if got != len(keys) {
		for i, p := range pl.pieces {
			t.Logf("%d: (%q %q %q] objects %d count %d busy %v done %v rest %.0f", i, p.start, p.after, p.end, p.held, p.count, p.busy, p.done, p.rest)
		}
		t.Fatalf("%d objects; want %d; held %d, busy %d, listed %d, wasted %d", got, len(keys), pl.held, pl.busy, pl.listed, pl.wasted)
	}
	f.time = now
	return f
}

// each is a hint for every so many keys.
func each(keys []string, n int) func() (Split, bool) {
	var s []Split
	for i := 0; i < len(keys); i += n {
		s = append(s, Split{keys[i], min(i, n)})
	}
	return SplitsOf(s)
}

// wrong are hints that nobody should have given.
func wrong(keys ...string) func() (Split, bool) {
	var s []Split
	for _, key := range keys {
		s = append(s, Split{key, 4000})
	}
	return SplitsOf(s)
}

// A feed knows the hints for so many keys behind the last one given out, as a scan does that is
// so far ahead of a comparison.
type feed struct {
	keys  []string
	given int // keys
	told  int
}

func (f *feed) next() (Split, bool) {
	const every, ahead = 500, 64_000
	if f.told >= len(f.keys) {
		return Split{}, false
	}
	if f.told >= f.given+ahead {
		return Split{}, true
	}
	s := Split{f.keys[f.told], min(f.told, every)}
	f.told += every
	return s, true
}

// jitter has requests take 1 in the mean, and up to three times as long as others.
func jitter() func() float64 {
	r := rand.New(rand.NewPCG(3, 4))
	return func() float64 { return 0.5 + r.Float64() }
}

// TestCost holds the bounds that the package promises, on keys of every shape, with good hints,
// useless ones, and none. The shapes that a scale fits must also be fast.
func TestCost(t *testing.T) {
	least := map[string]float64{ // how many times as fast as in sequence
		"uniform hex": 3, "one directory of numbers": 3, "no ASCII": 3, "numbers at the end of hashes": 1.5,
		"clusters of 1,500": 1.2, "dates": 1.2, "huge directory amid small ones": 1.2, "deep tree of names": 1.2, "words": 1.2,
	}
	for _, s := range shapes {
		keys := s.keys(40_000)
		sequential := (len(keys) + pageSize - 1) / pageSize
		fed := &feed{keys: keys}
		check := func(hints string, o Options, least float64) {
			f := simulateFed(t, keys, o, jitter(), fed)
			if f.requests > sequential*3/2+firstCuts+1 {
				t.Errorf("%s, %s: %d requests; %d in sequence", s.name, hints, f.requests, sequential)
			}
			if f.held > maxHeld {
				t.Errorf("%s, %s: %d objects held", s.name, hints, f.held)
			}
			if faster := float64(sequential) / f.time; faster < least {
				t.Errorf("%s, %s: %.1f times as fast as in sequence; want %.1f", s.name, hints, faster, least)
			}
		}
		check("no hints", Options{Width: 16}, least[s.name])
		check("hints", Options{Width: 16, Splits: each(keys, 4000)}, 4)
		check("many hints", Options{Width: 16, Splits: each(keys, 1)}, 4)
		check("a feed", Options{Width: 16, Splits: fed.next}, 4)
		check("wrong hints", Options{Width: 16, Splits: wrong("~", "a", "\xff", "~~")}, 0)
		check("hints that end early", Options{Width: 16, Splits: wrong(keys[4000])}, least[s.name])
		check("one at a time", Options{Width: 1}, 0)
	}
}

func TestSmallCost(t *testing.T) {
	for _, s := range shapes {
		for n, want := range map[int]int{0: 1, 1: 1, 999: 1, 1000: 1, 1001: 2, 1999: 2} {
			keys := s.keys(4 * n)[:n]
			if f := simulate(t, keys, Options{Width: 16, Splits: each(keys, 10)}, jitter()); f.requests != want {
				t.Errorf("%s: %d requests for %d keys; want %d", s.name, f.requests, n, want)
			}
		}
	}
}

// BenchmarkPlan lists a million keys of each shape, with requests that take the same time in
// the mean, and reports how much faster than in sequence that is, and what it costs; fewer keys in
// short mode.
func BenchmarkPlan(b *testing.B) {
	for _, s := range shapes {
		n := 1_000_000
		if testing.Short() {
			n = 20_000
		}
		keys := s.keys(n)
		sequential := float64((len(keys) + pageSize - 1) / pageSize)
		for _, hints := range []string{"alone", "hints", "feed"} {
			b.Run(s.name+"/"+hints, func(b *testing.B) {
				var f figure
				for b.Loop() {
					o, fed := Options{Width: 16}, &feed{keys: keys}
					switch hints {
					case "hints":
						o.Splits = each(keys, 4000)
					case "feed":
						o.Splits = fed.next
					}
					f = simulateFed(b, keys, o, jitter(), fed)
				}
				b.ReportMetric(f.time, "rounds")
				b.ReportMetric(sequential/f.time, "times-as-fast")
				b.ReportMetric(float64(f.requests)/sequential, "requests/page")
			})
		}
	}
}
