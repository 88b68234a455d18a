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
	left  *semaphore.Weighted
	parts *sync.Pool // of buffers of size bytes
	size  int64
}

func newBudget(p Parts) budget {
	size := min(p.of(0), mostBuffer)
	return budget{
		left:  semaphore.NewWeighted(memoryLimit),
		size:  size,
		parts: &sync.Pool{New: func() any { b := make([]byte, size); return &b }},
	}
}

// take waits until n bytes may be used and returns a buffer of that length. It must be given
// back by calling release. A buffer larger than the whole budget waits until it is alone.
func (b budget) take(ctx context.Context, n int64) (buf []byte, release func(), err error) {
	weight := min(n, memoryLimit)
	if err := b.left.Acquire(ctx, weight); err != nil {
		return nil, nil, err
	}
	// Small ones are left to the garbage collector; the pool would pin megabytes for them.
	if n < b.size/8 || n > b.size {
		return make([]byte, n), func() { b.left.Release(weight) }, nil
	}
	pooled := b.parts.Get().(*[]byte)
	return (*pooled)[:n], func() {
		b.parts.Put(pooled)
		b.left.Release(weight)
	}, nil
}
