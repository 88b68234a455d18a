package inspect

import (
	"context"
	"iter"
	"sync"
)

// inOrder does work on the items of a sequence, up to width at once, and yields the outcomes in the
// order of the items. It ends with the first error, of an item or of its work. No goroutine is left
// when it returns, also if it was stopped early.
func inOrder[A, B any](ctx context.Context, width int, items iter.Seq2[A, error], work func(context.Context, A) (B, error)) iter.Seq2[B, error] {
	type outcome struct {
		value B
		err   error
	}
	return func(yield func(B, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		queue := make(chan chan outcome, width)
		var workers sync.WaitGroup
		defer workers.Wait()
		defer cancel()
		workers.Go(func() {
			defer close(queue)
			for item, err := range items {
				out := make(chan outcome, 1)
				select {
				case <-ctx.Done():
					return
				case queue <- out:
				}
				if err != nil {
					out <- outcome{err: err}
					return
				}
				workers.Go(func() {
					value, err := work(ctx, item)
					out <- outcome{value, err}
				})
			}
		})
		for out := range queue {
			o := <-out
			if !yield(o.value, o.err) || o.err != nil {
				return
			}
		}
	}
}
