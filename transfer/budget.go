package transfer

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// memoryLimit bounds the bytes that are read and not yet sent.
const memoryLimit = 128 << 20

// A budget lends buffers to transfers, so many bytes at a time and no more.
type budget struct {
	left *semaphore.Weighted
	size int64        // of the largest buffers that are kept for the next one
	kept []*sync.Pool // of buffers of size bytes, of half as many, and so on
}

// keptSizes is how many sizes of buffers are kept, down to some KiB. Smaller ones are left to the
// garbage collector.
const keptSizes = 12

func newBudget(p Parts) budget {
	b := budget{left: semaphore.NewWeighted(memoryLimit), size: min(p.of(0), mostBuffer)}
	for i := range keptSizes {
		size := b.size >> i
		b.kept = append(b.kept, &sync.Pool{New: func() any { b := make([]byte, size); return &b }})
	}
	return b
}

// take waits until n bytes may be used and returns a buffer of that length. It must be given
// back by calling release. A buffer larger than the whole budget waits until it is alone.
func (b budget) take(ctx context.Context, n int64) (buf []byte, release func(), err error) {
	pool, whole := b.pool(n)
	weight := min(whole, memoryLimit)
	if err := b.left.Acquire(ctx, weight); err != nil {
		return nil, nil, err
	}
	if pool == nil {
		return make([]byte, n), func() { b.left.Release(weight) }, nil
	}
	lent := pool.Get().(*[]byte)
	return (*lent)[:n], func() {
		pool.Put(lent)
		b.left.Release(weight)
	}, nil
}

// pool returns where a buffer of n bytes comes from, nil for nowhere, and how many bytes it has
// as a whole: less than twice as many.
func (b budget) pool(n int64) (pool *sync.Pool, whole int64) {
	whole = n
	for i, p := range b.kept {
		if size := b.size >> i; n <= size {
			pool, whole = p, size
		}
	}
	if n <= b.size>>keptSizes {
		return nil, n
	}
	return pool, whole
}
