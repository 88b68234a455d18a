package output

import (
	"math"
	"time"
)

// counts are the numbers of a meter at one moment.
type counts struct {
	scanned         int64
	files, bytes    int64 // to be moved, as far as it is known
	doneFiles, done int64 // moved or failed; done in bytes
	complete        bool  // files and bytes will not grow
}

// pending reports whether something is known that has not been done.
func (c counts) pending() bool { return c.doneFiles < c.files }

// A file costs time beyond that of its bytes: that of a request. It is weighed as this many bytes.
// So neither many small files nor a few large ones spoil the time that is said to be left.
const weight = 128 << 10

func work(bytes, files int64) float64 { return float64(bytes) + weight*float64(files) }

// memory is how long a rate remembers: what happened this long ago counts for 1/e of what happens
// now.
const memory = 15 * time.Second

// settled is how long something has to be moving before the time left is told.
const settled = 2 * time.Second

// A rate is how fast things move, smoothed. Time in which nothing was pending does not count.
type rate struct {
	at    time.Time // of the last update; zero: there was none
	last  counts
	bytes float64       // per second
	work  float64       // per second
	norm  float64       // of the two: what share of all weights has been given out, 0 to 1
	busy  time.Duration // how long something was pending
}

// update takes in what a meter says at a time.
//
// The two averages forget by time and not by updates, so that it does not matter how often there
// are any. Divided by norm they are true from the first update on.
func (r *rate) update(at time.Time, c counts) {
	before, span := r.last, at.Sub(r.at)
	if r.at.IsZero() || !before.pending() && !moved(before, c) || shrunk(before, c) {
		r.at, r.last = at, c
		return
	}
	if span <= 0 {
		return
	}
	keep := math.Exp(-span.Seconds() / memory.Seconds())
	bytes, files := c.done-before.done, c.doneFiles-before.doneFiles
	r.bytes = r.bytes*keep + float64(bytes)/span.Seconds()*(1-keep)
	r.work = r.work*keep + work(bytes, files)/span.Seconds()*(1-keep)
	r.norm = r.norm*keep + 1 - keep
	r.busy += span
	r.at, r.last = at, c
}

// moved reports whether something was done between two counts.
func moved(before, now counts) bool {
	return now.done > before.done || now.doneFiles > before.doneFiles
}

// shrunk reports whether the meter began anew.
func shrunk(before, now counts) bool {
	return now.done < before.done || now.doneFiles < before.doneFiles
}

// speed is in bytes per second.
func (r *rate) speed() float64 {
	if r.norm == 0 {
		return 0
	}
	return r.bytes / r.norm
}

// longest is the longest time left that is worth telling.
const longest = 100 * 24 * time.Hour

// left is the time until all is done. It returns false as long as nobody can say.
func (r *rate) left(c counts) (time.Duration, bool) {
	if !c.complete || r.busy < settled || r.work <= 0 {
		return 0, false
	}
	todo := work(max(c.bytes-c.done, 0), max(c.files-c.doneFiles, 0))
	seconds := todo / (r.work / r.norm)
	if seconds > longest.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
