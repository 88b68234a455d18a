package cache

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// A value is stored as an envelope, 8 bytes of checksum and 4 bytes of length, both little
// endian, followed by the first piece of the value. A value longer than one piece goes on
// under keys of its own, so that no entry is larger than what Badger keeps in its tables.
const (
	envelopeSize = 12
	pieceSize    = 256 << 10
	maxValue     = 64 << 20
	maxName      = 32 << 10 // Badger takes keys below 64 KiB
)

// seedOf makes the checksums of one cache different from those of all others.
func seedOf(identity []byte) uint64 { return xxhash.Sum64(stampOf(identity)) }

// sum is the checksum of a value under a key. The length keeps bytes from moving between
// the two.
func sum(seed uint64, key, value []byte) uint64 {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(key)))
	h := xxhash.NewWithSeed(seed)
	h.Write(length[:])
	h.Write(key)
	h.Write(value)
	return h.Sum64()
}

// seal returns the envelope of a value with its first piece, and the pieces that follow.
func seal(seed uint64, key, value []byte) (head []byte, more [][]byte) {
	first := min(len(value), pieceSize)
	head = make([]byte, envelopeSize, envelopeSize+first)
	binary.LittleEndian.PutUint64(head, sum(seed, key, value))
	binary.LittleEndian.PutUint32(head[8:], uint32(len(value)))
	head = append(head, value[:first]...)
	for rest := value[first:]; len(rest) > 0; {
		n := min(len(rest), pieceSize)
		more = append(more, append([]byte(nil), rest[:n]...))
		rest = rest[n:]
	}
	return head, more
}

// unseal returns a copy of the value in an envelope, asking piece for those that follow the
// first, from 1; or false if anything about it is wrong. The bytes of head may be damaged in
// any way.
func unseal(seed uint64, key, head []byte, piece func(i int) []byte) ([]byte, bool) {
	size, ok := sealedSize(head)
	if !ok {
		return nil, false
	}
	value := make([]byte, 0, min(size, 2*pieceSize))
	value = append(value, head[envelopeSize:]...)
	for i := 1; len(value) < size; i++ {
		p := piece(i)
		if len(p) != min(size-len(value), pieceSize) {
			return nil, false
		}
		value = append(value, p...)
	}
	return value, sum(seed, key, value) == binary.LittleEndian.Uint64(head)
}

// sealedSize returns the length of the whole value of which head is the envelope.
func sealedSize(head []byte) (int, bool) {
	if len(head) < envelopeSize {
		return 0, false
	}
	size := binary.LittleEndian.Uint32(head[8:])
	if size > maxValue || len(head)-envelopeSize != min(int(size), pieceSize) {
		return 0, false
	}
	return int(size), true
}

// The keys of the database: the letter of the space and the name; for the pieces of a long
// value the letter in upper case, the name, and the number of the piece.

func headKey(space byte, name []byte) []byte {
	return append(append(make([]byte, 0, 1+len(name)), space), name...)
}

const pieceSuffix = 4

func pieceKey(head []byte, i int) []byte {
	key := append(make([]byte, 0, len(head)+pieceSuffix), head...)
	key[0] -= 'a' - 'A'
	return binary.BigEndian.AppendUint32(key, uint32(i))
}

// pieceOf is the inverse of [pieceKey]: ok is false for the key of a head.
func pieceOf(key []byte) (head []byte, i int, ok bool) {
	if len(key) < 1+pieceSuffix || key[0] < 'A' || key[0] > 'Z' {
		return nil, 0, false
	}
	n := len(key) - pieceSuffix
	return headKey(key[0]+('a'-'A'), key[1:n]), int(binary.BigEndian.Uint32(key[n:])), true
}
