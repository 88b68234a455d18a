//go:build !portable

package local

import (
	"path"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Whole makes a file of bytes that are all there, with its time, where nothing has its name. On Linux that takes no
// draft: the file has no name before it is whole (O_TMPFILE of open(2)), so that nobody has to lock it, to look
// for it or to sweep it away, and the name is given only if nothing has it, which nobody has to look for either.
// It reports false, and has done nothing, where that cannot be: something has the name, the directory is not
// there, or the file system knows no such files. Then [Tree.Create] finds out what can be done.
func (t *Tree) Whole(name string, body []byte, modified time.Time) (done bool, err error) {
	dir, err := t.beneath(path.Dir(name))
	if err != nil {
		return false, nil
	}
	defer dir.close()
	f, err := dir.unnamed()
	if err != nil {
		return false, nil
	}
	defer f.close()
	if _, err := f.Write(body); err != nil {
		return true, failed(name, err)
	}
	if err := f.finish(); err != nil {
		return true, failed(name, err)
	}
	if f.setTime(modified) != nil || dir.link(f, path.Base(name)) != nil {
		return false, nil
	}
	return true, nil
}

// unnamed makes a file that is gone when it is closed, unless it is given a name.
func (d handle) unnamed() (f handleFile, err error) {
	err = again(func() error {
		fd, err := unix.Openat(int(d), ".", unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC|unix.O_LARGEFILE, 0o666)
		f = handleFile(fd)
		return err
	})
	return f, err
}

// link gives a file a name, if nothing has it. Older systems let only the superuser say which file by its
// descriptor alone.
func (d handle) link(f handleFile, name string) error {
	err := unix.Linkat(int(f), "", int(d), name, unix.AT_EMPTY_PATH)
	if err == unix.ENOENT {
		err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f)), int(d), name, unix.AT_SYMLINK_FOLLOW)
	}
	return err
}

func (f handleFile) setTime(modified time.Time) error {
	t, err := unix.TimeToTimespec(modified)
	if err != nil {
		return err
	}
	return again(func() error { return unix.UtimesNanoAt(int(f), "", []unix.Timespec{t, t}, unix.AT_EMPTY_PATH) })
}
