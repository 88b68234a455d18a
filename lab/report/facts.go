// Package report says what a bench of the compare strategies found: facts as plain data, what follows
// from them, and how they are shown as text and as a page. It is pure.
//
// # What is measured
//
// A [Case] is a tree and what is true of it: the tree as it is, or a simulation. An [Outcome] is what
// one strategy did in a case. Times are those of a whole process that plans and changes nothing, the
// median of the rounds. Requests are those of the plan, by what they are billed as; the PUT, and on a
// download the GET, of the transfers that the plan would have carried out are added (see [Carrying]).
//
// # What is an error
//
// Truth is by content. A key is needed if the source has it, and the destination does not or has other
// content under it. A strategy missed what is needed and not in its plan; needless is what is in its
// plan and not needed. Where nobody can tell two contents apart, neither is said.
package report

import "slices"

// A Report is all that was found. As JSON, its times are in seconds, its sizes in bytes.
type Report struct {
	Type        string   `json:"type"` // bench
	Time        string   `json:"time"`
	Source      string   `json:"source"`
	Destination string   `json:"destination"`
	Direction   string   `json:"direction"` // upload, download, copy
	Files       int64    `json:"files"`     // of the source
	Bytes       int64    `json:"bytes"`
	FileSystem  string   `json:"file_system,omitempty"` // of the local tree: local, network, memory, weak
	Rounds      int      `json:"rounds"`
	Seed        uint64   `json:"seed"`
	Truth       Truth    `json:"truth"`
	Prices      Prices   `json:"prices"`
	Cases       []Case   `json:"cases"` // the first is the tree as it is
	Spent       Requests `json:"spent"` // what the bench itself asked
	SpentPrice  float64  `json:"spent_price"`
	Conclusion  []string `json:"conclusion"`
	Notes       []string `json:"notes,omitempty"`
}

// A Truth is what the truth was made from: how the content of so many objects is known.
type Truth struct {
	Manifest bool     `json:"manifest"` // there is one where the strategy content looks for it
	Objects  int64    `json:"objects"`
	ByWord   int64    `json:"by_manifest"` // the manifest has a digest, and the object is still the one that it means
	ByProof  int64    `json:"by_proof"`    // ETag or checksum tells whether it is equal to what it is compared with
	ByRead   int64    `json:"by_reading"`  // it was read
	ReadSize int64    `json:"read_bytes"`
	Unknown  int64    `json:"unknown"` // nobody can tell without reading it
	Foreign  int64    `json:"foreign"` // other objects than the manifest says, or none of its
	Spent    Requests `json:"spent"`
}

// A Case is a tree, and what the strategies make of it.
type Case struct {
	Name        string    `json:"name"`  // as it is, or a simulation
	Edits       int       `json:"edits"` // files that the simulation has touched
	Needed      int64     `json:"needed"`
	NeededBytes int64     `json:"needed_bytes"`
	Unknown     int64     `json:"unknown"`
	Outcomes    []Outcome `json:"outcomes"`
}

// An Outcome is what one strategy did in a case.
type Outcome struct {
	Strategy string   `json:"strategy"`
	State    string   `json:"state,omitempty"` // of what it depends on: see the constants
	Error    string   `json:"error,omitempty"` // why there is nothing else
	Wall     float64  `json:"wall"`            // medians
	WallMin  float64  `json:"wall_min"`
	WallMax  float64  `json:"wall_max"`
	CPU      float64  `json:"cpu"` // user and system
	Memory   int64    `json:"peak_memory"`
	Read     int64    `json:"read_bytes"` // of local files
	Requests Requests `json:"requests"`
	Price    float64  `json:"price"`
	Errors
}

// The states of what the strategy content depends on.
const (
	Cold  = "cold"            // it has nothing in its cache
	Warm  = "warm"            // it has
	First = "no manifest"     // nor a cache
	Then  = "with a manifest" // as a first run would leave it; and a cache
)

// AsItIs names the first case.
const AsItIs = "as it is"

// Label names an outcome.
func (o Outcome) Label() string {
	if o.State == "" {
		return o.Strategy
	}
	return o.Strategy + ", " + o.State
}

// Lasting are the outcomes of a case without those of a state that passes: one of each strategy.
func (c Case) Lasting() []Outcome {
	return slices.DeleteFunc(slices.Clone(c.Outcomes), func(o Outcome) bool {
		if o.State != Cold && o.State != First {
			return false
		}
		return slices.ContainsFunc(c.Outcomes, func(p Outcome) bool {
			return p.Strategy == o.Strategy && (p.State == Warm || p.State == Then)
		})
	})
}

// Median is the middle of some values: of an even number, the mean of the two in the middle.
func Median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
