package hashing

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"merkur/manifest"
)

// ErrNotDir is returned by [New] for a root that is something else than a directory.
var ErrNotDir = errors.New("not a directory")

// Options say what is scanned and how. The zero value scans everything, follows no links and
// reads every file. The functions are called from many goroutines at once.
type Options struct {
	Follow  bool                  // symbolic links stand for what they point to; else they are left out silently
	Select  func(key string) bool // whether a file is part of the tree; nil: all are
	Descend func(key string) bool // whether a directory, whose key ends in "/", is walked at all; nil: all are
	Linked  func(key string)      // told of directories, by keys that end in "/", that a link stands for; nil: nobody wants to know
	Draft   func(key string)      // told of files that are being written, or were when a run died; nil: nobody wants to know
	Tell    func(string, Account) // told of each file why it is read, or not; nil: nobody wants to know
	Stat    bool                  // look at files and read none: entries have no digest, and no cache is used
	Leave   []string              // paths of directories that are not part of the tree wherever they are found
	MaxKey  int                   // longest key, in bytes; 0: manifest.MaxKey

	// Ahead is told, in key order, of keys that the scan has come to before it yields them, and of about
	// how many names lie between one and the last. It must not wait. nil: nobody wants to know.
	Ahead func(key string, names int)

	Cache       Cache   // digests of earlier scans; nil: none
	Rehash      bool    // read every file, whatever the cache says
	RehashShare float64 // part of the files that the cache vouches for that is read all the same, 0 to 1
	Seed        uint64  // picks that part; a scan with another seed reads other files
	TrustStat   bool    // believe the cache also on file systems in memory, which hide stores through a mapping

	Workers int              // goroutines; 0: as many as suit this machine
	Now     func() time.Time // nil: time.Now
}

// A Cache keeps records of earlier scans under names. It is a cache: it may lose a record at
// any time, and must answer nil when it is in any doubt about one. Both methods are called
// from many goroutines at once.
type Cache interface {
	// Recall returns the record that was last remembered under the name, or nil. The caller
	// keeps what it gets and does not change it; the cache does not keep name.
	Recall(name []byte) []byte
	// Remember keeps a record of at most 512 KiB, or drops the one there is if record is nil.
	// Both slices are the cache's from then on.
	Remember(name, record []byte)
}

// An Item is one thing that a scan found: a problem, or else an entry.
type Item struct {
	Entry   manifest.Entry
	Problem *Problem
}

// Stats are the counts of a scan.
type Stats struct {
	Files int64 // entries
	Bytes int64 // their sizes
	Dirs  int64 // directories that were read, with the root

	HashedFiles   int64 // entries whose file was read
	HashedBytes   int64
	TrustedFiles  int64 // entries whose digest came from the cache
	RehashedFiles int64 // of HashedFiles: those the cache vouched for
	// FingerprintLies counts the rehashed files that had other content than the cache said
	// though their fingerprint was the same. The entry is true all the same.
	FingerprintLies int64
	UnsettledFiles  int64 // of HashedFiles: those the next scan has to read again, being too young or changing
	Problems        int64 // paths that could not be read or represented

	// FileSystem is how far the file system of the root is believed: "local", "network",
	// "memory" or "weak".
	FileSystem string
}

// A Scan is one pass over a directory tree.
type Scan struct {
	root  string // absolute
	id    identity
	o     Options
	leave []identity
	reach reach
	used  atomic.Bool

	// Set when the pass begins.
	tree    tree
	now     time.Time
	stamp   []byte // begins the names of all records of this tree
	systems systems

	stats Stats // the drain's
}

// New prepares a scan of the directory at root. The error is [fs.ErrNotExist] if there is
// nothing, and [ErrNotDir] if there is something else.
func New(root string, o Options) (*Scan, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	id, err := identify(root)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Workers <= 0 {
		// More than cores, because a worker that waits for the disk holds one up.
		o.Workers = min(max(4, 2*runtime.GOMAXPROCS(0)), 32)
	}
	if o.Stat {
		o.Cache = nil
	}
	if o.MaxKey == 0 {
		o.MaxKey = manifest.MaxKey
	}
	s := &Scan{root: root, id: id, o: o, reach: usualReach}
	for _, path := range o.Leave {
		if id, err := identify(path); err == nil {
			s.leave = append(s.leave, id)
		}
	}
	return s, nil
}

// Items yields what the scan finds in the order of the keys. It can be used once. An error
// ends the sequence: the scan could not go on, and what was yielded is not the whole tree.
// No goroutine is left when the sequence has ended, also when the consumer broke it off.
func (s *Scan) Items(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if s.used.Swap(true) {
			yield(Item{}, fmt.Errorf("scan %s: used twice", s.root))
			return
		}
		d := &drain{scan: s, yield: yield}
		if err := s.run(ctx, d); err != nil && !d.broken {
			yield(Item{}, err)
		}
	}
}

// Stats returns the counts of what Items has yielded. It is to be called after Items ended.
func (s *Scan) Stats() Stats { return s.stats }

func (s *Scan) run(ctx context.Context, d *drain) error {
	if err := s.begin(); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	defer s.tree.close()

	c := newCrew(s.reach, s.o.Ahead)
	workers := make([]*worker, s.o.Workers+1)
	for i := range workers {
		workers[i] = &worker{scan: s, crew: c, read: newReader(&c.halted)}
	}
	d.crew, d.worker = c, workers[0]
	c.start(workers[1:])
	defer c.wg.Wait()
	defer c.halt()
	defer context.AfterFunc(ctx, c.halt)()

	root := newDir(nil, "", false)
	c.add(root.first)
	whole := d.dir(root)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("scan %s: %w", s.root, context.Cause(ctx))
	case root.problem != nil:
		return fmt.Errorf("scan %s: %w", s.root, root.problem.Err)
	case !whole:
		return nil // the consumer broke it off
	}
	return s.stillThere()
}

// begin opens the tree.
func (s *Scan) begin() (err error) {
	s.now = s.o.Now()
	if s.tree, err = openTree(s.root); err != nil {
		return err
	}
	s.systems = systems{o: s.o, young: hiddenFor(), byDev: make(map[uint64]*fileSystem)}
	root, st, err := s.rootSystem()
	if err != nil {
		s.tree.close()
		return fmt.Errorf("%s: %w", s.root, err)
	}
	s.stats.FileSystem = root.nature.String()
	s.stamp = s.makeStamp(root, st)
	return nil
}

func (s *Scan) rootSystem() (*fileSystem, stat, error) {
	h, err := s.tree.open("", true)
	if err != nil {
		return nil, stat{}, err
	}
	defer h.close()
	st, err := h.stat([]byte(".\x00")[:1])
	if err != nil {
		return nil, stat{}, err
	}
	fs, err := s.systems.of(h, nil, st.dev)
	return fs, st, err
}

// makeStamp tells this tree from every other: another root, another directory at the same
// path, another file system or another way to treat links has records of its own.
func (s *Scan) makeStamp(root *fileSystem, st stat) []byte {
	b := []byte{recordVersion, 0}
	if s.o.Follow {
		b[1] = 1
	}
	fp := root.fingerprint(&st)
	b = binary.LittleEndian.AppendUint64(b, fp.fs)
	b = binary.LittleEndian.AppendUint64(b, fp.ino)
	sum := Sum(append(b, s.root...))
	return sum[:16]
}

// stillThere fails if the root is not what it was when the scan was made: then names that
// were not found may well exist.
func (s *Scan) stillThere() error {
	id, err := identify(s.root)
	if err == nil && !id.same(s.id) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("scan %s: the directory went away meanwhile: %w", s.root, err)
	}
	return nil
}

// wants reports whether a file, or a directory if the key ends in "/", is part of the tree.
func (s *Scan) wants(key string) bool {
	if isDir(key) {
		return !manifest.IsReserved(key) && (s.o.Descend == nil || s.o.Descend(key))
	}
	if IsDraft(key) {
		if s.o.Draft != nil {
			s.o.Draft(key)
		}
		return false
	}
	return s.o.Select == nil || s.o.Select(key)
}

// DraftPrefix begins the names of files that are being written and are not part of the tree yet.
const DraftPrefix = ".merkur-draft-"

// IsDraft reports whether a key is that of such a file.
func IsDraft(key string) bool {
	return strings.HasPrefix(key[strings.LastIndexByte(key, '/')+1:], DraftPrefix)
}

func (s *Scan) leaves(id identity) bool {
	for _, l := range s.leave {
		if l.same(id) {
			return true
		}
	}
	return false
}

func (s *Scan) path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }

func (s *Scan) problem(key string, err error) *Problem {
	return &Problem{Key: key, Path: s.path(key), Reason: reasonOf(err), Err: err}
}

// systems are the file systems that were met, by device.
type systems struct {
	o     Options
	young time.Duration

	mu    sync.Mutex
	byDev map[uint64]*fileSystem
}

// of returns the file system of a device that the directory, or the file of that name in it,
// is on.
func (s *systems) of(h *folder, name []byte, dev uint64) (*fileSystem, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fs := s.byDev[dev]; fs != nil {
		return fs, nil
	}
	n, kind, id, err := h.fileSystem(name)
	if err != nil {
		return nil, err
	}
	s.byDev[dev] = newFileSystem(n, kind, id, s.young, s.o)
	return s.byDev[dev], nil
}
