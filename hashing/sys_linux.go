//go:build !portable

package hashing

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"merkur/manifest"
)

// All that is asked of the system goes through the three types of this file: tree, folder and
// file. Directories are opened from the handle of the root and files from that of their
// directory: that is cheaper than whole paths, knows no longest path, and keeps no more
// handles open than twice the number of goroutines, however deep the tree is.
//
// Texts that are handed to the system end in NUL and are not copied.

// A tree is the open root directory.
type tree struct{ fd int }

// An identity tells directories apart.
type identity struct{ dev, ino uint64 }

func (a identity) same(b identity) bool { return a == b }

// identify returns the identity of the directory at an absolute path.
func identify(path string) (identity, error) {
	st, err := statAt(unix.AT_FDCWD, append([]byte(path), 0), 0)
	if err != nil {
		return identity{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.kind != directory {
		return identity{}, fmt.Errorf("%s: %w", path, ErrNotDir)
	}
	return identity{st.dev, st.ino}, nil
}

func openTree(path string) (tree, error) {
	fd, err := openAt(unix.AT_FDCWD, append([]byte(path), 0), unix.O_DIRECTORY)
	if err != nil {
		return tree{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return tree{fd}, nil
}

func (t tree) close() { unix.Close(t.fd) }

// open opens the directory of a key, "" being the root.
func (t tree) open(key string, follow bool) (*folder, error) {
	path := append(make([]byte, 0, len(key)+2), '.')
	if key != "" {
		// Without the "/" at its end, which would make a last name that is a link be followed.
		path = append(path[:0], key[:len(key)-1]...)
	}
	fd, err := openAt(t.fd, append(path, 0), unix.O_DIRECTORY|noFollow(follow, unix.O_NOFOLLOW))
	return &folder{fd, follow}, err
}

// A folder is an open directory of the tree.
type folder struct {
	fd     int
	follow bool // symbolic links are
}

func (f *folder) close() { unix.Close(f.fd) }

func (f *folder) identity() (identity, error) {
	st, err := statAt(f.fd, empty, unix.AT_EMPTY_PATH)
	return identity{st.dev, st.ino}, err
}

// list reads the names, sorted by nothing, into l. It gives up with errWide when there are
// more than limit.
func (f *folder) list(l *listing, limit int) error {
	l.reset()
	if l.dents == nil {
		l.dents = make([]byte, 64<<10)
	}
	for {
		n, err := unix.Getdents(f.fd, l.dents)
		if n <= 0 || err != nil {
			return err
		}
		if err := f.take(l, l.dents[:n]); err != nil {
			return err
		}
		if len(l.names) > limit {
			return errWide
		}
	}
}

// take adds the names of one getdents(2) answer: records of inode u64, offset u64, length
// u16, type u8 and the name with a NUL at its end.
func (f *folder) take(l *listing, dents []byte) error {
	const head = 19
	for len(dents) > head {
		size := int(binary.NativeEndian.Uint16(dents[16:]))
		text, typ := dents[head:size], dents[18]
		dents = dents[size:]
		text = text[:clen(text)+1]
		if string(text) == ".\x00" || string(text) == "..\x00" {
			continue
		}
		k := f.kindOf(text, typ)
		if k == symlink {
			continue
		}
		if err := l.add(text[:len(text)-1], k); err != nil {
			return err
		}
	}
	return nil
}

func clen(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return len(b) - 1
}

// kindOf looks at a name where its directory does not say what it is, or where what a link
// points to has to be known, because a directory has another place in the key order.
func (f *folder) kindOf(text []byte, typ byte) kind {
	switch typ {
	case unix.DT_REG:
		return regular
	case unix.DT_DIR:
		return directory
	case unix.DT_LNK:
		if !f.follow {
			return symlink
		}
	case unix.DT_UNKNOWN:
	default:
		return special
	}
	st, err := statAt(f.fd, text, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return unclear
	}
	if st.kind != symlink || !f.follow {
		return st.kind
	}
	if st, err = statAt(f.fd, text, 0); err != nil {
		return unclear
	}
	if st.kind == directory {
		return linked
	}
	return st.kind
}

// stat looks at a name, which a NUL follows in memory, and through it where links are followed.
func (f *folder) stat(name []byte) (stat, error) {
	return statAt(f.fd, name, noFollow(f.follow, unix.AT_SYMLINK_NOFOLLOW))
}

// readable returns an error if this process may not read the file of that name.
func (f *folder) readable(name []byte) error {
	return unix.Faccessat(f.fd, string(name), unix.R_OK, unix.AT_EACCESS)
}

// open opens the file of that name, which a NUL follows in memory.
func (f *folder) open(name []byte) (source, error) {
	fd, err := openAt(f.fd, name, noFollow(f.follow, unix.O_NOFOLLOW))
	if err != nil {
		return nil, err
	}
	return file(fd), nil
}

func noFollow(follow bool, flag int) int {
	if follow {
		return 0
	}
	return flag
}

// fileSystem asks which file system a directory, or a file in it, is on.
func (f *folder) fileSystem(name []byte) (n nature, kind uint32, id uint64, err error) {
	fd := f.fd
	if name != nil {
		if fd, err = openAt(f.fd, name, noFollow(f.follow, unix.O_NOFOLLOW)); err != nil {
			return weak, 0, 0, err
		}
		defer unix.Close(fd)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return weak, 0, 0, err
	}
	kind = uint32(st.Type)
	id = uint64(uint32(st.Fsid.Val[0]))<<32 | uint64(uint32(st.Fsid.Val[1]))
	return natures[kind], kind, id, nil
}

// A file is an open file.
type file int

func (f file) close() { unix.Close(int(f)) }

func (f file) stat() (stat, error) { return statAt(int(f), empty, unix.AT_EMPTY_PATH) }

// ReadAt implements io.ReaderAt.
func (f file) ReadAt(b []byte, offset int64) (n int, err error) {
	for n < len(b) {
		m, err := unix.Pread(int(f), b[n:], offset+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, err
		case m == 0:
			return n, io.EOF
		}
		n += max(m, 0)
	}
	return n, nil
}

var empty = []byte{0}

// openAt opens for reading. O_NONBLOCK is for what was replaced by a FIFO since it was looked
// at: opening one would wait for a writer.
func openAt(fd int, name []byte, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_LARGEFILE
	for {
		r, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(fd), uintptr(unsafe.Pointer(&name[0])), uintptr(flags), 0, 0, 0)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return -1, errno
		}
	}
}

// statAt uses statx(2), which is the same on every Linux, costs what fstatat(2) costs, and
// knows the birth time.
func statAt(fd int, name []byte, flags int) (stat, error) {
	const mask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_INO | unix.STATX_SIZE |
		unix.STATX_MTIME | unix.STATX_CTIME | unix.STATX_BTIME
	var st unix.Statx_t
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(&name[0])),
		uintptr(flags), mask, uintptr(unsafe.Pointer(&st)), 0)
	if errno != 0 {
		return stat{}, errno
	}
	return stat{
		kind:  kindOfMode(st.Mode),
		perm:  uint32(st.Mode) & 0o7777,
		size:  int64(st.Size),
		mtime: nanoseconds(st.Mtime),
		ctime: nanoseconds(st.Ctime),
		btime: nanoseconds(st.Btime),
		dev:   uint64(st.Dev_major)<<32 | uint64(st.Dev_minor),
		ino:   st.Ino,
	}, nil
}

func kindOfMode(mode uint16) kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return regular
	case unix.S_IFDIR:
		return directory
	case unix.S_IFLNK:
		return symlink
	}
	return special
}

func nanoseconds(t unix.StatxTimestamp) int64 { return manifest.Time(t.Sec, int64(t.Nsec)) }
