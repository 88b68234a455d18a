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
	"merkur/transfer/compare"
)

// prove finds out, asking the bucket for no byte, whether the destination has the content of the
// source. If equal is false, it may be so nevertheless: nothing that could be asked for free
// said so. The entry is what the destination then has.
func (r *run) prove(ctx context.Context, a Action) (e manifest.Entry, equal bool, err error) {
	e = a.From.Entry
	switch r.way {
	case compare.Up:
		at := target{r.store, r.o.To, *a.Old, a.Key}
		e.Evidence, e.Digest, equal, err = r.proveFile(ctx, e, at)
		e.Headers = a.Old.Headers // it stays as it is
	case compare.Down:
		at := target{r.o.From.Store, r.o.From, a.From.Entry, a.Key}
		_, _, equal, err = r.proveFile(ctx, *a.Old, at)
	default:
		e, equal, err = r.proveCopy(ctx, a)
	}
	return e, equal, err
}

// A target is an object that a file is compared with.
type target struct {
	store bucket.Store
	side  Side
	entry manifest.Entry // what is known of it
	key   string
}

func (t target) head(ctx context.Context, part int) (bucket.Object, error) {
	return t.store.Head(ctx, t.side.Prefix+t.key, bucket.HeadOptions{Part: part, Customer: t.side.Customer})
}

// proveFile finds out whether an object that somebody else stored has the content of a file,
// which it reads once unless it remembers. If it has, the digest is that of both.
//
// What proves it: the ETag of an object stored at once is the MD5 of its bytes; that of one
// stored in parts is the MD5 of the MD5s of its parts, whose size the bucket tells; and a
// CRC-64/NVME of the whole object is what newer clients leave behind.
func (r *run) proveFile(ctx context.Context, file manifest.Entry, at target) (ev manifest.Evidence, digest manifest.Digest, equal bool, err error) {
	scanned := file.Digest != manifest.Digest{}
	if ev, known, ok := r.recallProof(at); ok && scanned && r.o.Key == nil {
		return ev, known, known == file.Digest, nil
	}
	etag, part := at.entry.Evidence.ETag, int64(0)
	if inParts(etag) {
		first, err := at.head(ctx, 1)
		if err != nil {
			return ev, digest, false, lookedAway(err)
		}
		part = first.Size
	}
	sums, err := r.readSums(ctx, file.Key, part)
	if err != nil {
		return ev, digest, false, err
	}
	if scanned && sums.digest != file.Digest {
		return ev, digest, false, nil // it has changed since the scan: not equal to what was to be proved
	}
	obj := bucket.Object{ETag: etag, Version: at.entry.Evidence.Version}
	if sums.etag != etag {
		if r.o.Key != nil {
			return ev, digest, false, nil // anybody can make bytes that have a given checksum
		}
		if obj, err = at.head(ctx, 0); err != nil {
			return ev, digest, false, lookedAway(err)
		}
		if obj.ETag != etag || obj.Size != file.Size || !obj.HasCRC64 || obj.CRC64 != sums.crc {
			return ev, digest, false, nil
		}
	}
	ev = witnessed(file, obj, sums.crc).Evidence
	ev.Modified = at.entry.Evidence.Modified
	r.rememberProof(at, ev, sums.digest)
	return ev, sums.digest, true, nil
}

// proveCopy finds out whether two objects have the same content. The entry is then that of the
// destination with what is known of the source.
func (r *run) proveCopy(ctx context.Context, a Action) (e manifest.Entry, equal bool, err error) {
	from := target{r.o.From.Store, r.o.From, a.From.Entry, a.Key}
	to := target{r.store, r.o.To, *a.Old, a.Key}
	if equal, err = r.sameContent(ctx, from, to); !equal {
		return *a.Old, false, err
	}
	r.rememberCopy(from, to)
	if e = *a.Old; !a.From.Unproven {
		e.Digest, e.Unproven = a.From.Digest, false
	}
	return e, true, nil
}

// sameContent compares two objects by what is remembered of an earlier copy, or by ETags and
// checksums.
func (r *run) sameContent(ctx context.Context, from, to target) (bool, error) {
	f, t := from.entry.Evidence, to.entry.Evidence
	switch {
	case from.entry.Size != to.entry.Size:
		return false, nil
	case f.ETag != "" && f.ETag == t.ETag:
		return true, nil
	case r.o.Key != nil:
		return false, nil // a run without a key may have remembered a copy by its checksum
	case r.copiedBefore(from, to):
		return true, nil
	case f.HasCRC64 && t.HasCRC64:
		return f.CRC64 == t.CRC64, nil
	}
	one, err := from.head(ctx, 0)
	if err != nil || !one.HasCRC64 || one.ETag != f.ETag {
		return false, lookedAway(err)
	}
	two, err := to.head(ctx, 0)
	if err != nil || !two.HasCRC64 || two.ETag != t.ETag {
		return false, lookedAway(err)
	}
	return one.CRC64 == two.CRC64, nil
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

// readSums reads a file. The part size is 0 for an object stored at once.
func (r *run) readSums(ctx context.Context, key string, part int64) (sums, error) {
	f, info, err := openRegular(r.path(key))
	if err != nil {
		return sums{}, err
	}
	defer f.Close()
	const chunk = 1 << 20
	buf, release, err := r.memory.take(ctx, min(info.Size()+1, chunk))
	if err != nil {
		return sums{}, err
	}
	defer release()
	r.sent.looked.Add(info.Size())
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
