// Package compare decides whether a destination has what the source has: one small function for
// each strategy of --compare. It is pure.
//
// # The strategies
//
//	content  digests. An object of which only the bucket's word is known is looked into, or
//	         else transferred: never believed.
//	aws      size and time, as aws does without options: another size is a difference; of
//	         two equal sizes, a newer source is, on the way to a bucket. On the way to a local
//	         tree it is the other way round: a newer file is overwritten, a newer object is not
//	         fetched.
//	exact    as aws, but on the way to a local tree any other time is a difference
//	size     size alone
//	etag     the bucket's own checksum of the bytes: ETag, or CRC-64/NVME
//
// What aws compares are instants in microseconds: those of a local file rounded as Python rounds
// them, those of an object as the listing gives them.
package compare

import (
	"fmt"
	"math"
	"time"
)

// A Direction is where a transfer goes.
type Direction uint8

// The directions.
const (
	Up     Direction = iota // from a local tree to a bucket
	Down                    // from a bucket to a local tree
	Across                  // from bucket to bucket
)

// Facts are what one side says of a key.
type Facts struct {
	Size   int64    // bytes
	Time   int64    // microseconds since 1970, as [FileTime] and [ObjectTime] give them
	Digest [32]byte // of the content; zero where nobody has read it
	ETag   string   // of an object
}

// A Verdict is what a strategy says of two sides that both have a key.
type Verdict uint8

// The verdicts.
const (
	Same    Verdict = iota // nothing is to be done
	Differs                // it is to be transferred
	Unclear                // the bytes have to be looked at
)

// A Strategy compares the source of a transfer with its destination.
type Strategy func(way Direction, source, destination Facts) Verdict

// A Name is a strategy as the command line names it.
type Name string

// The names.
const (
	Content Name = "content"
	AWS     Name = "aws"
	Exact   Name = "exact"
	Size    Name = "size"
	ETag    Name = "etag"
)

var strategies = map[Name]Strategy{
	Content: byContent, AWS: byTime, Exact: byExactTime, Size: bySize, ETag: byETag,
}

// Names are all of them, in the order in which they are told: the usual one first.
func Names() []Name { return []Name{Content, AWS, Size, Exact, ETag} }

// Parse reads the name of a strategy.
func Parse(s string) (Name, error) {
	if _, ok := strategies[Name(s)]; !ok {
		return "", fmt.Errorf("%q is not one of content, aws, size, exact, etag", s)
	}
	return Name(s), nil
}

// Strategy returns what is behind a name.
func (n Name) Strategy() Strategy { return strategies[n] }

// Never is the strategy of --no-overwrite: what is at the destination stays.
func Never(Direction, Facts, Facts) Verdict { return Same }

var unread [32]byte

func byContent(_ Direction, from, to Facts) Verdict {
	switch {
	case from.Size != to.Size:
		return Differs
	case from.Digest != unread && to.Digest != unread:
		return sameIf(from.Digest == to.Digest)
	case from.ETag != "" && from.ETag == to.ETag:
		return Same // two objects
	}
	return Unclear
}

func byTime(way Direction, from, to Facts) Verdict {
	switch {
	case from.Size != to.Size:
		return Differs
	case way == Down:
		return sameIf(to.Time <= from.Time)
	}
	return sameIf(to.Time >= from.Time)
}

func byExactTime(way Direction, from, to Facts) Verdict {
	if way != Down {
		return byTime(way, from, to)
	}
	return sameIf(from.Size == to.Size && from.Time == to.Time)
}

func bySize(_ Direction, from, to Facts) Verdict { return sameIf(from.Size == to.Size) }

func byETag(_ Direction, from, to Facts) Verdict {
	switch {
	case from.Size != to.Size:
		return Differs
	case from.ETag != "" && from.ETag == to.ETag:
		return Same
	}
	return Unclear
}

func sameIf(same bool) Verdict {
	if same {
		return Same
	}
	return Differs
}

// FileTime is the time of a file, given in nanoseconds since 1970, as aws sees it. Python makes
// a floating-point number of it, and rounds that to microseconds, half to even.
func FileTime(ns int64) int64 {
	const second = int64(time.Second)
	sec, rest := ns/second, ns%second
	if rest < 0 {
		sec, rest = sec-1, rest+second
	}
	whole, frac := math.Modf(float64(sec) + 1e-9*float64(rest))
	return int64(whole)*1_000_000 + int64(math.RoundToEven(frac*1e6))
}

// ObjectTime is the time of an object as aws sees it.
func ObjectTime(t time.Time) int64 { return t.UnixMicro() }
