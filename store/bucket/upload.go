package bucket

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Upload implements [Uploader]. A try whose answer is lost may leave an upload behind that has
// no parts; a lifecycle rule of the bucket removes such.
func (s *S3) Upload(ctx context.Context, key string, o PutOptions) (Upload, error) {
	return s.begin(ctx, key, o, s.algorithm(o))
}

// algorithm is that of the checksums of parts; empty: they have none.
func (s *S3) algorithm(o PutOptions) string {
	if o.Checksum == "" && s.checksums.Load() {
		return algorithmCRC64
	}
	return o.Checksum
}

// begin begins an upload whose parts come with a checksum, or with none if that is empty.
func (s *S3) begin(ctx context.Context, key string, o PutOptions, algorithm string) (*upload, error) {
	c := call{op: createMultipartUpload, key: key}
	if algorithm != "" {
		if _, err := newSum(algorithm); err != nil {
			return nil, &Error{Op: c.op, Key: key, Err: err}
		}
	}
	in := &s3.CreateMultipartUploadInput{Bucket: &s.name, Key: &key}
	out, err := send(ctx, s, c, s.client.CreateMultipartUpload, in, with(func(h http.Header) {
		o.Headers.write(h)
		o.Terms.write(h)
		set(h, "X-Amz-Tagging", o.Tags)
		set(h, "X-Amz-Checksum-Algorithm", algorithm)
		if algorithm == algorithmCRC64 {
			h.Set("X-Amz-Checksum-Type", string(types.ChecksumTypeFullObject)) // others have other defaults
		}
	}))
	if err != nil {
		return nil, err
	}
	u := &upload{store: s, key: key, id: out.UploadId, options: o, algorithm: algorithm, parts: make(map[int32]part)}
	u.begun()
	return u, nil
}

type upload struct {
	store     *S3
	key       string
	id        *string
	options   PutOptions
	algorithm string         // of the parts' checksums; empty: they have none
	stored    map[int32]part // by another process

	mu    sync.Mutex
	parts map[int32]part
	loose bool // a part failed, and may yet arrive
}

// A part is what is known about a stored part.
type part struct {
	etag   *string
	size   int64
	crc    uint64
	hasCRC bool
	sum    string // that the server has verified or made; empty: none
}

// Part implements [Upload].
func (u *upload) Part(ctx context.Context, n int, body io.ReadSeeker, size int64, crc uint64) error {
	s := u.store
	c := call{op: uploadPart, key: u.key}
	z, err := s.seal(body, size, u.options.Checksum, crc, true)
	if err != nil {
		return &Error{Op: c.op, Key: u.key, Err: err}
	}
	if size > 0 {
		c.body = &payload{from: body, size: size}
	}
	h := make(http.Header, usualHeaders)
	u.options.Customer.write(h)
	z.write(h)
	query := "partNumber=" + strconv.Itoa(n) + "&uploadId=" + url.QueryEscape(*u.id)
	resp, err := s.ask(ctx, ask{call: c, method: http.MethodPut, query: query, header: h, hash: z.payload})
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.loose = true
		return err
	}
	resp.Body.Close()
	etag := resp.Header.Get("Etag")
	if strings.Trim(etag, `"`) == "" {
		return unproved(c)
	}
	u.keep(int32(n), part{etag: &etag, size: size, crc: crc, hasCRC: true, sum: z.sum})
	return nil
}

func (u *upload) keep(n int32, p part) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[n] = p
}

// Complete implements [Upload].
func (u *upload) Complete(ctx context.Context) (Object, error) {
	return u.store.pastMarker(ctx, u.key, u.options.Condition, func(c Condition) (Object, error) { return u.complete(ctx, c) })
}

func (u *upload) complete(ctx context.Context, cond Condition) (Object, error) {
	s, o := u.store, u.options
	o.Condition = cond
	all := u.all()
	c := call{op: completeMultipartUpload, key: u.key, write: true, match: o.IfMatch != ""}
	if all.known && o.HasCRC64 && o.CRC64 != all.crc {
		return Object{}, &Error{Op: c.op, Key: u.key, Err: fmt.Errorf("checksum of the parts is %016x, of the object %016x", all.crc, o.CRC64)}
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &s.name, Key: &u.key, UploadId: u.id,
		IfMatch:         text(quote(o.IfMatch)),
		IfNoneMatch:     o.ifNoneMatch(),
		MpuObjectSize:   &all.size,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: all.parts},
	}
	if all.known && all.sealed && u.algorithm == algorithmCRC64 {
		in.ChecksumCRC64NVME = aws.String(encodeCRC64(all.crc))
		in.ChecksumType = types.ChecksumTypeFullObject
	}
	out, err := send(ctx, s, c, s.client.CompleteMultipartUpload, in, with(o.Customer.write))
	if err != nil {
		return Object{}, err
	}
	if unquote(out.ETag) == "" {
		return Object{}, unproved(c)
	}
	u.ended()
	obj := Object{Key: u.key, Size: all.size, ETag: unquote(out.ETag), Version: aws.ToString(out.VersionId), Headers: o.Headers}
	s.seeVersion(obj)
	obj.CRC64, obj.HasCRC64 = decodeCRC64(aws.ToString(out.ChecksumCRC64NVME))
	obj.Class, obj.Encryption, obj.KMSKey = class(o.Class), string(out.ServerSideEncryption), aws.ToString(out.SSEKMSKeyId)
	return obj, nil
}

// A whole is what is known about all parts together.
type whole struct {
	parts  []types.CompletedPart // in order of their numbers
	size   int64
	crc    uint64 // if known
	known  bool   // the CRC of each part is
	sealed bool   // each part was sent with a checksum
}

// all puts the parts together.
func (u *upload) all() whole {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := whole{known: true, sealed: true}
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		p := u.parts[n]
		done := types.CompletedPart{PartNumber: aws.Int32(n), ETag: p.etag}
		setSum(&done, u.algorithm, p.sum)
		all.parts = append(all.parts, done)
		all.size += p.size
		all.crc = CombineCRC64(all.crc, p.crc, p.size)
		all.known = all.known && p.hasCRC
		all.sealed = all.sealed && p.sum != ""
	}
	return all
}

// Abort implements [Upload]. A part that is on its way may still be stored after it, so that an upload
// with such parts stays in the journal: who finds it there aborts it again.
func (u *upload) Abort(ctx context.Context) error {
	s := u.store
	in := &s3.AbortMultipartUploadInput{Bucket: &s.name, Key: &u.key, UploadId: u.id}
	_, err := send(ctx, s, call{op: abortMultipartUpload, key: u.key}, s.client.AbortMultipartUpload, in)
	if err = unless(err, "NoSuchUpload"); err == nil && !u.inDoubt() {
		u.ended()
	}
	return err
}

func (u *upload) inDoubt() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.loose
}
