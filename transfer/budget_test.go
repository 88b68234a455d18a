package transfer

import (
	"context"
	"testing"
)

// What buffers hold is what the budget counts, of whatever length they are.
func TestBudgetCountsWhatIsHeld(t *testing.T) {
	for _, n := range []int64{1, 4 << 10, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20, 8 << 20, 9 << 20} {
		b := newBudget(Parts{}.usual())
		held, lent := 0, 0
		for {
			ctx, cancel := context.WithCancel(context.Background())
			pool, whole := b.pool(n)
			if lent == 1000 || !b.left.TryAcquire(whole) {
				cancel()
				break
			}
			b.left.Release(whole)
			buf, _, err := b.take(ctx, n)
			cancel()
			if err != nil || int64(len(buf)) != n {
				t.Fatalf("%d bytes: a buffer of %d, %v", n, len(buf), err)
			}
			if int64(cap(buf)) >= 2*n && pool != nil {
				t.Fatalf("%d bytes: a buffer of %d", n, cap(buf))
			}
			held, lent = held+cap(buf), lent+1
		}
		if held > memoryLimit || lent < 1000 && held < memoryLimit/2 {
			t.Errorf("%d buffers of %d bytes hold %d", lent, n, held)
		}
	}
}

// A buffer that is given back is lent again, and what waits goes on.
func TestBudgetIsGivenBack(t *testing.T) {
	b := newBudget(Parts{}.usual())
	for _, n := range []int64{memoryLimit, 2 * memoryLimit, 5 << 20} {
		for range 3 {
			_, release, err := b.take(context.Background(), n)
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
	}
	if !b.left.TryAcquire(memoryLimit) {
		t.Error("something was not given back")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := b.take(ctx, 1); err == nil {
		t.Error("an interrupted run gets a buffer")
	}
}
