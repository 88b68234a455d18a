package hashing

import "io"

// A kind is what stands under a name.
type kind uint8

const (
	unclear   kind = iota // it could not be looked at
	regular               // a file
	directory             // a directory
	linked                // a directory that was reached through a symbolic link
	symlink               // a symbolic link
	special               // a FIFO, socket or device
)

// A stat is what the system says about a file. Two equal ones are of the same file in the
// same state, as far as the system tells. Times are in nanoseconds since 1970; what the
// system does not tell is 0.
type stat struct {
	kind                kind
	perm                uint32
	size                int64
	mtime, ctime, btime int64
	dev, ino            uint64
}

// A source is an open file.
type source interface {
	io.ReaderAt
	stat() (stat, error)
	close()
}
