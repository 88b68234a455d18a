package cache

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

const (
	memTable       = 4 << 20 // must not shrink without a new schema: a log left by a crash has to fit
	blockSize      = 16 << 10
	falsePositives = 0.01 // of the filters that say which tables to ask
)

// openDB opens the database in dir, or makes one. failed is told when Badger can no longer
// write, which it reports in no other way.
func openDB(dir string, failed func(error)) (db *badger.DB, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	makePrivate(dir) // what a run left that died
	if err := prepare(dir); err != nil {
		return nil, err
	}
	l := &listener{failed: failed}
	err = guarded(func() (err error) {
		db, err = badger.Open(settings(dir, l))
		return err
	})
	if err != nil {
		return nil, plain(err.Error())
	}
	if err := l.arm(); err != nil {
		return nil, errors.Join(err, guarded(db.Close))
	}
	return db, nil
}

// makePrivate takes the files of a database from all others but their owner, which Badger leaves to the
// umask. The directory keeps others out meanwhile, so that it is not the end if this fails.
func makePrivate(dir string) {
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			_ = os.Chmod(filepath.Join(dir, f.Name()), 0o600)
		}
	}
}

func settings(dir string, l *listener) badger.Options {
	o := badger.DefaultOptions(dir)
	o.Logger = l
	o.MetricsEnabled = false
	o.DetectConflicts = false
	o.NumVersionsToKeep = 1
	// Digests do not compress, and an uncompressed block is read where it is mapped: no cache.
	o.Compression, o.BlockCacheSize, o.IndexCacheSize = options.None, 0, 0
	o.BlockSize, o.BloomFalsePositive = blockSize, falsePositives
	// Records carry checksums of their own.
	o.ChecksumVerificationMode = options.NoVerification
	o.MemTableSize, o.NumMemtables = memTable, 2
	// All values are in tables; the value log stays empty.
	o.ValueThreshold, o.ValueLogFileSize = 512<<10, 1<<20
	// Only rewrite compacts, so nothing must wait for compaction.
	o.NumCompactors, o.CompactL0OnClose, o.NumLevelZeroTablesStall = 0, false, math.MaxInt
	return o
}

// starved reports whether opening failed for want of something that the machine has too
// little of just now, which says nothing about the data. Badger keeps the text of errors only.
func starved(err error) bool {
	for _, text := range []string{
		syscall.EMFILE.Error(), syscall.ENFILE.Error(), syscall.ENOMEM.Error(),
		syscall.ENOSPC.Error(), syscall.EROFS.Error(),
		"Another process is using this Badger database", // that of a run whose Close was stuck
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// A listener is Badger's logger. Badger logs an error where it cannot return one: when it
// leaves out a table while opening, and above all when a memtable cannot be flushed, which
// it then tries again for ever.
type listener struct {
	failed func(error)

	mu    sync.Mutex
	armed bool
	first error // logged before the listener was armed
}

// arm makes errors go to failed from now on, and returns the one logged before.
func (l *listener) arm() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = true
	return l.first
}

// Errorf is part of [badger.Logger].
func (l *listener) Errorf(format string, args ...any) {
	err := plain(fmt.Sprintf(format, args...))
	l.mu.Lock()
	armed := l.armed
	if !armed && l.first == nil {
		l.first = err
	}
	l.mu.Unlock()
	if armed {
		l.failed(err)
	}
}

// Warningf is part of [badger.Logger].
func (*listener) Warningf(string, ...any) {}

// Infof is part of [badger.Logger].
func (*listener) Infof(string, ...any) {}

// Debugf is part of [badger.Logger].
func (*listener) Debugf(string, ...any) {}

// plain makes an error for a person out of one of Badger's, which say first what all the
// callers were doing, and after the first line where.
func plain(text string) error {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if i := strings.LastIndex(line, "err: "); i >= 0 {
		line = line[i+len("err: "):]
	}
	return fmt.Errorf("%.200s", strings.TrimSuffix(line, ", retrying"))
}
