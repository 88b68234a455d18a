package bucket

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The names that S3 gives to its operations.
const (
	getObject               = "GetObject"
	headObject              = "HeadObject"
	putObject               = "PutObject"
	deleteObject            = "DeleteObject"
	deleteObjects           = "DeleteObjects"
	listObjectsV2           = "ListObjectsV2"
	copyObject              = "CopyObject"
	createMultipartUpload   = "CreateMultipartUpload"
	uploadPart              = "UploadPart"
	uploadPartCopy          = "UploadPartCopy"
	completeMultipartUpload = "CompleteMultipartUpload"
	abortMultipartUpload    = "AbortMultipartUpload"
	createBucket            = "CreateBucket"
)

// An S3 is one bucket of an S3 server. It is a [Store], an [Uploader], a [Copier] and a
// [BatchDeleter]. The error of a request is of type [*Error]. It logs nothing.
//
// A request gets up to five tries, or as many as the [Config] says. A try that cannot reach a
// server which never answered before is the last one.
type S3 struct {
	name      string
	client    *s3.Client
	wire      *wire
	retryer   *retry.Standard // judges errors and draws delays; makes no tries
	attempts  int
	sleep     func(context.Context, time.Duration) error
	checksums atomic.Bool
	region    atomic.Pointer[string]
}

// SendNoChecksums implements [Lenient].
func (s *S3) SendNoChecksums() { s.checksums.Store(false) }

// Name returns the name of the bucket.
func (s *S3) Name() string { return s.name }

// Endpoint names the server: the URL that requests go to where one is configured, else the
// region of AWS.
func (s *S3) Endpoint() string {
	if url := aws.ToString(s.client.Options().BaseEndpoint); url != "" {
		return url
	}
	return *s.region.Load()
}

// Requests returns how many HTTP requests were sent so far, by the name that S3 gives to the
// operation, such as "PutObject". Every try counts.
func (s *S3) Requests() map[string]int64 { return s.wire.counts() }

// Traffic returns how many bytes went over the network so far, headers and encryption included.
func (s *S3) Traffic() (sent, received int64) {
	return s.wire.sent.Load(), s.wire.received.Load()
}

// Close closes the connections that wait for a next request.
func (s *S3) Close() { s.wire.transport.CloseIdleConnections() }

// CreateBucket makes the bucket. It is an error if it exists.
func (s *S3) CreateBucket(ctx context.Context) error {
	in := &s3.CreateBucketInput{Bucket: &s.name}
	if region := *s.region.Load(); region != defaultRegion {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	_, err := send(ctx, s, call{op: createBucket, write: true}, s.client.CreateBucket, in)
	return err
}

// Get implements [Store].
func (s *S3) Get(ctx context.Context, key string, o GetOptions) (io.ReadCloser, Object, error) {
	c := call{op: getObject, key: key}
	span, err := o.span()
	if err != nil {
		return nil, Object{}, &Error{Op: c.op, Key: key, Err: err}
	}
	in := &s3.GetObjectInput{
		Bucket: &s.name, Key: &key,
		Range:       text(span),
		IfMatch:     text(quote(o.IfMatch)),
		IfNoneMatch: text(quote(o.IfNoneMatch)),
		VersionId:   text(o.Version),
	}
	out, err := send(ctx, s, c, s.client.GetObject, in, s.askChecksum)
	if err != nil {
		return nil, Object{}, err
	}
	obj := Object{
		Key:      key,
		Size:     aws.ToInt64(out.ContentLength),
		ETag:     unquote(out.ETag),
		Modified: aws.ToTime(out.LastModified),
		Version:  aws.ToString(out.VersionId),
		Metadata: lower(out.Metadata),
	}
	obj.CRC64, obj.HasCRC64 = decodeCRC64(out.ChecksumCRC64NVME)
	body := newReader(key, out.Body, out.ContentLength)
	if span == "" {
		body.verify(obj)
		return body, obj, nil
	}
	if obj.Size, err = o.whole(aws.ToString(out.ContentRange)); err != nil {
		out.Body.Close()
		return nil, Object{}, &Error{Op: c.op, Key: key, Status: http.StatusOK, Err: err}
	}
	return body, obj, nil
}

// askChecksum asks for the checksum that is stored with an object. The SDK's own way to ask
// makes it read the body twice over, with a slow CRC, and trip over ranges.
func (s *S3) askChecksum(o *s3.Options) {
	if s.checksums.Load() {
		o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue("X-Amz-Checksum-Mode", "ENABLED"))
	}
}

// Head implements [Store].
func (s *S3) Head(ctx context.Context, key string, o HeadOptions) (Object, error) {
	in := &s3.HeadObjectInput{Bucket: &s.name, Key: &key}
	if o.Part > 0 {
		in.PartNumber = aws.Int32(int32(o.Part))
	}
	out, err := send(ctx, s, call{op: headObject, key: key}, s.client.HeadObject, in, s.askChecksum)
	if err != nil {
		return Object{}, err
	}
	obj := Object{
		Key:      key,
		Size:     aws.ToInt64(out.ContentLength),
		ETag:     unquote(out.ETag),
		Modified: aws.ToTime(out.LastModified),
		Version:  aws.ToString(out.VersionId),
		Metadata: lower(out.Metadata),
	}
	if o.Part == 0 {
		obj.CRC64, obj.HasCRC64 = decodeCRC64(out.ChecksumCRC64NVME)
	}
	return obj, nil
}

// Put implements [Store].
func (s *S3) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, o PutOptions) (Object, error) {
	in := &s3.PutObjectInput{
		Bucket: &s.name, Key: &key,
		ContentLength:      &size,
		IfMatch:            text(quote(o.IfMatch)),
		IfNoneMatch:        o.ifNoneMatch(),
		ContentType:        text(o.ContentType),
		ContentEncoding:    text(o.ContentEncoding),
		ContentLanguage:    text(o.ContentLanguage),
		ContentDisposition: text(o.ContentDisposition),
		CacheControl:       text(o.CacheControl),
		Metadata:           o.Metadata,
	}
	if o.HasCRC64 && s.checksums.Load() {
		in.ChecksumCRC64NVME = encodeCRC64(o.CRC64)
	}
	c := call{op: putObject, key: key, write: true, match: o.IfMatch != ""}
	if size > 0 {
		c.body = &payload{from: body, size: size}
		in.Body = c.body
	}
	out, err := send(ctx, s, c, s.client.PutObject, in, unsignedBody, typeOf(o.ContentType))
	if err != nil {
		return Object{}, err
	}
	if unquote(out.ETag) == "" {
		return Object{}, unproved(c)
	}
	obj := Object{Key: key, Size: size, ETag: unquote(out.ETag), Version: aws.ToString(out.VersionId), Metadata: o.Metadata}
	obj.CRC64, obj.HasCRC64 = decodeCRC64(out.ChecksumCRC64NVME)
	return obj, nil
}

// unsignedBody keeps a body out of the signature: over plain HTTP its hash would cost more than
// all the rest.
func unsignedBody(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// typeOf keeps the SDK from inventing a content type where there is none.
func typeOf(contentType string) func(*s3.Options) {
	return func(o *s3.Options) {
		if contentType == "" {
			o.APIOptions = append(o.APIOptions, dropType)
		}
	}
}

func dropType(stack *middleware.Stack) error {
	return stack.Build.Add(middleware.BuildMiddlewareFunc("DropType",
		func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
			if r, ok := in.Request.(*smithyhttp.Request); ok {
				r.Header.Del("Content-Type")
			}
			return next.HandleBuild(ctx, in)
		}), middleware.After)
}

// Delete implements [Store].
func (s *S3) Delete(ctx context.Context, key string, cond Condition) error {
	c := call{op: deleteObject, key: key, write: true}
	if cond.IfNone {
		return &Error{Op: c.op, Key: key, Err: errors.New("a delete of what must not exist")}
	}
	in := &s3.DeleteObjectInput{Bucket: &s.name, Key: &key, IfMatch: text(quote(cond.IfMatch))}
	_, err := send(ctx, s, c, s.client.DeleteObject, in)
	return unless(err, "NoSuchKey")
}

// unless is err, or nil if it is the one answer that is as good as success.
func unless(err error, code string) error {
	if e := new(Error); errors.As(err, &e) && e.Code == code {
		return nil
	}
	return err
}

// ifNoneMatch is the header for a condition.
func (c Condition) ifNoneMatch() *string {
	if c.IfNone {
		return aws.String("*")
	}
	return nil
}

// text is nil for an empty string: the SDK then sends no header.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func quote(etag string) string {
	if etag == "" {
		return ""
	}
	return `"` + etag + `"`
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// lower returns the metadata with keys in lower case, as S3 keeps them.
func lower(m map[string]string) map[string]string {
	low := make(map[string]string, len(m))
	for k, v := range m {
		low[strings.ToLower(k)] = v
	}
	return low
}
