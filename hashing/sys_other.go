//go:build !linux || portable

package hashing

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"merkur/manifest"
)

// The plain form of sys_linux.go for all other systems, on nothing but the standard library.
// It knows no change time and no inode number, so every file system counts as weak. The build
// tag portable puts it to the test on Linux.

// A tree is the root directory.
type tree struct{ path string }

// An identity tells directories apart.
type identity struct{ info fs.FileInfo }

func (a identity) same(b identity) bool { return os.SameFile(a.info, b.info) }

// identify returns the identity of the directory at an absolute path.
func identify(path string) (identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return identity{}, err
	}
	if !info.IsDir() {
		return identity{}, fmt.Errorf("%s: %w", path, ErrNotDir)
	}
	return identity{info}, nil
}

func openTree(path string) (tree, error) { return tree{path}, nil }

func (t tree) close() {}

// open opens the directory of a key, "" being the root.
func (t tree) open(key string, follow bool) (*folder, error) {
	return &folder{filepath.Join(t.path, filepath.FromSlash(key)), follow}, nil
}

// A folder is a directory of the tree.
type folder struct {
	path   string
	follow bool // symbolic links are
}

func (f *folder) close() {}

func (f *folder) identity() (identity, error) {
	info, err := os.Stat(f.path)
	return identity{info}, err
}

// list reads the names, sorted by nothing, into l. It gives up with errWide when there are
// more than limit.
func (f *folder) list(l *listing, limit int) error {
	l.reset()
	d, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.ReadDir(-1)
	if err != nil {
		return err
	}
	if len(names) > limit {
		return errWide
	}
	for _, n := range names {
		if k := f.kindOf(n); k != symlink {
			if err := l.add([]byte(n.Name()), k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *folder) kindOf(n fs.DirEntry) kind {
	k := kindOfMode(n.Type())
	if k != symlink || !f.follow {
		return k
	}
	st, err := f.stat([]byte(n.Name()))
	if err != nil {
		return unclear
	}
	if st.kind == directory {
		return linked
	}
	return st.kind
}

func kindOfMode(mode fs.FileMode) kind {
	switch mode.Type() {
	case 0:
		return regular
	case fs.ModeDir:
		return directory
	case fs.ModeSymlink:
		return symlink
	}
	return special
}

func (f *folder) join(name []byte) string { return filepath.Join(f.path, string(name)) }

// stat looks at a name, and through it where links are followed.
func (f *folder) stat(name []byte) (stat, error) {
	look := os.Lstat
	if f.follow {
		look = os.Stat
	}
	info, err := look(f.join(name))
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

// readable returns an error if this process may not read the file of that name.
func (f *folder) readable(name []byte) error {
	file, err := os.Open(f.join(name))
	if err != nil {
		return err
	}
	return file.Close()
}

func statOf(info fs.FileInfo) stat {
	return stat{
		kind:  kindOfMode(info.Mode()),
		perm:  uint32(info.Mode().Perm()),
		size:  info.Size(),
		mtime: manifest.Time(info.ModTime().Unix(), int64(info.ModTime().Nanosecond())),
	}
}

// open opens the file of that name.
func (f *folder) open(name []byte) (source, error) {
	h, err := os.Open(f.join(name))
	if err != nil {
		return nil, err
	}
	return file{h}, nil
}

// fileSystem says that nothing is known.
func (f *folder) fileSystem([]byte) (n nature, kind uint32, id uint64, err error) {
	return weak, 0, 0, nil
}

// A file is an open file.
type file struct{ *os.File }

func (f file) close() { f.Close() }

func (f file) stat() (stat, error) {
	info, err := f.Stat()
	if err != nil {
		return stat{}, err
	}
	return statOf(info), nil
}

func hiddenFor() time.Duration { return settleAge(0, 0) }
