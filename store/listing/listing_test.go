package listing

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// A shelf is a store that only lists, sorted keys, and counts the requests.
type shelf struct {
	bucket.Store
	keys     []string
	latency  time.Duration
	broken   string // a page that would begin with this key or one behind it, up to the next 1,000, fails
	requests atomic.Int64
	underway atomic.Int64
}

var errBroken = errors.New("broken")

func (s *shelf) List(ctx context.Context, prefix, start string) iter.Seq2[bucket.Listed, error] {
	return func(yield func(bucket.Listed, error) bool) {
		s.underway.Add(1)
		defer s.underway.Add(-1)
		i := sort.SearchStrings(s.keys, max(prefix, start+"\x00"))
		if start == "" {
			i = sort.SearchStrings(s.keys, prefix)
		}
		for more := true; more; i += pageSize {
			s.requests.Add(1)
			select {
			case <-ctx.Done():
				yield(bucket.Listed{}, ctx.Err())
				return
			case <-time.After(s.latency):
			}
			page := s.keys[i:min(i+pageSize, len(s.keys))]
			more = i+pageSize < len(s.keys) && strings.HasPrefix(s.keys[i+pageSize], prefix)
			if s.broken != "" && slices.Contains(page, s.broken) {
				yield(bucket.Listed{}, errBroken)
				return
			}
			for _, key := range page {
				if !strings.HasPrefix(key, prefix) {
					return
				}
				if !yield(bucket.Listed{Key: key}, nil) {
					return
				}
			}
		}
	}
}

func collect(s bucket.Store, o Options) (keys []string, err error) {
	for obj, err := range Objects(context.Background(), s, o) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, obj.Key)
	}
	return keys, nil
}

// wanted is the plain way to say which keys a listing has.
func wanted(keys []string, o Options) (w []string) {
	for _, key := range keys {
		if strings.HasPrefix(key, o.Prefix) && key >= o.First && (o.Last == "" || key <= o.Last) {
			w = append(w, key)
		}
	}
	return w
}

// TestObjects lists random ranges of keys of every shape, with random hints.
func TestObjects(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, shape := range shapes {
		s := &shelf{keys: shape.keys(10_000)}
		pick := func() string {
			key := s.keys[r.IntN(len(s.keys))]
			switch r.IntN(4) {
			case 0:
				return ""
			case 1:
				return key[:r.IntN(len(key))]
			case 2:
				return key + "x"
			}
			return key
		}
		for range 12 {
			key := s.keys[r.IntN(len(s.keys))]
			o := Options{Prefix: key[:r.IntN(min(len(key), 4))], First: pick(), Last: pick(), Width: r.IntN(20)}
			if r.IntN(2) == 0 {
				hints := []string{pick(), pick(), pick(), pick(), pick()}
				slices.Sort(hints)
				o.Splits = wrong(hints...)
			}
			s.requests.Store(0)
			got, err := collect(s, o)
			want := wanted(s.keys, o)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s %+v: %d keys, %v; want %d", shape.name, o, len(got), err, len(want))
			}
			if n := int(s.requests.Load()); n > len(want)/1000*3/2+firstCuts+2 {
				t.Errorf("%s %+v: %d requests for %d keys", shape.name, o, n, len(want))
			}
		}
	}
}

func TestObjectsOfMemory(t *testing.T) {
	m := new(buckettest.Memory)
	want := made(2500, func(i int) string { return fmt.Sprintf("dir/%04d", i) })
	for _, key := range append([]string{"dir", "dirt"}, want...) {
		if _, err := m.Put(t.Context(), key, strings.NewReader(""), 0, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := collect(m, Options{Prefix: "dir/"}); err != nil || !slices.Equal(got, want) {
		t.Errorf("%d keys, %v; want %d", len(got), err, len(want))
	}
	first := Options{Prefix: "dir/", First: "dir/0100", Last: "dir/0100"}
	if got, err := collect(m, first); err != nil || !slices.Equal(got, []string{"dir/0100"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEmptyRange(t *testing.T) {
	s := &shelf{keys: []string{"a", "b"}}
	for _, o := range []Options{{First: "b", Last: "a"}, {Prefix: "b", Last: "a"}} {
		if got, err := collect(s, o); err != nil || got != nil {
			t.Errorf("%+v: %q, %v", o, got, err)
		}
	}
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests for nothing", n)
	}
}

// TestTime has real workers list under a clock that costs nothing.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{keys: made(50_000, hash), latency: 100 * time.Millisecond}
		began := time.Now()
		got, err := collect(s, Options{})
		if err != nil || len(got) != len(s.keys) {
			t.Fatalf("%d keys, %v", len(got), err)
		}
		if took := time.Since(began); took > 5*time.Second/2 { // in sequence 5 s
			t.Errorf("took %v", took)
		}
	})
}

// TestStop stops at random places. That synctest returns says that no goroutine is left.
func TestStop(t *testing.T) {
	keys := made(25_000, hash)
	for _, n := range []int{1, 999, 1000, 1001, 5_000, 24_999} {
		synctest.Test(t, func(t *testing.T) {
			s := &shelf{keys: keys, latency: time.Second}
			got := 0
			for _, err := range Objects(t.Context(), s, Options{Splits: each(keys, 4000)}) {
				if err != nil {
					t.Fatal(err)
				}
				if got++; got == n {
					break
				}
			}
			if left := s.underway.Load(); left != 0 {
				t.Errorf("stopped after %d objects: %d listings are under way", n, left)
			}
			synctest.Wait()
		})
	}
}

// TestNoGoroutineIsLeft stops, fails and ends, outside of synctest's care.
func TestNoGoroutineIsLeft(t *testing.T) {
	s := &shelf{keys: made(20_000, hash)}
	before := runtime.NumGoroutine()
	for i := range 18 {
		s.broken = ""
		if i%3 == 0 {
			s.broken = s.keys[15_000]
		}
		got := 0
		for range Objects(t.Context(), s, Options{}) {
			if got++; i%3 == 1 && got == 5_000 {
				break
			}
		}
		if left := s.underway.Load(); left != 0 {
			t.Fatalf("%d listings are under way", left)
		}
	}
	for range 1000 { // those that have finished may still be ending
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines; %d before", runtime.NumGoroutine(), before)
}

// TestSlowConsumer has little listed ahead of a consumer that does not go on.
func TestSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{keys: made(100_000, hash), latency: time.Millisecond}
		got := 0
		for _, err := range Objects(t.Context(), s, Options{}) {
			if err != nil {
				t.Fatal(err)
			}
			if got++; got == 10_001 {
				time.Sleep(time.Hour)
				if n := s.requests.Load(); n > 150 {
					t.Errorf("%d requests for %d objects", n, got)
				}
			}
		}
		if got != len(s.keys) {
			t.Errorf("%d objects; want %d", got, len(s.keys))
		}
	})
}

// TestError breaks the listing anywhere: what comes before is given out, and then the error.
func TestError(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	keys := made(30_000, hash)
	for range 30 {
		s := &shelf{keys: keys}
		at := r.IntN(len(s.keys))
		s.broken = s.keys[at]
		got, err := collect(s, Options{})
		if !errors.Is(err, errBroken) {
			t.Fatalf("broken at %d: error %v after %d", at, err, len(got))
		}
		if len(got) > at || len(got) < at-pageSize || !slices.Equal(got, s.keys[:len(got)]) {
			t.Fatalf("broken at %d: %d objects before the error", at, len(got))
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &shelf{keys: made(100_000, hash)}
	got := 0
	var last error
	for _, err := range Objects(ctx, s, Options{}) {
		if last = err; err != nil {
			continue // nothing may follow
		}
		if got++; got == 3_000 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || got == len(s.keys) {
		t.Errorf("%d objects, and then %v", got, last)
	}
}

// A muddle lists what it is told to, however it is asked.
type muddle struct {
	bucket.Store
	list func(prefix, start string) []string
}

func (m muddle) List(_ context.Context, prefix, start string) iter.Seq2[bucket.Listed, error] {
	return func(yield func(bucket.Listed, error) bool) {
		for _, key := range m.list(prefix, start) {
			if !yield(bucket.Listed{Key: key}, nil) {
				return
			}
		}
	}
}

func TestUnordered(t *testing.T) {
	many := made(10_000, func(i int) string { return fmt.Sprintf("p/%05d", i) })
	late := slices.Clone(many)
	late[7000], late[7001] = late[7001], late[7000]
	tests := []struct {
		name string
		list func(prefix, start string) []string
		o    Options
		want []string
	}{
		{"twice", func(_, _ string) []string { return []string{"p/1", "p/1"} }, Options{}, []string{"p/1"}},
		{"back", func(_, _ string) []string { return []string{"p/2", "p/1"} }, Options{}, []string{"p/2"}},
		{"other prefix", func(_, _ string) []string { return []string{"p/1", "q"} }, Options{Prefix: "p/"}, []string{"p/1"}},
		{"start is ignored", func(_, _ string) []string { return many }, Options{First: "p/00500"}, nil},
		{"late", func(_, start string) []string {
			i, _ := slices.BinarySearch(many, start+"\x00")
			return late[i:]
		}, Options{Width: 1}, late[:7001]},
	}
	for _, test := range tests {
		got, err := collect(muddle{list: test.list}, test.o)
		if !errors.Is(err, ErrUnordered) {
			t.Errorf("%s: error %v", test.name, err)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q before the error; want %q", test.name, got, test.want)
		}
	}
}
