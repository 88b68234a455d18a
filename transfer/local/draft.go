package local

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"merkur/hashing"
	"merkur/manifest"
)

// A Draft is a file that is being written beside the place where it is to be.
type Draft struct {
	tree *Tree
	dir  folder // that the draft is in, also if its path leads somewhere else by now
	file file   // locked until it is published or dropped
	name string // of the draft, in dir
	to   string
}

// Create begins a file, and the directories it is in.
func (t *Tree) Create(name string) (*Draft, error) {
	dir, err := t.room(name)
	if err != nil {
		return nil, err // before anything is fetched
	}
	for {
		d := &Draft{tree: t, dir: dir, to: name}
		if err = d.begin(); err == nil {
			return d, nil
		}
		if err != errBusy && !errors.Is(err, fs.ErrExist) {
			dir.close()
			return nil, failed(name, err)
		}
	}
}

// Room returns an error if there can be no file of a name. It makes the directories that one would be in.
func (t *Tree) Room(name string) error {
	dir, err := t.room(name)
	if err != nil {
		return err
	}
	return dir.close()
}

// room opens the directory that a file is to be in, where there can be one of that name. Most often that
// directory is there and nothing stands in the way; else it takes a closer look.
func (t *Tree) room(name string) (folder, error) {
	if dir, err := t.open(path.Dir(name)); err == nil {
		if now, err := dir.look(path.Base(name)); err == nil && (now == nil || !now.dir) {
			return dir, nil
		}
		dir.close()
	}
	if err := t.Free(name); err != nil {
		return nil, err
	}
	dir, err := t.enter(path.Dir(name))
	if err != nil {
		return nil, failed(name, err)
	}
	return dir, nil
}

// begin makes the file of a draft, under a name that nothing has. The error is errBusy if it is being
// swept away.
func (d *Draft) begin() (err error) {
	var b [8]byte
	rand.Read(b[:])
	d.name = hashing.DraftPrefix + fmt.Sprintf("%x", b)
	if d.file, err = d.dir.create(d.name); err != nil {
		return err
	}
	if err = claimed(d.dir, d.file, d.name); err != nil {
		d.file.close()
	}
	if err != nil && err != errBusy {
		d.dir.remove(d.name)
	}
	return err
}

// Write writes on. An error names the file, and no draft.
func (d *Draft) Write(b []byte) (int, error) {
	n, err := d.file.Write(b)
	return n, d.failed(err)
}

// WriteAt writes at a place, and may be called by many goroutines at once.
func (d *Draft) WriteAt(b []byte, offset int64) (int, error) {
	n, err := d.file.WriteAt(b, offset)
	return n, d.failed(err)
}

func (d *Draft) failed(err error) error {
	if err == nil {
		return nil
	}
	return failed(d.to, err)
}

// path is where the draft was begun, below the root of the tree.
func (d *Draft) path() string { return path.Join(path.Dir(d.to), d.name) }

// StillAs returns an error if what is in the place of the file is not what was seen there, where nil
// is nothing.
func (d *Draft) StillAs(before *manifest.Entry) error {
	now, err := d.dir.look(path.Base(d.to))
	switch {
	case err != nil, now == nil, now.link:
		return nil // gone, or a link, which is replaced and not what it leads to
	case now.dir && before == nil && d.tree.hollow(d.to):
		return nil // it gives way
	case now.dir && before == nil:
		return failed(d.to, syscall.EISDIR) // made meanwhile, for another file
	case before != nil && now.isAs(before):
		return nil
	}
	return ErrOther
}

// A TimesError says that the file is there, but not its time.
type TimesError struct{ Err error }

func (e TimesError) Error() string { return "set its time: " + e.Err.Error() }

// Publish puts the file in its place, in one instant, with the time it is to have. A TimesError
// leaves it in place with another time.
func (d *Draft) Publish(modified time.Time) error {
	defer d.dir.close()
	defer d.file.close()
	err := d.file.finish()
	var times error
	if err == nil {
		times = d.dir.setTime(d.name, modified)
		err = d.settle()
	}
	if err != nil {
		d.dir.remove(d.name) // it is of no use, and its own trouble is not the first
		return failed(d.to, err)
	}
	if times != nil {
		return TimesError{times}
	}
	return nil
}

// settle gives the draft its name. Its directory is looked for by its path: one that was moved away is
// not the place any more, and the draft is not found.
func (d *Draft) settle() error {
	dir, err := d.tree.open(path.Dir(d.to))
	if err != nil {
		return err
	}
	defer dir.close()
	name := path.Base(d.to)
	if err = dir.rename(d.name, name); err == nil {
		return nil
	}
	if now, _ := dir.look(name); now == nil || !now.dir || !d.tree.hollow(d.to) {
		return err
	}
	d.tree.giveWay(d.to)
	return dir.rename(d.name, name)
}

// errBusy says that another process has the lock of a draft.
var errBusy = errors.New("in use by another process")

// claimed locks a draft that was just made. Whoever sweeps may have come between: then the error
// is errBusy.
func claimed(dir folder, f file, name string) error {
	if err := f.claim(); err != nil {
		return err
	}
	now, err := dir.look(name)
	if err == nil && now == nil {
		err = errBusy
	}
	return err
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
	d.file.finish()
	d.dir.remove(d.name)
	d.file.close()
	d.dir.close()
}
