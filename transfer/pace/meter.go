package pace

import "time"

const (
	shortest = 250 * time.Millisecond // a sample
	rounds   = 2                      // reports of work for each place, in a sample
	perFile  = 1 << 20                // bytes that a finished transfer counts for
)

// A meter makes samples of what happens at a gate. It keeps no clock: it is told the time.
type meter struct {
	last       time.Time // up to here, time is counted
	busy, full time.Duration
	bytes      int64
	files      int64
	reports    int   // of work
	peak       int   // in flight
	slowDowns  int64 // said before the sample
	settling   int   // reports to wait for before the sample begins; -1: it has begun
	lowered    bool  // the limit was, when that began
}

// pass counts the time up to now, in which so many were in flight.
func (m *meter) pass(now time.Time, inFlight, limit int) {
	d := now.Sub(m.last)
	m.last = now
	if d <= 0 || inFlight == 0 {
		return
	}
	m.busy += d
	m.peak = max(m.peak, inFlight)
	if inFlight >= limit {
		m.full += d
	}
}

// report counts work.
func (m *meter) report(bytes, files int64) {
	m.bytes += bytes
	m.files += files
	m.reports++
}

// sample returns the sample, and true if it is complete. It is told how many are in flight, and
// how often the server has said SlowDown. If it says so as soon as the limit was raised, that is
// the answer to it, and no settling is waited for.
func (m *meter) sample(inFlight, limit int, slowDowns int64) (sample, bool) {
	slow := slowDowns > m.slowDowns
	if m.settling >= 0 && (m.lowered || !slow) {
		if m.reports >= m.settling && inFlight <= limit {
			m.begin(slowDowns)
		}
		return sample{}, false
	}
	if m.busy < shortest || m.reports < rounds*limit && !slow {
		return sample{}, false
	}
	return sample{
		work:     float64(m.bytes+m.files*perFile) / (1 << 20),
		bytes:    m.bytes,
		time:     m.busy,
		full:     2*m.full > m.busy,
		slowDown: slow,
		inFlight: m.peak,
	}, true
}

// begin begins a sample.
func (m *meter) begin(slowDowns int64) {
	*m = meter{last: m.last, slowDowns: slowDowns, settling: -1}
}

// settle waits until what was in flight when the limit changed is through, then begins a
// sample. If the limit was lowered, SlowDowns that are said until then are answers to what
// there was before.
func (m *meter) settle(slowDowns int64, inFlight int, lowered bool) {
	*m = meter{last: m.last, slowDowns: slowDowns, settling: inFlight, lowered: lowered}
}
