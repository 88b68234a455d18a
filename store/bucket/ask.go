package bucket

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// An ask is one of the requests that are made by the thousand: to get, head, put, delete or list,
// or to store a part. For such, the SDK takes several times what it costs to sign and to send them.
// So they go over the wire as they are written here, to where the SDK would have sent them, with
// its credentials and signature, and are judged by its rules for retries.
type ask struct {
	call
	method string
	query  string      // coded, its names in order
	header http.Header // more is added to it on the way
	hash   string      // what the signature says of the body
	// read reads an answer of success that is worth another try if it cannot be read; nil: the
	// caller reads it.
	read func(io.Reader) error
}

// noBody is the SHA-256 of nothing.
const noBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// continueFrom is the size from which on a body is not sent before the server has looked at the
// headers: a put whose condition does not hold then costs nothing. It is the SDK's.
const continueFrom = 2 << 20

// ask makes a request and returns an answer of success. The body of the answer must be closed.
func (s *S3) ask(ctx context.Context, a ask) (*http.Response, error) {
	set(a.header, "X-Amz-Request-Payer", s.payer)
	if a.body != nil && a.body.size >= continueFrom {
		set(a.header, "Expect", "100-continue")
	}
	var resp *http.Response
	tried := false
	err := s.run(ctx, a.call, func(ctx context.Context) (err error) {
		if tried {
			a.header = a.header.Clone() // the try before may not have let go of its own yet
		}
		tried = true
		r, err := s.route(ctx, a.bucket(s))
		if err != nil {
			return err
		}
		if r == nil {
			resp, err = s.askSDK(ctx, a)
		} else {
			resp, err = s.askWire(ctx, a, r)
		}
		if err == nil && a.read != nil {
			if err = a.read(resp.Body); err != nil {
				resp.Body.Close()
				err = &smithy.DeserializationError{Err: err}
			}
		}
		return err
	})
	return resp, err
}

// bucket is the name of the bucket that a call is about.
func (c call) bucket(s *S3) string {
	if c.other != "" {
		return c.other
	}
	return s.name
}

// usualHeaders is how many headers most requests have at most. More are no trouble; but room for more
// makes a map that takes four times as much memory.
const usualHeaders = 8

// set sets a header that has a value. Its name is written as net/http does.
func set(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}

// askWire makes one try of a request.
func (s *S3) askWire(ctx context.Context, a ask, r *route) (*http.Response, error) {
	req := (&http.Request{
		Method: a.method, URL: r.url(a.key, a.query), Host: r.host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header,
	}).WithContext(ctx)
	if a.body != nil {
		body, over := a.body.lend()
		defer over()
		req.Body, req.ContentLength = body, a.body.size
	}
	if err := s.sign(ctx, req, a.hash, r); err != nil {
		return nil, err
	}
	resp, err := s.wire.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, &smithy.CanceledError{Err: ctx.Err()}
	case err != nil:
		return nil, &smithyhttp.RequestSendError{Err: err}
	case resp.StatusCode >= 300:
		said := refusal(resp)
		if said.marker {
			s.versions.Store(true)
		}
		return nil, said
	}
	return resp, nil
}

// sign signs a request as the SDK does. The clock is the server's, where that has told us that
// ours is wrong.
func (s *S3) sign(ctx context.Context, req *http.Request, hash string, r *route) error {
	req.Header["User-Agent"] = []string{"merkur"}
	if r.service == "" {
		return nil
	}
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("get credentials: %w", err)
	}
	req.Header["X-Amz-Content-Sha256"] = []string{hash}
	s.signer.sign(req, creds, hash, r.service, r.region, time.Now().Add(time.Duration(s.skew.Load())))
	return nil
}

// lend returns the body for one try. net/http sends one that it knows to lie in memory together with
// the headers: a small one, which it has read before there can be an answer. Of a larger one it is counted how
// much was taken.
func (p *payload) lend() (body io.ReadCloser, over func() error) {
	if b, ok := p.from.(*bytes.Reader); ok && b.Size() == p.size && p.size <= atOnce/2 {
		own := *b
		return io.NopCloser(&own), func() error { return nil }
	}
	p.counted = true
	l := &loan{of: p}
	return l, l.Close
}

// A loan is a body for the time of one try. net/http may go on reading a body when the answer has
// come already; then it gets no more of it.
type loan struct {
	mu sync.Mutex
	of *payload // nil: it is over
}

var errLoanOver = errors.New("the try is over")

// Read implements io.Reader.
func (l *loan) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		return 0, errLoanOver
	}
	return l.of.Read(b)
}

// Close implements io.Closer.
func (l *loan) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of = nil
	return nil
}

// A refused is an answer of no success, in the terms of the SDK.
type refused struct {
	status        int
	code, message string
	marker        bool // the newest version is a delete marker
}

// ErrorCode implements smithy.APIError.
func (e *refused) ErrorCode() string { return e.code }

// ErrorMessage implements smithy.APIError.
func (e *refused) ErrorMessage() string { return e.message }

// ErrorFault implements smithy.APIError.
func (e *refused) ErrorFault() smithy.ErrorFault { return smithy.FaultUnknown }

// HTTPStatusCode is by what the SDK judges whether another try may help.
func (e *refused) HTTPStatusCode() int { return e.status }

// Error implements error.
func (e *refused) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.message) }

// maxRefusal bounds the bytes that are read of an answer of no success.
const maxRefusal = 64 << 10

// refusal reads an answer of no success. One that no S3 server wrote has its status only.
func refusal(resp *http.Response) *refused {
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what does not come is not said
	said := struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{}
	if xml.Unmarshal(body, &said) != nil {
		said.Code, said.Message = "", ""
	}
	return &refused{resp.StatusCode, said.Code, said.Message, resp.Header.Get("X-Amz-Delete-Marker") == "true"}
}

// A route is where requests to a bucket go, and how they are signed.
type route struct {
	scheme, host    string
	path, raw       string // before the key, ending in "/"
	service, region string // of the signature; empty: there is none
}

// url is the address of a key, or of the bucket if it is empty.
func (r *route) url(key, query string) *url.URL {
	u := &url.URL{Scheme: r.scheme, Host: r.host, Path: r.path + key, RawPath: r.raw + escape(key), RawQuery: query}
	if key == "" && r.path != "/" {
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
	}
	return u
}

// escape escapes a key as S3 wants it to be signed: all but letters, digits and -._~/.
func escape(key string) string {
	const digits = "0123456789ABCDEF"
	plain := true
	for i := range len(key) {
		plain = plain && unreserved(key[i])
	}
	if plain {
		return key
	}
	var b strings.Builder
	for i := range len(key) {
		if c := key[i]; unreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/", c) >= 0
}

// withoutUsualPort is the host of a URL as it is signed: with its port only if that is not the usual one.
func withoutUsualPort(u *url.URL) string {
	return strings.TrimSuffix(u.Host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
}

// route returns the route to a bucket, which is found once for each region it is thought to be in.
// It is nil where only the SDK can sign requests.
func (s *S3) route(ctx context.Context, bucket string) (*route, error) {
	at := [2]string{bucket, s.regionOf(s.other(bucket))}
	if known, ok := s.routes.Load(at); ok {
		return known.(*route), nil
	}
	r, err := s.findRoute(ctx, bucket)
	if err == nil {
		s.routes.Store(at, r)
	}
	return r, err
}

// probe is the key of the request that shows a route.
const probe = "k"

// findRoute has the SDK make and sign a request, which is not sent, and looks where it would go.
func (s *S3) findRoute(ctx context.Context, bucket string) (*route, error) {
	if s.sdkOnly {
		return nil, nil
	}
	key, c := probe, call{op: headObject, key: probe, other: s.other(bucket)}
	var caught *http.Request
	_, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key}, s.directed(c), catch(&caught))
	if !errors.Is(err, errCaught) {
		return nil, err
	}
	return routeOf(caught), nil
}

// routeOf reads a route off a signed request for the key of a probe.
func routeOf(req *http.Request) *route {
	path, ok := strings.CutSuffix(req.URL.Path, probe)
	raw, ok2 := strings.CutSuffix(req.URL.EscapedPath(), probe)
	r := &route{scheme: req.URL.Scheme, host: withoutUsualPort(req.URL), path: path, raw: raw}
	auth := req.Header.Get("Authorization")
	if auth == "" {
		return r
	}
	_, credential, ok3 := strings.Cut(auth, "AWS4-HMAC-SHA256 Credential=")
	credential, _, _ = strings.Cut(credential, ",")
	scope := strings.Split(credential, "/") // key, which may have any character, day, region, service, aws4_request
	if !ok || !ok2 || !ok3 || len(scope) < 5 {
		return nil
	}
	r.region, r.service = scope[len(scope)-3], scope[len(scope)-2]
	return r
}
