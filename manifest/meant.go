package manifest

import (
	"encoding/binary"
	"slices"

	"github.com/zeebo/blake3"
)

// MaxMeant bounds how many statements an intent has.
const MaxMeant = 1 << 17

// Meant is what a run means to store under the keys of its intent: ascending statements, each about
// one object. What it does not state, the run does not store.
type Meant []Statement

// A Statement is four bytes of a hash of key and size, and the first four of the digest: 0 where that is
// not known. One about a key whatever its object may be, or whether there is one, has no size either.
// A statement says nothing to who does not know the object already.
type Statement uint64

// Stores states that an object of some content is to be stored.
func Stores(key string, size int64, content Digest) Statement {
	return sized(key, size) | Statement(binary.LittleEndian.Uint32(content[:]))
}

// StoresSize states that an object of some size is to be stored, whose content is not known yet.
func StoresSize(key string, size int64) Statement { return sized(key, size) }

// Touches states that anything may become of a key.
func Touches(key string) Statement { return named(appendText(nil, key)) }

func sized(key string, size int64) Statement {
	return named(binary.AppendUvarint(appendText(nil, key), uint64(size)))
}

func named(b []byte) Statement {
	sum := blake3.Sum256(b)
	return Statement(binary.LittleEndian.Uint32(sum[:])) << 32
}

// NewMeant returns the statements in order, each once. It takes over the list.
func NewMeant(list []Statement) Meant {
	slices.Sort(list)
	return slices.Compact(list)
}

// Has reports whether the statement is one of them.
func (m Meant) Has(s Statement) bool {
	_, ok := slices.BinarySearch(m, s)
	return ok
}

// HasSize reports whether an object of such a size is to be stored under the key, of whatever content.
func (m Meant) HasSize(key string, size int64) bool {
	first := sized(key, size)
	at, _ := slices.BinarySearch(m, first)
	return at < len(m) && m[at]>>32 == first>>32
}

// HasAll reports whether all statements of o are among them.
func (m Meant) HasAll(o Meant) bool {
	for _, s := range o {
		at, ok := slices.BinarySearch(m, s)
		if !ok {
			return false
		}
		m = m[at+1:]
	}
	return true
}

// And returns the statements of both.
func (m Meant) And(o Meant) Meant {
	if len(o) == 0 {
		return m
	}
	both := make(Meant, 0, len(m)+len(o))
	for len(m) > 0 && len(o) > 0 {
		next := min(m[0], o[0])
		if both = append(both, next); m[0] == next {
			m = m[1:]
		}
		if o[0] == next {
			o = o[1:]
		}
	}
	return append(append(both, m...), o...)
}

// AppendMeant appends statements to dst as the frame in which they are stored, and returns where it
// lies in dst.
func AppendMeant(dst []byte, m Meant) ([]byte, Location) {
	off := len(dst)
	dst = appendCompressed(dst, m.encode(), nil)
	return dst, Location{Off: uint64(off), Len: uint32(len(dst) - off), Tag: TagOf(dst[off:])}
}

// DecodeMeant is the inverse of [AppendMeant]: the frame must hash to the tag of its location.
func DecodeMeant(frame []byte, at Location) (Meant, error) {
	if uint64(len(frame)) != uint64(at.Len) || TagOf(frame) != at.Tag {
		return nil, corrupt("what a run means to store does not match its tag")
	}
	if !oneFrame(frame) {
		return nil, corrupt("what a run means to store is not one zstd frame")
	}
	b, err := decoder().DecodeAll(frame, nil)
	if err != nil {
		return nil, corrupt("what a run means to store: %v", err)
	}
	return decodeMeant(b)
}

func (m Meant) encode() []byte {
	b := make([]byte, 0, 8*len(m))
	for _, s := range m {
		b = binary.LittleEndian.AppendUint32(b, uint32(s>>32))
		b = binary.LittleEndian.AppendUint32(b, uint32(s))
	}
	return b
}

func decodeMeant(b []byte) (Meant, error) {
	if len(b)%8 != 0 || len(b)/8 > MaxMeant {
		return nil, corrupt("what a run means to store takes %d bytes", len(b))
	}
	m := make(Meant, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		s := Statement(binary.LittleEndian.Uint32(b))<<32 | Statement(binary.LittleEndian.Uint32(b[4:]))
		if len(m) > 0 && s <= m[len(m)-1] {
			return nil, corrupt("what a run means to store is not in order")
		}
		m = append(m, s)
	}
	return m, nil
}
