//go:build unix

package local

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func claim(f *os.File) error { return lock(int(f.Fd())) }

func finish(f *os.File) error { return flush(int(f.Fd())) }

// lock marks a draft as being written until it is closed or the process dies. It returns errBusy if
// another process has the lock. On a file system without locks nothing is marked.
func lock(fd int) error {
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return errBusy
	}
	return nil
}

// flush returns what closing a file would tell, as network file systems do, and leaves it open, so that
// its lock stays.
func flush(fd int) error {
	twin, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(twin)
}

// abandoned reports whether nobody is writing a draft, as far as a lock can tell. The caller has it
// from then on.
func abandoned(f *os.File) bool { return lock(int(f.Fd())) == nil }
