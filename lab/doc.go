// Package lab runs every compare strategy on a user's own tree and bucket, and finds out what each
// costs and what it gets wrong. [Run] is the whole of it:
//
//	contents   what the bucket holds: a listing, and the manifest where its evidence still holds
//	truth      both sides compared by content, each file read              package inspect
//	rehearse   where the bucket has no manifest: the one that a first run would leave, in scratch
//	measure    each strategy in a process of its own, several times, in turn
//	simulate   a copy of the local tree, edited, and measured again        package edits
//	judge      what each plan missed, and what it would transfer for nothing  package report
//
// # What it changes
//
// Nothing but its scratch directory, which is gone in the end. The bucket is only read; the processes
// plan and do not act, and have caches of their own. The tree of the user is only read.
//
// # What a measurement begins with
//
// Each begins with the same cache: an empty one, or a copy of one that a run before, which is not
// counted, has left. The tree has been read by then, so that the pages of its files are in memory if
// they have room there. A copy is taken to be an hour old before it is edited, since the digests of
// files that are younger than two minutes are not trusted (package hashing).
//
// # What it needs
//
// Memory for the keys at which the two sides differ, and where something is simulated for all keys. The
// processes stream as any run does.
package lab

import (
	"context"
	"os/exec"
	"time"

	"merkur/lab/edits"
	"merkur/lab/report"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
)

// A Side is one end: a local directory, or a prefix of a bucket.
type Side struct {
	Name     string // for people
	Dir      string // the local tree; empty: the side is in a bucket
	Store    bucket.Store
	Prefix   string // of the keys: empty, or ending in "/"
	Place    string // names endpoint, bucket and prefix to the cache
	Customer *bucket.CustomerKey
	Seal     *manifest.Seal // that its manifest has to pass; nil: none
	Mark     *catalog.Mark  // what was seen of it; it is not moved
}

func (s Side) local() bool { return s.Dir != "" }

// Options say what is measured, and how.
type Options struct {
	From, To Side
	// What of the local tree belongs to it, as for a scan.
	Select, Descend func(string) bool
	Follow          bool
	Leave           []string

	Strategies []string // the names of the strategies; the first is the one that has a manifest and a cache
	Rounds     int
	Wishes     []edits.Wish
	Seed       uint64
	Read       bool // read objects whose content cannot be told otherwise
	Prices     report.Prices
	Scratch    string // the directory in which one is made for all that is written
	Limit      int64  // bytes that a copy of the tree may have

	// Process makes the process of a measurement, which prints its plan as a [Recorder] does. It is not
	// started yet.
	Process func(ctx context.Context, s Spec) *exec.Cmd
	// Asked counts the requests that the stores of both sides were asked so far, by operation.
	Asked func() map[string]int64
	Tell  func(string)     // told of what is being done
	Now   func() time.Time // nil: time.Now
}

// A Spec is a measurement as its process has to know it.
type Spec struct {
	Strategy string
	Dir      string        // in place of the local tree; empty: that
	Cache    string        // where caches are kept
	Temp     string        // where other files are
	Leave    []string      // directories that are no part of the tree
	Draft    string        // a directory with a manifest for the bucket that has none; empty: none
	Ahead    time.Duration // how far ahead the clock is by which files are young or not
}
