package pace

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// A Gate lets a bounded, changing number of transfers through. It is safe for concurrent use.
type Gate struct {
	mu       sync.Mutex
	limit    int
	inFlight int
	waiting  list.List // of chan struct{}, closed when the place is given

	// Of an adaptive gate only.
	now       func() time.Time // nil: the limit is fixed
	slowDowns func() int64
	bounds    bounds
	search    search
	meter     meter
}

// Options say how an adaptive gate searches. The zero value is good for S3.
type Options struct {
	// Start is the limit at first, 16 if it is 0. That is what a home line and a small server
	// bear, and three doublings lead from it to Most.
	Start int
	// Least is where the limit does not fall below, 2 if it is 0. One file that takes long must
	// not hold up all others; and a server that cannot bear two is helped by the pauses before
	// retries.
	Least int
	// Most is where the limit does not rise above, 128 if it is 0. At 40 ms for a file, that is
	// 3,200 files a second, and S3 begins to say SlowDown at 3,500 under one prefix. Each place
	// may hold an open file and a connection.
	Most int
	// Target is a throughput in bytes per second that is enough: the limit does not grow once
	// it is reached. 0: none.
	Target int64
	// Throttled returns how often the server has said SlowDown so far; nil: it never does.
	// It is called often and must neither wait nor use the gate.
	Throttled func() int64
	// Now is the clock; nil: time.Now. Like Throttled, it must neither wait nor use the gate.
	Now func() time.Time
}

// Fixed returns a gate whose limit stays n, or 1 if n is less.
func Fixed(n int) *Gate {
	n = max(n, 1)
	return &Gate{limit: n, bounds: bounds{least: n, most: n}}
}

// Adaptive returns a gate whose limit follows the throughput. Numbers below 0 count as 0. Most
// goes before Least, and both before Start.
func Adaptive(o Options) *Gate {
	most := or(o.Most, 128)
	least := min(or(o.Least, 2), most)
	start := min(max(or(o.Start, 16), least), most)
	g := &Gate{
		limit:     start,
		now:       o.Now,
		slowDowns: o.Throttled,
		bounds:    bounds{least: least, most: most, target: o.Target},
		search:    newSearch(start),
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.slowDowns == nil {
		g.slowDowns = func() int64 { return 0 }
	}
	g.meter.begin(g.slowDowns())
	return g
}

func or(n, usual int) int {
	if n > 0 {
		return n
	}
	return usual
}

// Enter waits for a place. It returns the cause of ctx if that ends first, and then there is no
// place to be given back. Each call that returns nil must be followed by one of Leave.
func (g *Gate) Enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	g.mu.Lock()
	if g.inFlight < g.limit && g.waiting.Len() == 0 {
		g.pass()
		g.inFlight++
		g.mu.Unlock()
		return nil
	}
	place := make(chan struct{})
	e := g.waiting.PushBack(place)
	g.mu.Unlock()

	select {
	case <-place:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-place: // given at the same moment: pass it on
		g.pass()
		g.inFlight--
		g.admit()
	default:
		g.waiting.Remove(e)
	}
	return context.Cause(ctx)
}

// Leave gives a place back, after a transfer that moved so many bytes since the last call of
// Moved. It panics if nobody has entered.
func (g *Gate) Leave(bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inFlight == 0 {
		panic("pace: Leave without Enter")
	}
	g.pass()
	g.inFlight--
	g.report(bytes, 1)
	g.admit()
}

// Moved reports bytes that a transfer has moved so far, so that a long one counts while it runs.
// The more often that is, the sooner the limit is found.
func (g *Gate) Moved(bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
	g.report(bytes, 0)
	g.admit()
}

// Limit returns how many places there are at this moment. More may be taken, if there were
// more a moment ago.
func (g *Gate) Limit() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit
}

// Most returns how many places there may ever be.
func (g *Gate) Most() int { return g.bounds.most }

// admit gives free places to those who wait, first come, first served.
func (g *Gate) admit() {
	for g.inFlight < g.limit && g.waiting.Len() > 0 {
		g.inFlight++
		close(g.waiting.Remove(g.waiting.Front()).(chan struct{}))
	}
}

// pass counts the time up to now. It comes before each change of what is in flight.
func (g *Gate) pass() {
	if g.now != nil {
		g.meter.pass(g.now(), g.inFlight, g.limit)
	}
}

// report counts work, and changes the limit if a sample is complete.
func (g *Gate) report(bytes, files int64) {
	if g.now == nil {
		return
	}
	g.meter.report(max(bytes, 0), files)
	slowDowns := g.slowDowns()
	x, complete := g.meter.sample(g.inFlight, g.limit, slowDowns)
	if !complete {
		return
	}
	g.search = next(g.search, x, g.bounds)
	if g.search.limit == g.limit && !x.slowDown {
		g.meter.begin(slowDowns)
		return
	}
	g.meter.settle(slowDowns, g.inFlight, g.search.limit <= g.limit)
	g.limit = g.search.limit
}
