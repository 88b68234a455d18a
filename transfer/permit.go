package transfer

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"merkur/transfer/compare"
)

// Archive says what becomes of objects in GLACIER and DEEP_ARCHIVE, which cannot be read before
// somebody restores them.
type Archive uint8

// What becomes of archived objects.
const (
	ArchiveWarn  Archive = iota // they are left out, with a warning
	ArchiveQuiet                // they are left out
	ArchiveForce                // they are tried: they may have been restored
)

// CaseConflict says what becomes of a download whose file is there, or is being made, under a
// name that differs in case only.
type CaseConflict uint8

// What becomes of such downloads.
const (
	CaseIgnore CaseConflict = iota // nothing is looked at
	CaseSkip                       // left out, with a warning
	CaseWarn                       // downloaded, with a warning
	CaseError                      // an error that ends the run
)

// ErrCase ends a run that was told to stop at names that differ in case only.
var ErrCase = errors.New("a file of that name exists but for the case of its letters")

// cases are the keys that this run has planned to download, in lower case.
type cases map[string]bool

// permitted reports whether an action may go ahead, and tells why not.
func (r *run) permitted(a Action) bool {
	if a.Verb != Get && a.Verb != Copy {
		return true
	}
	if a.Verb == Get && !utf8.ValidString(a.Key) {
		r.warn(Warning{Key: a.Key, Text: fmt.Sprintf("Skipping file %q. Its key is not valid UTF-8.", a.Key)})
		return false
	}
	if c := a.From.Class; (c == "GLACIER" || c == "DEEP_ARCHIVE") && r.o.Archive != ArchiveForce {
		r.archived(a, c)
		return false
	}
	return true
}

// archived leaves out an object that cannot be read, and says so in the words of aws.
func (r *run) archived(a Action, class string) {
	if r.o.Archive == ArchiveQuiet {
		return
	}
	what := "download"
	if r.way == compare.Across {
		what = "copy"
	}
	r.warn(Warning{Key: a.Key, Text: fmt.Sprintf("Skipping file %s. Object is of storage class %s. Unable to perform %s operations on GLACIER objects. "+
		"You must restore the object to be able to perform the operation. See --force-glacier-transfer and --ignore-glacier-warnings in merkur sync --help.",
		r.name(r.o.From, a.Key), class, what)})
}

// clashes decides about a download whose file is not there under its exact name.
func (r *run) clashes(a Action) (skip bool, err error) {
	if r.o.Case == CaseIgnore || a.Old != nil {
		return false, nil
	}
	lower := strings.ToLower(a.Key)
	clash := r.cases[lower] || r.tree.Exists(a.Key)
	r.cases[lower] = true
	if !clash {
		return false, nil
	}
	from, to := r.name(r.o.From, a.Key)[len("s3://"):], r.path(a.Key)
	switch r.o.Case {
	case CaseSkip:
		r.warn(Warning{Key: a.Key, Minor: true, Text: fmt.Sprintf("Skipping %s -> %s because a file whose name differs only by case either exists or is being downloaded.", from, to)})
		return true, nil
	case CaseWarn:
		r.warn(Warning{Key: a.Key, Minor: true, Text: fmt.Sprintf("Downloading %s -> %s despite a file whose name differs only by case either existing or being downloaded. This behavior is not defined on case-insensitive filesystems and may result in overwriting existing files or race conditions between concurrent downloads.", from, to)})
		return false, nil
	}
	return true, fmt.Errorf("failed to download %s -> %s: %w", from, to, ErrCase)
}
