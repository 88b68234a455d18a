package bucket

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signedBySDK is the header of a request as the SDK signs it.
func signedBySDK(t testing.TB, req *http.Request, creds aws.Credentials, hash, service, region string, now time.Time) http.Header {
	t.Helper()
	other := req.Clone(t.Context())
	sdk := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := sdk.SignHTTP(t.Context(), creds, other, hash, service, region, now); err != nil {
		t.Fatal(err)
	}
	if other.URL.RawQuery != req.URL.RawQuery {
		t.Fatalf("the query %q is not in canonical form, which is %q", req.URL.RawQuery, other.URL.RawQuery)
	}
	return other.Header
}

// Each request has the signature that the SDK gives it.
func FuzzSign(f *testing.F) {
	for seed := range uint64(20) {
		f.Add("a/b c/ü+*'()!~%2F", "text/html;  charset=utf-8 ", "x  y", seed)
	}
	f.Add("", "", "", uint64(0))
	s := &signer{}
	f.Fuzz(func(t *testing.T, key, kind, meta string, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := &route{scheme: "http", host: "127.0.0.1:9000", path: "/bucket/", raw: "/bucket/"}
		query := []string{"", "list-type=2&prefix=" + queryEscape(meta), "partNumber=3&uploadId=" + queryEscape(key)}[rnd.IntN(3)]
		req := (&http.Request{Method: http.MethodPut, URL: r.url(key, query), Host: r.host, Header: http.Header{
			"User-Agent": {"merkur"}, "X-Amz-Content-Sha256": {unsigned}, "X-Amz-Checksum-Crc64nvme": {"AAAAAAAAAAA="},
		}}).WithContext(t.Context())
		set(req.Header, "Content-Type", kind)
		set(req.Header, "X-Amz-Meta-Name", meta)
		if rnd.IntN(2) == 0 {
			req.Header["X-Amz-Meta-Many"] = []string{meta, kind}
			req.Header["Expect"] = []string{"100-continue"}
		}
		req.ContentLength = rnd.Int64N(3)
		creds := aws.Credentials{AccessKeyID: fmt.Sprint("key", rnd.IntN(2)), SecretAccessKey: fmt.Sprint("secret", rnd.IntN(2))}
		if rnd.IntN(2) == 0 {
			creds.SessionToken = "token"
		}
		now := time.Unix(1_700_000_000+rnd.Int64N(1e6), 0)
		service, region := []string{"s3", "s3express"}[rnd.IntN(2)], []string{"eu-west-1", "us-east-1"}[rnd.IntN(2)]
		want := signedBySDK(t, req, creds, unsigned, service, region, now)
		s.sign(req, creds, unsigned, service, region, now)
		for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
			if got := req.Header.Get(name); got != want.Get(name) {
				t.Errorf("%s is\n%s, want\n%s", name, got, want.Get(name))
			}
		}
	})
}

// BenchmarkSign signs a put as ask makes it, here and by the SDK.
func BenchmarkSign(b *testing.B) {
	r := &route{scheme: "http", host: "127.0.0.1:9000", path: "/bucket/", raw: "/bucket/"}
	creds := aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}
	request := func() *http.Request {
		return &http.Request{Method: http.MethodPut, URL: r.url("some/where/file", ""), Host: r.host, ContentLength: 4096, Header: http.Header{
			"User-Agent": {"merkur"}, "X-Amz-Content-Sha256": {unsigned}, "X-Amz-Checksum-Crc64nvme": {"AAAAAAAAAAA="},
			"Content-Type": {"text/plain"}, "If-None-Match": {"*"},
		}}
	}
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		s, req := &signer{}, request()
		for b.Loop() {
			s.sign(req, creds, unsigned, "s3", "us-east-1", time.Now())
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		s, req := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), request()
		for b.Loop() {
			if err := s.SignHTTP(b.Context(), creds, req, unsigned, "s3", "us-east-1", time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
