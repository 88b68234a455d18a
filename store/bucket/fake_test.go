package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// fake opens a bucket at a server that does what no real one will do on demand.
func fake(t *testing.T, handle http.HandlerFunc) *bucket.S3 {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return at(t, bucket.Config{Endpoint: server.URL})
}

// at opens a bucket with keys that do not matter and without pauses.
func at(t *testing.T, c bucket.Config) *bucket.S3 {
	t.Helper()
	c.AccessKey, c.SecretKey = "key", "secret"
	c.Sleep = buckettest.NoSleep
	s, err := bucket.Open(t.Context(), c, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// answer writes an answer of S3.
func answer(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}

func TestErrorText(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusForbidden, "AccessDenied", "Access Denied")
	})
	_, _, err := s.Get(t.Context(), "key", bucket.GetOptions{})
	const want = "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied"
	if e := new(bucket.Error); err == nil || err.Error() != want || !errors.As(err, &e) || e.Key != "key" || e.Status != 403 {
		t.Errorf("error is %q; want %q", err, want)
	}
}

func TestRetriedThenGivenUp(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	})
	_, _, err := s.Get(t.Context(), "key", bucket.GetOptions{})
	const want = "An error occurred (SlowDown) when calling the GetObject operation (reached max retries: 4): Please reduce your request rate."
	if err == nil || err.Error() != want {
		t.Errorf("error is %q; want %q", err, want)
	}
	if n := s.Requests()["GetObject"]; n != 5 {
		t.Errorf("%d tries", n)
	}
}

func TestUnsupported(t *testing.T) {
	tests := []struct {
		status        int
		code, message string
		want          error
		tries         int64
	}{
		{501, "NotImplemented", "A header you provided implies functionality that is not implemented", bucket.ErrUnsupported, 1},
		{400, "InvalidArgument", "Unsupported header 'x-amz-checksum-crc64nvme' received for this API call.", bucket.ErrUnsupported, 1},
		{400, "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types", bucket.ErrUnsupported, 1},
		{400, "BadDigest", "The CRC64NVME you specified did not match the calculated checksum.", nil, 5}, // on their way, bytes change
		{400, "InvalidArgument", "Invalid argument", nil, 1},
	}
	for _, test := range tests {
		s := fake(t, func(w http.ResponseWriter, r *http.Request) { answer(w, test.status, test.code, test.message) })
		_, err := s.Put(t.Context(), "key", strings.NewReader("body"), 4, bucket.PutOptions{CRC64: 1, HasCRC64: true})
		if err == nil || errors.Is(err, bucket.ErrUnsupported) != (test.want != nil) || errors.Is(err, bucket.ErrUncertain) {
			t.Errorf("%s %q: %v", test.code, test.message, err)
		}
		if n := s.Requests()["PutObject"]; n != test.tries {
			t.Errorf("%s: %d tries, want %d", test.code, n, test.tries)
		}
	}
}

func TestConflict(t *testing.T) {
	var answers []int
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		status := answers[0]
		answers = answers[1:]
		if status == http.StatusConflict {
			answer(w, status, "ConditionalRequestConflict", "At least one of the conditions is in conflict.")
			return
		}
		w.Header().Set("ETag", `"e"`)
		w.WriteHeader(status)
	})
	for _, test := range []struct {
		answers []int
		want    error
	}{
		{[]int{409, 409, 200}, nil},
		{[]int{409, 412}, bucket.ErrChanged},
		{[]int{409, 409, 409, 409, 409}, bucket.ErrChanged},
		{[]int{404}, nil}, // not an answer about a missing object: no code
		{[]int{500, 412}, bucket.ErrUncertain},
		{[]int{500, 403}, bucket.ErrUncertain},
	} {
		answers = slices.Clone(test.answers)
		err := putNew(t.Context(), s, bucket.Condition{IfMatch: "old"})
		failed := test.answers[len(test.answers)-1] != 200
		if (err != nil) != failed || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("answers %v: %v", test.answers, err)
		}
		if test.want == bucket.ErrUncertain && errors.Is(err, bucket.ErrChanged) {
			t.Errorf("answers %v: %v is a change", test.answers, err)
		}
		if len(answers) > 0 {
			t.Errorf("answers %v: %v are left", test.answers, answers)
		}
	}
}

func TestCompleteTwice(t *testing.T) {
	done := false
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("uploads"):
			io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPut:
			w.Header().Set("ETag", `"e"`)
		case done:
			answer(w, http.StatusNotFound, "NoSuchUpload", "The specified multipart upload does not exist.")
		default:
			done = true
			answer(w, http.StatusInternalServerError, "InternalError", "")
		}
	})
	if err := uploadNew(t.Context(), s, bucket.Condition{}); !errors.Is(err, bucket.ErrUncertain) {
		t.Errorf("an upload that the first try may have completed: %v", err)
	}
}

func TestErrorInOK(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, "InternalError", "We encountered an internal error. Please try again.")
	})
	_, err := s.Copy(t.Context(), bucket.Source{Bucket: "", Key: "src", IfMatch: ""}, "dst", bucket.CopyOptions{})
	if e := new(bucket.Error); !errors.As(err, &e) || e.Code != "InternalError" || !errors.Is(err, bucket.ErrUncertain) {
		t.Errorf("copy: %v", err)
	}
	if n := s.Requests()["CopyObject"]; n != 5 {
		t.Errorf("%d tries", n)
	}
}

// listing answers a ListObjectsV2 with keys as they stand in the XML.
func listing(w http.ResponseWriter, head string, keys ...string) {
	if !strings.Contains(head, "IsTruncated") {
		head += "<IsTruncated>false</IsTruncated>"
	}
	fmt.Fprintf(w, "<ListBucketResult>%s", head)
	for _, key := range keys {
		fmt.Fprintf(w, `<Contents><Key>%s</Key><Size>1</Size><ETag>"e"</ETag></Contents>`, key)
	}
	fmt.Fprint(w, "</ListBucketResult>")
}

func TestListTrustsNobody(t *testing.T) {
	tests := []struct {
		name, head    string
		prefix, start string
		keys          []string
		want          []string
		fails         bool
	}{
		{"in order", "", "", "", []string{"a", "b"}, []string{"a", "b"}, false},
		{"out of order", "", "", "", []string{"b", "a"}, []string{"b"}, true},
		{"twice", "", "", "", []string{"a", "a"}, []string{"a"}, true},
		{"not under the prefix", "", "a/", "", []string{"a/x", "b"}, []string{"a/x"}, true},
		{"not after the start", "", "", "b", []string{"b"}, nil, true},
		{"empty key", "", "", "", []string{""}, nil, true},
		{"half", "<IsTruncated>true</IsTruncated>", "", "", []string{"a"}, nil, true},
		{"raw", "", "", "", []string{"a+b", "c%20d"}, []string{"a+b", "c%20d"}, false},
		{"encoded", "<EncodingType>url</EncodingType>", "", "", []string{"a%01%2Bb", "c+d/%C3%A9"}, []string{"a\x01+b", "c d/é"}, false},
		{"badly encoded", "<EncodingType>url</EncodingType>", "", "", []string{"a%zz"}, nil, true},
	}
	for _, test := range tests {
		s := fake(t, func(w http.ResponseWriter, r *http.Request) { listing(w, test.head, test.keys...) })
		var got []string
		var failed error
		for o, err := range s.List(t.Context(), test.prefix, test.start) {
			if failed != nil {
				t.Errorf("%s: goes on after an error", test.name)
			}
			if failed = err; err == nil {
				got = append(got, o.Key)
			}
		}
		if !slices.Equal(got, test.want) || (failed != nil) != test.fails {
			t.Errorf("%s: listed %q, %v; want %q", test.name, got, failed, test.want)
		}
	}
}

func TestListOfNoListing(t *testing.T) {
	for _, body := range []string{
		"", "welcome", "<html><body>welcome</body></html>", "<ListBucketResult></ListBucketResult>", "<ListBucketResult/>",
		"<ListBucketResult><IsTruncated>false</IsTruncated>",
		"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents>",
		"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult><more/>",
		"<ListBucketResult><IsTruncated>perhaps</IsTruncated></ListBucketResult>",
		"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>",
		"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
		"<ListAllMyBucketsResult><IsTruncated>false</IsTruncated></ListAllMyBucketsResult>",
	} {
		s := fake(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		failed := false
		for o, err := range s.List(t.Context(), "", "") {
			failed = err != nil
			if err == nil {
				t.Errorf("%q lists %+v", body, o)
			}
		}
		if !failed {
			t.Errorf("%q passes for an empty bucket", body)
		}
	}
}

func TestWritesWithoutProof(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("uploads") {
			io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>")
		}
	})
	if err := putNew(t.Context(), s, bucket.Condition{}); !errors.Is(err, bucket.ErrUncertain) {
		t.Errorf("put that was answered by nobody: %v", err)
	}
	if _, err := s.Copy(t.Context(), bucket.Source{Bucket: "", Key: "src", IfMatch: ""}, "dst", bucket.CopyOptions{}); !errors.Is(err, bucket.ErrUncertain) {
		t.Errorf("copy that was answered by nobody: %v", err)
	}
	if err := uploadNew(t.Context(), s, bucket.Condition{}); err == nil {
		t.Error("part that was answered by nobody")
	}
}

func TestRangeIgnored(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "0123456789") })
	for _, o := range []bucket.GetOptions{{Offset: 2}, {Length: 2}, {Offset: -2}} {
		if _, _, err := s.Get(t.Context(), "key", o); err == nil {
			t.Errorf("%+v: the whole object passes for a part", o)
		}
	}
}

func TestCorruptBody(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg=") // of "123456789"
		io.WriteString(w, "123456780")
	})
	r, o, err := s.Get(t.Context(), "key", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// Even a caller who counts bytes and never asks for the end must not miss it.
	if _, err := io.ReadFull(r, make([]byte, o.Size)); err == nil {
		t.Error("a corrupt body is read in full")
	}
}

func TestKeysOnTheWire(t *testing.T) {
	var path, source string
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		path, source = r.RequestURI, r.Header.Get("X-Amz-Copy-Source")
		answer(w, http.StatusForbidden, "AccessDenied", "")
	})
	for _, test := range []struct{ key, path string }{
		{"a//b", "a//b"}, {"../y", "../y"}, {"./x", "./x"}, {"/lead", "/lead"}, {"dir/", "dir/"}, {"a/../b", "a/../b"},
		{"a b+c%d", "a%20b%2Bc%25d"}, {"?#", "%3F%23"}, {"\x01\xff", "%01%FF"}, {"é", "%C3%A9"},
	} {
		s.Head(t.Context(), test.key, bucket.HeadOptions{})
		if want := "/bucket/" + test.path; path != want {
			t.Errorf("key %q is asked for as %q; want %q", test.key, path, want)
		}
		s.Copy(t.Context(), bucket.Source{Bucket: "other", Key: test.key, IfMatch: ""}, "dst", bucket.CopyOptions{})
		if want := "other/" + test.path; source != want {
			t.Errorf("key %q is copied from %q; want %q", test.key, source, want)
		}
	}
}

func TestRegionOfBucket(t *testing.T) {
	var regions []string
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=key/")
		region := strings.Split(scope, "/")[1]
		regions = append(regions, region)
		w.Header().Set("X-Amz-Bucket-Region", "eu-central-1")
		w.Header().Set("ETag", `"e"`)
		if region != "eu-central-1" {
			answer(w, http.StatusMovedPermanently, "PermanentRedirect", "")
		}
	})
	for range 2 {
		if err := putNew(t.Context(), s, bucket.Condition{IfNone: true}); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"us-east-1", "eu-central-1", "eu-central-1"}; !slices.Equal(regions, want) {
		t.Errorf("asked in %v; want %v", regions, want)
	}
}

func TestWrongEndpoint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := at(t, bucket.Config{Endpoint: "http://" + l.Addr().String()})
	each(t, s, func(op string, err error) {
		if err == nil || !strings.HasPrefix(err.Error(), `Could not connect to the endpoint URL: "http://`+l.Addr().String()+"/bucket") {
			t.Errorf("%s: %v", op, err)
		}
		if errors.Is(err, bucket.ErrUncertain) {
			t.Errorf("%s: %v is in doubt", op, err)
		}
		if n := s.Requests()[op]; n != 1 {
			t.Errorf("%s: %d tries", op, n)
		}
	})
}

func TestAnswersOfProxies(t *testing.T) {
	for status, want := range map[int]string{
		429: "An error occurred (429) when calling the PutObject operation (reached max retries: 4): Too Many Requests",
		502: "An error occurred (502) when calling the PutObject operation (reached max retries: 4): Bad Gateway (but it may have been carried out)",
		418: "An error occurred (418) when calling the PutObject operation: I'm a teapot",
	} {
		for _, body := range []string{"", "<html><br>sorry</html>", "sorry", "{}"} {
			s := fake(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				io.WriteString(w, body)
			})
			if err := putNew(t.Context(), s, bucket.Condition{}); err == nil || err.Error() != want {
				t.Errorf("answer %q: error is %q; want %q", body, err, want)
			}
		}
	}
}

func TestNotFoundByProxy(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no such page", http.StatusNotFound) })
	if err := s.Delete(t.Context(), "key", bucket.Condition{}); err == nil {
		t.Error("a missing page passes for a deleted object")
	}
	if _, _, err := s.Get(t.Context(), "key", bucket.GetOptions{}); err == nil || errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("a missing page passes for a missing object: %v", err)
	}
}

// A write that is said to have been turned away, and whose condition holds no more on the next try, may have
// been carried out. One that is refused for another reason was not.
func TestTurnedAwayAndCarriedOut(t *testing.T) {
	tests := []struct {
		status int
		code   string
		want   error
	}{
		{http.StatusPreconditionFailed, "PreconditionFailed", bucket.ErrUncertain},
		{http.StatusNotFound, "NoSuchKey", bucket.ErrUncertain},
		{http.StatusForbidden, "AccessDenied", nil},
	}
	for _, test := range tests {
		for _, throttled := range []bool{true, false} {
			tries := 0
			s := fake(t, func(w http.ResponseWriter, r *http.Request) {
				if tries++; tries == 1 && throttled {
					answer(w, http.StatusServiceUnavailable, "SlowDown", "")
					return
				}
				answer(w, test.status, test.code, "")
			})
			err := putNew(t.Context(), s, bucket.Condition{IfMatch: "etag"})
			if err == nil || errors.Is(err, bucket.ErrUncertain) != (throttled && test.want != nil) {
				t.Errorf("%s, throttled before %v: %v", test.code, throttled, err)
			}
		}
	}
}

// A server that has not got the whole body has not carried out the put. Some refuse a put by its headers, and
// cut off what they do not want to read.
func TestCutOffBeforeTheEnd(t *testing.T) {
	const size = 16 << 20
	for _, whole := range []bool{false, true} {
		s := fake(t, func(w http.ResponseWriter, r *http.Request) {
			n := int64(1 << 10)
			if whole {
				n = size
			}
			io.CopyN(io.Discard, r.Body, n)
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		})
		_, err := s.Put(t.Context(), "key", bytes.NewReader(make([]byte, size)), size, bucket.PutOptions{Condition: bucket.Condition{IfNone: true}})
		if err == nil || errors.Is(err, bucket.ErrUncertain) != whole {
			t.Errorf("the server has got all %v: %v", whole, err)
		}
	}
}

func TestPauses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusServiceUnavailable, "SlowDown", "")
	}))
	t.Cleanup(server.Close)
	var pauses []time.Duration
	c := bucket.Config{Endpoint: server.URL, AccessKey: "key", SecretKey: "secret", MaxAttempts: 12}
	c.Sleep = func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}
	s, err := bucket.Open(t.Context(), c, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	putNew(t.Context(), s, bucket.Condition{})
	if len(pauses) != 11 || slices.Max(pauses) > 20*time.Second || slices.Max(pauses) == 0 {
		t.Errorf("pauses between 12 tries: %v", pauses)
	}
}

func TestGivenUpWhilePausing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusInternalServerError, "InternalError", "")
	}))
	t.Cleanup(server.Close)
	c := bucket.Config{Endpoint: server.URL, AccessKey: "key", SecretKey: "secret"}
	c.Sleep = func(ctx context.Context, d time.Duration) error {
		cancel()
		return bucket.Sleep(ctx, time.Hour)
	}
	s, err := bucket.Open(t.Context(), c, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	err = putNew(ctx, s, bucket.Condition{})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, bucket.ErrUncertain) || !strings.Contains(err.Error(), "InternalError") {
		t.Errorf("error is %v", err)
	}
}

func TestServerGone(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	s := at(t, bucket.Config{Endpoint: server.URL})
	if _, err := s.Head(t.Context(), "key", bucket.HeadOptions{}); !errors.Is(err, bucket.ErrNotFound) {
		t.Fatal(err)
	}
	server.Close()
	s.Close() // a connection that was open would leave a doubt
	err := putNew(t.Context(), s, bucket.Condition{})
	if err == nil || errors.Is(err, bucket.ErrUncertain) {
		t.Errorf("put to nobody: %v", err)
	}
	if n := s.Requests()["PutObject"]; n != 5 {
		t.Errorf("%d tries", n)
	}
}

func TestStalledServer(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	s := at(t, bucket.Config{Endpoint: server.URL, ReadTimeout: 20 * time.Millisecond, MaxAttempts: 2})
	err := putNew(t.Context(), s, bucket.Condition{})
	var timeout net.Error
	if !errors.Is(err, bucket.ErrUncertain) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("put to a server that says nothing: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Head(ctx, "key", bucket.HeadOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("head with a deadline: %v", err)
	}
}
