package manifest

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxPageBytes bounds a decoded page: MaxPage entries, each with the longest key, target, ETag
// and version, fit.
const maxPageBytes = 32 << 20

// window is how far back an encoder looks, in bytes: it has room for twice as many. Few pages have more.
const window = 256 << 10

// Encoders are used by one goroutine at a time, one decoder serves all of them; they are made when
// first needed, since each holds some megabytes of tables.
var (
	encoders = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true),
			zstd.WithWindowSize(window))
		if err != nil {
			panic("manifest: zstd encoder: " + err.Error()) // options are constant
		}
		return e
	}}
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPageBytes))
		if err != nil {
			panic("manifest: zstd decoder: " + err.Error())
		}
		return d
	})
)

// oneFrame reports whether b is one zstd frame, without a dictionary, and nothing else. Of many
// small ones together the decoder would copy the first again for each that follows.
func oneFrame(b []byte) bool {
	var h zstd.Header
	if h.Decode(b) != nil || h.Skippable || h.DictionaryID != 0 {
		return false
	}
	b = b[min(h.HeaderSize, len(b)):]
	for last := false; !last; {
		if len(b) < 3 {
			return false
		}
		head := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		size := int(head >> 3)
		if head>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		if last = head&1 == 1; len(b) < 3+size {
			return false
		}
		b = b[3+size:]
	}
	return len(b) == map[bool]int{true: 4}[h.HasCheckSum]
}

// AppendFrame appends a page to dst as the frame in which it is stored, and returns where it
// lies in dst. Children that lie in the zero pack are stored as lying in the same object as
// the page.
func AppendFrame(dst []byte, p *Page) ([]byte, Location) {
	off := len(dst)
	page, seams := p.encodeInParts()
	dst = appendCompressed(dst, page, seams)
	return dst, Location{Off: uint64(off), Len: uint32(len(dst) - off), Tag: TagOf(dst[off:])}
}

// smallPart is how many bytes of a page are not worth a block of their own.
const smallPart = 1 << 10

// appendCompressed appends a page as a zstd frame. Hashes, which do not compress, get blocks of their own:
// in one with text they would spoil the statistics by which that is coded, which costs a leaf 2 %.
func appendCompressed(dst, page []byte, seams []int) []byte {
	e := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(e)
	out := bytes.NewBuffer(dst)
	e.ResetContentSize(out, int64(len(page)))
	from := 0
	for _, to := range append(seams, len(page)) {
		if to-from < smallPart && to < len(page) {
			continue
		}
		e.Write(page[from:to])
		if from = to; to < len(page) {
			e.Flush()
		}
	}
	if err := e.Close(); err != nil {
		panic("manifest: zstd encoder: " + err.Error()) // it writes to memory, what it was told
	}
	return out.Bytes()
}

// DecodeFrame is the inverse of [AppendFrame] for a page known by ref: the frame must hash to
// ref's tag and the page to its ident. Children stored in the same object get ref's pack.
func DecodeFrame(frame []byte, ref Ref) (*Page, error) {
	if uint64(len(frame)) != uint64(ref.At.Len) || TagOf(frame) != ref.At.Tag {
		return nil, corrupt("page at %q does not match its tag", ref.First)
	}
	if !oneFrame(frame) {
		return nil, corrupt("page at %q is not one zstd frame", ref.First)
	}
	b, err := decoder().DecodeAll(frame, nil)
	if err != nil {
		return nil, corrupt("page at %q: %v", ref.First, err)
	}
	p, err := decodePage(b)
	if err != nil {
		return nil, err
	}
	got := p.Ref()
	got.At = ref.At
	if got != ref {
		return nil, corrupt("page at %q is not the one its parent names", ref.First)
	}
	for i := range p.Children {
		if p.Children[i].At.Pack == (PackName{}) {
			p.Children[i].At.Pack = ref.At.Pack
		}
	}
	return p, nil
}
