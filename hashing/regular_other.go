//go:build !linux || portable

package hashing

import (
	"os"
	"syscall"
)

// A Regular is a regular file that is open for reading.
type Regular struct{ *os.File }

func openPath(path string) (*Regular, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &Regular{f}, nil
}

func (f *Regular) stat() (stat, error) { return file{f.File}.stat() }
