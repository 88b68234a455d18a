package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"merkur/store/bucket"
)

// storing keeps one object of the given size, whatever is put.
func storing(t *testing.T, size int) string {
	t.Helper()
	body := bytes.Repeat([]byte("x"), size)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"e"`)
		if r.Method == http.MethodGet {
			w.Write(body)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// What is sent and what is received, through two buckets, share the limit, and use it.
func TestLimit(t *testing.T) {
	const bandwidth, objects = 8 << 20, 64
	for _, size := range []int{1 << 10, 64 << 10} {
		url, limit := storing(t, size), bucket.NewLimiter(bandwidth)
		in, out := at(t, bucket.Config{Endpoint: url, Limit: limit}), at(t, bucket.Config{Endpoint: url, Limit: limit})
		start := time.Now()
		n := objects * (64 << 10) / size / 2
		group, ctx := errgroup.WithContext(t.Context())
		group.SetLimit(16)
		for range n {
			group.Go(func() error {
				_, err := in.Put(ctx, "key", bytes.NewReader(make([]byte, size)), int64(size), bucket.PutOptions{})
				return err
			})
			group.Go(func() error {
				r, _, err := out.Get(ctx, "key", bucket.GetOptions{})
				if err != nil {
					return err
				}
				defer r.Close()
				return drain(r)
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		moved := float64(2 * n * size)
		// The first bytes may go at once.
		least := time.Duration((moved - float64(limit.Burst())) / bandwidth * float64(time.Second))
		if took := time.Since(start); took < least {
			t.Errorf("%.0f bytes of %d each took %v; want %v at least", moved, size, took, least)
		}
		if left := limit.Tokens(); left > float64(limit.Burst()) {
			t.Errorf("%v tokens are left", left)
		}
	}
}

// A body does not wait for the limit longer than its request lasts.
func TestLimitGivesUp(t *testing.T) {
	url := storing(t, 1<<10)
	s := at(t, bucket.Config{Endpoint: url, Limit: rate.NewLimiter(1, 100)})
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := s.Get(ctx, "key", bucket.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatalf("read %d bytes within the burst: %v", n, err)
	}
	cancel()
	if err := drain(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read without end: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Put(ctx, "key", bytes.NewReader(make([]byte, 1<<10)), 1<<10, bucket.PutOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put without end: %v", err)
	}
}

// A connection that waits for the limit is not a dead one.
func TestLimitIsNoSilence(t *testing.T) {
	const size = 30
	s := at(t, bucket.Config{Endpoint: storing(t, 1), Limit: rate.NewLimiter(20, 10), ReadTimeout: 300 * time.Millisecond, MaxAttempts: 1})
	if _, err := s.Put(t.Context(), "key", bytes.NewReader(make([]byte, size)), size, bucket.PutOptions{}); err != nil {
		t.Error(err)
	}
}

func TestNewLimiter(t *testing.T) {
	for bandwidth, burst := range map[float64]int{1: 1, 1000: 200, 20e6: 4e6, 1e12: 4 << 20} {
		if l := bucket.NewLimiter(bandwidth); l.Burst() != burst || float64(l.Limit()) != bandwidth {
			t.Errorf("%v bytes a second: %v with bursts of %d; want %d", bandwidth, l.Limit(), l.Burst(), burst)
		}
	}
}
