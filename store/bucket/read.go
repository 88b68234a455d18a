package bucket

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"
)

// span returns the Range header for the bytes that o asks for; empty for all of them.
func (o GetOptions) span() (string, error) {
	switch {
	case o.Length < 0 || o.Offset < 0 && o.Length > 0:
		return "", fmt.Errorf("impossible range: offset %d, length %d", o.Offset, o.Length)
	case o.Offset < 0:
		return fmt.Sprintf("bytes=%d", o.Offset), nil
	case o.Length > 0:
		return fmt.Sprintf("bytes=%d-%d", o.Offset, o.Offset+o.Length-1), nil
	case o.Offset > 0:
		return fmt.Sprintf("bytes=%d-", o.Offset), nil
	}
	return "", nil
}

// whole returns the size of the whole object out of the Content-Range header of an answer, and
// an error if the answer holds other bytes than o asked for: a server may ignore the range.
func (o GetOptions) whole(contentRange string) (int64, error) {
	if contentRange == "" {
		return 0, errors.New("answer without a range to a request for one")
	}
	bad := fmt.Errorf("answer with range %q to a request for offset %d, length %d", contentRange, o.Offset, o.Length)
	span, total, ok := strings.Cut(strings.TrimPrefix(contentRange, "bytes "), "/")
	first, last, ok2 := strings.Cut(span, "-")
	size, err := strconv.ParseInt(total, 10, 64)
	from, err2 := strconv.ParseInt(first, 10, 64)
	to, err3 := strconv.ParseInt(last, 10, 64)
	if !ok || !ok2 || errors.Join(err, err2, err3) != nil {
		return 0, bad
	}
	wantFrom, wantTo := o.Offset, size-1
	if o.Offset < 0 {
		wantFrom = max(0, size+o.Offset)
	}
	if o.Length > 0 {
		wantTo = min(wantTo, o.Offset+o.Length-1)
	}
	if from != wantFrom || to != wantTo {
		return 0, bad
	}
	return size, nil
}

// A reader is the body of an object. It does not end before all bytes have come, and the last
// of them only if the checksum of the whole is right.
type reader struct {
	key    string
	from   io.ReadCloser
	left   int64 // bytes to come; negative: the server did not say
	sum    hash.Hash64
	expect uint64
}

// newReader returns a reader of size bytes, negative if the server did not say how many.
func newReader(key string, from io.ReadCloser, size int64) *reader {
	return &reader{key: key, from: from, left: size}
}

// verify has the reader compare the body with the checksum of the object, if it has one.
func (r *reader) verify(o Object) {
	if o.HasCRC64 && r.left > 0 {
		r.sum, r.expect = crc64nvme.New(), o.CRC64
	}
}

// Read reads the body.
func (r *reader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	known := r.left >= 0
	if known {
		r.left -= int64(n)
	}
	if r.sum != nil {
		r.sum.Write(b[:n])
		if r.left == 0 && r.sum.Sum64() != r.expect {
			return 0, fmt.Errorf("read object %q: checksum of the bytes is %016x, of the object %016x", r.key, r.sum.Sum64(), r.expect)
		}
	}
	switch {
	case err == io.EOF && known && r.left != 0:
		err = fmt.Errorf("read object %q: %w", r.key, io.ErrUnexpectedEOF)
	case err != nil && err != io.EOF:
		err = fmt.Errorf("read object %q: %w", r.key, err)
	}
	return n, err
}

// Close gives the connection back.
func (r *reader) Close() error { return r.from.Close() }
