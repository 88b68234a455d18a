package hashing

import (
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/zeebo/blake3"
	"lukechampine.com/blake3/guts"

	"merkur/manifest"
)

// MinPart is the least size of the parts of [Parts], in bytes.
const MinPart = lanes

// lanes is the number of bytes that the compressor takes at once: 16 chunks of 1 KiB.
const lanes = guts.MaxSIMD * guts.ChunkSize

// Sum returns the digest of b.
func Sum(b []byte) manifest.Digest {
	if len(b) < lanes {
		// Below one full set of lanes the streaming implementation is the faster one.
		return blake3.Sum256(b)
	}
	return rootDigest(subtree(b, 0))
}

// Parts puts the digest of a file together from its parts, which may be hashed in any order
// and by many goroutines. All parts have the same size, a power of two, only the last one may
// be shorter: so each is a whole subtree of the BLAKE3 tree, and the result is the digest of
// the file as [Sum] gives it, whatever the part size.
type Parts struct {
	size, part int64
	full       []chain   // of all parts but the last; each element has one writer
	last       guts.Node // kept open: it is the root if there is no other part
	added      atomic.Int64
}

// A chain is a chaining value: what a finished subtree hands to its parent.
type chain = [8]uint32

// NewParts begins the digest of size bytes in parts of partSize bytes. It panics if partSize
// is not a power of two of at least [MinPart].
func NewParts(size, partSize int64) *Parts {
	if size < 0 || partSize < MinPart || bits.OnesCount64(uint64(partSize)) != 1 {
		panic(fmt.Sprintf("hashing: digest of %d bytes in parts of %d", size, partSize))
	}
	p := &Parts{size: size, part: partSize}
	p.full = make([]chain, max(p.Len()-1, 0))
	return p
}

// Len is the number of parts: none if the size is 0.
func (p *Parts) Len() int { return int((p.size + p.part - 1) / p.part) }

// Size is the number of bytes of the whole.
func (p *Parts) Size() int64 { return p.size }

// Bounds returns where part i begins and how many bytes it has.
func (p *Parts) Bounds(i int) (offset, length int64) {
	offset = int64(i) * p.part
	return offset, min(p.part, p.size-offset)
}

// Part hashes part i, from 0. Different parts may be added at the same time; each must be
// added exactly once. It panics if data has not the length of that part.
func (p *Parts) Part(i int, data []byte) {
	offset, length := p.Bounds(i)
	if int64(len(data)) != length {
		panic(fmt.Sprintf("hashing: part %d has %d bytes instead of %d", i, len(data), length))
	}
	p.set(i, subtree(data, chunkAt(offset)))
}

func (p *Parts) set(i int, n guts.Node) {
	if i == len(p.full) {
		p.last = n
	} else {
		p.full[i] = guts.ChainingValue(n)
	}
	p.added.Add(1)
}

// Sum returns the digest of the whole. It panics if a part is missing.
func (p *Parts) Sum() manifest.Digest {
	if n := p.added.Load(); n != int64(p.Len()) {
		panic(fmt.Sprintf("hashing: digest of %d parts, of which %d were added", p.Len(), n))
	}
	if p.size == 0 {
		return Sum(nil)
	}
	return rootDigest(join(p.full, p.last))
}

// chunkAt is the number of the 1 KiB chunk that begins at an offset.
func chunkAt(offset int64) uint64 { return uint64(offset) / guts.ChunkSize }

// subtree returns the top node over b, whose first chunk is number chunk of its file. It is
// left open so that the caller may make it the root. b must not be empty, and where it is
// not the end of the file its length is a power of two.
func subtree(b []byte, chunk uint64) guts.Node {
	switch {
	case len(b) == lanes:
		return guts.CompressBuffer((*[lanes]byte)(b), lanes, &guts.IV, chunk, 0)
	case len(b) < lanes:
		var padded [lanes]byte // the compressor reads all lanes, also those that do not count
		return guts.CompressBuffer(&padded, copy(padded[:], b), &guts.IV, chunk, 0)
	}
	left := 1 << (bits.Len(uint(len(b)-1)) - 1) // the largest power of two below len(b)
	return parent(
		guts.ChainingValue(subtree(b[:left], chunk)),
		guts.ChainingValue(subtree(b[left:], chunk+chunkAt(int64(left)))))
}

// join returns the top node over equal full subtrees and what follows them.
func join(full []chain, last guts.Node) guts.Node {
	if len(full) == 0 {
		return last
	}
	left := 1 << (bits.Len(uint(len(full))) - 1)
	return parent(perfect(full[:left]), guts.ChainingValue(join(full[left:], last)))
}

// perfect returns the chaining value over a power of two of equal subtrees.
func perfect(c []chain) chain {
	if len(c) == 1 {
		return c[0]
	}
	return guts.ChainingValue(parent(perfect(c[:len(c)/2]), perfect(c[len(c)/2:])))
}

func parent(left, right chain) guts.Node { return guts.ParentNode(left, right, &guts.IV, 0) }

func rootDigest(n guts.Node) manifest.Digest {
	n.Flags |= guts.FlagRoot
	words := guts.WordsToBytes(guts.CompressNode(n))
	return manifest.Digest(words[:32])
}
