package flat_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// transport takes bodies as they come.
var transport = &http.Transport{DisableCompression: true}

// headers are pairs of name and value.
type headers []string

// send sends a request about an object, or about the bucket where the key is empty.
func send(t *testing.T, s *flat.Server, method, key, query string, h headers, body string) (int, http.Header, string) {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path, u.RawQuery = "/bucket", query
	if key != "" {
		u.Path += "/" + key
	}
	r, err := http.NewRequestWithContext(t.Context(), method, u.String(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.URL = u
	for i := 0; i < len(h); i += 2 {
		r.Header.Set(h[i], h[i+1])
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Amz-Request-Id") == "" {
		t.Errorf("%s %s: no request id", method, key)
	}
	return resp.StatusCode, resp.Header, string(got)
}

// outcome is the status of an answer, and the code of an error.
func outcome(status int, body string) string {
	var e struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}
	xml.Unmarshal([]byte(body), &e) // what is no error has no code
	return strings.TrimSpace(fmt.Sprint(status, " ", e.Code))
}

// A step is a request and the outcome that it must have.
type step struct {
	method, key, query string
	h                  headers
	body               string
	want               string
}

func run(t *testing.T, s *flat.Server, steps []step) {
	t.Helper()
	for _, q := range steps {
		status, _, body := send(t, s, q.method, q.key, q.query, q.h, q.body)
		if got := outcome(status, body); got != q.want {
			t.Errorf("%s %q ?%s %v: %s; want %s\n%s", q.method, q.key, q.query, q.h, got, q.want, body)
		}
	}
}

const (
	hello    = `"5d41402abc4b2a76b9719d911017c592"` // the ETag of "hello"
	longAgo  = "Mon, 02 Jan 2006 15:04:05 GMT"
	farAhead = "Wed, 02 Jan 2086 15:04:05 GMT"
	source   = "X-Amz-Copy-Source"
)

func TestOutcomes(t *testing.T) {
	s := flat.Start(t, "bucket")
	s.Put("bucket", "k", flat.Object{Body: []byte("hello")})
	s.Put("bucket", "cold", flat.Object{Body: []byte("hello"), Class: "GLACIER"})
	s.Put("bucket", "thawed", flat.Object{Body: []byte("hello"), Class: "DEEP_ARCHIVE", Restored: true})
	run(t, s, []step{
		{"GET", "k", "", nil, "", "200"},
		{"GET", "none", "", nil, "", "404 NoSuchKey"},
		{"HEAD", "none", "", nil, "", "404"},
		{"GET", "k", "versionId=x", nil, "", "404 NoSuchVersion"},
		{"GET", "k", "attributes", nil, "", "501 NotImplemented"},
		{"PATCH", "k", "", nil, "", "501 NotImplemented"},
		{"GET", "\xff", "", nil, "", "400 InvalidURI"},
		{"PUT", strings.Repeat("k", 1025), "", nil, "", "400 KeyTooLongError"},
		{"GET", "k", "", headers{"If-Match", hello}, "", "200"},
		{"GET", "k", "", headers{"If-Match", "*"}, "", "200"},
		{"GET", "k", "", headers{"If-Match", `"00", ` + hello}, "", "200"},
		{"GET", "k", "", headers{"If-Match", `"00"`}, "", "412 PreconditionFailed"},
		{"GET", "k", "", headers{"If-None-Match", hello}, "", "304"},
		{"HEAD", "k", "", headers{"If-None-Match", hello}, "", "304"},
		{"GET", "k", "", headers{"If-Modified-Since", farAhead}, "", "304"},
		{"GET", "k", "", headers{"If-Modified-Since", longAgo}, "", "200"},
		{"GET", "k", "", headers{"If-Unmodified-Since", longAgo}, "", "412 PreconditionFailed"},
		{"GET", "k", "", headers{"If-Unmodified-Since", longAgo, "If-Match", hello}, "", "200"},
		{"GET", "k", "partNumber=1", nil, "", "206"},
		{"GET", "k", "partNumber=2", nil, "", "416 InvalidPartNumber"},
		{"GET", "k", "partNumber=0", nil, "", "400 InvalidArgument"},
		{"GET", "cold", "", nil, "", "403 InvalidObjectState"},
		{"HEAD", "cold", "", nil, "", "200"},
		{"GET", "thawed", "", nil, "", "200"},
		{"PUT", "copy", "", headers{source, "/bucket/cold"}, "", "403 ObjectNotInActiveTierError"},
		{"PUT", "k", "", headers{"If-None-Match", "*"}, "", "412 PreconditionFailed"},
		{"PUT", "k", "", headers{"If-None-Match", hello}, "", "501 NotImplemented"},
		{"PUT", "k", "", headers{"If-Match", `"00"`}, "", "412 PreconditionFailed"},
		{"PUT", "none", "", headers{"If-Match", hello}, "", "404 NoSuchKey"},
		{"PUT", "k", "", headers{"X-Amz-Storage-Class", "WARM"}, "", "400 InvalidStorageClass"},
		{"PUT", "k", "", headers{"X-Amz-Server-Side-Encryption", "ROT13"}, "", "400 InvalidEncryptionAlgorithmError"},
		{"PUT", "k", "", headers{"X-Amz-Acl", "everybody"}, "", "400 InvalidArgument"},
		{"PUT", "k", "", headers{"X-Amz-Acl", "private", "X-Amz-Grant-Read", "id=x"}, "", "400 InvalidRequest"},
		{"PUT", "k", "", headers{"X-Amz-Tagging", "a=1&a=2"}, "", "400 InvalidArgument"},
		{"PUT", "k", "", headers{"X-Amz-Tagging", "a&b&c&d&e&f&g&h&i&j&k"}, "", "400 BadRequest"},
		{"PUT", "k", "", headers{"X-Amz-Meta-M", strings.Repeat("x", 2048)}, "", "400 MetadataTooLarge"},
		{"DELETE", "k", "", headers{"If-Match", `"00"`}, "", "412 PreconditionFailed"},
		{"DELETE", "none", "", headers{"If-Match", `"00"`}, "", "204"},
		{"GET", "", "list-type=2&max-keys=x", nil, "", "400 InvalidArgument"},
		{"GET", "", "list-type=2&max-keys=-1", nil, "", "400 InvalidArgument"},
		{"GET", "", "list-type=2&continuation-token=%2F", nil, "", "400 InvalidArgument"},
		{"GET", "", "list-type=2&encoding-type=x", nil, "", "400 InvalidArgument"},
		{"GET", "", "location", nil, "", "200"},
		{"GET", "", "policy", nil, "", "501 NotImplemented"},
		{"HEAD", "", "", nil, "", "200"},
		{"PUT", "", "", nil, "", "409 BucketAlreadyOwnedByYou"},
		{"POST", "", "delete", nil, "<Delete/>", "400 InvalidRequest"},
		{"POST", "", "delete", headers{"Content-Md5", "aaaa"}, "<Delete/>", "400 InvalidDigest"},
		{"PUT", "k", "tagging", nil, "<Tagging>", "400 MalformedXML"},
		{"PUT", "none", "tagging", nil, "<Tagging/>", "404 NoSuchKey"},
		{"PUT", "k", "acl", nil, "", "501 NotImplemented"},
		{"PUT", "k", "acl", headers{"X-Amz-Acl", "public-read"}, "", "200"},
		{"DELETE", "k", "uploadId=x", nil, "", "404 NoSuchUpload"},
		{"DELETE", "k", "", headers{"If-Match", hello}, "", "204"},
		{"GET", "k", "", nil, "", "404 NoSuchKey"},
	})
	s.Put("other", "k", flat.Object{})
	if got := s.Keys("bucket"); fmt.Sprint(got) != "[cold thawed]" {
		t.Errorf("left are %q", got)
	}
}

func TestHeaders(t *testing.T) {
	s := flat.Start(t, "bucket")
	sent := headers{
		"Content-Type", "text/x", "Content-Encoding", "gzip,aws-chunked", "Content-Language", "la", "Content-Disposition", "inline",
		"Cache-Control", "no-store", "Expires", farAhead, "X-Amz-Website-Redirect-Location", "/x", "X-Amz-Meta-Some-Name", "A b",
		"X-Amz-Server-Side-Encryption", "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "id",
		"X-Amz-Storage-Class", "GLACIER_IR", "X-Amz-Tagging", "a=1&b=2", "X-Amz-Grant-Read", `uri="x"`,
	}
	status, h, body := send(t, s, "PUT", "k", "", sent, "hello")
	if status != 200 || h.Get("X-Amz-Server-Side-Encryption") != "aws:kms" || h.Get("ETag") == hello || h.Get("X-Amz-Checksum-Crc64nvme") == "" {
		t.Fatal(status, h, body)
	}
	stored, _ := s.Object("bucket", "k")
	sent[3] = "gzip"
	for _, method := range []string{"GET", "HEAD"} {
		_, got, body := send(t, s, method, "k", "", headers{"X-Amz-Checksum-Mode", "ENABLED"}, "")
		for i := 0; i < 22; i += 2 {
			if got.Get(sent[i]) != sent[i+1] {
				t.Errorf("%s: %s is %q; want %q", method, sent[i], got.Get(sent[i]), sent[i+1])
			}
		}
		if got.Get("X-Amz-Tagging-Count") != "2" || got.Get("X-Amz-Checksum-Crc64nvme") != stored.Checksums["CRC64NVME"] || got.Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
			t.Errorf("%s: %v", method, got)
		}
		if got.Get("Content-Length") != "5" || got.Get("Etag") != h.Get("ETag") || method == "GET" && body != "hello" {
			t.Errorf("%s: %q, %v", method, body, got)
		}
	}
	if stored.ACL.Get("X-Amz-Grant-Read") != `uri="x"` {
		t.Errorf("ACL %v", stored.ACL)
	}
	// Without the mode, and for ranges, there is no checksum.
	for _, h := range []headers{nil, {"X-Amz-Checksum-Mode", "ENABLED", "Range", "bytes=1-2"}} {
		if _, got, _ := send(t, s, "GET", "k", "", h, ""); got.Get("X-Amz-Checksum-Crc64nvme") != "" {
			t.Errorf("%v: %v", h, got)
		}
	}
}

func TestAnonymous(t *testing.T) {
	s := flat.New("bucket")
	s.RefuseAnonymous = true
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	run(t, s, []step{
		{"PUT", "k", "", nil, "hello", "403 AccessDenied"},
		{"PUT", "k", "", headers{"Authorization", "AWS4-HMAC-SHA256 Credential=x"}, "hello", "200"},
		{"GET", "k", "X-Amz-Signature=x", nil, "", "200"},
	})
}

func TestFailAndRequests(t *testing.T) {
	s := flat.Start(t, "bucket")
	s.Fail(func(r flat.Request) *flat.Failure {
		if r.Operation == "PutObject" && r.Key == "bad" {
			return &flat.Failure{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."}
		}
		return nil
	})
	large := strings.Repeat("x", 4<<20)
	run(t, s, []step{
		{"PUT", "bad", "", headers{"X-Amz-Meta-A", "b"}, large, "503 SlowDown"},
		{"PUT", "good", "", nil, large, "200"},
		{"HEAD", "bad", "", nil, "", "404"},
	})
	got := s.Requests()
	if len(got) != 3 || got[0].Status != 503 || got[0].Size != 4<<20 || got[0].Header.Get("X-Amz-Meta-A") != "b" || got[0].Header.Get("Host") == "" {
		t.Fatalf("%+v", got)
	}
	if fmt.Sprint(s.Counts()) != "map[HeadObject:1 PutObject:2]" {
		t.Errorf("%v", s.Counts())
	}
	s.Fail(nil)
	s.Reset()
	run(t, s, []step{{"PUT", "bad", "", nil, "", "200"}})
	if len(s.Requests()) != 1 {
		t.Errorf("%+v", s.Requests())
	}
}

func TestDeleteObjects(t *testing.T) {
	s := flat.Start(t, "bucket")
	for _, key := range []string{"a", "b", "c&"} {
		s.Put("bucket", key, flat.Object{Body: []byte("hello")})
	}
	doc := `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>a</Key></Object><Object><Key>b</Key><ETag>"00"</ETag></Object>` +
		`<Object><Key>c&amp;</Key><ETag>` + hello + `</ETag></Object></Delete>`
	h := headers{"X-Amz-Checksum-Crc32", sum("CRC32", doc)}
	status, _, body := send(t, s, "POST", "", "delete", h, doc)
	var out struct {
		Deleted []struct{ Key string }
		Error   []struct{ Key, Code string }
	}
	if err := xml.Unmarshal([]byte(body), &out); err != nil || fmt.Sprint(out) != "{[{a} {c&}] [{b PreconditionFailed}]}" {
		t.Errorf("%d, %v, %s", status, err, body)
	}
	run(t, s, []step{{"POST", "", "delete", h, doc + " ", "400 BadDigest"}})
	var many bytes.Buffer
	many.WriteString("<Delete>")
	for i := range 1001 {
		fmt.Fprintf(&many, "<Object><Key>%d</Key></Object>", i)
	}
	many.WriteString("</Delete>")
	run(t, s, []step{{"POST", "", "delete", headers{"X-Amz-Checksum-Crc32", sum("CRC32", many.String())}, many.String(), "400 MalformedXML"}})
	if fmt.Sprint(s.Keys("bucket")) != "[b]" {
		t.Errorf("left %q", s.Keys("bucket"))
	}
	s.Fail(func(r flat.Request) *flat.Failure {
		if r.Operation == "DeleteObject" && r.Key == "a" {
			return &flat.Failure{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return nil
	})
	s.HeedlessBatch = true // no request is under way
	s.Put("bucket", "a", flat.Object{})
	if _, _, body := send(t, s, "POST", "", "delete", h, doc); !strings.Contains(body, "<Key>a</Key><Code>AccessDenied</Code>") {
		t.Errorf("a delete that is denied: %s", body)
	}
	if fmt.Sprint(s.Keys("bucket")) != "[a]" {
		t.Errorf("without conditions, left %q", s.Keys("bucket"))
	}
}
