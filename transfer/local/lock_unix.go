//go:build unix

package local

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// claim marks a draft as being written until the process dies or the lock is closed, which outlives
// the file: so a draft is locked until it has its name. It returns errBusy if another process has
// it. On a file system without locks nothing is marked.
func claim(f *os.File) (lock io.Closer, err error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errBusy
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// abandoned reports whether nobody is writing a draft, as far as a lock can tell. The caller has it
// from then on.
func abandoned(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
