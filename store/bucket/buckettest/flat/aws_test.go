package flat_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// aws runs the program of that name against a server and returns what it prints.
func aws(t *testing.T, s *flat.Server, args ...string) string {
	t.Helper()
	out, err := tryAWS(t, s, args...)
	if err != nil {
		t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryAWS(t *testing.T, s *flat.Server, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("aws is not on PATH: what it makes of the server is not tested")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), s.Env()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// write makes a file.
func write(t *testing.T, dir, name string, body []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestAWSSync(t *testing.T) {
	t.Parallel()
	s := flat.Start(t, "here", "there")
	large := make([]byte, 20<<20)
	rand.Read(large)
	files := map[string][]byte{"a.txt": []byte("text"), "empty": {}, "dir/sub dir/é+%.bin": []byte("bytes"), "large": large}
	src, dst := t.TempDir(), t.TempDir()
	for name, body := range files {
		write(t, src, name, body)
	}
	var failed atomic.Bool
	s.Fail(func(r flat.Request) *flat.Failure {
		if (r.Operation == "UploadPart" || r.Operation == "PutObject") && !failed.Swap(true) {
			return &flat.Failure{Status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
		}
		return nil
	})
	aws(t, s, "s3", "sync", src, "s3://here/p", "--storage-class", "STANDARD_IA", "--metadata", "k=v")
	for name, body := range files {
		o, ok := s.Object("here", "p/"+name)
		if !ok || !bytes.Equal(o.Body, body) || o.Class != "STANDARD_IA" || o.Headers.Get("X-Amz-Meta-K") != "v" {
			t.Errorf("%s: %v, %d bytes, %s, %v", name, ok, len(o.Body), o.Class, o.Headers)
		}
	}
	if !failed.Load() {
		t.Error("no request has failed")
	}
	if o, _ := s.Object("here", "p/large"); len(o.Parts) != 3 || !strings.HasSuffix(o.ETag, "-3") {
		t.Errorf("parts %v, ETag %s", o.Parts, o.ETag)
	}
	aws(t, s, "s3", "sync", "s3://here/p", "s3://there")
	if !slices.Equal(s.Keys("there"), []string{"a.txt", "dir/sub dir/é+%.bin", "empty", "large"}) {
		t.Errorf("copied %q", s.Keys("there"))
	}
	if s.Counts()["UploadPartCopy"] != 3 || len(s.Uploads("here"))+len(s.Uploads("there")) > 0 {
		t.Errorf("requests %v, uploads %q, %q", s.Counts(), s.Uploads("here"), s.Uploads("there"))
	}
	aws(t, s, "s3", "sync", "s3://there", dst)
	for name, body := range files {
		if got, err := os.ReadFile(filepath.Join(dst, filepath.FromSlash(name))); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	s.Reset()
	if out := aws(t, s, "s3", "sync", src, "s3://here/p", "--delete"); out != "" || s.Counts()["ListObjectsV2"] != len(s.Requests()) {
		t.Errorf("a second sync: %q, %v", out, s.Counts())
	}
}

// TestAWSHostileKeys copies between buckets, so that each key is listed, addressed and named as
// a source.
func TestAWSHostileKeys(t *testing.T) {
	t.Parallel()
	s := flat.Start(t, "here", "there")
	for _, key := range hostile {
		s.Put("here", key, flat.Object{Body: []byte("body of " + key)})
	}
	out, err := tryAWS(t, s, "s3", "cp", "--recursive", "s3://here", "s3://there")
	for _, key := range hostile {
		if o, ok := s.Object("there", key); !ok || string(o.Body) != "body of "+key {
			t.Errorf("%q is copied as %q", key, o.Body)
		}
	}
	if err != nil || t.Failed() {
		t.Error(err, out)
	}
}

func TestAWSAPI(t *testing.T) {
	t.Parallel()
	s := flat.Start(t, "bucket")
	dir := t.TempDir()
	write(t, dir, "body", []byte("body"))
	aws(t, s, "s3api", "put-object", "--bucket", "bucket", "--key", "../k", "--body", filepath.Join(dir, "body"), "--metadata", "Name=a b",
		"--tagging", "t=1&u=a%20b", "--content-type", "text/x", "--acl", "public-read", "--checksum-algorithm", "SHA256")
	o, _ := s.Object("bucket", "../k")
	if string(o.Body) != "body" || o.Tags["u"] != "a b" || o.ACL.Get("X-Amz-Acl") != "public-read" || o.Checksums["SHA256"] == "" {
		t.Errorf("stored %+v", o)
	}
	var head struct {
		ContentType, ETag, ChecksumSHA256, ChecksumType string
		ContentLength, TagCount                         int
		Metadata                                        map[string]string
	}
	parse(t, aws(t, s, "s3api", "head-object", "--bucket", "bucket", "--key", "../k", "--checksum-mode", "ENABLED"), &head)
	if head.ContentType != "text/x" || head.ContentLength != 4 || head.Metadata["name"] != "a b" || head.ChecksumSHA256 != o.Checksums["SHA256"] || head.ChecksumType != "FULL_OBJECT" {
		t.Errorf("head %+v", head)
	}
	var tagging struct{ TagSet []struct{ Key, Value string } }
	parse(t, aws(t, s, "s3api", "get-object-tagging", "--bucket", "bucket", "--key", "../k"), &tagging)
	if fmt.Sprint(tagging.TagSet) != "[{t 1} {u a b}]" {
		t.Errorf("tags %+v", tagging)
	}
	var acl struct {
		Grants []struct {
			Grantee    struct{ Type, URI, ID string }
			Permission string
		}
	}
	parse(t, aws(t, s, "s3api", "get-object-acl", "--bucket", "bucket", "--key", "../k"), &acl)
	if len(acl.Grants) != 2 || acl.Grants[1].Permission != "READ" || !strings.HasSuffix(acl.Grants[1].Grantee.URI, "AllUsers") {
		t.Errorf("ACL %+v", acl)
	}
	for i := range 5 {
		s.Put("bucket", fmt.Sprintf("dir%d/\x01", i), flat.Object{})
	}
	var listing struct {
		CommonPrefixes []struct{ Prefix string }
		Contents       []struct{ Key, StorageClass, LastModified string }
	}
	parse(t, aws(t, s, "s3api", "list-objects-v2", "--bucket", "bucket", "--delimiter", "/", "--page-size", "2"), &listing)
	if fmt.Sprint(listing.CommonPrefixes) != "[{../} {dir0/} {dir1/} {dir2/} {dir3/} {dir4/}]" || len(listing.Contents) > 0 {
		t.Errorf("listing %+v", listing)
	}
	out, err := tryAWS(t, s, "s3api", "get-object", "--bucket", "bucket", "--key", "none", filepath.Join(dir, "none"))
	if err == nil || !strings.Contains(out, "An error occurred (NoSuchKey) when calling the GetObject operation: The specified key does not exist.") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestAWSTrailers: over TLS, aws frames bodies as aws-chunked and sends checksums after them.
func TestAWSTrailers(t *testing.T) {
	t.Parallel()
	s := flat.New("bucket")
	tls := httptest.NewTLSServer(s)
	defer tls.Close()
	s.URL = tls.URL
	dir := t.TempDir()
	large := make([]byte, 9<<20)
	rand.Read(large)
	write(t, dir, "large", large)
	write(t, dir, "small", []byte("small"))
	aws(t, s, "--no-verify-ssl", "s3", "cp", "--recursive", dir, "s3://bucket")
	if o, _ := s.Object("bucket", "large"); !bytes.Equal(o.Body, large) || o.Headers.Get("Content-Encoding") != "" {
		t.Errorf("stored %d bytes, %v", len(o.Body), o.Headers)
	}
	if o, _ := s.Object("bucket", "small"); string(o.Body) != "small" || o.Checksums["CRC32"] == "" {
		t.Errorf("stored %q, %v", o.Body, o.Checksums)
	}
	n := 0
	for _, r := range s.Requests() {
		if r.Header.Get("X-Amz-Trailer") != "" && r.Status == 200 && r.Size > 0 {
			n++
		}
	}
	if n < 3 {
		t.Errorf("%d requests with trailers", n)
	}
}

func parse(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
