// Package local writes to a local tree under names that come from somebody else. It is the wall
// between the keys of a bucket, which are any text, and the file system:
//
//   - Nothing outside of the tree is written, made or removed, whatever a key says and wherever
//     symbolic links lead. All goes through [os.Root], or on Linux through what openat2(2) opens
//     beneath the top of the tree.
//   - A file appears under its name in one instant, whole and with its time, by a rename of a draft
//     beside it. A draft that a process left when it died is swept away by the next run, or a day later.
//   - Nothing is replaced or removed that is not what was seen before.
package local

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"merkur/manifest"
)

// A Tree is a local tree that is written to.
type Tree struct {
	root *os.Root
	top  *os.File // the directory that root is
}

// Open opens the tree at a directory, which has to be there.
func Open(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	top, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Tree{root, top}, nil
}

// Close ends the use of the tree. One that is nil has no use.
func (t *Tree) Close() {
	if t != nil {
		t.top.Close()
		t.root.Close()
	}
}

// failed says what was attempted, whatever names it took.
func failed(name string, err error) error {
	var inPath *fs.PathError
	var inLink *os.LinkError
	switch {
	case errors.As(err, &inPath):
		err = inPath.Err
	case errors.As(err, &inLink):
		err = inLink.Err
	}
	return &fs.PathError{Op: "download to", Path: name, Err: err}
}

// enter opens a directory, and makes it where it is missing, as few are.
func (t *Tree) enter(dir string) (folder, error) {
	d, err := t.open(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	if err := t.root.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	return t.open(dir)
}

// ErrOther says that a file is not the one that was seen.
var ErrOther = errors.New("it changed since it was looked at; it is left as it is")

// hollow reports whether a directory has nothing in it but directories that are hollow.
func (t *Tree) hollow(name string) bool {
	d, err := t.root.Open(name)
	if err != nil {
		return false
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() || !t.hollow(path.Join(name, e.Name()))
	})
}

// giveWay removes a directory that is hollow, and nothing that comes into it meanwhile.
func (t *Tree) giveWay(name string) {
	d, err := t.root.Open(name)
	if err != nil {
		return
	}
	entries, _ := d.ReadDir(-1)
	d.Close()
	for _, e := range entries {
		if e.IsDir() {
			t.giveWay(path.Join(name, e.Name()))
		}
	}
	t.root.Remove(name) // fails if it is not empty
}

// Free returns an error if there can be no file of that name: there is a directory with
// files in it, or it is too long, or behind a symbolic link that leads out.
func (t *Tree) Free(name string) error {
	info, err := t.root.Lstat(name)
	switch {
	case err == nil && info.IsDir() && !t.hollow(name):
		return failed(name, syscall.EISDIR)
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return t.fits(name)
	case errors.Is(t.direct(path.Dir(name)), ErrThroughLink):
		return ErrLeadsOut
	case errors.Is(err, syscall.ENOTDIR):
		return &fs.PathError{Op: "download to", Path: name, Err: syscall.ENOTDIR}
	}
	return failed(name, err)
}

// shortName is a length that every file system takes.
const shortName = 128

// fits returns an error if a name on the way to a file is longer than the file system takes. That
// does not show in a directory that is still to be made.
func (t *Tree) fits(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) <= shortName {
			continue
		}
		if _, err := t.root.Lstat(part); errors.Is(err, syscall.ENAMETOOLONG) {
			return failed(name, err)
		}
	}
	return nil
}

// ErrLeadsOut says that a file would be written outside of the tree.
var ErrLeadsOut = errors.New("a symbolic link on its way leads out of the destination")

// ErrThroughLink says that what is to be deleted may lie somewhere else than it seems.
var ErrThroughLink = errors.New("it lies behind a symbolic link; it is left as it is")

// Remove deletes the file that e tells of, and no other. A missing one is success. What a
// symbolic link leads to is not touched: a link that stands for a file is removed itself, and
// nothing is removed behind one that stands for a directory.
func (t *Tree) Remove(e *manifest.Entry) error {
	if err := t.direct(path.Dir(e.Key)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	info, err := t.root.Stat(e.Key)
	if err == nil && !seenAs(info).isAs(e) {
		return ErrOther
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

// isAs reports whether a file is the one that was seen before, as far as size and time tell.
func (s *seen) isAs(e *manifest.Entry) bool {
	return !s.dir && s.size == e.Size && manifest.Time(s.modified.Unix(), int64(s.modified.Nanosecond())) == e.MTime
}

// Link returns the first symbolic link on the way to a name; "" if there is none.
func (t *Tree) Link(name string) string {
	link, _ := t.linkTo(path.Dir(name))
	return link
}

// direct returns an error if there is a symbolic link on the way to a directory.
func (t *Tree) direct(dir string) error {
	link, err := t.linkTo(dir)
	if link != "" {
		return ErrThroughLink
	}
	return err
}

// linkTo returns the first symbolic link on the way to a directory, or that it is itself.
func (t *Tree) linkTo(dir string) (link string, err error) {
	if dir == "." {
		return "", nil
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
			return "", err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return part, nil
		}
	}
	return "", nil
}

// Stat describes what is under a name, behind a link too if that does not lead out.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.root.Stat(name) }

// Exists reports whether there is anything under a name.
func (t *Tree) Exists(name string) bool {
	_, err := t.root.Lstat(name)
	return err == nil
}
