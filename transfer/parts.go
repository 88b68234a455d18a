package transfer

import (
	"bytes"
	"io"
	"math/bits"

	"github.com/minio/crc64nvme"

	"merkur/hashing"
	"merkur/store/bucket"
)

// Parts say how large objects are moved. The zero value is what aws does.
type Parts struct {
	Threshold int64 // bytes from which on an object is moved in parts; 0: usualPart
	Size      int64 // bytes of a part; 0: usualPart
}

// What S3 takes, and what aws does unless it is told otherwise.
const (
	usualPart  = 8 << 20
	leastPart  = 5 << 20
	mostPart   = 5 << 30
	maxParts   = 10_000
	wholePart  = 1 << 20  // part sizes are multiples of it, so that parts are subtrees of a digest
	mostUnit   = 8 << 20  // what is hashed at once
	leastUnits = 8        // of a part, if it has as many MiB
	mostBuffer = 32 << 20 // a larger part is not kept in memory
)

func (p Parts) usual() Parts {
	if p.Threshold <= 0 {
		p.Threshold = usualPart
	}
	if p.Size <= 0 {
		p.Size = usualPart
	}
	return p
}

// of returns the part size for an object as aws chooses it: the one asked for, doubled until
// there are few enough parts, within the bounds of S3. It is rounded up to whole MiB.
func (p Parts) of(size int64) int64 {
	part := p.Size
	for (size+part-1)/part > maxParts {
		part *= 2
	}
	return roundUp(min(max(part, leastPart), mostPart))
}

func roundUp(n int64) int64 { return (n + wholePart - 1) / wholePart * wholePart }

// A layout cuts an object into parts, and each part into units that are subtrees of its digest.
type layout struct {
	size, part int64
	perPart    int // units
}

func (p Parts) layout(size int64) layout {
	l := layout{size: size, part: p.of(size)}
	unit := min(int64(1)<<bits.TrailingZeros64(uint64(l.part)), mostUnit)
	for unit > wholePart && l.part/unit < leastUnits {
		unit /= 2
	}
	l.perPart = int(l.part / unit)
	return l
}

func (l layout) unit() int64 { return l.part / int64(l.perPart) }

func (l layout) digest() *hashing.Parts { return hashing.NewParts(l.size, l.unit()) }

// len is the number of parts.
func (l layout) len() int { return int((l.size + l.part - 1) / l.part) }

// bounds returns where part i begins and how many bytes it has.
func (l layout) bounds(i int) (offset, length int64) {
	offset = int64(i) * l.part
	return offset, min(l.part, l.size-offset)
}

// window is how much memory a part of n bytes takes to be written.
func (l layout) window(n int64) int64 { return min(l.unit(), n) }

// buffer is how much memory a part of n bytes takes to be read.
func (l layout) buffer(n int64) int64 {
	if n > mostBuffer {
		return l.unit()
	}
	return n
}

// read reads part i of a file for an upload. A large part is read once more when it is sent, and
// has to be the same then.
func (l layout) read(f io.ReaderAt, digest *hashing.Parts, i int, buf []byte) (body io.ReadSeeker, crc uint64, err error) {
	offset, length := l.bounds(i)
	sum := crc64nvme.New()
	for at := int64(0); at < length; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), length-at)]
		if _, err := f.ReadAt(b, offset+at); err == io.EOF {
			return nil, 0, errUnsettled
		} else if err != nil {
			return nil, 0, err
		}
		l.add(digest, i, at, b)
		sum.Write(b)
	}
	switch s, ok := f.(sections); {
	case int64(len(buf)) == length:
		body = bytes.NewReader(buf)
	case ok:
		body = reread(s.section(offset, length), length, sum.Sum64())
	default:
		body = reread(io.NewSectionReader(f, offset, length), length, sum.Sum64())
	}
	return body, sum.Sum64(), nil
}

// What has sections is better read in one go than in pieces.
type sections interface {
	section(offset, length int64) io.ReadSeeker
}

// add hashes data of part i, which begins at a multiple of the unit, at offset within the part.
func (l layout) add(d *hashing.Parts, i int, offset int64, data []byte) {
	unit := l.unit()
	for at := int(offset / unit); len(data) > 0; at++ {
		n := min(unit, int64(len(data)))
		d.Part(i*l.perPart+at, data[:n])
		data = data[n:]
	}
}

// checksum is that of the whole object, of those of its parts.
func (l layout) checksum(crcs []uint64) uint64 {
	whole := crcs[0]
	for i := range crcs[1:] {
		_, n := l.bounds(i + 1)
		whole = bucket.CombineCRC64(whole, crcs[i+1], n)
	}
	return whole
}
