package inspect

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// TestInOrder yields what comes of items in their order, and no more than is wanted.
func TestInOrder(t *testing.T) {
	ctx := context.Background()
	count := func(n int, end error) func(func(int, error) bool) {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			if end != nil {
				yield(0, end)
			}
		}
	}
	var now, most atomic.Int64
	work := func(_ context.Context, i int) (int, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		return i * i, nil
	}
	next := 0
	for v, err := range inOrder(ctx, 3, count(1000, nil), work) {
		if err != nil || v != next*next {
			t.Fatalf("%d, %v; want %d", v, err, next*next)
		}
		next++
	}
	if next != 1000 || most.Load() > 5 {
		t.Errorf("%d items, %d at once", next, most.Load())
	}
	broken := errors.New("broken")
	fails := func(_ context.Context, i int) (int, error) {
		if i == 7 {
			return 0, broken
		}
		return i, nil
	}
	for name, items := range map[string]struct {
		seq  func(func(int, error) bool)
		work func(context.Context, int) (int, error)
		want int
	}{
		"an item": {count(5, broken), work, 5}, "its work": {count(100, nil), fails, 7},
	} {
		n, last := 0, error(nil)
		for _, err := range inOrder(ctx, 4, items.seq, items.work) {
			if last = err; err == nil {
				n++
			}
		}
		if n != items.want || last != broken {
			t.Errorf("%s: %d outcomes, %v", name, n, last)
		}
	}
	n := 0
	for range inOrder(ctx, 4, count(1000000, nil), work) {
		if n++; n == 10 {
			break
		}
	}
	if now.Load() != 0 {
		t.Error("work is left behind")
	}
}
