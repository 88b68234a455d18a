package transfer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"merkur/store/bucket/buckettest"
	"merkur/transfer/filter"
)

// Two machines mirror changing trees into one prefix, each its own part or both the same keys,
// while requests fail in both ways and runs are interrupted. At no time may the manifest lie, nor
// any run, by audit or sample, call foreign what the other has done; and when each has had a quiet run of its own part, the bucket is the two trees.
func TestRandomRuns(t *testing.T) {
	seeds := 30
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			randomRuns(t, uint64(seed), seed%2 == 1)
		})
	}
}

// An interruption comes with the request of that number.
type interruption struct {
	cancel context.CancelFunc
	at     int64
}

func randomRuns(t *testing.T, seed uint64, shared bool) {
	rng := rand.New(rand.NewPCG(seed, 7))
	store := &buckettest.Memory{}
	var trouble atomic.Pointer[rand.Rand]
	var interrupt atomic.Pointer[interruption]
	var requests atomic.Int64
	var mu sync.Mutex
	store.Fault = func(buckettest.Op, string) buckettest.Outcome {
		mu.Lock()
		defer mu.Unlock()
		if i := interrupt.Load(); requests.Add(1) > 0 && i != nil && requests.Load() == i.at {
			i.cancel()
		}
		rng := trouble.Load()
		if rng == nil || rng.IntN(25) > 0 {
			return buckettest.OK
		}
		return []buckettest.Outcome{buckettest.Stored, buckettest.NotStored, buckettest.Throttled}[rng.IntN(3)]
	}
	machines := []*machine{newMachine(t, store), newMachine(t, store)}
	if seed%4 >= 2 {
		for _, m := range machines {
			m.knowsBatches()
		}
	}
	own := func(i int) func(*Options) {
		return func(o *Options) {
			o.Delete, o.AllowEmpty, o.MaxDelete = true, true, Limit{Percent: 100, Given: true}
			if !shared {
				o.Filters = filter.New([]filter.Filter{{Pattern: fmt.Sprintf("%c/*", 'b'-i)}}, o.From.Dir, "bucket/p")
			}
		}
	}
	for range 6 {
		trouble.Store(rand.New(rand.NewPCG(rng.Uint64(), 1)))
		var g sync.WaitGroup
		for i, m := range machines {
			for range 1 + rng.IntN(30) {
				name := fmt.Sprintf("%c/%02d", 'a'+i, rng.IntN(40))
				if shared {
					name = fmt.Sprintf("s/%02d", rng.IntN(25))
				}
				if rng.IntN(3) == 0 {
					m.remove(name)
				} else {
					m.write(map[string]string{name: fmt.Sprint(rng.IntN(3))}) // few contents, so that old ones come back
				}
			}
			if rng.IntN(3) == 0 {
				m.forget()
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if rng.IntN(3) == 0 {
				cancelAt := int64(rng.IntN(60)) // requests from now
				interrupt.Store(&interruption{cancel, requests.Load() + cancelAt})
			}
			share, sample := []float64{0, 0.3, 1}[rng.IntN(3)], float64(rng.IntN(2))
			g.Go(func() {
				sum, _ := m.try(ctx, func(o *Options) { own(i)(o); o.Audit, o.Sample = share, sample })
				if sum.Drift.Total() > 0 {
					t.Errorf("seed %d: nobody else is at work, and there is drift: %v", seed, m.lines)
				}
			})
		}
		g.Wait()
		trouble.Store(nil)
		audit(t, store)
	}
	if shared {
		return // who has the last word is a matter of chance
	}
	for i, m := range machines {
		m.run(own(i))
	}
	want := slices.Concat(files(t, machines[0].dir), files(t, machines[1].dir))
	slices.Sort(want)
	if got := objects(store); !slices.Equal(got, want) {
		t.Errorf("seed %d: the bucket holds %d objects, the trees %d files, or they differ\n%v\n%v", seed, len(got), len(want), got, want)
	}
	for i, m := range machines {
		if m.run(own(i)); m.count(buckettest.Put)+m.count(buckettest.Delete)+m.count(buckettest.Batch) > 0 {
			t.Errorf("seed %d: a second quiet run writes: %v", seed, m.calls)
		}
	}
}
