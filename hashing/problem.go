package hashing

import (
	"errors"
	"io/fs"
	"syscall"
)

// A Problem is a path that could not be read or represented. It is data and not an error: the
// scan goes on, and nothing under the path may be taken for deleted.
type Problem struct {
	// Key is the key the path would have. If it ends in "/", the path is or may be a
	// directory, and nothing at all is known about the keys that begin with it.
	Key    string
	Path   string // absolute, for people
	Reason Reason
	Err    error // the cause, without the path; nil if the reason says it all
	// Twin marks the second of the two problems of one path that may have been a file as well
	// as a directory: Key stands once without and once with "/", each at its place in the key
	// order. People need to be told of the first one only.
	Twin bool
}

// A Reason is why a path could not be read or represented.
type Reason uint8

// The reasons.
const (
	Special    Reason = iota + 1 // a FIFO, socket or device; it was not opened
	Unreadable                   // not permitted
	Missing                      // a broken link, also one to itself; or gone since its directory was read
	Loop                         // a link to a directory that it is in
	NotUTF8                      // S3 has no such key
	TooLong                      // the key, or every key below it, has more than 1,024 bytes
	Failed                       // anything else, such as an input/output error
)

// String returns a few words for people.
func (r Reason) String() string {
	if r < Special || r > Failed {
		return "unknown"
	}
	return [...]string{"special file", "not permitted", "does not exist", "link loop",
		"name is not UTF-8", "key is too long", "read error"}[r-1]
}

var (
	errLoop    = errors.New("link to a directory that it is in")
	errSpecial = errors.New("not a regular file")
	errSwapped = errors.New("directory was replaced while it was read")
)

// reasonOf finds the reason that an error stands for.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errSpecial):
		return Special
	case errors.Is(err, errLoop):
		return Loop
	case errors.Is(err, fs.ErrPermission):
		return Unreadable
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP),
		errors.Is(err, errSwapped):
		return Missing
	}
	return Failed
}
