package bucket_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
)

// A teller keeps what it is told, from any goroutine.
type teller struct {
	mu   sync.Mutex
	told []int64
}

func (l *teller) listen(ctx context.Context) context.Context {
	return bucket.Telling(ctx, func(bytes int64) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.told = append(l.told, bytes)
	})
}

// sum is what was told in all, and the least of it.
func (l *teller) sum() (all, least int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.told {
		all, least = all+n, min(least, n)
	}
	return all, least
}

// What is sent is told before the server has it, and taken back where it has to be sent again.
func TestTellingSent(t *testing.T) {
	const size = 1 << 20
	body := bytes.Repeat([]byte("x"), size)
	var l teller
	tries := 0
	s, _ := observe(t, bucket.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			obliging(w, r)
			return
		}
		n, err := io.Copy(io.Discard, io.LimitReader(r.Body, size/2))
		if told, _ := l.sum(); err != nil || told < n {
			t.Errorf("%d bytes came, and %d were told: %v", n, told, err)
		}
		if tries++; tries%2 == 1 {
			io.Copy(io.Discard, r.Body)
			answer(w, http.StatusServiceUnavailable, "SlowDown", "slowly")
			return
		}
		obliging(w, r)
	})
	check := func(err error) {
		t.Helper()
		if all, least := l.sum(); err != nil || all != size || least != -size {
			t.Errorf("told %d in all, taken back %d: %v", all, least, err)
		}
		l = teller{}
	}
	_, err := s.Put(l.listen(t.Context()), "key", bytes.NewReader(body), size, bucket.PutOptions{})
	check(err)
	u, err := s.Upload(l.listen(t.Context()), "key", bucket.PutOptions{})
	if all, _ := l.sum(); err != nil || all != 0 {
		t.Fatalf("%d bytes are told of a request without any: %v", all, err)
	}
	check(u.Part(l.listen(t.Context()), 1, bytes.NewReader(body), size, crc64nvme.Checksum(body)))
}

// What is received is told as it is read. What is no object is not told of, nor what comes in one go.
func TestTellingReceived(t *testing.T) {
	const size = 1 << 20
	body := bytes.Repeat([]byte("x"), size)
	s, _ := observe(t, bucket.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("list-type") {
			listing(w, "")
			return
		}
		if r.URL.Path == "/bucket/none" {
			answer(w, http.StatusNotFound, "NoSuchKey", "none")
			return
		}
		w.Header().Set("ETag", `"e"`)
		if r.URL.Path == "/bucket/small" {
			w.Write(body[:100])
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Write(body)
	})
	var l teller
	ctx := l.listen(t.Context())
	if small, _, err := s.Get(ctx, "small", bucket.GetOptions{}); err != nil {
		t.Error(err)
	} else {
		io.Copy(io.Discard, small)
		small.Close()
	}
	if _, _, err := s.Get(ctx, "none", bucket.GetOptions{}); err == nil {
		t.Error("got what is not there")
	}
	for _, err := range s.List(ctx, "", "") {
		t.Error(err)
	}
	r, _, err := s.Get(ctx, "key", bucket.GetOptions{})
	if err != nil || len(l.told) > 0 {
		t.Fatalf("told %v before anything was read: %v", l.told, err)
	}
	defer r.Close()
	for _, n := range []int64{100, 400, size - 500} {
		if _, err := io.CopyN(io.Discard, r, n); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ := l.sum(); all != size || !slices.Contains(l.told, 100) {
		t.Errorf("told %v", l.told)
	}
}
