package flat_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"merkur/store/bucket/buckettest/flat"
)

// begin begins an upload of the key "k" and returns the query that names it.
func begin(t *testing.T, s *flat.Server, h headers) string {
	t.Helper()
	status, _, body := send(t, s, "POST", "k", "uploads", h, "")
	var out struct{ UploadId string }
	if err := xml.Unmarshal([]byte(body), &out); err != nil || status != 200 {
		t.Fatalf("%d, %v: %s", status, err, body)
	}
	return "uploadId=" + out.UploadId
}

// complete is the document that names parts: pairs of a number and what else it says.
func complete(parts ...string) string {
	var b strings.Builder
	b.WriteString(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for i := 0; i < len(parts); i += 2 {
		fmt.Fprintf(&b, "<Part><PartNumber>%s</PartNumber>%s</Part>", parts[i], parts[i+1])
	}
	return b.String() + "</CompleteMultipartUpload>"
}

func tag(etag string) string { return "<ETag>" + etag + "</ETag>" }

const world = `"7d793037a0760186574b0282f2f435e7"` // the ETag of "world"

func TestMultipart(t *testing.T) {
	s := flat.New("bucket")
	now := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	s.Now = func() time.Time { return now }
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Put("bucket", "src", flat.Object{Body: []byte("the world.")})
	id := begin(t, s, headers{"X-Amz-Meta-A", "b", "X-Amz-Tagging", "t=1", "X-Amz-Storage-Class", "STANDARD_IA", "Content-Type", "text/x"})
	both := complete("2", tag(hello), "7", tag(world))
	copies := func(h ...string) headers { return append(headers{source, "bucket/src"}, h...) }
	run(t, s, []step{
		{"PUT", "k", id + "&partNumber=2", nil, "hello", "200"},
		{"PUT", "k", id + "&partNumber=9", headers{"X-Amz-Checksum-Crc64nvme", sum("CRC64NVME", "other")}, "hello", "400 BadDigest"},
		{"PUT", "k", id + "&partNumber=9", headers{"X-Amz-Checksum-Sha1", sum("SHA1", "hello")}, "hello", "400 InvalidRequest"},
		{"PUT", "k", id + "&partNumber=0", nil, "hello", "400 InvalidArgument"},
		{"PUT", "other", id + "&partNumber=1", nil, "hello", "404 NoSuchUpload"},
		{"PUT", "k", id + "&partNumber=7", copies("X-Amz-Copy-Source-Range", "bytes=4-10"), "", "400 InvalidArgument"},
		{"PUT", "k", id + "&partNumber=7", copies("X-Amz-Copy-Source-If-Match", hello), "", "412 PreconditionFailed"},
		{"PUT", "k", id + "&partNumber=7", copies("X-Amz-Copy-Source-Range", "bytes=4-8"), "", "200"},
		{"GET", "k", "", nil, "", "404 NoSuchKey"},
		{"POST", "k", id, nil, "<x/>", "400 MalformedXML"},
		{"POST", "k", id, nil, complete("7", tag(world), "2", tag(hello)), "400 InvalidPartOrder"},
		{"POST", "k", id, nil, complete("2", tag(world)), "400 InvalidPart"},
		{"POST", "k", id, nil, complete("1", tag(hello)), "400 InvalidPart"},
		{"POST", "k", id, headers{"If-Match", hello}, both, "404 NoSuchKey"},
		{"POST", "k", id, headers{"X-Amz-Mp-Object-Size", "9"}, both, "400 InvalidRequest"},
		{"POST", "k", id, headers{"X-Amz-Checksum-Crc64nvme", sum("CRC64NVME", "other")}, both, "400 BadDigest"},
		{"POST", "k", id, headers{"X-Amz-Checksum-Crc64nvme", sum("CRC64NVME", "helloworld"), "X-Amz-Mp-Object-Size", "10", "If-None-Match", "*"}, both, "200"},
		{"POST", "k", id, nil, both, "404 NoSuchUpload"},
		{"GET", "k", "partNumber=3", nil, "", "416 InvalidPartNumber"},
	})
	o, _ := s.Object("bucket", "k")
	if string(o.Body) != "helloworld" || o.Tags["t"] != "1" || o.Headers.Get("X-Amz-Meta-A") != "b" || o.Class != "STANDARD_IA" || !o.Modified.Equal(now) {
		t.Errorf("%+v", o)
	}
	a, b := md5.Sum([]byte("hello")), md5.Sum([]byte("world"))
	if want := fmt.Sprintf("%x-2", md5.Sum(append(a[:], b[:]...))); o.ETag != want || fmt.Sprint(o.Parts) != "[5 5]" {
		t.Errorf("ETag %s, parts %v; want %s", o.ETag, o.Parts, want)
	}
	status, h, body := send(t, s, "GET", "k", "partNumber=2", nil, "")
	if status != 206 || body != "world" || h.Get("Content-Range") != "bytes 5-9/10" || h.Get("X-Amz-Mp-Parts-Count") != "2" || h.Get("X-Amz-Storage-Class") != "STANDARD_IA" {
		t.Errorf("%d, %q, %v", status, body, h)
	}
}

func TestMultipartChecksums(t *testing.T) {
	s := flat.Start(t, "bucket")
	part := func(algorithm, etag, body string) string {
		return tag(etag) + "<Checksum" + algorithm + ">" + sum(algorithm, body) + "</Checksum" + algorithm + ">"
	}
	raw := func(body string) string {
		b, _ := base64.StdEncoding.DecodeString(sum("SHA256", body))
		return string(b)
	}
	composite := sum("SHA256", raw("hello")+raw("world"))
	for _, test := range []struct {
		algorithm, kind, doc, whole string
		want                        string
	}{
		{"SHA256", "", complete("1", part("SHA256", hello, "hello"), "2", part("SHA256", world, "world")), composite, composite + "-2"},
		{"SHA256", "COMPOSITE", complete("1", part("SHA256", hello, "hello"), "2", part("SHA256", world, "world")), composite + "-2", composite + "-2"},
		{"CRC32", "FULL_OBJECT", complete("1", tag(hello), "2", tag(world)), sum("CRC32", "helloworld"), sum("CRC32", "helloworld")},
	} {
		name := "X-Amz-Checksum-" + test.algorithm
		h := headers{"X-Amz-Checksum-Algorithm", test.algorithm}
		if test.kind != "" {
			h = append(h, "X-Amz-Checksum-Type", test.kind)
		}
		id := begin(t, s, h)
		run(t, s, []step{
			{"PUT", "k", id + "&partNumber=1", headers{name, sum(test.algorithm, "hello")}, "hello", "200"},
			{"PUT", "k", id + "&partNumber=2", headers{name, sum(test.algorithm, "world")}, "world", "200"},
			{"PUT", "k", id + "&partNumber=3", headers{"X-Amz-Checksum-Sha1", sum("SHA1", "x")}, "x", "400 InvalidRequest"},
			{"POST", "k", id, headers{name, sum(test.algorithm, "other")}, test.doc, "400 BadDigest"},
			{"POST", "k", id, headers{name, test.whole}, test.doc, "200"},
		})
		if o, _ := s.Object("bucket", "k"); o.Checksums[test.algorithm] != test.want || len(o.Checksums) != 1 {
			t.Errorf("%s: %v; want %s", test.algorithm, o.Checksums, test.want)
		}
	}
	id := begin(t, s, headers{"X-Amz-Checksum-Algorithm", "SHA1"})
	run(t, s, []step{
		{"PUT", "k", id + "&partNumber=1", nil, "hello", "400 InvalidRequest"},
		{"PUT", "k", id + "&partNumber=1", headers{"X-Amz-Checksum-Sha1", sum("SHA1", "hello")}, "hello", "200"},
		{"POST", "k", id, nil, complete("1", tag(hello)), "400 InvalidRequest"},
		{"POST", "k", "uploads", headers{"X-Amz-Checksum-Algorithm", "SHA1", "X-Amz-Checksum-Type", "FULL_OBJECT"}, "", "400 InvalidRequest"},
		{"POST", "k", "uploads", headers{"X-Amz-Checksum-Algorithm", "CRC7"}, "", "400 InvalidRequest"},
	})
}

func TestUploadsListed(t *testing.T) {
	s := flat.New("bucket")
	s.MinPart = 6
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, second := begin(t, s, nil), begin(t, s, nil)
	for n := range 5 {
		run(t, s, []step{{"PUT", "k", fmt.Sprint(second, "&partNumber=", n+1), nil, "hello", "200"}})
	}
	var parts struct {
		IsTruncated          bool
		NextPartNumberMarker int
		Part                 []struct{ PartNumber, Size int }
	}
	_, _, body := send(t, s, "GET", "k", second+"&max-parts=2&part-number-marker=1", nil, "")
	if err := xml.Unmarshal([]byte(body), &parts); err != nil || fmt.Sprint(parts) != "{true 3 [{2 5} {3 5}]}" {
		t.Errorf("%v, %v: %s", parts, err, body)
	}
	var uploads struct {
		IsTruncated                       bool
		NextKeyMarker, NextUploadIdMarker string
		Upload                            []struct{ Key, UploadId string }
	}
	_, _, body = send(t, s, "GET", "", "uploads&prefix=k&max-uploads=1", nil, "")
	if err := xml.Unmarshal([]byte(body), &uploads); err != nil || !uploads.IsTruncated || "uploadId="+uploads.NextUploadIdMarker != first {
		t.Errorf("%v, %v: %s", uploads, err, body)
	}
	_, _, body = send(t, s, "GET", "", "uploads&key-marker=k&upload-id-marker="+uploads.NextUploadIdMarker, nil, "")
	if err := xml.Unmarshal([]byte(body), &uploads); err != nil || uploads.IsTruncated || len(uploads.Upload) != 2 || "uploadId="+uploads.Upload[1].UploadId != second {
		t.Errorf("%v, %v: %s", uploads, err, body)
	}
	run(t, s, []step{
		{"POST", "k", second, nil, complete("1", tag(hello), "2", tag(hello)), "400 EntityTooSmall"},
		{"DELETE", "k", first, nil, "", "204"},
		{"DELETE", "k", first, nil, "", "404 NoSuchUpload"},
		{"POST", "k", second, nil, complete("5", tag(hello)), "200"},
	})
	if len(s.Uploads("bucket")) > 0 {
		t.Errorf("left %q", s.Uploads("bucket"))
	}
}
