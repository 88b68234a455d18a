package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A call is one request as its caller sees it, however many tries it takes.
type call struct {
	op    string // what S3 calls the operation
	other string // the bucket, if it is another one
	key   string
	write bool     // changes what others see, so that a lost answer leaves a doubt
	match bool     // writes under the condition of an ETag: to it, a missing object is a changed one
	body  *payload // nil if none is sent
}

// A try is what is known about one HTTP request. The wire fills it in.
type try struct {
	op        string
	doubt     bool   // one before it may have been carried out
	turned    bool   // one before it was turned away
	sent      bool   // the request was handed to the network
	connected bool   // and there was a connection for it
	status    int    // of the answer; 0 if there was none
	region    string // where the bucket is, if the answer says so
	date      string // of the answer
	url       *url.URL
	conn      *conn // nil if there was none
}

// judge decides, after a try failed with e, whether another try may help and whether this one
// may have been carried out all the same. heard says that this server has answered before.
func judge(c call, e *Error, t try, heard, transient bool) (again, doubt bool) {
	switch {
	case !t.sent || c.body.broken():
		return false, false // our own fault: no credentials, or a body that cannot be read
	case !t.connected:
		// A server that never answered is more likely a wrong address than a bad moment.
		return heard && transient, false
	case !heard && t.status == 0 && timedOut(e):
		return false, c.write // likewise one that takes connections and says nothing
	case throttled(e):
		return true, false
	case e.Code == "ConditionalRequestConflict" && c.op == completeMultipartUpload:
		return false, false // S3 wants the upload begun anew
	case e.Code != "" && e.Status >= 300 && e.Status < 500:
		return transient, false
	case e.Status == http.StatusNotImplemented, e.Code == "NotImplemented":
		return false, false
	}
	return transient || cutShort(e), c.write
}

// throttled reports whether the server turned the request away before it looked at it.
func throttled(e *Error) bool {
	_, named := retry.DefaultThrottleErrorCodes[e.Code]
	return named || e.Status == http.StatusTooManyRequests
}

func timedOut(e *Error) bool {
	var n net.Error
	return errors.As(e.Err, &n) && n.Timeout()
}

// cutShort reports whether an answer began and broke off.
func cutShort(e *Error) bool {
	return errors.Is(e.Err, io.ErrUnexpectedEOF) || errors.Is(e.Err, io.EOF)
}

// passing are the errors that may pass and that the SDK does not know as such.
var passing = retry.RetryableErrorCode{Codes: map[string]struct{}{
	"InternalError":               {},
	"ServiceUnavailable":          {},
	"OperationAborted":            {}, // another write to the same key is under way
	"ConditionalRequestConflict":  {}, // likewise
	"BadDigest":                   {}, // bytes were changed on their way
	"XAmzContentChecksumMismatch": {}, // likewise
}}

// newRetryer returns the SDK's judgement of errors and its delays. It makes no tries.
func newRetryer() *retry.Standard {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxBackoff = 20 * time.Second
		o.Retryables = append(o.Retryables, passing)
	})
}

// run makes the tries of a call until one succeeds or no other can help. Its errors are
// always of type *Error.
func (s *S3) run(ctx context.Context, c call, do func(context.Context) error) error {
	var doubt, turned, moved, adjusted bool
	for n := 1; ; n++ {
		if err := c.body.rewind(); err != nil {
			return (&Error{Op: c.op, Key: c.key, Err: err}).settle(doubt)
		}
		t := try{op: c.op, doubt: doubt, turned: turned}
		err := do(watch(ctx, &t))
		if err == nil {
			return nil
		}
		e := explain(c, t, err)
		if throttled(e) || e.Status == http.StatusServiceUnavailable {
			s.throttles.Add(1)
		}
		if t.region == "" {
			t.region = expected(e)
		}
		if !moved && s.move(c, t) {
			moved = true
			s.reportRetry(c, n, 0, e)
			continue
		}
		if !adjusted && s.adjust(t, e) {
			adjusted = true
			s.reportRetry(c, n, 0, e)
			continue
		}
		again, inDoubt := judge(c, e, t, s.wire.heard.Load(), s.retryer.IsErrorRetryable(err))
		// Who turns a write away has not looked at it, so they say. That the condition holds no more on
		// the next try belies it.
		inDoubt = inDoubt && !c.body.unsent()
		doubt = doubt || inDoubt || turned && e.overtaken()
		turned = turned || c.write && throttled(e)
		if !again || interrupted(ctx.Err()) {
			return e.settle(doubt)
		}
		if n >= s.attempts {
			e.Retries = n - 1
			return e.settle(doubt)
		}
		if stopped := s.pause(ctx, c, n, e, err); stopped != nil {
			err := fmt.Errorf("%w before another try; the last one: %v", stopped, e)
			return (&Error{Op: c.op, Key: c.key, Err: err}).settle(doubt)
		}
	}
}

// explain describes an error with what only we know about the try.
func explain(c call, t try, err error) *Error {
	if c.body.broken() {
		return &Error{Op: c.op, Key: c.key, Err: c.body.err}
	}
	e := describe(c, err)
	switch {
	case t.sent && !t.connected && !interrupted(e.Err):
		e.unreached = t.url.Redacted()
	case e.Err != nil && t.status != 0:
		e.Status = t.status
	}
	return e
}

// expecting finds the region in the words with which S3 refuses a signature for another one.
var expecting = regexp.MustCompile(`expecting ['"]([a-z0-9-]+)['"]`)

// expected is the region that an error asks for, or empty.
func expected(e *Error) string {
	if e.Code != "AuthorizationHeaderMalformed" {
		return ""
	}
	if m := expecting.FindStringSubmatch(e.Message); m != nil {
		return m[1]
	}
	return ""
}

// move follows a bucket to the region that the answer names, and reports whether it had to.
func (s *S3) move(c call, t try) bool {
	switch t.status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest:
	default:
		return false
	}
	switch {
	case t.region == "" || t.region == s.regionOf(c.other):
		return false
	case c.other != "":
		s.elsewhere.Store(c.other, t.region)
	default:
		s.region.Store(&t.region)
	}
	return true
}

// skewLimit is how far the clocks may be apart before a signature is refused for it; the SDK says
// so too.
const skewLimit = 4 * time.Minute

// adjust follows the server's clock where a signature may have been refused because ours is wrong,
// and reports whether that is so.
func (s *S3) adjust(t try, e *Error) bool {
	switch e.Code {
	case "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure", "AccessDeniedException":
	default:
		return false
	}
	date, err := http.ParseTime(t.date)
	if err != nil {
		return false
	}
	skew := time.Until(date)
	if off := skew - time.Duration(s.skew.Load()); off.Abs() <= skewLimit {
		return false
	}
	s.skew.Store(int64(skew))
	return true
}

// regionOf is the region of a bucket, as far as it is known; of this one if the name is empty.
func (s *S3) regionOf(other string) string {
	if region, known := s.elsewhere.Load(other); known {
		return region.(string)
	}
	return *s.region.Load()
}

// pause waits before the try after the nth, which failed with e, as the SDK says it.
func (s *S3) pause(ctx context.Context, c call, n int, e *Error, failed error) error {
	delay, err := s.retryer.RetryDelay(n, failed)
	if err != nil {
		return err
	}
	s.reportRetry(c, n, delay, e)
	return s.sleep(ctx, delay)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// send makes a call with one operation of the SDK's client.
func send[In, Out any](ctx context.Context, s *S3, c call, op func(context.Context, *In, ...func(*s3.Options)) (*Out, error), in *In, options ...func(*s3.Options)) (*Out, error) {
	var out *Out
	err := s.run(ctx, c, func(ctx context.Context) (err error) {
		out, err = op(ctx, in, append(options, s.directed(c))...)
		return err
	})
	return out, err
}

// directed has a request go to the region where its bucket is, and name the bucket in the right
// place, and says who pays for it.
func (s *S3) directed(c call) func(*s3.Options) {
	return func(o *s3.Options) {
		o.Region = s.regionOf(c.other)
		if c.other != "" {
			s.address(o, c.other)
		}
		if s.payer != "" {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue("X-Amz-Request-Payer", s.payer))
		}
	}
}

// A payload is the body of a request: exactly size bytes of from, which the SDK may neither
// close nor seek. It keeps the first error of reading, to tell a broken file from a broken
// network. A nil payload is no body.
type payload struct {
	from io.ReadSeeker
	size int64
	left int64
	err  error

	counted bool // left tells how much of the try that is over was not sent
}

func (p *payload) rewind() error {
	if p == nil {
		return nil
	}
	p.left, p.err, p.counted = p.size, nil, false
	_, err := p.from.Seek(0, io.SeekStart)
	return err
}

// unsent reports whether the server surely has not got the whole body, and so has not carried out the write:
// it refused it by its headers, or was cut off.
func (p *payload) unsent() bool { return p != nil && p.counted && p.left > 0 }

func (p *payload) broken() bool { return p != nil && p.err != nil }

// Read reads the body. A body that ends early is an error, so that no shorter object is stored.
func (p *payload) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if int64(len(b)) > p.left {
		b = b[:p.left]
	}
	n, err := p.from.Read(b)
	p.left -= int64(n)
	if err == io.EOF {
		err = nil
		if p.left > 0 {
			err = fmt.Errorf("body ends %d bytes before its size of %d: %w", p.left, p.size, io.ErrUnexpectedEOF)
		}
	}
	p.err = err
	return n, err
}
