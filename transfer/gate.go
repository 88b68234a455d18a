package transfer

import (
	"context"

	"golang.org/x/sync/errgroup"

	"merkur/store/bucket"
)

// partsAhead is how many parts of one object are under way at once.
const partsAhead = 8

// pass makes one request of an action, when the gate lets it through. It moves so many bytes, which
// the meter counts while they move.
func (r *run) pass(ctx context.Context, a Action, bytes int64, request func(context.Context) error) error {
	if err := r.gate.Enter(ctx); err != nil {
		return err
	}
	t := tally{meter: r.o.Meter, most: bytes}
	err := request(bucket.Telling(ctx, t.moved))
	if err != nil {
		bytes = 0
	}
	r.gate.Leave(bytes)
	t.end(bytes)
	if a.moved != nil {
		a.moved.Add(bytes)
	}
	return err
}

// eachPart does something for each part of an object, several at once, each with as large a buffer
// as room says of its bytes.
func (r *run) eachPart(ctx context.Context, l layout, room func(n int64) int64, do func(ctx context.Context, i int, buf []byte) error) error {
	g, inGroup := errgroup.WithContext(ctx)
	g.SetLimit(min(partsAhead, max(r.gate.Limit(), 1)))
	for i := range l.len() {
		_, n := l.bounds(i)
		buf, release, err := r.memory.take(inGroup, room(n))
		if err != nil {
			break // the group has failed, or the run is interrupted
		}
		g.Go(func() error {
			defer release()
			return do(inGroup, i, buf)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
