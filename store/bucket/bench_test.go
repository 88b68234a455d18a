package bucket_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
)

// small opens a bucket in this process, that gives out one object of 4 KiB and takes all others.
func small(b *testing.B) (s *bucket.S3, object []byte) {
	object = bytes.Repeat([]byte("x"), 4<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"e"`)
		if r.Method == http.MethodGet {
			w.Write(object)
		}
	}))
	b.Cleanup(server.Close)
	s, err := bucket.Open(b.Context(), bucket.Config{Endpoint: server.URL, AccessKey: "key", SecretKey: "secret"}, "bucket")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	return s, object
}

// What a put of 4 KiB takes, the server in this process included.
func BenchmarkPut(b *testing.B) {
	s, object := small(b)
	o := bucket.PutOptions{CRC64: crc64nvme.Checksum(object), HasCRC64: true, Condition: bucket.Condition{IfNone: true}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Put(b.Context(), "some/where/file", bytes.NewReader(object), int64(len(object)), o); err != nil {
			b.Fatal(err)
		}
	}
}

// What a get of 4 KiB takes, the server in this process included.
func BenchmarkGet(b *testing.B) {
	s, object := small(b)
	buf := make([]byte, len(object))
	b.ReportAllocs()
	for b.Loop() {
		body, _, err := s.Get(b.Context(), "some/where/file", bucket.GetOptions{IfMatch: "e"})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(body, buf); err != nil {
			b.Fatal(err)
		}
		if err := body.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
