//go:build !portable

package local

import (
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// On Linux the kernel itself walks a path without leaving the tree, in one call, where [os.Root] opens
// and closes each directory on the way. Files are plain handles, that no poller has to know of.

// open opens a directory of the tree. What the kernel refuses, for whatever reason, is left to
// os.Root: that the system is too old, that the path leads out, or that something was renamed on the way.
func (t *Tree) open(dir string) (folder, error) {
	if d, err := t.beneath(dir); err == nil {
		return d, nil
	}
	root, err := t.root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return rooted{root}, nil
}

// beneath opens a directory of the tree, if the kernel does.
func (t *Tree) beneath(dir string) (handle, error) {
	fd, err := unix.Openat2(int(t.top.Fd()), dir, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	return handle(fd), err
}

// A handle is a folder by its descriptor.
type handle int

func (d handle) look(name string) (*seen, error) {
	var st unix.Stat_t
	switch err := again(func() error { return unix.Fstatat(int(d), name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err {
	case nil:
		kind := st.Mode & unix.S_IFMT
		return &seen{kind == unix.S_IFDIR, kind == unix.S_IFLNK, st.Size, time.Unix(st.Mtim.Unix())}, nil
	case unix.ENOENT:
		return nil, nil
	default:
		return nil, err
	}
}

func (d handle) create(name string) (file, error) {
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Openat(int(d), name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_LARGEFILE, 0o666)
		return err
	})
	if err != nil {
		return nil, err
	}
	return handleFile(fd), nil
}

func (d handle) setTime(name string, modified time.Time) error {
	t, err := unix.TimeToTimespec(modified)
	if err != nil {
		return err
	}
	return again(func() error { return unix.UtimesNanoAt(int(d), name, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW) })
}

func (d handle) rename(from, to string) error {
	return again(func() error { return unix.Renameat(int(d), from, int(d), to) })
}

func (d handle) remove(name string) error {
	return again(func() error { return unix.Unlinkat(int(d), name, 0) })
}

func (d handle) close() error { return unix.Close(int(d)) }

// A handleFile is a file by its descriptor.
type handleFile int

func (f handleFile) Write(b []byte) (int, error) {
	return writeAll(b, func(rest []byte, _ int) (int, error) { return unix.Write(int(f), rest) })
}

func (f handleFile) WriteAt(b []byte, offset int64) (int, error) {
	return writeAll(b, func(rest []byte, n int) (int, error) { return unix.Pwrite(int(f), rest, offset+int64(n)) })
}

// writeAll calls write with what is left of b, and how much was written before.
func writeAll(b []byte, write func(rest []byte, n int) (int, error)) (n int, err error) {
	for n < len(b) {
		m, err := write(b[n:], n)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, err
		case m == 0:
			return n, io.ErrShortWrite
		}
		n += max(m, 0)
	}
	return n, nil
}

func (f handleFile) claim() error { return lock(int(f)) }

func (f handleFile) finish() error { return flush(int(f)) }

func (f handleFile) close() error { return unix.Close(int(f)) }

// again makes a call until no signal interrupts it.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
