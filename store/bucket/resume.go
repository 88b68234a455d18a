package bucket

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// KeepJournal implements [Resumer]. It is called before the first upload.
func (s *S3) KeepJournal(j Journal) { s.journal = j }

// begun and ended tell the journal, if there is one.
func (u *upload) begun() {
	if u.store.journal != nil {
		u.store.journal.Begun(u.pending())
	}
}

func (u *upload) ended() {
	if u.store.journal != nil {
		u.store.journal.Ended(u.pending())
	}
}

func (u *upload) pending() Pending {
	return Pending{Key: u.key, ID: aws.ToString(u.id), About: about(u.options, u.algorithm)}
}

// about tells options of an upload apart: what its object will have is settled when it begins. It is
// empty where an upload cannot be gone on with: parts whose checksums are others than our own,
// or that are encrypted with a customer's key.
func about(o PutOptions, algorithm string) string {
	if o.Customer != nil || algorithm != "" && algorithm != algorithmCRC64 {
		return ""
	}
	o.Condition, o.CRC64, o.HasCRC64 = Condition{}, 0, false // matters of the end
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v %s", o, algorithm))
	return hex.EncodeToString(sum[:16])
}

// Resume implements [Resumer].
func (s *S3) Resume(ctx context.Context, p Pending, o PutOptions) (Upload, error) {
	u := &upload{store: s, key: p.Key, id: &p.ID, options: o, algorithm: s.algorithm(o), parts: make(map[int32]part)}
	c := call{op: listParts, key: p.Key}
	if p.About == "" || p.About != about(o, u.algorithm) {
		return nil, &Error{Op: c.op, Key: p.Key, Err: ErrUnsupported}
	}
	u.stored = make(map[int32]part)
	in := &s3.ListPartsInput{Bucket: &s.name, Key: &u.key, UploadId: u.id}
	for {
		out, err := send(ctx, s, c, s.client.ListParts, in)
		if err != nil {
			return nil, err
		}
		for _, stored := range out.Parts {
			q := part{etag: stored.ETag, size: aws.ToInt64(stored.Size)}
			if q.crc, q.hasCRC = decodeCRC64(aws.ToString(stored.ChecksumCRC64NVME)); q.hasCRC && u.algorithm != "" {
				q.sum = *stored.ChecksumCRC64NVME
			}
			u.stored[aws.ToInt32(stored.PartNumber)] = q
		}
		if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextPartNumberMarker) == aws.ToString(in.PartNumberMarker) {
			return u, nil
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
}

// Has implements [Resumed]. A part without a checksum, or one that has to be known for sure, is known by
// its ETag, where that is an MD5.
func (u *upload) Has(n int, body io.ReadSeeker, size int64, crc uint64, strict bool) (bool, error) {
	p, ok := u.stored[int32(n)]
	switch {
	case !ok || p.size != size:
		return false, nil
	case p.hasCRC && p.crc != crc:
		return false, nil
	case !p.hasCRC || strict:
		sum := md5.New()
		if err := digest(body, size, sum); err != nil {
			return false, &Error{Op: listParts, Key: u.key, Err: err}
		}
		if hex.EncodeToString(sum.Sum(nil)) != unquote(p.etag) {
			return false, nil
		}
	}
	p.crc, p.hasCRC = crc, true
	u.keep(int32(n), p)
	return true, nil
}

// Discard implements [Resumer].
func (s *S3) Discard(ctx context.Context, p Pending) error {
	return (&upload{store: s, key: p.Key, id: &p.ID}).Abort(ctx)
}
