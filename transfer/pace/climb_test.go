package pace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A curve is a server as the search sees it: the throughput of so many transfers at once, and
// whether it says SlowDown.
type curve struct {
	name     string
	rate     func(n float64) float64
	slowDown func(n int) bool
	best     float64 // the greatest rate that there is within the bounds
}

func never(int) bool { return false }

// knee is a server that does k at once, and does the rest after them.
func knee(k float64) curve {
	return curve{fmt.Sprintf("knee at %v", k), func(n float64) float64 { return min(n, k) }, never, min(k, 128)}
}

// crowded is a server that gets slower beyond k.
func crowded(k float64) curve {
	return curve{fmt.Sprintf("falls after %v", k), func(n float64) float64 { return min(n, k*math.Sqrt(k/n)) }, never, min(k, 128)}
}

// smooth is a server that reaches half of its throughput at h, and all of it never.
func smooth(h float64) curve {
	rate := func(n float64) float64 { return 100 * n / (n + h) }
	return curve{fmt.Sprintf("half at %v", h), rate, never, rate(128)}
}

// turnsAway is a server that says SlowDown to more than k, and loses by it.
func turnsAway(k int) curve {
	rate := func(n float64) float64 {
		if n > float64(k) {
			return 0.8 * float64(k)
		}
		return n
	}
	return curve{fmt.Sprintf("SlowDown above %d", k), rate, func(n int) bool { return n > k }, float64(k)}
}

var usual = bounds{least: 2, most: 128}

// A trace is what a search did on a curve.
type trace struct {
	limits, bases []int
	rates         []float64
	slowDowns     int
}

// follow runs a search from 16 for so many samples, with noise up to that share.
func follow(c curve, samples int, noise float64, seed uint64) trace {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := newSearch(16)
	var t trace
	for range samples {
		x := c.sample(s.limit, 1+noise*(2*rng.Float64()-1))
		t.limits, t.bases = append(t.limits, s.limit), append(t.bases, s.base)
		t.rates = append(t.rates, c.rate(float64(s.limit)))
		if x.slowDown {
			t.slowDowns++
		}
		s = next(s, x, usual)
	}
	return t
}

func (c curve) sample(limit int, luck float64) sample {
	rate := c.rate(float64(limit)) * luck
	return sample{work: rate, bytes: int64(rate * 1e6), time: time.Second, full: true, slowDown: c.slowDown(limit), inFlight: limit}
}

func mean(rates []float64) float64 {
	sum := 0.0
	for _, r := range rates {
		sum += r
	}
	return sum / float64(len(rates))
}

func curves() []curve {
	var all []curve
	for _, k := range []float64{2, 3, 5, 8, 12, 16, 20, 27, 40, 64, 100, 128, 500} {
		all = append(all, knee(k), crowded(k))
	}
	for _, h := range []float64{1, 4, 8, 16, 32, 64, 500} {
		all = append(all, smooth(h))
	}
	for _, k := range []int{4, 10, 20, 40, 100} {
		all = append(all, turnsAway(k))
	}
	return all
}

// After 20 samples the throughput is 85 % of the best, trials and noise included, over the next
// 40 and from then on; and no run of bad luck leads far away.
func TestConvergence(t *testing.T) {
	const seeds = 20
	for _, c := range curves() {
		for _, noise := range []float64{0, 0.1, 0.2} {
			early, late, worst := 0.0, 0.0, math.Inf(1)
			for seed := range uint64(seeds) {
				rates := follow(c, 300, noise, seed).rates
				early += mean(rates[20:60]) / c.best / seeds
				one := mean(rates[60:]) / c.best
				late += one / seeds
				worst = min(worst, one)
			}
			if early < 0.85 || late < 0.85 || worst < 0.75 {
				t.Errorf("%s, noise %v: %.2f of the best at first, %.2f later, at worst %.2f", c.name, noise, early, late, worst)
			}
		}
	}
}

// Once it has found the knee, a search stays near, and leaves a limit alone most of the time.
func TestNoWildOscillation(t *testing.T) {
	for _, c := range curves() {
		for _, noise := range []float64{0, 0.2} {
			got := follow(c, 400, noise, 1)
			moves := 0
			for i := 100; i < 400; i++ {
				from, to := got.limits[i-1], got.limits[i]
				if from != to {
					moves++
				}
				if max(to-from, from-to) > 1 && 10*max(from, to) > 17*min(from, to) {
					t.Errorf("%s, noise %v: from %d to %d at once", c.name, noise, from, to)
				}
			}
			if moves > 100 {
				t.Errorf("%s, noise %v: the limit changed %d times in 300 samples", c.name, noise, moves)
			}
			if c.slowDown(128) && got.slowDowns > 30 {
				t.Errorf("%s: SlowDown in %d samples of 400", c.name, got.slowDowns)
			}
		}
	}
}

// SlowDown cuts the limit once for each sample that saw it; then it recovers.
func TestYieldAndRecover(t *testing.T) {
	c := knee(64)
	s := newSearch(16)
	for range 40 {
		s = next(s, c.sample(s.limit, 1), usual)
	}
	if s.base < 50 {
		t.Fatalf("the base is %d", s.base)
	}
	for range 10 {
		x := c.sample(s.limit, 1)
		x.slowDown = true
		before := s
		s = next(s, x, usual)
		if want := max(int(cut*float64(before.limit)), 2); before.limit <= before.base && s.limit != want {
			t.Fatalf("from %d to %d, want %d", before.limit, s.limit, want)
		} else if before.limit > before.base && s.limit != before.base {
			t.Fatalf("the trial of %d ends at %d, want %d", before.limit, s.limit, before.base)
		}
	}
	if s.limit > 3 {
		t.Errorf("after ten the limit is %d", s.limit)
	}
	for range 60 {
		s = next(s, c.sample(s.limit, 1), usual)
	}
	if s.base < 50 {
		t.Errorf("it recovers to %d", s.base)
	}
}

// Places that nobody takes are no reason to keep them when the server says SlowDown.
func TestYieldCountsPlacesTaken(t *testing.T) {
	s := next(newSearch(100), sample{work: 1, time: time.Second, slowDown: true, inFlight: 10}, usual)
	if s.limit != 7 {
		t.Errorf("the limit is %d", s.limit)
	}
}

func TestNotFull(t *testing.T) {
	c := knee(500)
	s := newSearch(16)
	idle := func() {
		x := c.sample(s.limit, 3)
		x.full = false
		s = next(s, x, usual)
	}
	for range 20 {
		if idle(); s.limit != 16 {
			t.Fatalf("the limit is %d", s.limit)
		}
	}
	if s = next(s, c.sample(16, 1), usual); s.limit != 32 {
		t.Fatalf("a trial has %d places", s.limit)
	}
	if idle(); s.limit != 16 {
		t.Errorf("a trial that is not full goes on, with %d", s.limit)
	}
}

// The throughput changes by itself: the wait for the next trial is over.
func TestChangeEndsWaiting(t *testing.T) {
	s := newSearch(16)
	for range 200 {
		s = next(s, knee(16).sample(s.limit, 1), usual)
	}
	for s.limit != s.base || s.wait < 8 {
		s = next(s, knee(16).sample(s.limit, 1), usual)
	}
	slow := knee(4)
	for range 40 {
		s = next(s, slow.sample(s.limit, 1), usual)
	}
	if s.base > 8 {
		t.Errorf("after 40 samples of a server of 4 the base is %d", s.base)
	}
}

// Whatever the samples are, the limit stays within the bounds, no sample more than doubles it,
// and none that is not full or saw SlowDown raises it above the base.
func TestBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		b := bounds{least: 1 + rng.IntN(10), target: int64(rng.IntN(2)) << 20}
		b.most = b.least + rng.IntN(150)
		s := newSearch(b.least + rng.IntN(b.most-b.least+1))
		for range 300 {
			x := sample{
				work: math.Exp(8*rng.Float64()) * float64(rng.IntN(20)), bytes: rng.Int64N(1 << 22), time: time.Duration(1 + rng.Int64N(1e9)),
				full: rng.IntN(20) > 0, slowDown: rng.IntN(30) == 0, inFlight: rng.IntN(200),
			}
			from := s
			s = next(s, x, b)
			if s.limit < b.least || s.limit > b.most || s.base < b.least || s.base > b.most {
				t.Fatalf("%+v: from %+v to %+v", b, from, s)
			}
			if s.limit > 2*max(from.limit, from.base) || s.limit > from.base && (!x.full || x.slowDown) && s.limit > from.limit {
				t.Fatalf("%+v: %+v raises it from %+v to %+v", b, x, from, s)
			}
		}
	}
}
