package bucket_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// When a put has ended, nobody reads its body any more, though the server may have answered before it had
// all of it: the buffer is another file's then. The race detector would tell.
func TestBodyIsGivenBack(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusPreconditionFailed) // without a look at the body
	}))
	defer server.Close()
	s, err := bucket.Open(t.Context(), bucket.Config{Endpoint: server.URL, AccessKey: "key", SecretKey: "secret", Sleep: buckettest.NoSleep}, "b")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	buf := make([]byte, 3<<19) // too little for the server to be asked first
	for range 10 {
		_, err := s.Put(t.Context(), "key", bytes.NewReader(buf), int64(len(buf)), bucket.PutOptions{Condition: bucket.Condition{IfNone: true}})
		if !errors.Is(err, bucket.ErrChanged) && !errors.Is(err, bucket.ErrUncertain) {
			t.Fatal(err)
		}
		for i := range buf {
			buf[i]++
		}
	}
}
