package bucket_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// secure is a server with a certificate that nobody knows.
func secure(t *testing.T, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handle)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused handshakes
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// Where requests go, if not to a server that is named.
func TestAmazonsEndpoints(t *testing.T) {
	const arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/point"
	tests := []struct {
		bucket string
		c      bucket.Config
		url    string
	}{
		{"bucket", bucket.Config{}, "bucket.s3.us-east-1.amazonaws.com/key"},
		{"bucket", bucket.Config{Region: "eu-west-1"}, "bucket.s3.eu-west-1.amazonaws.com/key"},
		{"bucket", bucket.Config{Region: "eu-west-1", Addressing: bucket.AddressPath}, "s3.eu-west-1.amazonaws.com/bucket/key"},
		{"bucket", bucket.Config{Region: "eu-west-1", DualStack: new(true)}, "bucket.s3.dualstack.eu-west-1.amazonaws.com/key"},
		{"bucket", bucket.Config{Region: "eu-west-1", DualStack: new(false)}, "bucket.s3.eu-west-1.amazonaws.com/key"},
		{"bucket", bucket.Config{Accelerate: true}, "bucket.s3-accelerate.amazonaws.com/key"},
		{"bucket", bucket.Config{Accelerate: true, Addressing: bucket.AddressPath}, "bucket.s3-accelerate.amazonaws.com/key"},
		{"bucket", bucket.Config{Accelerate: true, DualStack: new(true)}, "bucket.s3-accelerate.dualstack.amazonaws.com/key"},
		{"dotted.bucket", bucket.Config{}, "s3.us-east-1.amazonaws.com/dotted.bucket/key"},
		{arn, bucket.Config{Region: "eu-west-1"}, "point-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/key"},
		{arn, bucket.Config{Region: "us-east-2"}, "point-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/key"},
		{arn, bucket.Config{Addressing: bucket.AddressPath}, "point-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/key"},
		{"arn:aws:s3::123456789012:accesspoint:mfzwi23gnjvgw.mrap", bucket.Config{}, "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com/key"},
	}
	var url, authorization, region, annotations string
	server := secure(t, func(w http.ResponseWriter, r *http.Request) {
		url, annotations = r.Host+r.URL.Path, r.Header.Get("X-Amz-Annotation-Directive")
		authorization = r.Header.Get("Authorization")
		_, region, _ = strings.Cut(authorization, "Credential=key/")
		obliging(w, r)
	})
	for _, test := range tests {
		test.c.AccessKey, test.c.SecretKey, test.c.NoVerifyTLS, test.c.Sleep = "key", "secret", true, buckettest.NoSleep
		s, err := bucket.Open(t.Context(), test.c, test.bucket)
		if err != nil {
			t.Fatal(err)
		}
		s.DialTo(server.Listener.Addr().String())
		if _, err := s.Head(t.Context(), "key", bucket.HeadOptions{}); err != nil || url != test.url {
			t.Errorf("%s, %+v: asked %s, %v; want %s", test.bucket, test.c, url, err, test.url)
		}
		if scheme := "AWS4-HMAC-SHA256 "; !strings.Contains(test.bucket, ".mrap") != strings.HasPrefix(authorization, scheme) {
			t.Errorf("%s: signed as %s", test.bucket, authorization)
		}
		if strings.HasPrefix(test.bucket, arn) && !strings.Contains(region, "/eu-west-1/s3/") {
			t.Errorf("signed for %s", region)
		}
		_, err = s.Copy(t.Context(), bucket.Source{Key: "src"}, "key", bucket.CopyOptions{NoAnnotations: true})
		if err != nil || annotations != "EXCLUDE" {
			t.Errorf("%s, %+v: copied with annotations %q, %v", test.bucket, test.c, annotations, err)
		}
		s.Close()
	}
}

func TestEndpointsOfOthers(t *testing.T) {
	c := bucket.Config{Endpoint: "http://127.0.0.1:1", AccessKey: "key", Accelerate: true}
	if _, err := bucket.Open(t.Context(), c, "bucket"); err == nil || !strings.Contains(err.Error(), "A custom endpoint cannot be combined with S3 Accelerate") {
		t.Errorf("accelerated: %v", err)
	}
	s, r := observe(t, bucket.Config{DualStack: new(true)}, obliging)
	if _, err := s.Copy(t.Context(), bucket.Source{Key: "src"}, "key", bucket.CopyOptions{NoAnnotations: true}); err != nil {
		t.Fatal(err)
	}
	if _, sent := said(t, r, "CopyObject")["X-Amz-Annotation-Directive"]; sent {
		t.Error("the server is told about annotations")
	}
}

func TestCopyFromAccessPoint(t *testing.T) {
	s, r := observe(t, bucket.Config{}, obliging)
	src := bucket.Source{Bucket: "arn:aws:s3:eu-west-1:123456789012:accesspoint/point", Key: "a/b c"}
	if _, err := s.Copy(t.Context(), src, "key", bucket.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	const want = "arn%3Aaws%3As3%3Aeu-west-1%3A123456789012%3Aaccesspoint/point/object/a/b%20c"
	if got := said(t, r, "CopyObject")["X-Amz-Copy-Source"]; got != want {
		t.Errorf("copied from %q; want %q", got, want)
	}
}

func TestTrust(t *testing.T) {
	server := secure(t, obliging)
	dir := t.TempDir()
	good, none := filepath.Join(dir, "good.pem"), filepath.Join(dir, "none.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, text := range map[string][]byte{good: text, none: []byte("nothing")} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name        string
		c           bucket.Config
		env         string
		opens, asks bool
	}{
		{"the system's", bucket.Config{}, "", true, false},
		{"any", bucket.Config{NoVerifyTLS: true}, "", true, true},
		{"bundle", bucket.Config{CABundle: good}, "", true, true},
		{"bundle of the environment", bucket.Config{}, good, true, true},
		{"any, and a bundle that is not there", bucket.Config{NoVerifyTLS: true, CABundle: filepath.Join(dir, "missing")}, "", true, true},
		{"missing bundle", bucket.Config{CABundle: filepath.Join(dir, "missing")}, "", false, false},
		{"empty bundle", bucket.Config{CABundle: none}, "", false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			isolate(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "key")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			t.Setenv("AWS_CA_BUNDLE", test.env)
			test.c.Endpoint, test.c.Sleep = server.URL, buckettest.NoSleep
			keys := []string{"", "key"}
			if test.env != "" {
				keys = keys[:1] // with a key in hand, nothing else is asked
			}
			for _, key := range keys {
				test.c.AccessKey, test.c.SecretKey = key, "secret"
				s, err := bucket.Open(t.Context(), test.c, "bucket")
				if (err == nil) != test.opens {
					t.Fatalf("open: %v", err)
				}
				if err != nil {
					continue
				}
				if _, err := s.Head(t.Context(), "key", bucket.HeadOptions{}); (err == nil) != test.asks {
					t.Errorf("head: %v", err)
				}
				s.Close()
			}
		})
	}
}

// What nobody must read stands nowhere.
func TestCustomerKeyIsNotPrinted(t *testing.T) {
	key := bucket.CustomerKey{Algorithm: "AES256", Key: []byte("0123456789abcdef0123456789abcdef")}
	o := bucket.PutOptions{Terms: bucket.Terms{Customer: &key}}
	var lines []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusServiceUnavailable, "SlowDown", "")
	}))
	t.Cleanup(server.Close)
	s := at(t, bucket.Config{Endpoint: server.URL, Debug: func(line string) { lines = append(lines, line) }})
	_, err := s.Put(t.Context(), "key", strings.NewReader("body"), 4, o)
	texts := append(lines, fmt.Sprint(err), fmt.Sprintf("%+v %#v", err, err))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, value := range []any{key, &key, o, &o, o.Terms, bucket.Source{Customer: &key}, bucket.GetOptions{Customer: &key}, []bucket.CustomerKey{key}} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
	}
	encoded := []string{"0123456789abcdef", "MDEyMzQ1", "30313233", "48 49 50", "0x30, 0x31"}
	for _, text := range texts {
		for _, secret := range encoded {
			if strings.Contains(text, secret) {
				t.Errorf("%q tells the key", text)
			}
		}
	}
	if len(lines) != 9 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

func TestDebug(t *testing.T) {
	var lines []string
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("list-type") {
			listing(w, "")
			return
		}
		answer(w, status, "SlowDown", "Please reduce your request rate.")
		status = http.StatusForbidden
	}))
	t.Cleanup(server.Close)
	s := at(t, bucket.Config{Endpoint: server.URL, Debug: func(line string) { lines = append(lines, line) }})
	s.Head(t.Context(), "a b", bucket.HeadOptions{})
	for range s.List(t.Context(), "p/", "") {
	}
	want := []string{
		"HEAD " + server.URL + "/bucket/a%20b: 503 in ",
		`HeadObject "a b": retry 1 in `,
		"HEAD " + server.URL + "/bucket/a%20b: 403 in ",
		"GET " + server.URL + "/bucket?encoding-type=url&list-type=2&prefix=p%2F: 200 in ",
	}
	if !slices.EqualFunc(lines, want, strings.HasPrefix) {
		t.Errorf("lines are\n%s; want\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(lines[1], "after: An error occurred (503) when calling the HeadObject operation: Service Unavailable") {
		t.Errorf("reason is %s", lines[1])
	}
}

func TestThrottled(t *testing.T) {
	for status, want := range map[int]int64{503: 5, 429: 5, 500: 0, 403: 0} {
		s := fake(t, func(w http.ResponseWriter, r *http.Request) { answer(w, status, "Some", "") })
		putNew(t.Context(), s, bucket.Condition{})
		if got := s.Throttled(); got != want {
			t.Errorf("status %d: throttled %d times; want %d", status, got, want)
		}
	}
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<DeleteResult><Error><Key>key</Key><Code>SlowDown</Code></Error></DeleteResult>")
	})
	if s.DeleteAll(t.Context(), []bucket.Deletion{{Key: "key"}}); s.Throttled() != 5 {
		t.Errorf("batch: throttled %d times", s.Throttled())
	}
}

// Each body is signed with its own hash where that is asked for, and then it is sent whole.
func TestSignPayload(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		sign *bool
		want string
	}{{&yes, "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5"}, {&no, "UNSIGNED-PAYLOAD"}, {nil, "UNSIGNED-PAYLOAD"}} {
		var bodies bytes.Buffer
		s, r := observe(t, bucket.Config{SignPayload: test.sign}, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				io.Copy(&bodies, r.Body)
			}
			obliging(w, r)
		})
		if _, err := s.Put(t.Context(), "key", strings.NewReader("body, and more"), 4, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		u, err := s.Upload(t.Context(), "key", bucket.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Part(t.Context(), 1, strings.NewReader("body"), 4, 0); err != nil {
			t.Fatal(err)
		}
		for _, q := range r.Requests() {
			if got := q.Header.Get("X-Amz-Content-Sha256"); q.Method == http.MethodPut && got != test.want {
				t.Errorf("%s is signed with %s; want %s", q.Kind, got, test.want)
			}
		}
		if bodies.String() != "bodybody" {
			t.Errorf("sent %q", bodies.String())
		}
	}
}
