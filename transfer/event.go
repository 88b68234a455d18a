package transfer

import (
	"sync"
	"sync/atomic"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/transfer/drift"
)

// An Event is something that a run tells while it goes on. One of its parts is set.
type Event struct {
	Done    *Action          // carried out; in a dry run: would be
	Failed  *Failure         // not carried out
	Problem *hashing.Problem // a local path that was left out
	Warning *Warning         // something was left out, or done only in part
	Drift   *Drift           // what somebody else has changed behind the back of a manifest
	Note    string           // something for the person to know that changes nothing
	Why     string           // why something is to be done: told only if Options.Explain is set
}

// A Warning says that something was left out, or done only in part.
type Warning struct {
	Key   string // empty if it is not about one key
	Text  string // in the words of aws where it has any, without "warning: " before it
	Minor bool   // does not count for the exit code
}

// A Failure is an action that failed.
type Failure struct {
	Action Action
	Err    error
}

// A Meter counts while a run goes on. It may be read at any time.
type Meter struct {
	Scanned              atomic.Int64 // files seen
	Files, Bytes         atomic.Int64 // to be sent, as far as it is known
	DoneFiles, DoneBytes atomic.Int64 // sent or failed
	Complete             atomic.Bool  // no more will be added to Files and Bytes
}

// plan counts an action that is to be done.
func (m *Meter) plan(a Action) {
	m.Files.Add(1)
	m.Bytes.Add(a.Size())
}

// end counts an action that is done, or not to be done after all. What has not moved of it never
// will.
func (m *Meter) end(a Action) {
	m.DoneFiles.Add(1)
	moved := int64(0)
	if a.moved != nil {
		moved = a.moved.Load()
	}
	m.DoneBytes.Add(a.Size() - moved)
}

// A tally is what the meter counts of one request. Stores may tell of the bytes while they move, or
// not at all; what counts in the end is what is known then.
type tally struct {
	meter *Meter
	most  int64

	mu          sync.Mutex
	told, shown int64
	ended       bool
}

// moved counts bytes, or takes them back.
func (t *tally) moved(bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told += bytes; !t.ended {
		t.show(min(t.told, t.most))
	}
}

// end counts what has moved in all.
func (t *tally) end(bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.show(bytes)
}

func (t *tally) show(bytes int64) {
	t.meter.DoneBytes.Add(bytes - t.shown)
	t.shown = bytes
}

func (m *Meter) reset() {
	for _, n := range []*atomic.Int64{&m.Scanned, &m.Files, &m.Bytes, &m.DoneFiles, &m.DoneBytes} {
		n.Store(0)
	}
	m.Complete.Store(false)
}

// A Summary tells what a run did.
type Summary struct {
	Scan        hashing.Stats // of the local side, or of none
	Listed      int64         // objects seen in listings
	Transferred int64         // uploads, downloads and copies
	Bytes       int64         // in them
	Proved      int64         // files or objects found to be equal without a transfer
	Looked      int64         // bytes of files that were read to be compared with objects
	Described   int64         // objects that got other headers without being sent
	Deleted     int64         // files or objects
	Failed      int64         // actions
	Problems    int64         // local paths left out
	Warnings    int64         // other warnings that count for the exit code
	Audited     int64         // keys that an audit compared
	Drift       drift.Count   // keys at which somebody else had changed something; of an undo: anybody, since the run
	Run         string        // names the run to who wants to undo it; empty: nothing was changed, or it cannot be undone
	Root        manifest.Root // of the manifest of the side that is in a bucket, of the destination if both are
}
