package bucket

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Upload implements [Uploader]. A try whose answer is lost may leave an upload behind that has
// no parts; a lifecycle rule of the bucket removes such.
func (s *S3) Upload(ctx context.Context, key string, o PutOptions) (Upload, error) {
	if !s.checksums.Load() {
		return s.begin(ctx, key, o, "")
	}
	return s.begin(ctx, key, o, types.ChecksumAlgorithmCrc64nvme)
}

// begin begins an upload whose parts come with a checksum, or with none if that is empty.
func (s *S3) begin(ctx context.Context, key string, o PutOptions, sum types.ChecksumAlgorithm) (*upload, error) {
	in := &s3.CreateMultipartUploadInput{
		Bucket: &s.name, Key: &key,
		ContentType:        text(o.ContentType),
		ContentEncoding:    text(o.ContentEncoding),
		ContentLanguage:    text(o.ContentLanguage),
		ContentDisposition: text(o.ContentDisposition),
		CacheControl:       text(o.CacheControl),
		Metadata:           o.Metadata,
	}
	if sum != "" {
		in.ChecksumAlgorithm = sum
		in.ChecksumType = types.ChecksumTypeFullObject
	}
	out, err := send(ctx, s, call{op: createMultipartUpload, key: key}, s.client.CreateMultipartUpload, in)
	if err != nil {
		return nil, err
	}
	return &upload{store: s, key: key, id: out.UploadId, options: o, parts: make(map[int32]part)}, nil
}

type upload struct {
	store   *S3
	key     string
	id      *string
	options PutOptions

	mu    sync.Mutex
	parts map[int32]part
}

// A part is what is known about a stored part.
type part struct {
	etag   *string
	size   int64
	crc    uint64
	hasCRC bool
}

// Part implements [Upload].
func (u *upload) Part(ctx context.Context, n int, body io.ReadSeeker, size int64, crc uint64) error {
	s, number := u.store, int32(n)
	in := &s3.UploadPartInput{
		Bucket: &s.name, Key: &u.key, UploadId: u.id,
		PartNumber:    &number,
		ContentLength: &size,
	}
	if s.checksums.Load() {
		in.ChecksumCRC64NVME = encodeCRC64(crc)
	}
	c := call{op: uploadPart, key: u.key}
	if size > 0 {
		c.body = &payload{from: body, size: size}
		in.Body = c.body
	}
	out, err := send(ctx, s, c, s.client.UploadPart, in, unsignedBody)
	if err != nil {
		return err
	}
	if unquote(out.ETag) == "" {
		return unproved(c)
	}
	u.keep(number, part{etag: out.ETag, size: size, crc: crc, hasCRC: s.checksums.Load()})
	return nil
}

func (u *upload) keep(n int32, p part) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[n] = p
}

// Complete implements [Upload].
func (u *upload) Complete(ctx context.Context) (Object, error) {
	s, o := u.store, u.options
	parts, sum, known, size := u.list()
	c := call{op: completeMultipartUpload, key: u.key, write: true, match: o.IfMatch != ""}
	if known && o.HasCRC64 && o.CRC64 != sum {
		return Object{}, &Error{Op: c.op, Key: u.key, Err: fmt.Errorf("checksum of the parts is %016x, of the object %016x", sum, o.CRC64)}
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &s.name, Key: &u.key, UploadId: u.id,
		IfMatch:         text(quote(o.IfMatch)),
		IfNoneMatch:     o.ifNoneMatch(),
		MpuObjectSize:   &size,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if known {
		in.ChecksumCRC64NVME = encodeCRC64(sum)
		in.ChecksumType = types.ChecksumTypeFullObject
	}
	out, err := send(ctx, s, c, s.client.CompleteMultipartUpload, in)
	if err != nil {
		return Object{}, err
	}
	if unquote(out.ETag) == "" {
		return Object{}, unproved(c)
	}
	obj := Object{Key: u.key, Size: size, ETag: unquote(out.ETag), Version: aws.ToString(out.VersionId), Metadata: o.Metadata}
	obj.CRC64, obj.HasCRC64 = decodeCRC64(out.ChecksumCRC64NVME)
	return obj, nil
}

// list returns the parts in order of their numbers, the size of the whole, and its checksum if
// that of each part is known.
func (u *upload) list() (parts []types.CompletedPart, sum uint64, known bool, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	known = true
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		p := u.parts[n]
		done := types.CompletedPart{PartNumber: aws.Int32(n), ETag: p.etag}
		if p.hasCRC {
			done.ChecksumCRC64NVME = encodeCRC64(p.crc)
		}
		parts = append(parts, done)
		sum = CombineCRC64(sum, p.crc, p.size)
		known = known && p.hasCRC
		size += p.size
	}
	return parts, sum, known, size
}

// Abort implements [Upload].
func (u *upload) Abort(ctx context.Context) error {
	s := u.store
	in := &s3.AbortMultipartUploadInput{Bucket: &s.name, Key: &u.key, UploadId: u.id}
	_, err := send(ctx, s, call{op: abortMultipartUpload, key: u.key}, s.client.AbortMultipartUpload, in)
	return unless(err, "NoSuchUpload")
}
