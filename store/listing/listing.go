// Package listing lists a bucket in key order by several requests at once.
//
// A server lists 1,000 keys a request, and says only then where the next request begins. But a
// listing may begin behind any key, so the keys are cut into pieces that are listed at once and
// given out one after the other. Where to cut is guessed from the keys that were seen (scale.go),
// and which piece is listed next is decided by the order in which they are needed (plan.go).
// Guesses decide what a listing costs, never what it contains: a piece is all keys behind one
// cut up to and including the next, whether or not there is an object at either. Who has a good
// idea of the keys, such as the other side of a comparison, gives hints instead (splits.go).
//
// # What it costs
//
// A listing in sequence takes one request for each 1,000 objects. One by pieces takes at most
// half as many more, and five: so many cuts are made and pages given up, no more. A listing of
// fewer than 2,000 objects takes no more than one in sequence.
//
// # What it needs
//
// At most 64,000 objects are held, besides the 1,000 being given out, whatever the size of the
// bucket. So the pieces lie close to where the consumer is, and one that turns out to be far
// ahead may be given up and listed again.
//
// # What it asks of the server
//
// That it lists in byte order, and begins where it is told to. All keys are checked.
package listing

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"merkur/store/bucket"
)

// ErrUnordered says that a server listed a key that could not come at this place: out of order,
// before where the listing was to begin, or without the prefix.
var ErrUnordered = errors.New("keys out of order")

// pageSize is how many keys a server lists in one request.
const pageSize = 1000

// defaultWidth is enough to list faster than objects can be looked at one by one, and far from
// what a bucket refuses.
const defaultWidth = 16

// Options say what is listed, and how. The zero value lists the whole bucket.
type Options struct {
	Prefix string // of all keys
	First  string // first key wanted, with the prefix; empty: from the start
	Last   string // last key wanted, with the prefix; empty: to the end

	// Splits returns the next key, in ascending order, at which the listing may be cut. They are
	// of an older listing, or of the other side of a comparison, and are hints: they need not
	// exist, and may be too many, too few or wrong. One without a key says that none is known
	// yet; if more is false there will be none any more. It is called as splits are needed, by
	// one goroutine at a time, and must not wait. nil: there are none.
	Splits func() (s Split, more bool)

	Width int // requests at once; 0: 16
}

// A Split is a key at which a listing may be cut.
type Split struct {
	Key   string // with the prefix
	Count int    // about how many objects lie before it, behind the split before
}

// SplitsOf gives out splits that are all known.
func SplitsOf(splits []Split) func() (Split, bool) {
	return func() (s Split, more bool) {
		if len(splits) == 0 {
			return s, false
		}
		s, splits = splits[0], splits[1:]
		return s, true
	}
}

// Objects yields the objects of a range of keys, each once, in key order. After an error, which
// comes behind all objects before the place where it happened, it yields nothing more. An object
// that is stored or deleted meanwhile may be there or not. When it returns, no work is left
// under way, also if it was stopped early.
// Errors: those of the store, ErrUnordered.
func Objects(ctx context.Context, s bucket.Store, o Options) iter.Seq2[bucket.Listed, error] {
	return func(yield func(bucket.Listed, error) bool) {
		if o.Last != "" && (o.Last < o.First || o.Last < o.Prefix) {
			return
		}
		if o.Width <= 0 {
			o.Width = defaultWidth
		}
		ctx, cancel := context.WithCancel(ctx)
		l := &lister{store: s, o: o, plan: newPlan(o)}
		l.changed.L = &l.mu
		var workers sync.WaitGroup
		defer func() {
			cancel()
			l.close()
			workers.Wait()
		}()
		for range o.Width {
			workers.Go(func() { l.work(ctx) })
		}
		for {
			objects, err, more := l.take()
			for _, obj := range objects {
				if !yield(obj, nil) {
					return
				}
			}
			if err != nil {
				yield(bucket.Listed{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// A lister carries out a plan.
type lister struct {
	store bucket.Store
	o     Options

	mu      sync.Mutex
	changed sync.Cond // the plan or closed
	plan    *plan
	closed  bool
}

// work lists pieces until there are none.
func (l *lister) work(ctx context.Context) {
	for p := l.await(); p != nil; p = l.await() {
		for p != nil {
			p = l.list(ctx, p)
		}
	}
}

// await returns the piece to be listed next, or nil when there will be none.
func (l *lister) await() *piece {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && !l.plan.finished() {
		if p := l.plan.assign(); p != nil {
			return p
		}
		l.changed.Wait()
	}
	return nil
}

// list lists a piece, from where it was left, for as long as nothing else is more urgent. It
// returns what is, or nil.
func (l *lister) list(ctx context.Context, p *piece) (next *piece) {
	last, end := l.bounds(p)
	var page []bucket.Listed
	for obj, err := range l.store.List(ctx, l.o.Prefix, last) {
		if err == nil {
			err = inOrder(last, obj.Key, l.o.Prefix)
		}
		if err != nil {
			return l.deliver(p, page, true, err)
		}
		if last = obj.Key; last < l.o.First {
			continue
		}
		if end != "" && last > end {
			break
		}
		if page == nil {
			page = make([]bucket.Listed, 0, pageSize)
		}
		if page = append(page, obj); len(page) == pageSize {
			if next = l.deliver(p, page, false, nil); next != p {
				return next
			}
			page = nil
			_, end = l.bounds(p)
		}
	}
	return l.deliver(p, page, true, nil)
}

// inOrder returns an error if a key may not follow the key last in a listing.
func inOrder(last, key, prefix string) error {
	switch {
	case !strings.HasPrefix(key, prefix):
		return fmt.Errorf("list %q: key %q does not begin with the prefix: %w", prefix, key, ErrUnordered)
	case key <= last:
		return fmt.Errorf("list %q: key %q comes after %q: %w", prefix, key, last, ErrUnordered)
	}
	return nil
}

// bounds returns the key behind which the rest of a piece begins, and its last.
func (l *lister) bounds(p *piece) (after, end string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return p.after, p.end
}

// deliver hands in what was listed of a piece and returns what its worker lists next, or nil.
func (l *lister) deliver(p *piece, page []bucket.Listed, ended bool, err error) *piece {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.changed.Broadcast()
	l.plan.deliver(p, page, ended, err)
	if l.closed {
		return nil
	}
	return l.plan.assign()
}

// take waits for the next objects in order. There are more if more is true.
func (l *lister) take() (objects []bucket.Listed, err error, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.plan.ready() {
		l.changed.Wait()
	}
	defer l.changed.Broadcast()
	return l.plan.take()
}

func (l *lister) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.changed.Broadcast()
}
