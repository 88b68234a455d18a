package manifest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// ErrCorrupt says that bytes are not what the format allows, or not those that were stored.
var ErrCorrupt = errors.New("corrupt manifest")

// ErrVersion says that a manifest is of a format newer than this program knows.
var ErrVersion = errors.New("manifest of a newer format")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// A reader takes the parts of an encoding off its front. The first failure sticks: the parts
// that follow are zero, and err says what was wrong.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = corrupt(format, args...)
		r.rest = nil
	}
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.fail("%d bytes wanted where %d are left", n, len(r.rest))
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) u8() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uvarint takes an unsigned LEB128 number of the least possible length.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n != uvarintLen(v) {
		r.fail("number is cut, too large or not in its shortest form")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count takes a number that is at most limit.
func (r *reader) count(limit uint64, of string) int {
	v := r.uvarint()
	if v > limit {
		r.fail("%d %s, where at most %d can be", v, of, limit)
		return 0
	}
	return int(v)
}

// size takes a number that a non-negative int64 can hold.
func (r *reader) size() int64 {
	v := r.uvarint()
	if v > 1<<63-1 {
		r.fail("size %d is out of range", v)
		return 0
	}
	return int64(v)
}

func (r *reader) zigzag() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) text(limit uint64, of string) string {
	return string(r.bytes(r.count(limit, "bytes of "+of)))
}

func (r *reader) end() error {
	if r.err == nil && len(r.rest) != 0 {
		r.fail("%d bytes too many", len(r.rest))
	}
	return r.err
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func appendZigzag(b []byte, v int64) []byte {
	return binary.AppendUvarint(b, uint64(v)<<1^uint64(v>>63))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
