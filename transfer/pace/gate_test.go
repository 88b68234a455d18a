package pace

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errStop = errors.New("stop")

func TestFixed(t *testing.T) {
	for _, c := range []struct{ n, want int }{{-1, 1}, {0, 1}, {1, 1}, {300, 300}} {
		g := Fixed(c.n)
		for range 10_000 {
			if err := g.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			g.Moved(1 << 20)
			g.Leave(1 << 20)
		}
		if g.Limit() != c.want {
			t.Errorf("Fixed(%d) has the limit %d", c.n, g.Limit())
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		o     Options
		start int
		b     bounds
	}{
		{Options{}, 16, bounds{2, 128, 0}},
		{Options{Start: -1, Least: -1, Most: -1}, 16, bounds{2, 128, 0}},
		{Options{Most: 1}, 1, bounds{1, 1, 0}},
		{Options{Most: 10}, 10, bounds{2, 10, 0}},
		{Options{Least: 20}, 20, bounds{20, 128, 0}},
		{Options{Least: 20, Most: 10}, 10, bounds{10, 10, 0}},
		{Options{Start: 500, Target: 7}, 128, bounds{2, 128, 7}},
	} {
		if g := Adaptive(c.o); g.Limit() != c.start || g.bounds != c.b {
			t.Errorf("%+v: %d, %+v", c.o, g.Limit(), g.bounds)
		}
	}
}

// Places are given in the order of asking, and as many at once as there are.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Fixed(1)
		enter(t, g)
		var order []int
		var mu sync.Mutex
		for i := range 50 {
			go func() {
				enter(t, g)
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				g.Leave(0)
			}()
			synctest.Wait() // it waits for its place
		}
		g.Leave(0)
		synctest.Wait()
		if len(order) != 50 || !slices.IsSorted(order) {
			t.Errorf("the order is %v", order)
		}
	})
}

func enter(t *testing.T, g *Gate) {
	if err := g.Enter(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEnterReturnsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := Fixed(1)
		ctx, cancel := context.WithCancelCause(t.Context())
		enter(t, g)
		var err error
		go func() { err = g.Enter(ctx) }()
		synctest.Wait()
		cancel(errStop)
		synctest.Wait()
		if err != errStop {
			t.Errorf("a wait ended with %v", err)
		}
		g.Leave(0)
		if err := g.Enter(ctx); err != errStop {
			t.Errorf("after the end: %v", err)
		}
		enter(t, g) // the place is still there
		g.Leave(0)
	})
}

func TestLeaveWithoutEnter(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Fixed(1).Leave(0)
}

// A raised limit lets those in that wait, a lowered one lets nobody in until enough have left.
func TestLimitChangesWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said atomic.Int64
		g := Adaptive(Options{Start: 10, Throttled: said.Load})
		var inside atomic.Int64
		for range 40 {
			go func() {
				enter(t, g)
				inside.Add(1)
			}()
		}
		synctest.Wait()
		for i := 0; g.Limit() == 10; i++ { // a sample of settling, and one that counts
			if i > 1000 {
				t.Fatal("the limit does not change")
			}
			time.Sleep(20 * time.Millisecond)
			g.Moved(1 << 20)
		}
		if synctest.Wait(); g.Limit() != 20 || inside.Load() != 20 {
			t.Fatalf("limit %d, %d inside", g.Limit(), inside.Load())
		}
		said.Add(1)
		for range 20 {
			time.Sleep(20 * time.Millisecond)
			g.Moved(1 << 20)
		}
		if g.Limit() != 10 {
			t.Fatalf("limit %d after SlowDown in a trial", g.Limit())
		}
		for n := range 12 { // 10 too many, and then two make room for two
			g.Leave(0)
			synctest.Wait()
			if want := 20 + max(n-9, 0); int(inside.Load()) != want {
				t.Fatalf("after %d have left, %d have entered, want %d", n+1, inside.Load(), want)
			}
		}
		for inside.Load() < 40 {
			g.Leave(0)
			synctest.Wait()
		}
		for range 10 {
			g.Leave(0)
		}
	})
}

// Requests that were turned away before the limit was lowered do not lower it again.
func TestOneStepForOneBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said atomic.Int64
		g := Adaptive(Options{Start: 100, Throttled: said.Load})
		for range 100 {
			enter(t, g)
		}
		said.Add(50)
		for range 1000 { // nobody leaves
			time.Sleep(10 * time.Millisecond)
			said.Add(1)
			g.Moved(1 << 20)
		}
		for range 30 { // all of them report, and more is said to what is still in flight
			time.Sleep(100 * time.Millisecond)
			said.Add(1)
			g.Leave(0)
			if got := g.Limit(); got != 100 && got != 70 {
				t.Fatalf("the limit is %d", got)
			}
		}
		if g.Limit() != 70 {
			t.Errorf("the limit is %d", g.Limit())
		}
	})
}

// Many goroutines enter and leave, and give up while they wait: no more are inside than the
// limit ever was, and in the end all places are there.
func TestManyAtOnce(t *testing.T) {
	var said, inside atomic.Int64
	g := Adaptive(Options{Start: 8, Most: 20, Throttled: said.Load})
	var wg sync.WaitGroup
	for i := range 64 {
		rng := rand.New(rand.NewPCG(uint64(i), 5))
		wg.Go(func() {
			for range 500 {
				visit(t, g, rng, &inside, &said)
			}
		})
	}
	wg.Wait()
	if g.inFlight != 0 || g.waiting.Len() != 0 {
		t.Fatalf("%d places are lost, %d wait", g.inFlight, g.waiting.Len())
	}
	for range g.Limit() {
		enter(t, g) // would wait for ever
	}
}

func visit(t *testing.T, g *Gate, rng *rand.Rand, inside, said *atomic.Int64) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if rng.IntN(3) == 0 {
		go cancel(errStop)
	}
	if err := g.Enter(ctx); err != nil {
		if err != errStop {
			t.Error(err)
		}
		return
	}
	if n := inside.Add(1); n > 20 {
		t.Errorf("%d inside", n)
	}
	if rng.IntN(1000) == 0 {
		said.Add(1)
	}
	g.Moved(1)
	inside.Add(-1)
	g.Leave(1)
}

// A place that is given at the moment of cancelling goes to the next one.
func TestCancelAtTheMomentOfAdmission(t *testing.T) {
	for range 2000 {
		g := Fixed(1)
		enter(t, g)
		ctx, cancel := context.WithCancel(context.Background())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- g.Enter(ctx) }()
		go func() { second <- g.Enter(context.Background()) }()
		go cancel()
		g.Leave(0)
		if <-first == nil {
			g.Leave(0)
		}
		if err := <-second; err != nil {
			t.Fatal(err)
		}
		g.Leave(0)
		if g.inFlight != 0 {
			t.Fatal("a place is lost")
		}
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	for _, c := range []struct {
		name string
		gate *Gate
	}{{"fixed", Fixed(16)}, {"adaptive", Adaptive(Options{})}} {
		b.Run(c.name, func(b *testing.B) {
			ctx := b.Context()
			for b.Loop() {
				if err := c.gate.Enter(ctx); err != nil {
					b.Fatal(err)
				}
				c.gate.Leave(1 << 20)
			}
		})
	}
}

// Here most wait for a place.
func BenchmarkCrowd(b *testing.B) {
	g := Adaptive(Options{Most: 4})
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := g.Enter(context.Background()); err != nil {
				b.Error(err)
			}
			g.Leave(1 << 20)
		}
	})
}
