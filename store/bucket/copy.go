package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

// The sizes of a copy in parts. S3 takes parts of up to 5 GiB and 10,000 of them.
const (
	copyPart     = 512 << 20
	copyParallel = 8
)

// replace is the directive that takes nothing over from the source.
const replace = "REPLACE"

// Copy implements [Copier]. What is larger than one request can copy goes in parts.
func (s *S3) Copy(ctx context.Context, src Source, dst string, o CopyOptions) (Object, error) {
	if src.Bucket == "" {
		src.Bucket = s.name
	}
	if o.PartSize > 0 {
		return s.copyInParts(ctx, src, dst, o)
	}
	in := &s3.CopyObjectInput{
		Bucket: &s.name, Key: &dst,
		CopySource:        aws.String(copySource(src)),
		CopySourceIfMatch: text(quote(src.IfMatch)),
		IfMatch:           text(quote(o.IfMatch)),
		IfNoneMatch:       o.ifNoneMatch(),
	}
	c := call{op: copyObject, key: dst, write: true}
	out, err := send(ctx, s, c, s.client.CopyObject, in, with(func(h http.Header) { s.writeCopy(h, src, o) }))
	if tooLarge(err) {
		return s.copyLarge(ctx, src, dst, o, copyPart)
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
	obj.CRC64, obj.HasCRC64 = decodeCRC64(aws.ToString(result.ChecksumCRC64NVME))
	obj.Class, obj.Encryption, obj.KMSKey = class(o.Class), string(out.ServerSideEncryption), aws.ToString(out.SSEKMSKeyId)
	return obj, nil
}

// writeCopy puts the options of a copy on its request. Only Amazon knows annotations, and other
// servers may refuse what they do not know.
func (s *S3) writeCopy(h http.Header, src Source, o CopyOptions) {
	o.Headers.write(h)
	o.Terms.write(h)
	src.Customer.writeAsSource(h)
	set(h, "X-Amz-Checksum-Algorithm", o.Checksum)
	set(h, "X-Amz-Metadata-Directive", o.MetadataDirective)
	set(h, "X-Amz-Tagging-Directive", o.TaggingDirective)
	set(h, "X-Amz-Tagging", o.Tags)
	if o.NoAnnotations && s.amazon {
		h.Set("X-Amz-Annotation-Directive", "EXCLUDE")
	}
}

// tooLarge reports whether S3 refused a copy for its size: asking for the size before each
// copy would double the requests.
func tooLarge(err error) bool {
	e := new(Error)
	return errors.As(err, &e) &&
		(e.Code == "EntityTooLarge" || e.Code == "InvalidRequest" && strings.Contains(e.Message, "larger than"))
}

// copyLarge copies in parts of the given size and takes over from the source what the
// directives say, as a copy in one request does.
func (s *S3) copyLarge(ctx context.Context, src Source, dst string, o CopyOptions, size int64) (Object, error) {
	from, err := s.head(ctx, src.Bucket, src.Key, src.IfMatch, HeadOptions{Customer: src.Customer, Version: src.Version})
	if err != nil {
		return Object{}, err
	}
	src.IfMatch, src.Size, o.PartSize = from.ETag, from.Size, size
	if o.MetadataDirective != replace {
		from.WebsiteRedirect = o.WebsiteRedirect // no request takes that over
		o.Headers = from.Headers
	}
	if o.TaggingDirective != replace {
		if o.Tags, err = s.tags(ctx, src.Bucket, src.Key, src.Version); err != nil && !errors.Is(err, ErrUnsupported) {
			return Object{}, err
		}
	}
	var later string
	if len(o.Tags) > maxTagHeader {
		later, o.Tags = o.Tags, ""
	}
	made, err := s.copyInParts(ctx, src, dst, o)
	if err != nil || later == "" {
		return made, err
	}
	if err := s.SetTags(ctx, dst, later); err != nil {
		// An object without its tags would pass for a copy ever after.
		err = fmt.Errorf("copy without its tags: %w", err)
		return Object{}, errors.Join(err, s.Delete(context.WithoutCancel(ctx), dst, Condition{IfMatch: made.ETag}))
	}
	return made, nil
}

// copyInParts copies in parts. The source is pinned by its ETag, so that all parts are of one
// object.
func (s *S3) copyInParts(ctx context.Context, src Source, dst string, o CopyOptions) (Object, error) {
	if src.IfMatch == "" || src.Size <= 0 {
		from, err := s.head(ctx, src.Bucket, src.Key, src.IfMatch, HeadOptions{Customer: src.Customer, Version: src.Version})
		if err != nil {
			return Object{}, err
		}
		src.IfMatch, src.Size = from.ETag, from.Size
	}
	// Without a checksum unless one is asked for: some servers give each part that of the whole
	// source.
	u, err := s.begin(ctx, dst, o.PutOptions, o.Checksum)
	if err != nil {
		return Object{}, err
	}
	obj, err := u.copyFrom(ctx, src, o)
	if err != nil && !errors.Is(err, ErrUncertain) {
		// The first error is the one to report: a part left behind costs money, not truth.
		err = errors.Join(err, u.Abort(context.WithoutCancel(ctx)))
	}
	return obj, err
}

// copyFrom copies all parts, a bounded number at once, and completes the upload. An empty
// object is one part, too, but of no range.
func (u *upload) copyFrom(ctx context.Context, src Source, o CopyOptions) (Object, error) {
	each, size := o.Each, o.PartSize
	if each == nil {
		each = func(_ int64, request func() error) error { return request() }
	}
	group, parts := errgroup.WithContext(ctx)
	group.SetLimit(copyParallel)
	for n, first := int32(1), int64(0); first < max(src.Size, 1); n, first = n+1, first+size {
		group.Go(func() error {
			length := min(size, src.Size-first)
			return each(length, func() error { return u.copyPart(parts, n, src, first, length) })
		})
	}
	if err := group.Wait(); err != nil {
		return Object{}, err
	}
	return u.Complete(ctx)
}

func (u *upload) copyPart(ctx context.Context, n int32, src Source, first, size int64) error {
	s := u.store
	in := &s3.UploadPartCopyInput{
		Bucket: &s.name, Key: &u.key, UploadId: u.id, PartNumber: &n,
		CopySource:        aws.String(copySource(src)),
		CopySourceIfMatch: text(quote(src.IfMatch)),
	}
	if size > 0 {
		in.CopySourceRange = aws.String(fmt.Sprintf("bytes=%d-%d", first, first+size-1))
	}
	c := call{op: uploadPartCopy, key: u.key}
	out, err := send(ctx, s, c, s.client.UploadPartCopy, in, with(func(h http.Header) {
		u.options.Customer.write(h)
		src.Customer.writeAsSource(h)
	}))
	if outOfRange(err) {
		err = cmp.Or(s.sameSource(ctx, src), err)
	}
	if err != nil {
		return err
	}
	if out.CopyPartResult == nil || unquote(out.CopyPartResult.ETag) == "" {
		return unproved(c)
	}
	sum := aws.ToString(sumOf(out.CopyPartResult, u.algorithm))
	u.keep(n, part{etag: out.CopyPartResult.ETag, size: size, sum: sum})
	return nil
}

// outOfRange reports whether a server refused a part because the source does not reach so far.
func outOfRange(err error) bool {
	e := new(Error)
	return errors.As(err, &e) && (e.Code == "InvalidRange" || e.Code == "InvalidArgument")
}

// sameSource returns ErrChanged or ErrNotFound if the source is another object than the one that is meant. Some
// servers (versitygw) say of one that has become smaller only that a range is wrong.
func (s *S3) sameSource(ctx context.Context, src Source) error {
	_, err := s.head(ctx, src.Bucket, src.Key, src.IfMatch, HeadOptions{Customer: src.Customer, Version: src.Version})
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// copySource names an object in the header of a copy, where "+" and its like mean something.
func copySource(src Source) string {
	name := src.Bucket + "/"
	if isARN(src.Bucket) {
		name += "object/"
	}
	name = percent(name) + percent(src.Key)
	if src.Version != "" {
		name += "?versionId=" + queryEscape(src.Version)
	}
	return name
}

// percent escapes all but letters, digits, slashes and "-_.~".
func percent(s string) string {
	return strings.ReplaceAll(queryEscape(s), "%2F", "/")
}
