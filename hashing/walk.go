package hashing

import (
	"slices"
	"unicode/utf8"

	"merkur/manifest"
)

// A dir is one directory of the tree.
type dir struct {
	key    string // "" for the root; else it ends in "/"
	up     *dir
	linked bool // there is a link on the way to it, so it may be one of its own ancestors
	id     identity

	first *job // lists the directory and does the first slice of it

	// Written by the first job, and read only when that has ended.
	rest    []*job   // in key order
	names   *listing // if there is a rest
	problem *Problem // why nothing is known about it
	foreign bool     // it is not part of the tree
}

// A job is what one worker does in one go: a slice of a directory.
type job struct {
	dir    *dir
	lo, hi int // the names of the slice; hi is not known in the first job before it is begun

	key   string // where it stands in the key order
	state state  // this and the next: under crew.mu
	place int    // in crew.queue while waiting

	out  []outcome // in key order
	cost int       // names it holds on to
}

// A state is how far a job is.
type state uint8

const (
	waiting state = iota
	begun
	ended
	postponed // until the drain comes to it
)

// An outcome is what became of one name. It is nothing if the name was not selected.
type outcome struct {
	sub     *dir
	problem *Problem
	entry   bool // the rest is of an entry
	key     string
	size    int64
	mtime   int64
	perm    uint32
	digest  manifest.Digest
	how     effort
}

// An effort is what it took to learn the digest of a file: a set of flags.
type effort uint8

const (
	hashed    effort = 1 << iota // it was read
	rehashed                     // though its fingerprint was trusted
	lied                         // and was not the digest that the fingerprint stood for
	unsettled                    // it has to be read in the next run as well
	looked                       // nobody wanted to know the digest
)

func newDir(up *dir, key string, byLink bool) *dir {
	d := &dir{key: key, up: up, linked: byLink || up != nil && up.linked}
	d.first = &job{dir: d, key: key}
	return d
}

// do does a job and returns the jobs that it found. It is too wide, and not done, if its
// directory is still to be listed and has more names than limit.
func (w *worker) do(j *job, limit int) (found []*job, tooWide bool) {
	d := j.dir
	h, err := w.scan.tree.open(d.key, w.scan.o.Follow)
	if err == nil {
		defer h.close()
		if j == d.first {
			return w.enter(j, h, limit)
		}
		err = unchanged(h, d.id)
	}
	if err == nil {
		return w.slice(j, h, d.names), false
	}
	if j == d.first {
		d.problem = w.scan.problem(d.key, err)
	} else {
		w.giveUp(j, err)
	}
	return nil, false
}

func unchanged(h *folder, id identity) error {
	now, err := h.identity()
	if err == nil && !now.same(id) {
		err = errSwapped
	}
	return err
}

// enter lists the directory of its first job, cuts it into slices and does the first of them.
func (w *worker) enter(j *job, h *folder, limit int) (found []*job, tooWide bool) {
	d := j.dir
	var err error
	if d.id, err = h.identity(); err == nil && d.linked && d.loops() {
		err = errLoop
	}
	if err == nil {
		if d.foreign = w.scan.leaves(d.id); d.foreign {
			return nil, false
		}
		err = h.list(&w.names, limit)
	}
	if err == errWide {
		return nil, true
	}
	if err != nil {
		d.problem = w.scan.problem(d.key, err)
		return nil, false
	}
	l := &w.names
	if found = w.cut(j); d.names != nil {
		l = d.names
	}
	return append(found, w.slice(j, h, l)...), false
}

// cut sorts the names of a directory and cuts them into slices. The first one is for the job
// that lists it, for the others there are new jobs. Then the listing stays with the directory
// until the drain is through with it.
func (w *worker) cut(j *job) []*job {
	d, l := j.dir, &w.names
	l.sort()
	cuts := append(l.slices(), len(l.names))
	j.hi = cuts[0]
	for i, lo := range cuts[:len(cuts)-1] {
		d.rest = append(d.rest, &job{dir: d, lo: lo, hi: cuts[i+1], key: d.key + string(l.at(lo))})
	}
	if d.rest != nil {
		j.cost = len(l.names)
		d.names, w.names = &listing{text: l.text, names: l.names}, listing{dents: l.dents}
	}
	return slices.Clone(d.rest)
}

// loops reports whether the directory is one of its own ancestors.
func (d *dir) loops() bool {
	for a := d.up; a != nil; a = a.up {
		if a.id.same(d.id) {
			return true
		}
	}
	return false
}

// giveUp makes a problem of every name of a slice that can no longer be reached.
func (w *worker) giveUp(j *job, err error) {
	l := j.dir.names
	j.cost = j.hi - j.lo
	for i := j.lo; i < j.hi; i++ {
		key := j.dir.key + string(l.at(i))
		var o outcome
		if w.scan.wants(key) {
			o.problem = w.scan.problem(key, err)
		}
		j.out = append(j.out, o)
	}
}

// unfit returns the reason for which a key can not stand in a manifest, or 0.
func (s *Scan) unfit(key string) Reason {
	longest := s.o.MaxKey
	if isDir(key) {
		longest-- // a name has to fit behind it
	}
	switch {
	case !utf8.ValidString(key):
		return NotUTF8
	case len(key) > longest:
		return TooLong
	}
	return 0
}

func isDir(key string) bool { return len(key) > 0 && key[len(key)-1] == '/' }
