package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// A write is one way to change the object "key", which holds "old" or does not exist.
type write struct {
	name  string
	kind  string // the request that counts
	old   bool   // "key" holds "old" before
	gone  bool   // it does not exist afterwards; else it holds "new"
	twice bool   // doing it again succeeds
	do    func(ctx context.Context, s *bucket.S3, etag string) error
}

var writes = []write{
	{"put", "PutObject", true, false, true, func(ctx context.Context, s *bucket.S3, _ string) error {
		return putNew(ctx, s, bucket.Condition{})
	}},
	{"put if none", "PutObject", false, false, false, func(ctx context.Context, s *bucket.S3, _ string) error {
		return putNew(ctx, s, bucket.Condition{IfNone: true})
	}},
	{"put if match", "PutObject", true, false, false, func(ctx context.Context, s *bucket.S3, etag string) error {
		return putNew(ctx, s, bucket.Condition{IfMatch: etag})
	}},
	{"delete", "DeleteObject", true, true, true, func(ctx context.Context, s *bucket.S3, _ string) error {
		return s.Delete(ctx, "key", bucket.Condition{})
	}},
	{"delete if match", "DeleteObject", true, true, true, func(ctx context.Context, s *bucket.S3, etag string) error {
		return s.Delete(ctx, "key", bucket.Condition{IfMatch: etag})
	}},
	{"delete all", "DeleteObjects", true, true, true, func(ctx context.Context, s *bucket.S3, _ string) error {
		return s.DeleteAll(ctx, []bucket.Deletion{{Key: "key"}})["key"]
	}},
	{"complete", "CompleteMultipartUpload", true, false, true, func(ctx context.Context, s *bucket.S3, _ string) error {
		return uploadNew(ctx, s, bucket.Condition{})
	}},
	{"complete if none", "CompleteMultipartUpload", false, false, true, func(ctx context.Context, s *bucket.S3, _ string) error {
		return uploadNew(ctx, s, bucket.Condition{IfNone: true})
	}},
	{"copy", "CopyObject", true, false, true, func(ctx context.Context, s *bucket.S3, _ string) error {
		_, err := s.Copy(ctx, bucket.Source{Bucket: "", Key: "src", IfMatch: ""}, "key", bucket.CopyOptions{})
		return err
	}},
}

func putNew(ctx context.Context, s *bucket.S3, c bucket.Condition) error {
	_, err := s.Put(ctx, "key", strings.NewReader("new"), 3, bucket.PutOptions{Condition: c})
	return err
}

func uploadNew(ctx context.Context, s *bucket.S3, c bucket.Condition) error {
	u, err := s.Upload(ctx, "key", bucket.PutOptions{Condition: c})
	if err != nil {
		return err
	}
	if err := u.Part(ctx, 1, strings.NewReader("new"), 3, crc64nvme.Checksum([]byte("new"))); err != nil {
		return err
	}
	_, err = u.Complete(ctx)
	return err
}

// record starts a proxy before a server, and returns how to open buckets through it.
func record(t *testing.T) (*buckettest.Recorder, bucket.Config) {
	t.Helper()
	server := buckettest.Start(t)
	r, err := buckettest.Record(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	c := server.Config()
	c.Endpoint = r.URL()
	return r, c
}

// upTo has a fault happen to the first n requests of a kind.
func upTo(n int64, kind string, f buckettest.Fault) func(buckettest.Request) buckettest.Fault {
	var seen atomic.Int64
	return func(q buckettest.Request) buckettest.Fault {
		if q.Kind == kind && seen.Add(1) <= n {
			return f
		}
		return buckettest.Pass
	}
}

// content returns what "key" holds.
func content(t *testing.T, s *bucket.S3) string {
	t.Helper()
	r, o, err := s.Get(t.Context(), "key", bucket.GetOptions{})
	if errors.Is(err, bucket.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body := make([]byte, o.Size)
	if _, err := r.Read(body); err != nil && err.Error() != "EOF" {
		t.Fatal(err)
	}
	return string(body)
}

func TestLies(t *testing.T) {
	recorder, config := record(t)
	const always = 1 << 30
	tests := []struct {
		name    string
		fault   buckettest.Fault
		times   int64
		applied bool
		want    func(write) error // nil: success
	}{
		{"request lost once", buckettest.DropRequest, 1, true, success},
		{"refused once", buckettest.InternalError, 1, true, success},
		{"throttled once", buckettest.SlowDown, 4, true, success},
		{"answer lost once", buckettest.DropAnswer, 1, true, successIfTwice},
		{"answer cut once", buckettest.FailAfter, 1, true, successIfTwice},
		{"request lost", buckettest.DropRequest, always, false, uncertain},
		{"refused", buckettest.InternalError, always, false, uncertain},
		{"answer lost", buckettest.DropAnswer, always, true, uncertain},
		{"failed after", buckettest.FailAfter, always, true, uncertain},
		{"throttled", buckettest.SlowDown, always, false, func(write) error { return errThrottled }},
	}
	for i, test := range tests {
		for j, w := range writes {
			t.Run(w.name+"/"+test.name, func(t *testing.T) {
				recorder.SetFault(nil)
				s := buckettest.Open(t, config, fmt.Sprintf("lies-%d-%d", i, j))
				etag := prepare(t, s, w.old)
				recorder.SetFault(upTo(test.times, w.kind, test.fault))
				err := w.do(t.Context(), s, etag)
				recorder.SetFault(nil)
				checkError(t, err, test.want(w))
				wanted := "new"
				switch {
				case !test.applied && w.old:
					wanted = "old"
				case !test.applied || w.gone:
					wanted = ""
				}
				if got := content(t, s); got != wanted {
					t.Errorf("key holds %q; want %q", got, wanted)
				}
			})
		}
	}
}

// errThrottled stands for an error that is not in doubt.
var errThrottled = errors.New("throttled")

func success(write) error   { return nil }
func uncertain(write) error { return bucket.ErrUncertain }

func successIfTwice(w write) error {
	if w.twice {
		return nil
	}
	return bucket.ErrUncertain
}

// prepare stores the source of copies, and "old" under "key" if asked for.
func prepare(t *testing.T, s *bucket.S3, old bool) (etag string) {
	t.Helper()
	if _, err := s.Put(t.Context(), "src", strings.NewReader("new"), 3, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if !old {
		return ""
	}
	o, err := s.Put(t.Context(), "key", strings.NewReader("old"), 3, bucket.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return o.ETag
}

func checkError(t *testing.T, err, want error) {
	t.Helper()
	e := new(bucket.Error)
	switch {
	case want == nil && err == nil:
	case want == nil || err == nil:
		t.Errorf("error is %v; want %v", err, want)
	case errors.Is(err, bucket.ErrChanged):
		t.Errorf("error is %v, but our own write may have changed the object", err)
	case want == errThrottled:
		if !errors.As(err, &e) || e.Code != "SlowDown" || e.Retries != 4 || errors.Is(err, bucket.ErrUncertain) {
			t.Errorf("error is %v; want SlowDown, and no doubt", err)
		}
	case !errors.Is(err, want):
		t.Errorf("error is %v; want %v", err, want)
	}
}

func TestReadFaults(t *testing.T) {
	recorder, config := record(t)
	s := buckettest.Open(t, config, "reads")
	prepare(t, s, true)
	for _, f := range []buckettest.Fault{buckettest.DropRequest, buckettest.DropAnswer, buckettest.SlowDown, buckettest.InternalError, buckettest.FailAfter} {
		for _, kind := range []string{"GetObject", "HeadObject", "ListObjectsV2"} {
			recorder.SetFault(upTo(4, kind, f))
			if got := content(t, s); got != "old" {
				t.Errorf("%s, fault %d: got %q", kind, f, got)
			}
			if _, err := s.Head(t.Context(), "key", bucket.HeadOptions{}); err != nil {
				t.Errorf("%s, fault %d: %v", kind, f, err)
			}
			n := 0
			for _, err := range s.List(t.Context(), "", "") {
				if n++; err != nil {
					t.Errorf("%s, fault %d: %v", kind, f, err)
				}
			}
			if n != 2 {
				t.Errorf("%s, fault %d: %d objects listed", kind, f, n)
			}
		}
	}
	recorder.SetFault(upTo(2, "ListObjectsV2", buckettest.CutAnswer))
	for _, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Errorf("after cut answers: %v", err)
		}
	}
}

func TestCutBody(t *testing.T) {
	recorder, config := record(t)
	s := buckettest.Open(t, config, "cut-body")
	body := strings.Repeat("x", 100000)
	if _, err := s.Put(t.Context(), "key", strings.NewReader(body), int64(len(body)), bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	recorder.SetFault(upTo(1, "GetObject", buckettest.CutAnswer))
	r, _, err := s.Get(t.Context(), "key", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := drain(r); err == nil || !strings.Contains(err.Error(), `"key"`) {
		t.Errorf("reading half a body: %v", err)
	}
}

func TestRequests(t *testing.T) {
	recorder, config := record(t)
	s := buckettest.Open(t, config, "counted")
	recorder.SetFault(upTo(2, "PutObject", buckettest.SlowDown))
	prepare(t, s, true)
	for _, w := range writes {
		if err := w.do(t.Context(), s, ""); err != nil && !errors.Is(err, bucket.ErrChanged) {
			t.Errorf("%s: %v", w.name, err)
		}
	}
	content(t, s)
	for range s.List(t.Context(), "", "") {
	}
	seen := make(map[string]int64)
	for kind, n := range recorder.Counts() {
		seen[kind] = int64(n)
	}
	if got := s.Requests(); !maps.Equal(got, seen) {
		t.Errorf("counted %v; the server saw %v", got, seen)
	}
	if sent, received := s.Traffic(); sent < 1000 || received < 1000 {
		t.Errorf("traffic is %d, %d bytes", sent, received)
	}
}

func TestPutOnTheWire(t *testing.T) {
	recorder, config := record(t)
	s := buckettest.Open(t, config, "wire")
	recorder.Reset()
	crc := crc64nvme.Checksum([]byte("123456789"))
	if _, err := s.Put(t.Context(), "key", strings.NewReader("123456789"), 9, bucket.PutOptions{CRC64: crc, HasCRC64: true}); err != nil {
		t.Fatal(err)
	}
	q := recorder.Requests()[0]
	for name, want := range map[string]string{
		"X-Amz-Checksum-Crc64nvme": "rosUhgp5mIg=",
		"X-Amz-Content-Sha256":     "UNSIGNED-PAYLOAD",
		"Content-Type":             "",
		"Content-Encoding":         "",
		"X-Amz-Trailer":            "",
	} {
		if got := q.Header.Get(name); got != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	if q.Size != 9 || q.Status != http.StatusOK {
		t.Errorf("request is %+v", q)
	}
}

func TestNoChecksum(t *testing.T) {
	recorder, config := record(t)
	config.NoChecksum = true
	s := buckettest.Open(t, config, "plain")
	if _, err := s.Put(t.Context(), "a", strings.NewReader("body"), 4, bucket.PutOptions{CRC64: 1, HasCRC64: true}); err != nil {
		t.Error(err)
	}
	if err := uploadNew(t.Context(), s, bucket.Condition{}); err != nil {
		t.Error(err)
	}
	for _, q := range recorder.Requests() {
		for name := range q.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum") && name != "X-Amz-Checksum-Mode" {
				t.Errorf("%s has the header %s", q.Kind, name)
			}
		}
	}
}
