package hashing

import (
	"bytes"
	"io"
	"slices"

	"merkur/manifest"
)

// A worker is what one goroutine needs to do jobs, kept from one job to the next.
type worker struct {
	scan *Scan
	crew *crew
	read *reader

	names listing
	known []known // what may be remembered of the slice at hand
	new   []pending
	key   []byte
	keys  manifest.Texts
	fs    *fileSystem // the one that was met last, and its device
	dev   uint64
}

// A pending is a file that has to be read.
type pending struct {
	name   []byte
	out    int // its place in job.out
	known  int // its place in worker.known
	st     stat
	fs     *fileSystem
	before manifest.Digest // what the cache says, if trusted
	trust  bool
}

// slice deals with the names j.lo to j.hi of a directory: it reuses the digests whose
// fingerprint holds, has the others hashed, and tells the cache if anything changed. It
// returns the jobs for the directories among them.
func (w *worker) slice(j *job, h *folder, l *listing) (found []*job) {
	j.cost += j.hi - j.lo
	w.known, w.new = w.known[:0], w.new[:0]
	record := w.recall(j, l)
	had, kept := record.count, 0
	for i := j.lo; i < j.hi; i++ {
		n := l.at(i)
		w.key = append(append(w.key[:0], j.dir.key...), n...)
		o := outcome{key: w.keys.Add(w.key)}
		if k := l.names[i].kind; isDir(o.key) && k != unclear {
			if o.sub = w.descend(j.dir, &o, k == linked); o.sub != nil {
				found = append(found, o.sub.first)
			}
		} else if k != regular {
			o.problem = w.unread(h, o.key, n, k)
		} else {
			kept += w.file(&o, h, n, &record, len(j.out))
		}
		j.out = append(j.out, o)
	}
	same, fresh := w.hash(j, h)
	if w.scan.o.Cache != nil && !w.crew.halted.Load() && (kept+same != had || fresh > 0) {
		w.remember(j, l)
	}
	return found
}

// descend returns the directory of an outcome's key if it is to be walked.
func (w *worker) descend(up *dir, o *outcome, byLink bool) *dir {
	if !w.scan.wants(o.key) {
		return nil
	}
	if r := w.scan.unfit(o.key); r != 0 {
		o.problem = &Problem{Key: o.key, Path: w.scan.path(o.key), Reason: r}
		return nil
	}
	if byLink && w.scan.o.Linked != nil {
		w.scan.o.Linked(o.key)
	}
	return newDir(up, o.key, byLink)
}

// unread returns the problem of a name that is neither a file nor a directory, or nil if
// nobody wants to know.
func (w *worker) unread(h *folder, key string, name []byte, k kind) *Problem {
	if !w.scan.wants(key) {
		return nil
	}
	err := errSpecial
	if k == unclear {
		bare := append(bytes.TrimSuffix(slices.Clone(name), []byte("/")), 0)
		if _, err = h.stat(bare[:len(bare)-1]); err == nil {
			err = errSwapped // it can be looked at now, but it has no place in the order
		}
	}
	p := w.scan.problem(key, err)
	p.Twin = isDir(key)
	return p
}

// file looks at one file. It returns 1 if what the cache knows of it stays as it is.
func (w *worker) file(o *outcome, h *folder, name []byte, r *record, out int) int {
	old, isKnown := r.find(name)
	if !w.scan.wants(o.key) {
		if isKnown {
			w.known = append(w.known, old)
			return 1
		}
		return 0
	}
	if bad := w.scan.unfit(o.key); bad != 0 {
		o.problem = &Problem{Key: o.key, Path: w.scan.path(o.key), Reason: bad}
		return 0
	}
	st, err := h.stat(name)
	if err == nil && st.kind != regular {
		err = errSpecial
	}
	var fs *fileSystem
	if err == nil {
		fs, err = w.fileSystem(h, name, st.dev)
	}
	if err != nil {
		o.problem = w.scan.problem(o.key, err)
		return 0
	}
	if w.scan.o.Stat {
		if err := readable(h, name, &st); err != nil {
			o.problem = w.scan.problem(o.key, err)
		} else {
			o.set(&st, st.size, manifest.Digest{}, looked)
		}
		return 0
	}
	fp := fs.fingerprint(&st)
	trust := isKnown && old.print == fp && fs.settled(fp, w.scan.now)
	if w.scan.o.Tell != nil {
		w.scan.o.Tell(o.key, account(fs, fp, old, isKnown, trust, w.scan.now))
	}
	if trust && !Drawn(o.key, w.scan.o.Seed, fs.share) {
		o.set(&st, st.size, old.digest, 0)
		w.known = append(w.known, old)
		return 1
	}
	w.new = append(w.new, pending{name, out, len(w.known), st, fs, old.digest, trust})
	w.known = append(w.known, known{}) // until it has been read
	return 0
}

// readable returns an error if this process may not read a file. The system is asked only about those that
// not everybody may read: where an access list has exceptions from that, the file's reader meets them.
func readable(h *folder, name []byte, st *stat) error {
	const everybody = 0o444
	if st.perm&everybody == everybody {
		return nil
	}
	return h.readable(name)
}

func (o *outcome) set(st *stat, size int64, d manifest.Digest, how effort) {
	o.entry, o.size, o.mtime, o.perm, o.digest, o.how = true, size, st.mtime, st.perm&0o777, d, how
}

// Files of a slice are shared with idle workers if there are more than fewFiles of them, or
// more than fewBytes in them: below that, asking for help costs more than it brings.
const (
	fewFiles = 16
	fewBytes = 1 << 20
)

// hash reads the new files of a slice. It returns of how many the cache knows already what was
// found, and of how many it has to be told.
func (w *worker) hash(j *job, h *folder) (same, fresh int) {
	size := int64(0)
	for i := range w.new {
		size += w.new[i].st.size
	}
	one := func(by *worker, i int) {
		p := &w.new[i]
		by.hashOne(p, &j.out[p.out], &w.known[p.known], h)
	}
	if len(w.new) > 1 && (len(w.new) > fewFiles || size > fewBytes) {
		w.crew.share(w, len(w.new), one)
	} else {
		for i := range w.new {
			one(w, i)
		}
	}
	for i := range w.new {
		p := &w.new[i]
		switch k := &w.known[p.known]; {
		case k.name == nil:
		case p.trust && k.digest == p.before && k.print == p.fs.fingerprint(&p.st):
			same++
		default:
			fresh++
		}
	}
	return same, fresh
}

// hashOne reads one file. It may run beside hashOne of other files of the same slice.
func (w *worker) hashOne(p *pending, o *outcome, k *known, h *folder) {
	r, err := w.readFile(func() (source, error) { return h.open(p.name) }, p.st)
	if err != nil {
		o.problem = w.scan.problem(o.key, err)
		return
	}
	how := hashed
	if p.trust {
		how |= rehashed
		if r.digest != p.before {
			how |= lied
		}
	}
	fp := p.fs.fingerprint(&r.st)
	if r.steady && p.fs.settled(fp, w.scan.now) {
		*k = known{p.name, fp, r.digest}
	} else {
		how |= unsettled
	}
	o.set(&r.st, r.size, r.digest, how)
}

// A reading is what was found in a file.
type reading struct {
	st     stat // of the file when its last byte had been read
	size   int64
	digest manifest.Digest
	steady bool // the file did not change meanwhile
}

// tries is how often a file that changes while it is read is read.
const tries = 3

// readFile hashes a file that was seen as st. If it changes all the time the last reading
// stands, and is not steady: what is sent later is hashed again on its way.
func (w *worker) readFile(open func() (source, error), st stat) (r reading, err error) {
	for try := 1; try <= tries && err == nil && !r.steady; try++ {
		if st.kind != regular {
			return r, errSpecial
		}
		r, err = w.readOnce(open, st, try == tries)
		st = r.st
	}
	return r, err
}

func (w *worker) readOnce(open func() (source, error), st stat, last bool) (reading, error) {
	src, err := open()
	if err != nil {
		return reading{}, err
	}
	defer src.close()
	var r reading
	if st.size > large && !last {
		r.digest, err = w.inPieces(src, st.size)
		r.size = st.size
	} else {
		r.digest, r.size, err = w.read.digest(src, st.size)
	}
	short := err == io.ErrUnexpectedEOF
	if err != nil && !short {
		return reading{}, err
	}
	if r.st, err = src.stat(); err != nil {
		return reading{}, err
	}
	r.steady = !short && steady(st, r.st, r.size)
	return r, nil
}

// inPieces hashes a large file with the help of idle workers. It returns io.ErrUnexpectedEOF
// if the file is shorter than size.
func (w *worker) inPieces(src source, size int64) (manifest.Digest, error) {
	p := NewParts(size, piece)
	errs := make(chan error, 1)
	w.crew.share(w, p.Len(), func(by *worker, i int) {
		if err := by.read.part(p, i, src); err != nil {
			select {
			case errs <- err:
			default: // the first one tells enough
			}
		}
	})
	select {
	case err := <-errs:
		return manifest.Digest{}, err
	default:
	}
	if w.crew.halted.Load() {
		return manifest.Digest{}, errHalted
	}
	return p.Sum(), nil
}

// fileSystem returns the file system of a device, which the named file is on.
func (w *worker) fileSystem(h *folder, name []byte, dev uint64) (*fileSystem, error) {
	if w.fs != nil && w.dev == dev {
		return w.fs, nil
	}
	fs, err := w.scan.systems.of(h, name, dev)
	if err == nil {
		w.fs, w.dev = fs, dev
	}
	return fs, err
}

// recall returns what the cache has of a slice.
func (w *worker) recall(j *job, l *listing) record {
	if w.scan.o.Cache == nil {
		return record{}
	}
	name := w.recordName(j, l)
	r, ok := openRecord(name, w.scan.o.Cache.Recall(name))
	if !ok {
		return record{}
	}
	return r
}

// remember replaces what the cache has of a slice.
func (w *worker) remember(j *job, l *listing) {
	files := w.known[:0]
	for _, k := range w.known {
		if k.name != nil {
			files = append(files, k)
		}
	}
	name := w.recordName(j, l)
	if len(files) == 0 {
		w.scan.o.Cache.Remember(name, nil)
		return
	}
	w.scan.o.Cache.Remember(name, encodeRecord(name, files))
}

// recordName is the name of the record of a slice: which tree it is of, the directory, and
// the first name of the slice unless it is the first slice. Names sort as the walk goes.
func (w *worker) recordName(j *job, l *listing) []byte {
	name := append(w.scan.stamp[:len(w.scan.stamp):len(w.scan.stamp)], j.dir.key...)
	name = append(name, 0)
	if j != j.dir.first {
		name = append(name, l.at(j.lo)...)
	}
	return name
}
