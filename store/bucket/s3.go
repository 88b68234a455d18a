package bucket

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
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
	listParts               = "ListParts"
	getObjectTagging        = "GetObjectTagging"
	putObjectTagging        = "PutObjectTagging"
	createBucket            = "CreateBucket"
	putBucketVersioning     = "PutBucketVersioning"
	listObjectVersions      = "ListObjectVersions"
)

// An S3 is one bucket of an S3 server. It is a [Store], an [Uploader], a [Resumer], a [Copier],
// a [Tagger], a [BatchDeleter] and [Lenient]. The error of a request is of type [*Error]. It logs nothing
// but what the [Config] asks for.
//
// A request gets up to five tries, or as many as the [Config] says. A try that cannot reach a
// server which never answered before is the last one.
type S3 struct {
	name      string
	client    *s3.Client
	creds     aws.CredentialsProvider // of client, whose options are many to be copied for them
	signer    signer
	versions  atomic.Bool  // the bucket has been seen to keep versions
	skew      atomic.Int64 // nanoseconds that the server's clock is ahead
	routes    sync.Map     // *route by bucket and region; nil: only the SDK can go there
	sdkOnly   bool         // for tests: make every request through the SDK
	wire      *wire
	retryer   *retry.Standard // judges errors and draws delays; makes no tries
	attempts  int
	sleep     func(context.Context, time.Duration) error
	debug     func(string) // nil: nobody listens
	journal   Journal      // nil: none
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

// Endpoint names the server: the URL that requests go to where one is configured, without a user and
// a password in it, else the region of AWS.
func (s *S3) Endpoint() string {
	endpoint := aws.ToString(s.client.Options().BaseEndpoint)
	if endpoint == "" {
		return *s.region.Load()
	}
	if u, err := url.Parse(endpoint); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return endpoint
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

// KeepVersions has the bucket keep what is overwritten or deleted as versions.
func (s *S3) KeepVersions(ctx context.Context) error {
	in := &s3.PutBucketVersioningInput{
		Bucket: &s.name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}
	_, err := send(ctx, s, call{op: putBucketVersioning, write: true}, s.client.PutBucketVersioning, in)
	return err
}

// Get implements [Store].
func (s *S3) Get(ctx context.Context, key string, o GetOptions) (io.ReadCloser, Object, error) {
	c := call{op: getObject, key: key}
	span, err := o.span()
	if err != nil {
		return nil, Object{}, &Error{Op: c.op, Key: key, Err: err}
	}
	h := s.asking(o.Customer)
	set(h, "Range", span)
	set(h, "If-Match", quote(o.IfMatch))
	set(h, "If-None-Match", quote(o.IfNoneMatch))
	resp, err := s.ask(ctx, ask{call: c, method: http.MethodGet, query: which(0, o.Version), header: h, hash: noBody})
	if err != nil {
		return nil, Object{}, err
	}
	obj := objectOf(key, resp)
	body := newReader(key, resp.Body, resp.ContentLength)
	if span == "" {
		body.verify(obj)
		return body, obj, nil
	}
	if obj.Size, err = o.whole(resp.Header.Get("Content-Range")); err != nil {
		resp.Body.Close()
		return nil, Object{}, &Error{Op: c.op, Key: key, Status: http.StatusOK, Err: err}
	}
	return body, obj, nil
}

// asking are the headers with which an object is asked for: that its checksum be told, and with
// which key it is encrypted.
func (s *S3) asking(key *CustomerKey) http.Header {
	h := make(http.Header, usualHeaders)
	if s.asks.Load() {
		set(h, "X-Amz-Checksum-Mode", "ENABLED")
	}
	key.write(h)
	return h
}

// which is the query for one part of an object, from 1, or one version of it.
func which(part int, version string) string {
	var q []string
	if part > 0 {
		q = append(q, "partNumber="+strconv.Itoa(part))
	}
	if version != "" {
		q = append(q, "versionId="+queryEscape(version))
	}
	return strings.Join(q, "&")
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
	h := s.asking(o.Customer)
	set(h, "If-Match", quote(etag))
	c := call{op: headObject, key: key, other: s.other(bucket)}
	resp, err := s.ask(ctx, ask{call: c, method: http.MethodHead, query: which(o.Part, o.Version), header: h, hash: noBody})
	if err != nil {
		return Object{}, err
	}
	resp.Body.Close()
	obj := objectOf(key, resp)
	if o.Part > 0 {
		obj.CRC64, obj.HasCRC64 = 0, false // of the part, or of nothing
	}
	return obj, nil
}

// Put implements [Store].
func (s *S3) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, o PutOptions) (Object, error) {
	return s.pastMarker(ctx, key, o.Condition, func(c Condition) (Object, error) {
		o.Condition = c
		return s.put(ctx, key, body, size, o)
	})
}

func (s *S3) put(ctx context.Context, key string, body io.ReadSeeker, size int64, o PutOptions) (Object, error) {
	c := call{op: putObject, key: key, write: true, match: o.IfMatch != ""}
	z, err := s.seal(body, size, o.Checksum, o.CRC64, o.HasCRC64)
	if err != nil {
		return Object{}, &Error{Op: c.op, Key: key, Err: err}
	}
	if size > 0 {
		c.body = &payload{from: body, size: size}
	}
	h := make(http.Header, usualHeaders)
	o.Headers.write(h)
	o.Terms.write(h)
	set(h, "X-Amz-Tagging", o.Tags)
	z.write(h)
	set(h, "If-Match", quote(o.IfMatch))
	if o.IfNone {
		set(h, "If-None-Match", "*")
	}
	resp, err := s.ask(ctx, ask{call: c, method: http.MethodPut, query: "", header: h, hash: z.payload})
	if err != nil {
		return Object{}, err
	}
	resp.Body.Close()
	obj := objectOf(key, resp)
	s.seeVersion(obj)
	if obj.ETag == "" {
		return Object{}, unproved(c)
	}
	obj.Size, obj.Headers, obj.Class = size, o.Headers, class(o.Class)
	return obj, nil
}

// Delete implements [Store].
func (s *S3) Delete(ctx context.Context, key string, cond Condition) error {
	c := call{op: deleteObject, key: key, write: true}
	if cond.IfNone {
		return &Error{Op: c.op, Key: key, Err: errors.New("a delete of what must not exist")}
	}
	h := make(http.Header, 6)
	set(h, "If-Match", quote(cond.IfMatch))
	resp, err := s.ask(ctx, ask{call: c, method: http.MethodDelete, query: "", header: h, hash: noBody})
	if err != nil {
		return unless(err, "NoSuchKey")
	}
	return resp.Body.Close()
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
