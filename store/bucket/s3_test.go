package bucket_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
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
	_, err = s.Copy(ctx, "", "src", "", "key", bucket.PutOptions{})
	visit("CopyObject", err)
	visit("DeleteObjects", s.DeleteAll(ctx, []string{"key"})["key"])
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
	s, err := bucket.Open(t.Context(), bucket.Config{Endpoint: server.URL, Anonymous: true}, "anonymous")
	if err != nil {
		t.Fatal(err)
	}
	if err := putNew(t.Context(), s, bucket.Condition{}); err != nil || signature != "" {
		t.Errorf("signed with %q: %v", signature, err)
	}
}

func TestCopyInParts(t *testing.T) {
	server := buckettest.Start(t)
	s := server.Open(t, "large")
	body := bytes.Repeat([]byte("0123456789abcdef"), 700_000)
	o := bucket.PutOptions{ContentType: "text/plain", Metadata: map[string]string{"a": "b"}}
	if _, err := s.Put(t.Context(), "s r+c", bytes.NewReader(body), int64(len(body)), o); err != nil {
		t.Fatal(err)
	}
	made, err := s.CopyInParts(t.Context(), "s r+c", "dst", bucket.PutOptions{}, 5<<20)
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
	_, err = s.CopyInParts(t.Context(), "none", "dst", bucket.PutOptions{}, 5<<20)
	if !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("copy of nothing: %v", err)
	}
}

func TestVersions(t *testing.T) {
	s := buckettest.Start(t).Open(t, "versions")
	name := s.Name()
	_, err := s.Client().PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  &name,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, body := range []string{"one", "two"} {
		o, err := s.Put(t.Context(), "key", strings.NewReader(body), 3, bucket.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, o.Version)
	}
	if err := s.Delete(t.Context(), "key", bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(t.Context(), "key", bucket.HeadOptions{}); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("head of a deleted object: %v", err)
	}
	for i, want := range []string{"one", "two"} {
		r, o, err := s.Get(t.Context(), "key", bucket.GetOptions{Version: versions[i]})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if string(got) != want || err != nil || o.Version != versions[i] || o.Version == "" {
			t.Errorf("version %q is %q, %+v, %v", versions[i], got, o, err)
		}
	}
}
