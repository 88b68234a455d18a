package hashing

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// A listing is the names of one directory. All text is in one buffer and a name costs eight
// bytes beside it, because the names of the widest directory have to be held at once to be
// sorted.
type listing struct {
	text  []byte
	names []name
	dents []byte // for reading; see directory.list
}

type name struct {
	at   uint32
	size uint16
	kind kind
}

var (
	errWide  = errors.New("more names than asked for")
	errNames = errors.New("names of a directory take more than 4 GiB")
)

func (l *listing) reset() { l.text, l.names = l.text[:0], l.names[:0] }

// add takes a name in. What is or may be a directory stands with a "/" at its end, which
// gives it its place in the key order; a name that could not be looked at stands both ways.
func (l *listing) add(text []byte, k kind) error {
	if uint64(len(l.text))+uint64(2*len(text))+4 > 1<<32-1 {
		return errNames
	}
	if k != directory && k != linked {
		l.put(text, "", k)
	}
	if k == directory || k == linked || k == unclear {
		l.put(text, "/", k)
	}
	return nil
}

func (l *listing) put(text []byte, end string, k kind) {
	l.names = append(l.names, name{uint32(len(l.text)), uint16(len(text) + len(end)), k})
	l.text = append(append(append(l.text, text...), end...), 0)
}

// at returns name i, which ends in "/" where it is or may be a directory. A NUL follows it
// in memory, for the system.
func (l *listing) at(i int) []byte {
	n := l.names[i]
	return l.text[n.at : n.at+uint32(n.size)]
}

// sort brings the names into key order. A name that is there twice, which happens when a
// directory changes while it is read, stays once.
func (l *listing) sort() {
	text := func(n name) []byte { return l.text[n.at : n.at+uint32(n.size)] }
	slices.SortFunc(l.names, func(a, b name) int { return bytes.Compare(text(a), text(b)) })
	l.names = slices.CompactFunc(l.names, func(a, b name) bool { return bytes.Equal(text(a), text(b)) })
}

// Bounds of a slice of a directory, the unit of work and of the cache.
const (
	sliceLeast = 256       // names
	sliceMean  = 512       // names over sliceLeast; a power of two
	sliceMost  = 1024      // names
	sliceText  = 256 << 10 // bytes of names: keeps a record below 512 KiB
)

// slices cuts the sorted names into slices and returns where each but the first one begins.
// A cut depends on the name that it stands before and hardly on the others, so that a name
// that comes or goes moves the cuts next to it only and the records of all other slices
// are found again.
func (l *listing) slices() (cuts []int) {
	first, text := 0, 0
	for i := range l.names {
		size := int(l.names[i].size)
		full := i-first == sliceMost || text+size > sliceText
		if full || i-first >= sliceLeast && xxhash.Sum64(l.at(i))%sliceMean == 0 {
			cuts = append(cuts, i)
			first, text = i, 0
		}
		text += size
	}
	return cuts
}
