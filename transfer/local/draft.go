package local

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"merkur/hashing"
)

// A Draft is a file that is being written beside the place where it is to be.
type Draft struct {
	*os.File
	tree *Tree
	dir  *os.Root // that the draft is in, also if its path leads somewhere else by now
	name string   // of the draft, in dir
	to   string
	lock io.Closer // until it is published or dropped
}

// Create begins a file, and the directories it is in.
func (t *Tree) Create(name string) (*Draft, error) {
	if err := t.Free(name); err != nil {
		return nil, err // before anything is fetched
	}
	dir, err := t.enter(path.Dir(name))
	if err != nil {
		return nil, failed(name, err)
	}
	for {
		d := &Draft{tree: t, dir: dir, to: name}
		if err = d.begin(); err == nil {
			return d, nil
		}
		if err != errBusy && !errors.Is(err, fs.ErrExist) {
			dir.Close()
			return nil, failed(name, err)
		}
	}
}

// begin makes the file of a draft, under a name that nothing has. The error is errBusy if it is being
// swept away.
func (d *Draft) begin() (err error) {
	var b [8]byte
	rand.Read(b[:])
	d.name = hashing.DraftPrefix + fmt.Sprintf("%x", b)
	if d.File, err = d.dir.OpenFile(d.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666); err != nil {
		return err
	}
	if d.lock, err = claimed(d.dir, d.File, d.name); err != nil {
		d.Close()
	}
	if err != nil && err != errBusy {
		d.dir.Remove(d.name)
	}
	return err
}

// path is where the draft was begun, below the root of the tree.
func (d *Draft) path() string { return path.Join(path.Dir(d.to), d.name) }

// A TimesError says that the file is there, but not its time.
type TimesError struct{ Err error }

func (e TimesError) Error() string { return "set its time: " + e.Err.Error() }

// Publish puts the file in its place, in one instant, with the time it is to have. A TimesError
// leaves it in place with another time.
func (d *Draft) Publish(modified time.Time) error {
	defer d.dir.Close()
	defer d.lock.Close()
	err := d.Close()
	var times error
	if err == nil {
		times = d.dir.Chtimes(d.name, modified, modified)
		if info, err := d.tree.root.Lstat(d.to); err == nil && info.IsDir() && d.tree.hollow(d.to) {
			d.tree.giveWay(d.to)
		}
		// By their paths: a directory that was moved away is not the place any more.
		err = d.tree.root.Rename(d.path(), d.to)
	}
	if err != nil {
		d.dir.Remove(d.name) // it is of no use, and its own trouble is not the first
		return failed(d.to, err)
	}
	if times != nil {
		return TimesError{times}
	}
	return nil
}

// errBusy says that another process has the lock of a draft.
var errBusy = errors.New("in use by another process")

// claimed locks a draft that was just made. Whoever sweeps may have come between: then the error
// is errBusy.
func claimed(dir *os.Root, f *os.File, name string) (io.Closer, error) {
	lock, err := claim(f)
	if err != nil {
		return nil, err
	}
	now, err := dir.Lstat(name)
	made, ferr := f.Stat()
	if err == nil && ferr == nil && os.SameFile(now, made) {
		return lock, nil
	}
	lock.Close()
	return nil, errBusy
}

// Sweep removes a draft that a run has left when it died: one that nobody has locked, or that
// nobody has written to for a day. That it cannot be removed is no trouble of this run.
func (t *Tree) Sweep(name string) {
	info, err := t.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	if time.Since(info.ModTime()) > 24*time.Hour {
		t.root.Remove(name)
		return
	}
	f, err := t.root.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer f.Close() // after it is removed, so that nobody can lock what is going
	if abandoned(f) {
		t.root.Remove(name)
	}
}

// Drop gives the file up.
func (d *Draft) Drop() {
	defer d.lock.Close()
	d.Close()
	d.dir.Remove(d.name)
	d.dir.Close()
}
