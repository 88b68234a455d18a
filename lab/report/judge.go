package report

// Needs are what is true of a case: the keys that have to be transferred, with their sizes, and those
// of which nobody can tell.
type Needs struct {
	Needed  map[string]int64
	Unknown map[string]bool
}

// Errors are what a plan does wrong, and what it does.
type Errors struct {
	Transfers     int64    `json:"transfers"`
	Bytes         int64    `json:"transfer_bytes"`
	Missed        int64    `json:"missed"`
	Needless      int64    `json:"needless"`
	NeedlessBytes int64    `json:"needless_bytes"`
	Failed        int64    `json:"failed"` // told as failures, and not in the plan
	MissedKeys    []string `json:"missed_keys,omitempty"`
	NeedlessKeys  []string `json:"needless_keys,omitempty"`
}

// shownKeys is how many keys are given as examples.
const shownKeys = 5

// A Judge compares a plan with the truth while it comes in.
type Judge struct {
	needs  Needs
	met    map[string]bool
	errors Errors
}

// NewJudge begins.
func NewJudge(n Needs) *Judge { return &Judge{needs: n, met: map[string]bool{}} }

// Take takes in a transfer of the plan. A key that comes again does not count again.
func (j *Judge) Take(key string, size int64) {
	if _, needed := j.needs.Needed[key]; needed || j.needs.Unknown[key] {
		if j.met[key] {
			return
		}
		j.met[key] = true
	} else {
		j.errors.Needless++
		j.errors.NeedlessBytes += size
		if len(j.errors.NeedlessKeys) < shownKeys {
			j.errors.NeedlessKeys = append(j.errors.NeedlessKeys, key)
		}
	}
	j.errors.Transfers++
	j.errors.Bytes += size
}

// End says what the plan, now whole, does wrong. The examples of what it missed are the first in the
// order of keys.
func (j *Judge) End() Errors {
	e := j.errors
	var missed least
	for key := range j.needs.Needed {
		if !j.met[key] {
			e.Missed++
			missed.add(key)
		}
	}
	e.MissedKeys = missed
	return e
}

// A least keeps the first few of many keys, in their order.
type least []string

func (l *least) add(key string) {
	at := len(*l)
	for at > 0 && (*l)[at-1] > key {
		at--
	}
	if at == shownKeys {
		return
	}
	*l = append(*l, "")
	copy((*l)[at+1:], (*l)[at:])
	(*l)[at] = key
	*l = (*l)[:min(len(*l), shownKeys)]
}
