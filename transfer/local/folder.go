package local

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// A folder is an open directory of a tree. It stays that one, wherever its path leads by now. The names
// that it takes are those of its files, without any "/".
type folder interface {
	// look returns what is under a name, and not what a link leads to; nil for nothing.
	look(name string) (*seen, error)
	create(name string) (file, error) // of what is not there yet
	setTime(name string, modified time.Time) error
	rename(from, to string) error
	remove(name string) error
	close() error
}

// A file is one that is being written.
type file interface {
	io.Writer
	io.WriterAt
	// claim locks it until it is closed or the process dies. The error is errBusy if another process
	// has the lock. On a system or a file system without locks, nothing is locked.
	claim() error
	// finish ends the writing, and returns what a system may tell of it only then.
	finish() error
	close() error
}

// A seen is what is under a name.
type seen struct {
	dir, link bool
	size      int64
	modified  time.Time
}

func seenAs(info fs.FileInfo) *seen {
	return &seen{info.IsDir(), info.Mode()&fs.ModeSymlink != 0, info.Size(), info.ModTime()}
}

// rooted is a folder on any system.
type rooted struct{ root *os.Root }

func (d rooted) look(name string) (*seen, error) {
	info, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return seenAs(info), nil
}

func (d rooted) create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return rootedFile{f}, nil
}

func (d rooted) setTime(name string, modified time.Time) error {
	return d.root.Chtimes(name, modified, modified)
}

func (d rooted) rename(from, to string) error { return d.root.Rename(from, to) }

func (d rooted) remove(name string) error { return d.root.Remove(name) }

func (d rooted) close() error { return d.root.Close() }

// A rootedFile is a file on any system.
type rootedFile struct{ *os.File }

func (f rootedFile) claim() error { return claim(f.File) }

func (f rootedFile) finish() error { return finish(f.File) }

func (f rootedFile) close() error { return f.Close() }
