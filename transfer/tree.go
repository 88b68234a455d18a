package transfer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"merkur/hashing"
	"merkur/manifest"
)

// A localTree is the local tree that is written to. Nothing outside of it can be reached: a name that
// leads out, also by way of a symbolic link, is an error.
type localTree struct{ root *os.Root }

func openTree(dir string) (*localTree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &localTree{root}, nil
}

func (t *localTree) close() {
	if t != nil {
		t.root.Close()
	}
}

// A draft is a file that is being written beside the place where it is to be.
type draftFile struct {
	*os.File
	tree *localTree
	name string // of the draft, below the root
	to   string
}

// create begins a file, and the directories it is in.
func (t *localTree) create(name string) (*draftFile, error) {
	dir := path.Dir(name)
	if err := t.free(name); err != nil {
		return nil, err // before anything is fetched
	}
	if err := t.root.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	for {
		var b [8]byte
		rand.Read(b[:])
		draft := path.Join(dir, hashing.DraftPrefix+fmt.Sprintf("%x", b))
		f, err := t.root.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) && !isFile(t, dir) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &draftFile{f, t, draft, name}, nil
	}
}

func isFile(t *localTree, dir string) bool {
	info, err := t.root.Stat(dir)
	return err != nil || !info.IsDir()
}

// A timesError says that the file is there, but not its time.
type timesError struct{ error }

// publish puts the file in its place, in one instant, with the time it is to have. A timesError
// leaves it in place with another time.
func (d *draftFile) publish(modified time.Time) error {
	err := d.Close()
	var times error
	if err == nil {
		times = d.tree.root.Chtimes(d.name, modified, modified)
		err = d.tree.root.Rename(d.name, d.to)
	}
	if err != nil {
		d.tree.root.Remove(d.name) // it is of no use, and its own trouble is not the first
		return err
	}
	if times != nil {
		return timesError{times}
	}
	return nil
}

// sweep removes a draft that a run has left when it died: one that nobody has written to for a
// day. That it cannot be removed is no trouble of this run.
func (t *localTree) sweep(name string) {
	if info, err := t.root.Lstat(name); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
		t.root.Remove(name)
	}
}

// drop gives the file up.
func (d *draftFile) drop() {
	d.Close()
	d.tree.root.Remove(d.name)
}

// errOther says that a file is not the one that was seen.
var errOther = errors.New("it changed since it was looked at; it is left as it is")

// free returns an error if there can be no file of that name: there is a directory, or it is too
// long, or behind a symbolic link that leads out.
func (t *localTree) free(name string) error {
	info, err := t.root.Lstat(name)
	switch {
	case err == nil && info.IsDir():
		return &fs.PathError{Op: "download to", Path: name, Err: syscall.EISDIR}
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(t.direct(path.Dir(name)), errThroughLink):
		return errLeadsOut
	}
	return err
}

// errLeadsOut says that a file would be written outside of the tree.
var errLeadsOut = errors.New("a symbolic link on its way leads out of the destination")

// errThroughLink says that what is to be deleted may lie somewhere else than it seems.
var errThroughLink = errors.New("it lies behind a symbolic link; it is left as it is")

// remove deletes the file that e tells of, and no other. A missing one is success. What a
// symbolic link leads to is not touched: a link that stands for a file is removed itself, and
// nothing is removed behind one that stands for a directory.
func (t *localTree) remove(e *manifest.Entry) error {
	if err := t.direct(path.Dir(e.Key)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	info, err := t.root.Stat(e.Key)
	if err == nil && !isAs(info, e) {
		return errOther
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if link, lerr := t.root.Lstat(e.Key); lerr != nil || link.Mode()&fs.ModeSymlink == 0 {
			return err
		}
	}
	if err := t.root.Remove(e.Key); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// isAs reports whether a file is the one that was seen, as far as size and time tell.
func isAs(info fs.FileInfo, e *manifest.Entry) bool {
	t := info.ModTime()
	return !info.IsDir() && info.Size() == e.Size && manifest.Time(t.Unix(), int64(t.Nanosecond())) == e.MTime
}

// stillAs returns an error if what is under a name is not what was seen there, where nil is
// nothing.
func (t *localTree) stillAs(name string, seen *manifest.Entry) error {
	info, err := t.root.Lstat(name)
	switch {
	case err != nil, info.Mode()&fs.ModeSymlink != 0:
		return nil // gone, or a link, which is replaced and not what it leads to
	case seen != nil && isAs(info, seen):
		return nil
	}
	return errOther
}

// direct returns an error if there is a symbolic link on the way to a directory.
func (t *localTree) direct(dir string) error {
	if dir == "." {
		return nil
	}
	for i := 0; i >= 0; {
		next := strings.IndexByte(dir[i:], '/')
		part := dir
		if next >= 0 {
			part = dir[:i+next]
			i += next + 1
		} else {
			i = -1
		}
		info, err := t.root.Lstat(part)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return errThroughLink
		}
	}
	return nil
}

// exists reports whether there is anything under a name.
func (t *localTree) exists(name string) bool {
	_, err := t.root.Lstat(name)
	return err == nil
}
