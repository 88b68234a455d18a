//go:build !portable

package hashing

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A Regular is a regular file that is open for reading: a plain handle, which no poller has to know of and no
// finalizer closes.
type Regular struct {
	file
	path string
	at   int64 // where the next Read begins
}

func openPath(path string) (*Regular, error) {
	text := make([]byte, len(path)+1)
	copy(text, path)
	fd, err := openAt(unix.AT_FDCWD, text, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &Regular{file: file(fd), path: path}, nil
}

// Name is the path that the file was opened by.
func (f *Regular) Name() string { return f.path }

// Read implements io.Reader.
func (f *Regular) Read(b []byte) (int, error) {
	for {
		n, err := unix.Pread(int(f.file), b, f.at)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, &os.PathError{Op: "read", Path: f.path, Err: err}
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		f.at += int64(n)
		return n, nil
	}
}

// ReadAt implements io.ReaderAt.
func (f *Regular) ReadAt(b []byte, offset int64) (int, error) {
	n, err := f.file.ReadAt(b, offset)
	if err != nil && err != io.EOF {
		err = &os.PathError{Op: "read", Path: f.path, Err: err}
	}
	return n, err
}

// Close ends the use of the file.
func (f *Regular) Close() error { return unix.Close(int(f.file)) }
