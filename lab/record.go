package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// A process of a measurement prints its plan: an object on a line for each transfer, and one at the
// end for all.
type record struct {
	Key  string `json:"key,omitempty"`
	Size int64  `json:"size,omitempty"`
	End  *End   `json:"end,omitempty"`
}

// An End is what a process tells of itself in the end.
type End struct {
	Read      int64            `json:"read"` // bytes of local files
	Requests  map[string]int64 `json:"requests"`
	Drawn     int64            `json:"drawn"`           // gets that would be requests, were the draft of the manifest in the bucket
	Memory    int64            `json:"memory"`          // the most that it had; 0: not known
	Failed    int64            `json:"failed"`          // actions
	Unsettled int64            `json:"unsettled"`       // files that are too young to be trusted
	Error     string           `json:"error,omitempty"` // what ended it
}

// A Recorder prints a plan.
type Recorder struct {
	w   *bufio.Writer
	enc *json.Encoder
}

// NewRecorder begins.
func NewRecorder(w io.Writer) *Recorder {
	b := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	return &Recorder{b, enc}
}

// Transfer prints one transfer.
func (r *Recorder) Transfer(key string, size int64) {
	_ = r.enc.Encode(record{Key: key, Size: size}) // the writer keeps its error
}

// End prints the end.
func (r *Recorder) End(e End) error {
	if err := r.enc.Encode(record{End: &e}); err != nil {
		return err
	}
	return r.w.Flush()
}

// readPlan reads what a Recorder printed. A plan without an end is an error.
func readPlan(r io.Reader, take func(key string, size int64)) (End, error) {
	dec := json.NewDecoder(bufio.NewReaderSize(r, 64<<10))
	for {
		var line record
		err := dec.Decode(&line)
		switch {
		case err != nil:
			return End{}, fmt.Errorf("read the plan of a process: %w", err)
		case line.End != nil:
			return *line.End, nil
		}
		take(line.Key, line.Size)
	}
}
