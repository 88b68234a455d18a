package main

import (
	"fmt"
	"os"
	"path/filepath"

	"merkur/manifest"
	"merkur/transfer"
)

// A known is the name of two files that say how far one place was mirrored to another from here: .known, a
// run came to its end; .begun, a first run did not. They lie beside the identities of writers, where they
// outlive caches. Where they cannot be written, each run is the first.
type known string

// recall names the files for the two ends of a run.
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
	return known(filepath.Join(dir, fmt.Sprintf("%x", tag[:])))
}

func (k known) isKnown() bool { return k != "" && exists(k.known()) }
func (k known) isBegun() bool { return k != "" && exists(k.begun()) }

func (k known) known() string { return string(k) + ".known" }
func (k known) begun() string { return string(k) + ".begun" }

// remember remembers that a run came to its end.
func (k known) remember() {
	if k != "" && !k.isKnown() && touch(k.known()) {
		os.Remove(k.begun())
	}
}

// begin remembers that a first run has begun.
func (k known) begin() {
	if k != "" && !k.isBegun() {
		touch(k.begun())
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func touch(name string) bool {
	if os.MkdirAll(filepath.Dir(name), 0o700) != nil {
		return false
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return false
	}
	return f.Close() == nil
}
