package hashing

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/zeebo/blake3"
	"lukechampine.com/blake3/guts"

	"merkur/manifest"
)

// How a file is read goes by its size, in bytes.
const (
	block = 256 << 10 // one read, while its bytes stay in the cache of the core; must be a power of two
	piece = 4 << 20   // what one goroutine takes of a large file
	large = 64 << 20  // a file above this is hashed by several goroutines
)

var errHalted = errors.New("halted")

// File returns the digest of the first size bytes of src, and the number of bytes it is of,
// which is less than size if src ends before. It may be used by many goroutines at once.
func File(src io.ReaderAt, size int64) (manifest.Digest, int64, error) {
	r := readers.Get().(*reader)
	defer readers.Put(r)
	return r.digest(src, size)
}

var readers = sync.Pool{New: func() any { return newReader(new(atomic.Bool)) }}

// A reader hashes one file after the other. It is reused because a fresh hasher and buffer
// for each file cost more than the hashing of a small one.
type reader struct {
	buf    []byte // of one block
	stream *blake3.Hasher
	halted *atomic.Bool // asked between blocks
}

func newReader(halted *atomic.Bool) *reader {
	return &reader{buf: make([]byte, block), stream: blake3.New(), halted: halted}
}

func (r *reader) digest(src io.ReaderAt, size int64) (manifest.Digest, int64, error) {
	if size <= block {
		n, err := readAt(src, r.buf[:size], 0)
		return Sum(r.buf[:n]), int64(n), err
	}
	return r.streamed(src, size)
}

func (r *reader) streamed(src io.ReaderAt, size int64) (d manifest.Digest, done int64, err error) {
	r.stream.Reset()
	for done < size && err == nil && !r.halted.Load() {
		n, e := readAt(src, r.buf[:min(size-done, block)], done)
		r.stream.Write(r.buf[:n])
		done += int64(n)
		if err = e; n < block {
			break // the last block, or the end of a file that became shorter
		}
	}
	r.stream.Sum(d[:0])
	return d, done, err
}

// part hashes part i of p out of src. It returns io.ErrUnexpectedEOF if src ends before.
func (r *reader) part(p *Parts, i int, src io.ReaderAt) error {
	offset, left := p.Bounds(i)
	full := make([]chain, 0, piece/block)
	for {
		if r.halted.Load() {
			return errHalted
		}
		b := r.buf[:min(left, block)]
		if n, err := readAt(src, b, offset); err != nil {
			return err
		} else if n < len(b) {
			return io.ErrUnexpectedEOF
		}
		node := subtree(b, chunkAt(offset))
		if left <= block {
			p.set(i, join(full, node))
			return nil
		}
		full = append(full, guts.ChainingValue(node))
		offset += block
		left -= block
	}
}

// readAt fills b and returns fewer bytes without an error only at the end of src.
func readAt(src io.ReaderAt, b []byte, offset int64) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := src.ReadAt(b, offset)
	if n == len(b) || err == io.EOF {
		err = nil
	}
	return n, err
}
