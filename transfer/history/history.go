// Package history is the format of the record of a run: what it changed in a bucket, told so that it
// can be put back. It is pure; reading and writing objects is done by package transfer.
//
// # Names
//
// A run is called by the time of its first record and a random number, such as
// "20261125T181500.042Z-5e6ca98c": names sort by time. Its records are numbered from 1. Record 7
// of a run, which tells that 12 objects were created, 3 replaced and 1 deleted, is the object
//
//	<RUN>/000007-12-3-1
//
// below a place that the reader knows; the last one of a run that came to its end has "-end" behind it.
// So a listing tells what runs there are and what each did.
//
// # Bytes
//
// A record is a gzip stream of JSON, one object a line:
//
//	{"merkur":"record","format":1,"run":"…","number":1,"of":"s3://bucket/prefix/","undoes":"…","kept":"versions"}
//	{"done":"a","new":{…}}      what became of a step of the record before: the object that is now there
//	{"done":"b"}                it was deleted
//	{"done":"c","doubt":true}   nobody knows
//	{"step":"create","key":"d","want":{…}}
//	{"step":"replace","key":"e","old":{…},"want":{…}}
//	{"step":"headers","key":"f","old":{…}}
//	{"step":"delete","key":"g","old":{…}}
//	{"step":"delete","key":"h","stray":true,"old":{…}}     somebody else had put it there, and no manifest named it
//
// First the head; then, in key order, how the steps of the record before ended, where they changed
// something; then, in key order, the steps that the run is about to take. What is "kept" of what the
// steps replace and delete is "versions" of the bucket, named in each old, or a "backup" copy that lies
// under <RUN>/<key> beside the record.
//
// # What it promises
//
// A record is stored before the first of its steps is taken. So a run that died is known to have
// taken no step but those of its records, and of the last of these nobody knows which. A reader
// gets all of a record or an error: the checksum of gzip is that of the whole. Bytes are not trusted:
// lines and steps are bounded, and each entry is one that could stand in a manifest.
package history

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"merkur/manifest"
)

// Format is the version of the format that this package writes and reads.
const Format = 1

// MaxSteps bounds the steps of a record, and its outcomes.
const MaxSteps = 16_384

// A Deed is what a step does to an object.
type Deed string

// The deeds.
const (
	Create  Deed = "create"
	Replace Deed = "replace"
	Headers Deed = "headers" // replaces headers; the content stays
	Delete  Deed = "delete"
)

// What is kept of what a run replaces and deletes.
const (
	Versions = "versions"
	Backup   = "backup"
)

// A Record is what one object holds.
type Record struct {
	Run    string
	Number int
	Of     string // the mirror, as s3://bucket/prefix/
	Undoes string // the run that this one puts back; empty: none
	Kept   string
	Done   []Outcome // of the steps of the record before
	Steps  []Step
}

// A Step is one thing that a run is about to do.
type Step struct {
	Deed Deed
	Key  string
	Old  *manifest.Entry // what is there; nil for Create
	// Stray says that no manifest named Old: somebody else had put it there.
	Stray bool
	Want  *manifest.Entry // what is to be there, as far as it is known: Size and perhaps Digest; or nil
}

// An Outcome is how a step ended that changed something, or may have.
type Outcome struct {
	Key   string
	New   *manifest.Entry // what is there now; nil: nothing
	Doubt bool            // nobody knows what is there
}

// stamp is the time in the name of a run.
const stamp = "20060102T150405.000Z"

// NewName names a run.
func NewName(t time.Time, random [4]byte) string {
	return t.UTC().Format(stamp) + "-" + hex.EncodeToString(random[:])
}

// ParseName returns the time in the name of a run.
func ParseName(name string) (time.Time, error) {
	when, random, _ := strings.Cut(name, "-")
	t, err := time.Parse(stamp, when)
	if b, herr := hex.DecodeString(random); err != nil || herr != nil || len(b) != 4 || NewName(t, [4]byte(b)) != name {
		return t, fmt.Errorf("%q is not the name of a run, such as 20261125T181500.042Z-5e6ca98c", name)
	}
	return t, nil
}

// Counts are how many objects a run changed, in which way.
type Counts struct{ Created, Replaced, Deleted int }

// Add adds the counts of another record.
func (c *Counts) Add(d Counts) {
	c.Created, c.Replaced, c.Deleted = c.Created+d.Created, c.Replaced+d.Replaced, c.Deleted+d.Deleted
}

// A Label is what the name of a record tells.
type Label struct {
	Number int
	Counts
	End bool
}

// String is the name, without that of the run.
func (l Label) String() string {
	name := fmt.Sprintf("%06d-%d-%d-%d", l.Number, l.Created, l.Replaced, l.Deleted)
	if l.End {
		name += "-end"
	}
	return name
}

// ParseLabel is the inverse of [Label.String].
func ParseLabel(name string) (l Label, err error) {
	rest := name
	rest, l.End = strings.CutSuffix(rest, "-end")
	fields := strings.Split(rest, "-")
	numbers := []*int{&l.Number, &l.Created, &l.Replaced, &l.Deleted}
	if len(fields) != len(numbers) {
		return l, fmt.Errorf("%q is not the name of a record", name)
	}
	for i, n := range numbers {
		if *n, err = strconv.Atoi(fields[i]); err != nil {
			break
		}
	}
	if err != nil || l.Number < 1 || l.String() != name {
		return l, fmt.Errorf("%q is not the name of a record", name)
	}
	return l, nil
}
