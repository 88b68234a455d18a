package hashing

import (
	"container/heap"
	"math"
	"sync"
	"sync/atomic"
)

// A reach is how far the workers may be ahead of the drain.
type reach struct {
	window int // names that were dealt with
	// glance is how many names a directory may have to be listed ahead. A wider one waits for
	// its turn, so that only one such listing is held at a time; it is no loss, because its
	// slices keep all workers busy then.
	glance int
}

var usualReach = reach{window: 64 << 10, glance: 16 << 10}

// A crew is the workers of a scan and the queue of what they have to do.
//
// The drain, which runs in the goroutine of the consumer, takes the jobs in key order. The
// workers are ahead of it: they always begin the job that comes first in key order, and begin
// none while the window is full. A job that the drain has come to and that no worker has begun
// is done by the drain itself, so a full window can not stop a scan. A goroutine only ever
// waits for work that another one has begun and that waits for nothing but deeper such work.
type crew struct {
	reach  reach
	wg     sync.WaitGroup
	halted atomic.Bool // set under mu; also asked without it, within a job

	mu    sync.Mutex // of all below, and of the state of the jobs
	work  sync.Cond  // there may be something to begin
	ended sync.Cond  // something that was begun has ended
	queue jobs       // waiting jobs, a heap by key
	calls []*call    // where other hands are welcome
	ahead int        // names that were dealt with and that the drain has not come to
	spare [][]outcome

	tell  func(key string, names int) // told where the workers are; nil: nobody wants to know
	told  string                      // where they were then
	since int                         // names that were dealt with since
}

// A mark is told of at most each so many names.
const markNames = 512

func newCrew(r reach, tell func(key string, names int)) *crew {
	c := &crew{reach: r, tell: tell}
	c.work.L, c.ended.L = &c.mu, &c.mu
	return c
}

// start begins one goroutine for each worker; they end after halt.
func (c *crew) start(workers []*worker) {
	for _, w := range workers {
		c.wg.Go(func() { c.serve(w) })
	}
}

// add queues a job.
func (c *crew) add(j *job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	heap.Push(&c.queue, j)
	c.work.Signal()
}

// halt makes all goroutines leave at the next block, file or job.
func (c *crew) halt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halted.Store(true)
	c.work.Broadcast()
	c.ended.Broadcast()
}

func (c *crew) serve(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.halted.Load() {
		if l := c.open(); l != nil {
			c.lend(l, w)
		} else if len(c.queue) > 0 && c.ahead < c.reach.window {
			c.carryOut(heap.Pop(&c.queue).(*job), w, c.reach.glance)
		} else {
			c.work.Wait()
		}
	}
}

// carryOut does a job and queues what it found. It is called, and returns, with mu held.
func (c *crew) carryOut(j *job, w *worker, limit int) {
	j.state = begun
	c.mark(j.key)
	if n := len(c.spare); n > 0 && j.out == nil {
		j.out, c.spare = c.spare[n-1], c.spare[:n-1]
	}
	c.mu.Unlock()
	found, tooWide := w.do(j, limit)
	c.mu.Lock()

	j.state = ended
	if tooWide {
		j.state = postponed
	}
	c.ahead += j.cost
	c.since += j.hi - j.lo
	for _, f := range found {
		heap.Push(&c.queue, f)
		c.work.Signal()
	}
	c.ended.Broadcast()
}

// mark tells that the workers have come to a key. Those begun before it may be behind it still, so what
// was counted is a little less than what lies between.
func (c *crew) mark(key string) {
	if c.tell == nil || c.since < markNames || key <= c.told {
		return
	}
	c.tell(key, c.since)
	c.told, c.since = key, 0
}

// await returns when a job is done, if need be by doing it. It is called by the drain only
// and reports false if the crew was halted.
func (c *crew) await(j *job, w *worker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for j.state == begun && !c.halted.Load() {
		c.ended.Wait()
	}
	if c.halted.Load() {
		return false
	}
	if j.state == waiting {
		heap.Remove(&c.queue, j.place)
	}
	if j.state != ended {
		c.carryOut(j, w, math.MaxInt)
	}
	if full := c.reach.window; c.ahead >= full && c.ahead-j.cost < full {
		c.work.Broadcast()
	}
	c.ahead -= j.cost
	return !c.halted.Load()
}

// recycle takes back the outcomes of a job that the drain is through with.
func (c *crew) recycle(out []outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = append(c.spare, out[:0])
}

// A call is work in many pieces that any idle worker may help with.
type call struct {
	piece func(w *worker, i int)
	count int64
	next  atomic.Int64
	hands int // workers that help; under crew.mu
}

// share calls piece with 0 to count-1, here and on workers that have nothing to do, and
// returns when all are done. If the crew is halted some are left out.
func (c *crew) share(w *worker, count int, piece func(w *worker, i int)) {
	l := &call{piece: piece, count: int64(count)}
	c.mu.Lock()
	c.calls = append(c.calls, l)
	c.work.Broadcast()
	c.mu.Unlock()

	l.help(w, &c.halted)

	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.calls {
		if c.calls[i] == l {
			c.calls = append(c.calls[:i], c.calls[i+1:]...)
			break
		}
	}
	for l.hands > 0 {
		c.ended.Wait()
	}
}

// open returns a call that has pieces left, or nil.
func (c *crew) open() *call {
	for _, l := range c.calls {
		if l.next.Load() < l.count {
			return l
		}
	}
	return nil
}

// lend helps with a call. It is called, and returns, with mu held.
func (c *crew) lend(l *call, w *worker) {
	l.hands++
	c.mu.Unlock()
	l.help(w, &c.halted)
	c.mu.Lock()
	if l.hands--; l.hands == 0 {
		c.ended.Broadcast()
	}
}

func (l *call) help(w *worker, halted *atomic.Bool) {
	for !halted.Load() {
		i := l.next.Add(1) - 1
		if i >= l.count {
			return
		}
		l.piece(w, int(i))
	}
}

// jobs is a heap of jobs by key.
type jobs []*job

func (q jobs) Len() int           { return len(q) }
func (q jobs) Less(i, j int) bool { return q[i].key < q[j].key }
func (q jobs) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *jobs) Push(x any) {
	j := x.(*job)
	j.place = len(*q)
	*q = append(*q, j)
}

func (q *jobs) Pop() any {
	last := len(*q) - 1
	j := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return j
}
