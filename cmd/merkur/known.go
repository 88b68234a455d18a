package main

import (
	"fmt"
	"os"
	"path/filepath"

	"merkur/manifest"
	"merkur/transfer"
)

// A known is the file that says that one place was mirrored to another from here: beside the
// identities of writers, where it outlives caches. Where it cannot be written, each run is the first.
type known string

// recall names the file for the two ends of a run.
func (q *request) recall(o *transfer.Options) known {
	place := func(e end, s transfer.Side) string {
		if e.remote() {
			return s.Place
		}
		return e.dir
	}
	dir, err := identityDir()
	if err != nil {
		return ""
	}
	tag := manifest.TagOf([]byte(place(q.from, o.From) + "\x00" + place(q.to, o.To)))
	return known(filepath.Join(dir, fmt.Sprintf("%x.known", tag[:])))
}

func (k known) isKnown() bool {
	_, err := os.Stat(string(k))
	return err == nil
}

func (k known) remember() {
	if k == "" || k.isKnown() || os.MkdirAll(filepath.Dir(string(k)), 0o700) != nil {
		return
	}
	if f, err := os.OpenFile(string(k), os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
		f.Close()
	}
}
