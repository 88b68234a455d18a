package hashing

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"merkur/manifest"
)

// A record is what the cache keeps of one slice of a directory: the settled files of it, in
// the order of their names, and for each the fingerprint under which its digest holds.
//
//	record = version u8 | count u16 | count × file | checksum u64
//	file   = length u16 | name | fs u64 | inode u64 | size u64 | mtime i64 | ctime i64 |
//	         btime i64 | digest, 32 bytes
//
// All integers are little-endian. The names are not empty, ascend, and hold neither NUL nor
// "/". The checksum is the XXH64 of the record's name followed by all that stands before it,
// so that a record under the wrong name is as worthless as a damaged one.
type record struct {
	files []byte // those not taken yet
	count int    // of all files
}

const (
	recordVersion = 1
	recordHead    = 3
	recordSum     = 8
	knownFixed    = 2 + 6*8 + 32 // a file without its name
)

// A known is a file whose digest may be reused.
type known struct {
	name   []byte
	print  fingerprint
	digest manifest.Digest
}

// encodeRecord returns the record of files, whose names must be valid and ascend.
func encodeRecord(name []byte, files []known) []byte {
	size := recordHead + recordSum
	for i := range files {
		size += knownFixed + len(files[i].name)
	}
	b := append(make([]byte, 0, size), recordVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(files)))
	for i := range files {
		b = appendKnown(b, &files[i])
	}
	return binary.LittleEndian.AppendUint64(b, recordCheck(name, b))
}

func appendKnown(b []byte, k *known) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(k.name)))
	b = append(b, k.name...)
	for _, v := range [...]uint64{k.print.fs, k.print.ino, uint64(k.print.size),
		uint64(k.print.mtime), uint64(k.print.ctime), uint64(k.print.btime)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return append(b, k.digest[:]...)
}

func recordCheck(name, body []byte) uint64 {
	var h xxhash.Digest
	h.Reset()
	h.Write(name)
	h.Write(body)
	return h.Sum64()
}

// openRecord checks b whole and reports whether it is the record of that name. A record that
// is none has no files.
func openRecord(name, b []byte) (record, bool) {
	if len(b) < recordHead+recordSum || b[0] != recordVersion {
		return record{}, false
	}
	body, sum := b[:len(b)-recordSum], b[len(b)-recordSum:]
	if recordCheck(name, body) != binary.LittleEndian.Uint64(sum) {
		return record{}, false
	}
	r := record{body[recordHead:], int(binary.LittleEndian.Uint16(b[1:]))}
	return r, r.valid()
}

// valid checks the frames and names of the files, so that next can rely on them.
func (r record) valid() bool {
	var last []byte
	rest := r.files
	for range r.count {
		if len(rest) < knownFixed {
			return false
		}
		n := int(binary.LittleEndian.Uint16(rest))
		if len(rest) < knownFixed+n {
			return false
		}
		name := rest[2 : 2+n]
		if bytes.Compare(name, last) <= 0 || bytes.IndexByte(name, 0) >= 0 || bytes.IndexByte(name, '/') >= 0 {
			return false
		}
		if binary.LittleEndian.Uint64(rest[2+n+16:]) > math.MaxInt64 {
			return false // no file has such a size
		}
		last, rest = name, rest[knownFixed+n:]
	}
	return len(rest) == 0
}

// find takes the files up to the one of that name, which must come after the name of the call
// before, and returns it if there is one.
func (r *record) find(name []byte) (k known, ok bool) {
	for len(r.files) > 0 {
		n := int(binary.LittleEndian.Uint16(r.files))
		c := bytes.Compare(r.files[2:2+n], name)
		if c > 0 {
			break
		}
		file := r.files[:knownFixed+n]
		r.files = r.files[knownFixed+n:]
		if c == 0 {
			return decodeKnown(file), true
		}
	}
	return known{}, false
}

func decodeKnown(b []byte) known {
	n := 2 + int(binary.LittleEndian.Uint16(b))
	k := known{name: b[2:n]}
	u := func(i int) uint64 { return binary.LittleEndian.Uint64(b[n+8*i:]) }
	k.print = fingerprint{u(0), u(1), int64(u(2)), int64(u(3)), int64(u(4)), int64(u(5))}
	k.digest = manifest.Digest(b[n+48:])
	return k
}
