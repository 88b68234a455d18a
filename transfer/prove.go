package transfer

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/minio/crc64nvme"
	"github.com/zeebo/blake3"

	"merkur/manifest"
	"merkur/store/bucket"
)

// prove finds out whether an object that somebody else stored has the content of the file. It
// reads the file once and asks the bucket for no byte. If equal is false, it may be so
// nevertheless: nothing that could be asked for free said so.
//
// What proves it: the ETag of an object stored at once is the MD5 of its bytes; that of one
// stored in parts is the MD5 of the MD5s of its parts, whose size the bucket tells; and a
// CRC-64/NVME of the whole object is what newer clients leave behind.
func (r *run) prove(ctx context.Context, a Action) (e manifest.Entry, equal bool, err error) {
	key, etag := r.o.Prefix+a.Key, a.Old.Evidence.ETag
	part := int64(0)
	if inParts(etag) {
		first, err := r.store.Head(ctx, key, bucket.HeadOptions{Part: 1})
		if err != nil {
			return a.File, false, lookedAway(err)
		}
		part = first.Size
	}
	sums, err := r.readSums(ctx, a, part)
	if err != nil {
		return a.File, false, err
	}
	e = a.File
	if sums.digest != e.Digest {
		return e, false, nil // it has changed since the scan: not equal to what was to be proved
	}
	obj := bucket.Object{ETag: etag, Version: a.Old.Evidence.Version}
	if sums.etag != etag {
		if obj, err = r.store.Head(ctx, key, bucket.HeadOptions{}); err != nil {
			return e, false, lookedAway(err)
		}
		if obj.ETag != etag || obj.Size != e.Size || !obj.HasCRC64 || obj.CRC64 != sums.crc {
			return e, false, nil
		}
	}
	e = witnessed(e, obj, sums.crc)
	e.Evidence.Modified = a.Old.Evidence.Modified
	return e, true, nil
}

// lookedAway makes the error of a look at an object that is gone no error: it is not equal.
func lookedAway(err error) error {
	if errors.Is(err, bucket.ErrNotFound) {
		return nil
	}
	return err
}

// inParts reports whether an ETag is that of an object stored in parts.
func inParts(etag string) bool {
	sum, parts, ok := strings.Cut(etag, "-")
	return ok && len(sum) == 2*md5.Size && parts != ""
}

// sums are what one read of a file tells: the digest, the ETag that S3 gives such an object,
// stored at once or in parts, and the checksum.
type sums struct {
	digest manifest.Digest
	etag   string
	crc    uint64
}

// readSums reads the file of an action. The part size is 0 for an object stored at once.
func (r *run) readSums(ctx context.Context, a Action, part int64) (sums, error) {
	f, _, err := openRegular(r.path(a.Key))
	if err != nil {
		return sums{}, err
	}
	defer f.Close()
	const chunk = 1 << 20
	buf, release, err := r.memory.take(ctx, chunk)
	if err != nil {
		return sums{}, err
	}
	defer release()
	return sumsOf(ctx, f, buf, part)
}

func sumsOf(ctx context.Context, from io.Reader, buf []byte, part int64) (s sums, err error) {
	digest, crc, tag := blake3.New(), crc64nvme.New(), &etagHash{part: part, sum: md5.New()}
	for err == nil {
		var n int
		if n, err = from.Read(buf); n > 0 {
			digest.Write(buf[:n])
			crc.Write(buf[:n])
			tag.write(buf[:n])
		}
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
	}
	if err != io.EOF {
		return s, err
	}
	digest.Sum(s.digest[:0])
	s.crc, s.etag = crc.Sum64(), tag.etag()
	return s, nil
}

// An etagHash computes the ETag of an object stored at once (part 0) or in parts.
type etagHash struct {
	part  int64
	sum   hash.Hash // of the part so far
	n     int64     // bytes in it
	whole []byte    // the sums of the parts before
}

func (h *etagHash) write(b []byte) {
	for h.part > 0 && h.n+int64(len(b)) >= h.part {
		head := b[:h.part-h.n]
		h.sum.Write(head)
		h.cut()
		b = b[len(head):]
	}
	h.sum.Write(b)
	h.n += int64(len(b))
}

func (h *etagHash) cut() {
	h.whole = h.sum.Sum(h.whole)
	h.sum.Reset()
	h.n = 0
}

func (h *etagHash) etag() string {
	if h.part == 0 {
		return hex.EncodeToString(h.sum.Sum(nil))
	}
	if h.n > 0 {
		h.cut()
	}
	return fmt.Sprintf("%x-%d", md5.Sum(h.whole), len(h.whole)/md5.Size)
}
