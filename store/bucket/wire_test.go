package bucket_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// obliging answers every request with success and keeps nothing.
func obliging(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	q := r.URL.Query()
	copies := r.Header.Get("X-Amz-Copy-Source") != ""
	switch {
	case q.Has("uploads"):
		io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>")
	case q.Has("delete"):
		io.WriteString(w, "<DeleteResult><Deleted><Key>key</Key></Deleted></DeleteResult>")
	case q.Has("list-type"):
		listing(w, "")
	case q.Has("tagging") && r.Method == http.MethodGet:
		io.WriteString(w, "<Tagging><TagSet><Tag><Key>b c</Key><Value>+</Value></Tag><Tag><Key>a</Key><Value></Value></Tag></TagSet></Tagging>")
	case q.Has("uploadId") && copies:
		io.WriteString(w, `<CopyPartResult><ETag>"p"</ETag><ChecksumSHA256>of the part</ChecksumSHA256></CopyPartResult>`)
	case copies:
		io.WriteString(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
	case q.Has("uploadId") && r.Method == http.MethodPost:
		io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("ETag", `"e"`)
	}
}

// observe opens a bucket at a server, and has what it is asked recorded.
func observe(t *testing.T, c bucket.Config, server http.HandlerFunc) (*bucket.S3, *buckettest.Recorder) {
	t.Helper()
	behind := httptest.NewServer(server)
	t.Cleanup(behind.Close)
	r, err := buckettest.Record(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	c.Endpoint = r.URL()
	return at(t, c), r
}

// boilerplate are the headers that every request has or that other tests look at.
var boilerplate = []string{"X-Amz-Date", "X-Amz-Content-Sha256", "Content-Length", "X-Amz-Checksum-Crc32", "Content-Md5"}

// said are the telling headers of the only request of a kind.
func said(t *testing.T, r *buckettest.Recorder, kind string) map[string]string {
	t.Helper()
	var found map[string]string
	for _, q := range r.Requests() {
		if q.Kind != kind {
			continue
		}
		if found != nil {
			t.Errorf("more than one %s", kind)
		}
		found = make(map[string]string)
		for name := range q.Header {
			if !slices.Contains(boilerplate, name) {
				found[name] = q.Header.Get(name)
			}
		}
	}
	if found == nil {
		t.Errorf("no %s", kind)
	}
	return found
}

// The keys of customers, of an object and of the source of a copy.
var (
	customer       = &bucket.CustomerKey{Algorithm: "AES256", Key: bytes.Repeat([]byte("k"), 32)}
	sourceCustomer = &bucket.CustomerKey{Algorithm: "AES256", Key: bytes.Repeat([]byte("s"), 32)}
)

var (
	customerSaid = map[string]string{
		"X-Amz-Server-Side-Encryption-Customer-Algorithm": "AES256",
		"X-Amz-Server-Side-Encryption-Customer-Key":       "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
		"X-Amz-Server-Side-Encryption-Customer-Key-Md5":   "mT2HRsMGJ5IX5C+0rreZ8Q==",
	}
	sourceSaid = map[string]string{
		"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm": "AES256",
		"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key":       "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M=",
		"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key-Md5":   "IEDLbNZE6yCm6d8DUnTp6Q==",
	}
	headersSaid = map[string]string{
		"Content-Type": "text/plain", "Content-Encoding": "gzip", "Content-Language": "la", "Content-Disposition": "inline",
		"Cache-Control": "no-store", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
		"X-Amz-Website-Redirect-Location": "http://x", "X-Amz-Meta-A": "b", "X-Amz-Meta-Empty": "",
	}
	termsSaid = map[string]string{
		"X-Amz-Acl": "private", "X-Amz-Grant-Read": "id=1", "X-Amz-Grant-Read-Acp": "id=2", "X-Amz-Grant-Write-Acp": "id=3",
		"X-Amz-Grant-Full-Control": "id=4", "X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Server-Side-Encryption": "aws:kms",
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "kms-id",
	}
	payerSaid = map[string]string{"X-Amz-Request-Payer": "requester"}
)

func together(parts ...map[string]string) map[string]string {
	all := make(map[string]string)
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

// everything are options with all that can be said.
func everything() bucket.PutOptions {
	return bucket.PutOptions{
		Headers: bucket.Headers{
			ContentType: "text/plain", ContentEncoding: "gzip", ContentLanguage: "la", ContentDisposition: "inline",
			CacheControl: "no-store", Expires: "Thu, 01 Jan 2099 00:00:00 GMT", WebsiteRedirect: "http://x",
			Metadata: map[string]string{"a": "b", "empty": ""},
		},
		Terms: bucket.Terms{
			ACL: "private", GrantRead: "id=1", GrantReadACP: "id=2", GrantWriteACP: "id=3", GrantFullControl: "id=4",
			Class: "STANDARD_IA", Encryption: "aws:kms", KMSKey: "kms-id", Customer: customer, Checksum: "SHA256",
		},
	}
}

const sha256OfBody = "Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU="

// What aws says in a request is said in it, and nothing else.
func TestEverythingOnTheWire(t *testing.T) {
	s, r := observe(t, bucket.Config{RequestPayer: "requester", PageSize: 7}, obliging)
	ctx := t.Context()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	_, err := s.Put(ctx, "key", strings.NewReader("body"), 4, everything())
	fail(err)
	u, err := s.Upload(ctx, "key", everything())
	fail(err)
	fail(u.Part(ctx, 1, strings.NewReader("body"), 4, crc64nvme.Checksum([]byte("body"))))
	_, err = u.Complete(ctx)
	fail(err)
	fail(u.Abort(ctx))
	body, _, err := s.Get(ctx, "key", bucket.GetOptions{Customer: customer})
	fail(err)
	body.Close()
	_, err = s.Head(ctx, "key", bucket.HeadOptions{Customer: customer})
	fail(err)
	_, err = s.Copy(ctx, bucket.Source{Bucket: "other", Key: "a b", IfMatch: "m", Customer: sourceCustomer}, "key", bucket.CopyOptions{
		PutOptions: tagged(everything()), MetadataDirective: "REPLACE", TaggingDirective: "REPLACE", NoAnnotations: true,
	})
	fail(err)
	fail(s.Delete(ctx, "key", bucket.Condition{}))
	for _, err := range s.List(ctx, "p/", "") {
		fail(err)
	}
	tags, err := s.Tags(ctx, "key")
	fail(err)
	if tags != "b%20c=%2B&a=" {
		t.Errorf("tags are %q", tags)
	}
	fail(s.SetTags(ctx, "key", tags))
	fail(s.DeleteAll(ctx, []bucket.Deletion{{Key: "key"}})["key"])
	xml := map[string]string{"Content-Type": "application/xml"}
	named := map[string]string{"X-Amz-Sdk-Checksum-Algorithm": "SHA256", "X-Amz-Checksum-Sha256": sha256OfBody}
	algorithm := map[string]string{"X-Amz-Checksum-Algorithm": "SHA256"}
	mode := map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}
	wanted := map[string]map[string]string{
		"PutObject":               together(headersSaid, termsSaid, customerSaid, named),
		"CreateMultipartUpload":   together(headersSaid, termsSaid, customerSaid, algorithm),
		"UploadPart":              together(customerSaid, named),
		"CompleteMultipartUpload": together(customerSaid, xml, map[string]string{"X-Amz-Mp-Object-Size": "4"}),
		"AbortMultipartUpload":    nil,
		"GetObject":               together(customerSaid, mode),
		"HeadObject":              together(customerSaid, mode),
		"CopyObject": together(headersSaid, termsSaid, customerSaid, sourceSaid, algorithm, map[string]string{
			"X-Amz-Copy-Source": "other/a%20b", "X-Amz-Copy-Source-If-Match": `"m"`,
			"X-Amz-Metadata-Directive": "REPLACE", "X-Amz-Tagging-Directive": "REPLACE", "X-Amz-Tagging": "a=1",
		}),
		"DeleteObject":     nil,
		"DeleteObjects":    xml,
		"ListObjectsV2":    nil,
		"GetObjectTagging": nil,
		"PutObjectTagging": xml,
	}
	for kind, headers := range wanted {
		if got, want := said(t, r, kind), together(headers, payerSaid); !maps.Equal(got, want) {
			t.Errorf("%s says\n%s; want\n%s", kind, sortedLines(got), sortedLines(want))
		}
	}
	for _, q := range r.Requests() {
		if q.Kind == "ListObjectsV2" && q.Query != "encoding-type=url&list-type=2&max-keys=7&prefix=p%2F" {
			t.Errorf("listing asks for %s", q.Query)
		}
	}
}

func sortedLines(m map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "\t%s: %s\n", name, m[name])
	}
	return b.String()
}

func tagged(o bucket.PutOptions) bucket.PutOptions {
	o.Tags = "a=1"
	return o
}
