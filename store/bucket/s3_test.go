package bucket_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// drain reads to the end.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// each calls one method after the other.
func each(t *testing.T, s *bucket.S3, visit func(op string, err error)) {
	t.Helper()
	ctx := t.Context()
	_, _, err := s.Get(ctx, "key", bucket.GetOptions{})
	visit("GetObject", err)
	_, err = s.Head(ctx, "key", bucket.HeadOptions{})
	visit("HeadObject", err)
	_, err = s.Put(ctx, "key", strings.NewReader("body"), 4, bucket.PutOptions{})
	visit("PutObject", err)
	visit("DeleteObject", s.Delete(ctx, "key", bucket.Condition{}))
	for _, err := range s.List(ctx, "", "") {
		visit("ListObjectsV2", err)
	}
	_, err = s.Upload(ctx, "key", bucket.PutOptions{})
	visit("CreateMultipartUpload", err)
	_, err = s.Copy(ctx, bucket.Source{Bucket: "", Key: "src", IfMatch: ""}, "key", bucket.CopyOptions{})
	visit("CopyObject", err)
	visit("DeleteObjects", s.DeleteAll(ctx, []bucket.Deletion{{Key: "key"}})["key"])
}

func TestMissingBucket(t *testing.T) {
	server := buckettest.Start(t)
	s, err := bucket.Open(t.Context(), server.Config(), "no-such-bucket")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	each(t, s, func(op string, err error) {
		seen++
		if op == "HeadObject" {
			if !errors.Is(err, bucket.ErrNotFound) {
				t.Errorf("%s: %v", op, err)
			}
			return
		}
		if !errors.Is(err, bucket.ErrNoBucket) || errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("%s: %v", op, err)
		}
		if want := "An error occurred (NoSuchBucket) when calling the " + op + " operation: "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("text is %q; want %q", err, want)
		}
	})
	if seen != 8 {
		t.Errorf("%d methods answered", seen)
	}
}

func TestWrongSecret(t *testing.T) {
	server := buckettest.Start(t)
	server.Open(t, "secret")
	c := server.Config()
	c.SecretKey = "wrong"
	s, err := bucket.Open(t.Context(), c, "secret")
	if err != nil {
		t.Fatal(err)
	}
	each(t, s, func(op string, err error) {
		e := new(bucket.Error)
		if !errors.As(err, &e) || e.Status != 403 || e.Op != op || e.Retries != 0 {
			t.Errorf("%s: %v", op, err)
		}
		if op == "HeadObject" && err.Error() != "An error occurred (403) when calling the HeadObject operation: Forbidden" {
			t.Errorf("text is %q", err)
		}
	})
}

func TestAnonymous(t *testing.T) {
	isolate(t)
	signature := "none was asked for"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signature = r.Header.Get("Authorization")
		w.Header().Set("ETag", `"e"`)
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_SESSION_TOKEN", "token")
	for _, key := range []string{"", "key"} {
		s, err := bucket.Open(t.Context(), bucket.Config{Endpoint: server.URL, Anonymous: true, AccessKey: key, SecretKey: key}, "anonymous")
		if err != nil {
			t.Fatal(err)
		}
		if err := putNew(t.Context(), s, bucket.Condition{}); err != nil || signature != "" {
			t.Errorf("signed with %q: %v", signature, err)
		}
	}
}

func TestWhatObjectsSay(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("list-type"):
			io.WriteString(w, "<ListBucketResult><IsTruncated>false</IsTruncated>"+
				"<Contents><Key>a</Key><Size>1</Size><LastModified>2026-01-02T03:04:05.123Z</LastModified><StorageClass>DEEP_ARCHIVE</StorageClass></Contents>"+
				"<Contents><Key>b</Key><Size>1</Size><LastModified>2026-01-02T03:04:05.123456Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"+
				"</ListBucketResult>")
			return
		default:
			sourceSays(w, "0")
			h := w.Header()
			h.Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
			h.Set("X-Amz-Storage-Class", "GLACIER_IR")
			h.Set("X-Amz-Server-Side-Encryption", "aws:kms")
			h.Set("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "kms-id")
		}
	})
	want := bucket.Object{
		Key: "key", ETag: "m", Modified: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Class: "GLACIER_IR", Encryption: "aws:kms", KMSKey: "kms-id", Headers: everything().Headers,
	}
	body, got, err := s.Get(t.Context(), "key", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	head, err := s.Head(t.Context(), "key", bucket.HeadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []bucket.Object{got, head} {
		if !reflect.DeepEqual(o, want) {
			t.Errorf("described as\n%+v; want\n%+v", o, want)
		}
	}
	wanted := map[string]bucket.Listed{
		"a": {Key: "a", Size: 1, Modified: time.Date(2026, 1, 2, 3, 4, 5, 123e6, time.UTC), Class: "DEEP_ARCHIVE"},
		"b": {Key: "b", Size: 1, Modified: time.Date(2026, 1, 2, 3, 4, 5, 123456e3, time.UTC)},
	}
	for o, err := range s.List(t.Context(), "", "") {
		if err != nil || o != wanted[o.Key] {
			t.Errorf("listed as %+v, %v; want %+v", o, err, wanted[o.Key])
		}
	}
}

func TestCopyInParts(t *testing.T) {
	server := buckettest.Start(t)
	s := server.Open(t, "large")
	body := bytes.Repeat([]byte("0123456789abcdef"), 700_000)
	o := bucket.PutOptions{Headers: bucket.Headers{ContentType: "text/plain", Metadata: map[string]string{"a": "b"}}}
	if _, err := s.Put(t.Context(), "s r+c", bytes.NewReader(body), int64(len(body)), o); err != nil {
		t.Fatal(err)
	}
	made, err := s.CopyLarge(t.Context(), bucket.Source{Key: "s r+c"}, "dst", bucket.CopyOptions{}, 5<<20)
	if err != nil {
		t.Fatal(err)
	}
	r, got, err := s.Get(t.Context(), "dst", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	copied, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(copied, body) {
		t.Errorf("copied %d bytes of %d: %v", len(copied), len(body), err)
	}
	if !strings.HasSuffix(made.ETag, "-3") || got.ETag != made.ETag || got.Metadata["a"] != "b" || got.CRC64 != crc64nvme.Checksum(body) {
		t.Errorf("made %+v; got %+v", made, got)
	}
	if s.Requests()["UploadPartCopy"] != 3 {
		t.Errorf("requests: %v", s.Requests())
	}
	_, err = s.CopyLarge(t.Context(), bucket.Source{Key: "none"}, "dst", bucket.CopyOptions{}, 5<<20)
	if !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("copy of nothing: %v", err)
	}
}
