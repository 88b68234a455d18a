package transfer

import (
	"crypto/md5"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/minio/crc64nvme"
	"github.com/zeebo/blake3"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
)

// A receiver takes the bytes of an object as they come and knows in the end whether they are
// what they should be.
type receiver struct {
	want   manifest.Entry
	digest *blake3.Hasher
	crc    hash.Hash64 // where only the bucket's word is known; else nil
	md5    hash.Hash   // where the ETag may tell; else nil
}

// newReceiver expects what is known of an object. The ETag of one with a key of its own, also of
// the customer's, is not made of its content.
func newReceiver(want manifest.Entry, keyed bool) *receiver {
	v := &receiver{want: want, digest: hashers.Get().(*blake3.Hasher)}
	v.digest.Reset()
	if want.Unproven {
		v.crc = crc64nvme.New()
		if len(want.Evidence.ETag) == 2*md5.Size && !keyed {
			v.md5 = md5.New()
		}
	}
	return v
}

// hashers are kept for the next object: a fresh one takes more memory than most objects are large.
var hashers = sync.Pool{New: func() any { return blake3.New() }}

// end gives back what a receiver was lent. It is not to be used any more.
func (v *receiver) end() { hashers.Put(v.digest) }

func (v *receiver) Write(b []byte) (int, error) {
	v.digest.Write(b)
	if v.crc != nil {
		v.crc.Write(b)
	}
	if v.md5 != nil {
		v.md5.Write(b)
	}
	return len(b), nil
}

// check returns the digest of what came, or an error if it is not what was wanted.
func (v *receiver) check(obj bucket.Object) (d manifest.Digest, err error) {
	v.digest.Sum(d[:0])
	switch {
	case !v.want.Unproven && d != v.want.Digest:
		return d, errContent
	case v.crc != nil && obj.HasCRC64:
		if v.crc.Sum64() != obj.CRC64 {
			return d, errChecksum
		}
	case v.md5 != nil && plainETag(obj) && fmt.Sprintf("%x", v.md5.Sum(nil)) != obj.ETag:
		return d, errChecksum
	}
	return d, nil
}

// plainETag reports whether the ETag of an object stored at once is the MD5 of its bytes. That of
// one that is encrypted with a key of its own is not.
func plainETag(o bucket.Object) bool {
	return (o.Encryption == "" || o.Encryption == "AES256") && len(o.ETag) == 2*md5.Size
}

// A sink takes the bytes of an object as they come.
type sink struct {
	buf    []byte    // that is read into
	to     io.Writer // that all is written to; nil: none
	keep   bool      // what has come stays in buf, which has room for all of it
	gather bool      // buf is written when it is full, and what is left by flush
	kept   int       // bytes that are in buf
	err    error     // of the writer, which no other try would mend
}

// take reads from a body once, at most n bytes.
func (s *sink) take(body io.Reader, n int64) (int, error) {
	b := s.buf[s.kept:]
	m, err := body.Read(b[:min(n, int64(len(b)))])
	if s.keep || s.gather {
		s.kept += m
	}
	switch {
	case s.gather && s.kept == len(s.buf):
		s.err = s.flush()
	case !s.gather && s.to != nil && m > 0:
		_, s.err = s.to.Write(b[:m])
	}
	if s.err != nil {
		return m, s.err
	}
	return m, err
}

// flush writes what was gathered.
func (s *sink) flush() error {
	if s.kept == 0 {
		return nil
	}
	_, err := s.to.Write(s.buf[:s.kept])
	s.kept = 0
	return err
}

// A partWriter writes one part of a download to its place and hashes it. It is given whole windows of
// the part, and its end.
type partWriter struct {
	layout layout
	digest *hashing.Parts
	part   int
	to     io.WriterAt
	crc    hash.Hash64
	done   int64 // bytes of the part before
}

func (w *partWriter) Write(b []byte) (int, error) {
	w.layout.add(w.digest, w.part, w.done, b)
	w.crc.Write(b)
	offset, _ := w.layout.bounds(w.part)
	n, err := w.to.WriteAt(b, offset+w.done)
	w.done += int64(n)
	return n, err
}
