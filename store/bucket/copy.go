package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// The sizes of a copy in parts. S3 takes parts of up to 5 GiB and 10,000 of them.
const (
	copyPart     = 512 << 20
	copyParallel = 8
)

// Copy implements [Copier]. What is larger than one request can copy goes in parts.
func (s *S3) Copy(ctx context.Context, srcBucket, src, ifMatch, dst string, o PutOptions) (Object, error) {
	if srcBucket == "" {
		srcBucket = s.name
	}
	in := &s3.CopyObjectInput{
		Bucket: &s.name, Key: &dst,
		CopySource:        aws.String(copySource(srcBucket, src)),
		CopySourceIfMatch: text(quote(ifMatch)),
		IfMatch:           text(quote(o.IfMatch)),
		IfNoneMatch:       o.ifNoneMatch(),
	}
	if o.describes() {
		in.MetadataDirective = types.MetadataDirectiveReplace
		in.ContentType = text(o.ContentType)
		in.ContentEncoding = text(o.ContentEncoding)
		in.ContentLanguage = text(o.ContentLanguage)
		in.ContentDisposition = text(o.ContentDisposition)
		in.CacheControl = text(o.CacheControl)
		in.Metadata = o.Metadata
	}
	c := call{op: copyObject, key: dst, write: true}
	out, err := send(ctx, s, c, s.client.CopyObject, in)
	if tooLarge(err) {
		return s.copyInParts(ctx, srcBucket, src, ifMatch, dst, o, copyPart)
	}
	if err != nil {
		return Object{}, err
	}
	result := out.CopyObjectResult
	if result == nil || unquote(result.ETag) == "" {
		return Object{}, unproved(c)
	}
	obj := Object{
		Key:      dst,
		Size:     -1,
		ETag:     unquote(result.ETag),
		Modified: aws.ToTime(result.LastModified),
		Version:  aws.ToString(out.VersionId),
	}
	obj.CRC64, obj.HasCRC64 = decodeCRC64(result.ChecksumCRC64NVME)
	return obj, nil
}

// tooLarge reports whether S3 refused a copy for its size: asking for the size before each
// copy would double the requests.
func tooLarge(err error) bool {
	e := new(Error)
	return errors.As(err, &e) &&
		(e.Code == "EntityTooLarge" || e.Code == "InvalidRequest" && strings.Contains(e.Message, "larger than"))
}

// copyInParts copies with requests of up to size bytes each. The source is pinned by its ETag,
// so that all parts are of one object.
func (s *S3) copyInParts(ctx context.Context, srcBucket, src, ifMatch, dst string, o PutOptions, size int64) (Object, error) {
	in := &s3.HeadObjectInput{Bucket: &srcBucket, Key: &src, IfMatch: text(quote(ifMatch))}
	from, err := send(ctx, s, call{op: headObject, key: src}, s.client.HeadObject, in)
	if err != nil {
		return Object{}, err
	}
	if !o.describes() {
		o.describeLike(from)
	}
	// Without a checksum of ours: some servers give each part that of the whole source.
	u, err := s.begin(ctx, dst, o, "")
	if err != nil {
		return Object{}, err
	}
	obj, err := u.copyFrom(ctx, copySource(srcBucket, src), from, size)
	if err != nil && !errors.Is(err, ErrUncertain) {
		// The first error is the one to report: a part left behind costs money, not truth.
		err = errors.Join(err, u.Abort(context.WithoutCancel(ctx)))
	}
	return obj, err
}

// copyFrom copies all parts, a bounded number at once, and completes the upload.
func (u *upload) copyFrom(ctx context.Context, source string, from *s3.HeadObjectOutput, size int64) (Object, error) {
	group, parts := errgroup.WithContext(ctx)
	group.SetLimit(copyParallel)
	total := aws.ToInt64(from.ContentLength)
	for n, first := int32(1), int64(0); first < total; n, first = n+1, first+size {
		group.Go(func() error {
			return u.copyPart(parts, n, source, from.ETag, first, min(size, total-first))
		})
	}
	if err := group.Wait(); err != nil {
		return Object{}, err
	}
	return u.Complete(ctx)
}

func (u *upload) copyPart(ctx context.Context, n int32, source string, etag *string, first, size int64) error {
	s := u.store
	in := &s3.UploadPartCopyInput{
		Bucket: &s.name, Key: &u.key, UploadId: u.id, PartNumber: &n,
		CopySource:        &source,
		CopySourceIfMatch: etag,
		CopySourceRange:   aws.String(fmt.Sprintf("bytes=%d-%d", first, first+size-1)),
	}
	c := call{op: uploadPartCopy, key: u.key}
	out, err := send(ctx, s, c, s.client.UploadPartCopy, in)
	if err != nil {
		return err
	}
	if out.CopyPartResult == nil || unquote(out.CopyPartResult.ETag) == "" {
		return unproved(c)
	}
	u.keep(n, part{etag: out.CopyPartResult.ETag, size: size})
	return nil
}

// copySource names an object in the header of a copy, where "+" and its like mean something.
func copySource(bucket, key string) string {
	escaped := strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
	return bucket + "/" + strings.ReplaceAll(escaped, "%2F", "/")
}

// describes reports whether o has any header to be stored with an object.
func (o PutOptions) describes() bool {
	return o.ContentType+o.ContentEncoding+o.ContentLanguage+o.ContentDisposition+o.CacheControl != "" || o.Metadata != nil
}

// describeLike takes the headers of an object over.
func (o *PutOptions) describeLike(from *s3.HeadObjectOutput) {
	o.ContentType = aws.ToString(from.ContentType)
	o.ContentEncoding = aws.ToString(from.ContentEncoding)
	o.ContentLanguage = aws.ToString(from.ContentLanguage)
	o.ContentDisposition = aws.ToString(from.ContentDisposition)
	o.CacheControl = aws.ToString(from.CacheControl)
	o.Metadata = from.Metadata
}
