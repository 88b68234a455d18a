package pace

import (
	"math"
	"time"
)

const (
	price     = 0.1  // the exponent of the number of places in the utility
	firstStep = 2    // factor of the first trials
	smallStep = 1.25 // of later ones; a few samples would not tell less from noise
	longStep  = 1.5  // of those that follow a success
	cut       = 0.7  // factor after SlowDown
	noise     = 0.15 // of a sample, relative; what is clearly beyond it is not doubted
	enough    = 4    // samples that decide a trial
	memory    = 8    // samples of a level after which the older ones fade
	patience  = 16   // samples between trials, at most
	change    = 1.6  // factor between samples of one level that noise does not explain
)

// A sample is what was seen while the limit stood.
type sample struct {
	work     float64 // in MiB, with what a file counts for
	bytes    int64
	time     time.Duration // more than 0
	full     bool          // all places were taken most of the time
	slowDown bool          // the server said so
	inFlight int           // at most
}

func (x sample) rate() float64 { return x.work / x.time.Seconds() }

// A tally sums the samples of one level.
type tally struct{ work, seconds, samples float64 }

// with returns the tally with one more sample.
func (t tally) with(x sample) tally {
	if t.samples >= memory {
		t = tally{t.work / 2, t.seconds / 2, t.samples / 2}
	}
	return tally{t.work + x.work, t.seconds + x.time.Seconds(), t.samples + 1}
}

func (t tally) rate() float64 { return t.work / t.seconds }

// bounds are what a search keeps to.
type bounds struct {
	least, most int
	target      int64 // bytes per second that are enough; 0: none
}

// A search is the state of the controller. The limit is either the base, which is the level that
// has proved itself, or that of a trial.
type search struct {
	base, limit int
	was         tally   // of the base
	now         tally   // of the trial
	step        float64 // of the next trial
	longest     float64 // step: that after a success
	down        bool    // this trial, or the next, is of fewer places
	wait        int     // samples before the next trial
	failures    int     // of trials since one succeeded
}

func newSearch(start int) search {
	return search{base: start, limit: start, step: firstStep, longest: firstStep}
}

// next returns the state after one more sample, which was taken at the limit of this one.
func next(s search, x sample, b bounds) search {
	switch {
	case x.slowDown && s.limit > s.base:
		return s.reject()
	case x.slowDown:
		return s.yield(x, b)
	case !x.full:
		// Nothing is known of the places. What was known is old when they are full again.
		s.limit, s.was, s.now = s.base, tally{}, tally{}
		return s
	case s.limit != s.base:
		return s.judge(x, b)
	}
	if s.was.samples > 0 && apart(s.was.rate(), x.rate()) > change {
		s.was, s.wait, s.failures = tally{}, 0, 0
	}
	s.was = s.was.with(x)
	if s.wait > 0 {
		s.wait--
		return s
	}
	return s.try(x, b)
}

// judge compares a trial with its base, at once if the outcome is clear.
func (s search) judge(x sample, b bounds) search {
	s.now = s.now.with(x)
	grown := float64(s.limit) / float64(s.base)
	gain := s.now.rate() / s.was.rate() / math.Pow(grown, price)
	doubt := noise * math.Sqrt(1/s.now.samples+1/s.was.samples)
	if s.now.samples >= enough {
		doubt = 0
	}
	switch {
	case gain > 1+doubt:
		return s.adopt(x, b)
	case doubt == 0 || gain < 1-doubt:
		return s.reject()
	}
	return s
}

// adopt makes the level of a trial the base, and goes on the same way.
func (s search) adopt(x sample, b bounds) search {
	s.base, s.was, s.now = s.limit, s.now, tally{}
	s.step, s.failures = s.longest, 0
	return s.try(x, b)
}

// reject goes back to the base. The next trial goes the other way, after a while.
func (s search) reject() search {
	s.limit, s.now = s.base, tally{}
	s.step, s.longest = smallStep, min(s.longest, longStep)
	s.down = !s.down
	s.failures++
	s.wait = min(1<<min(s.failures, 8), patience)
	return s
}

// yield is the answer to SlowDown. Places that were not taken are not its cause, so the cut is
// one of those that were.
func (s search) yield(x sample, b bounds) search {
	taken := float64(min(s.limit, x.inFlight))
	level := max(int(cut*taken), b.least)
	return search{base: level, limit: level, step: smallStep, longest: smallStep, wait: enough}
}

// try begins a trial, if there is one to make within the bounds.
func (s search) try(x sample, b bounds) search {
	reached := b.target > 0 && float64(x.bytes) >= float64(b.target)*x.time.Seconds()
	more, fewer := s.base < b.most && !reached, s.base > b.least
	if s.down != (fewer && (s.down || !more)) {
		s.down, s.step = !s.down, smallStep
	}
	if s.down {
		s.limit = max(s.base-places(s.base, 1-1/s.step), b.least)
	} else if more {
		s.limit = min(s.base+places(s.base, s.step-1), b.most)
	}
	return s
}

// places is a share of a level: one place or more.
func places(level int, share float64) int {
	return max(int(math.Round(float64(level)*share)), 1)
}

// apart is the factor between two rates, 1 or more.
func apart(a, b float64) float64 { return max(a/b, b/a) }
