package transfer

import (
	"sync/atomic"

	"merkur/hashing"
	"merkur/manifest"
)

// An Event is something that a run tells while it goes on. One of its parts is set.
type Event struct {
	Done    *Action          // carried out; in a dry run: would be
	Failed  *Failure         // not carried out
	Problem *hashing.Problem // a path that was left out
	Note    string           // something for the person to know that changes nothing
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

func (m *Meter) reset() {
	for _, n := range []*atomic.Int64{&m.Scanned, &m.Files, &m.Bytes, &m.DoneFiles, &m.DoneBytes} {
		n.Store(0)
	}
	m.Complete.Store(false)
}

// A Summary tells what a run did.
type Summary struct {
	Scan       hashing.Stats
	Uploaded   int64 // objects
	Sent       int64 // bytes in them
	Proved     int64 // objects found to be equal without sending anything
	Deleted    int64 // objects
	Failed     int64 // actions
	Problems   int64 // paths left out
	Unexpected int64 // objects that somebody else had changed
	Root       manifest.Root
}
