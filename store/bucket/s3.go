package bucket

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
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
	getObjectTagging        = "GetObjectTagging"
	putObjectTagging        = "PutObjectTagging"
	createBucket            = "CreateBucket"
)

// An S3 is one bucket of an S3 server. It is a [Store], an [Uploader], a [Copier], a [Tagger],
// a [BatchDeleter] and [Lenient]. The error of a request is of type [*Error]. It logs nothing
// but what the [Config] asks for.
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
	debug     func(string) // nil: nobody listens
	checksums atomic.Bool  // send CRC-64/NVME
	asks      atomic.Bool  // ask for the checksums of objects that are read
	region    atomic.Pointer[string]
	elsewhere sync.Map // regions of other buckets, by name
	throttles atomic.Int64

	addressing Addressing
	amazon     bool   // no other server is configured
	signs      bool   // bodies too
	payer      string // of requests
	pageSize   int    // of listings; 0: the server's
}

// SendNoChecksums implements [Lenient].
func (s *S3) SendNoChecksums() {
	s.checksums.Store(false)
	s.asks.Store(false)
}

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

// Throttled returns how many tries the server has turned away so far because there were too
// many: SlowDown and its like, 503 and 429.
func (s *S3) Throttled() int64 { return s.throttles.Load() }

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
	out, err := send(ctx, s, c, s.client.GetObject, in, s.askChecksum, with(o.Customer.write))
	if err != nil {
		return nil, Object{}, err
	}
	obj := Object{
		Key:      key,
		Size:     aws.ToInt64(out.ContentLength),
		ETag:     unquote(out.ETag),
		Modified: aws.ToTime(out.LastModified),
		Version:  aws.ToString(out.VersionId),
	}
	obj.read(out.ResultMetadata)
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
	if s.asks.Load() {
		o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue("X-Amz-Checksum-Mode", "ENABLED"))
	}
}

// Head implements [Store].
func (s *S3) Head(ctx context.Context, key string, o HeadOptions) (Object, error) {
	return s.head(ctx, s.name, key, "", o)
}

// other is the name of a bucket that is not this one; empty for this one.
func (s *S3) other(bucket string) string {
	if bucket == s.name {
		return ""
	}
	return bucket
}

// head describes an object of any bucket, if it has the ETag where that is not empty.
func (s *S3) head(ctx context.Context, bucket, key, etag string, o HeadOptions) (Object, error) {
	in := &s3.HeadObjectInput{Bucket: &bucket, Key: &key, IfMatch: text(quote(etag))}
	if o.Part > 0 {
		in.PartNumber = aws.Int32(int32(o.Part))
	}
	c := call{op: headObject, key: key, other: s.other(bucket)}
	out, err := send(ctx, s, c, s.client.HeadObject, in, s.askChecksum, with(o.Customer.write))
	if err != nil {
		return Object{}, err
	}
	obj := Object{
		Key:      key,
		Size:     aws.ToInt64(out.ContentLength),
		ETag:     unquote(out.ETag),
		Modified: aws.ToTime(out.LastModified),
		Version:  aws.ToString(out.VersionId),
	}
	obj.read(out.ResultMetadata)
	if o.Part == 0 {
		obj.CRC64, obj.HasCRC64 = decodeCRC64(out.ChecksumCRC64NVME)
	}
	return obj, nil
}

// Put implements [Store].
func (s *S3) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, o PutOptions) (Object, error) {
	in := &s3.PutObjectInput{
		Bucket: &s.name, Key: &key,
		ContentLength: &size,
		IfMatch:       text(quote(o.IfMatch)),
		IfNoneMatch:   o.ifNoneMatch(),
	}
	c := call{op: putObject, key: key, write: true, match: o.IfMatch != ""}
	z, err := s.seal(body, size, o.Checksum, o.CRC64, o.HasCRC64)
	if err != nil {
		return Object{}, &Error{Op: c.op, Key: key, Err: err}
	}
	if size > 0 {
		c.body = &payload{from: body, size: size}
		in.Body = c.body
	}
	out, err := send(ctx, s, c, s.client.PutObject, in, hashed(z.payload), with(func(h http.Header) {
		o.Headers.write(h)
		o.Terms.write(h)
		put(h, "X-Amz-Tagging", o.Tags)
		z.write(h)
	}))
	if err != nil {
		return Object{}, err
	}
	if unquote(out.ETag) == "" {
		return Object{}, unproved(c)
	}
	obj := Object{Key: key, Size: size, ETag: unquote(out.ETag), Version: aws.ToString(out.VersionId), Headers: o.Headers}
	obj.CRC64, obj.HasCRC64 = decodeCRC64(out.ChecksumCRC64NVME)
	obj.Class, obj.Encryption, obj.KMSKey = class(o.Class), string(out.ServerSideEncryption), aws.ToString(out.SSEKMSKeyId)
	return obj, nil
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
