package transfer

import (
	"errors"
	"hash"
	"io"

	"github.com/minio/crc64nvme"
)

// A rereading is a part of a file that is read once more, to be sent, because it is too large to be
// kept in memory. If it is not what it was when it was hashed, its last bytes are kept back, so that
// nothing can come of it. Neither the file's times tell that, which a program may set or a mapping
// leave as they are, nor every server, since some take no checksums.
type rereading struct {
	from io.ReadSeeker
	left int64
	size int64
	sum  hash.Hash64
	crc  uint64 // that it had
}

func reread(from io.ReadSeeker, size int64, crc uint64) *rereading {
	return &rereading{from: from, left: size, size: size, sum: crc64nvme.New(), crc: crc}
}

// Read implements [io.Reader].
func (r *rereading) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.from.Read(b[:min(int64(len(b)), r.left)])
	r.left -= int64(n)
	r.sum.Write(b[:n])
	switch {
	case r.left == 0 && r.sum.Sum64() != r.crc, r.left > 0 && err == io.EOF:
		return 0, errUnsettled
	case r.left == 0:
		return n, nil
	}
	return n, err
}

// Seek implements [io.Seeker], to the beginning only: what is sent is read from there.
func (r *rereading) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errors.New("a part is read again from its beginning")
	}
	r.left = r.size
	r.sum.Reset()
	return r.from.Seek(0, io.SeekStart)
}

// Close closes what it reads from, if that can be.
func (r *rereading) Close() error {
	if c, ok := r.from.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
