// Package figures makes ratios, tables and plots of measurements. It is pure: what is measured, and
// how, is the business of who calls it.
//
// The same work is done by several tools in turn, A B C A B C …, so that a machine whose speed
// drifts, drifts for all of them. So the figures that count are the ratios pair by pair of
// neighbouring runs; of them, and of all else, the median is told with the least and the greatest.
package figures

import (
	"slices"
	"time"
)

// A Sample is one run of one tool, as the system accounted for the finished process.
type Sample struct {
	Wall time.Duration `json:"wall_ns"`
	CPU  time.Duration `json:"cpu_ns"` // user and system
	Peak int64         `json:"peak_bytes"`
}

// A Quantity is what is compared of samples.
type Quantity string

// The quantities.
const (
	Wall Quantity = "wall"
	CPU  Quantity = "cpu"
	Peak Quantity = "peak"
)

// Of returns the quantity of a sample: seconds, or bytes.
func (q Quantity) Of(s Sample) float64 {
	switch q {
	case Wall:
		return s.Wall.Seconds()
	case CPU:
		return s.CPU.Seconds()
	}
	return float64(s.Peak)
}

// A Row is what one tool took for a work.
type Row struct {
	Tool     string           `json:"tool"`
	Samples  []Sample         `json:"samples"`
	Requests map[string]int64 `json:"requests,omitempty"` // by operation, counted in a run that is not in Samples
	Missing  string           `json:"missing,omitempty"`  // why the tool did not do the work
}

// A Work is what several tools did. The first of them is the one that is judged.
type Work struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Rows  []Row  `json:"rows"`
	Bars  []Bar  `json:"bars,omitempty"`
}

// A Bar is what the first tool is to reach: at most so many times the quantity of another tool. Where
// there is no other, Most is the quantity itself.
type Bar struct {
	Tool string   `json:"tool"`
	Of   Quantity `json:"of"`
	Most float64  `json:"most"`
}

// A Spread is the least, the middle and the greatest of some numbers.
type Spread struct{ Min, Median, Max float64 }

// SpreadOf returns the spread of numbers, all zero if there are none.
func SpreadOf(numbers []float64) Spread {
	if len(numbers) == 0 {
		return Spread{}
	}
	n := slices.Sorted(slices.Values(numbers))
	mid := n[len(n)/2]
	if len(n)%2 == 0 {
		mid = (n[len(n)/2-1] + mid) / 2
	}
	return Spread{n[0], mid, n[len(n)-1]}
}

// Of returns the spread of a quantity over the samples of a row.
func (r Row) Of(q Quantity) Spread {
	var n []float64
	for _, s := range r.Samples {
		n = append(n, q.Of(s))
	}
	return SpreadOf(n)
}

// Ratio returns the spread of the ratios, pair by pair, of a quantity of two rows.
func Ratio(a, b Row, q Quantity) Spread {
	var n []float64
	for i := range min(len(a.Samples), len(b.Samples)) {
		if d := q.Of(b.Samples[i]); d > 0 {
			n = append(n, q.Of(a.Samples[i])/d)
		}
	}
	return SpreadOf(n)
}

// Row returns the row of a tool, and false if it did not do the work.
func (w Work) Row(tool string) (Row, bool) {
	for _, r := range w.Rows {
		if r.Tool == tool && len(r.Samples) > 0 {
			return r, true
		}
	}
	return Row{}, false
}

// A Verdict is a bar with what was reached.
type Verdict struct {
	Bar
	Reached  float64
	Held     bool
	Measured bool // there was something to compare
}

// Judge compares what the first tool took with the bars of a work.
func (w Work) Judge() []Verdict {
	var list []Verdict
	for _, b := range w.Bars {
		v := Verdict{Bar: b}
		if first, ok := w.Row(w.Rows[0].Tool); ok {
			if b.Tool == "" {
				v.Reached, v.Measured = first.Of(b.Of).Median, true
			} else if other, ok := w.Row(b.Tool); ok {
				v.Reached, v.Measured = Ratio(first, other, b.Of).Median, true
			}
		}
		v.Held = v.Measured && v.Reached <= b.Most
		list = append(list, v)
	}
	return list
}
