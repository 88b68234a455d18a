package bucket_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"merkur/store/bucket"
)

// TestRoutes compares the addresses of requests that we make with those that the SDK makes.
func TestRoutes(t *testing.T) {
	keys := []string{"a", "a b/c+d", "//x", "../y", "é漢", "100%", "q?x=1#f", "a/./b", "tilde~_-.", "\x01\xff", "dir/", "k"}
	for name, c := range map[string]struct {
		config bucket.Config
		bucket string
		sdk    bool // only the SDK can go there
	}{
		"path":         {bucket.Config{Endpoint: "http://127.0.0.1:9000"}, "bucket", false},
		"with a path":  {bucket.Config{Endpoint: "http://127.0.0.1:9000/s3/x"}, "bucket", false},
		"host":         {bucket.Config{Endpoint: "https://s3.example.org", Addressing: bucket.AddressHost}, "bucket", false},
		"amazon":       {bucket.Config{Region: "eu-west-1"}, "bucket", false},
		"dots":         {bucket.Config{Region: "eu-west-1"}, "bucket.with.dots", false},
		"accelerated":  {bucket.Config{Accelerate: true}, "bucket", false},
		"dual stack":   {bucket.Config{DualStack: new(true), Region: "us-west-2"}, "bucket", false},
		"access point": {bucket.Config{Region: "us-west-2"}, "arn:aws:s3:eu-west-1:123456789012:accesspoint/name", false},
		"anonymous":    {bucket.Config{Anonymous: true}, "bucket", false},
		"many regions": {bucket.Config{}, "arn:aws:s3::123456789012:accesspoint/name.mrap", true},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.AccessKey, c.config.SecretKey = "with/slash", "secret"
			s, err := bucket.Open(t.Context(), c.config, c.bucket)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				sdk, ours, err := s.Routes(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if c.sdk {
					sdk = ""
				}
				if sdk != ours {
					t.Errorf("key %q goes to %s; the SDK's to %s", key, ours, sdk)
				}
			}
		})
	}
}

// TestWrongClock sets the clock of the server an hour ahead: the second try is signed by it.
func TestWrongClock(t *testing.T) {
	var dates []string
	s, _ := observe(t, bucket.Config{}, func(w http.ResponseWriter, r *http.Request) {
		dates = append(dates, r.Header.Get("X-Amz-Date"))
		now := time.Now().Add(time.Hour)
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || now.Sub(signed).Abs() > 15*time.Minute {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>")
			return
		}
		obliging(w, r)
	})
	for range 2 {
		if _, err := s.Put(t.Context(), "key", strings.NewReader("x"), 1, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(dates) != 3 {
		t.Errorf("%d tries, signed at %q; want 3", len(dates), dates)
	}
}

// TestEarlyAnswer has the server refuse a large body before it has read it. The body, which the
// transport may still be reading, is rewound for the next try.
func TestEarlyAnswer(t *testing.T) {
	tries := 0
	s, _ := observe(t, bucket.Config{Sleep: func(context.Context, time.Duration) error { return nil }}, func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		obliging(w, r)
	})
	body := strings.NewReader(strings.Repeat("x", 1<<20))
	if _, err := s.Put(t.Context(), "key", body, body.Size(), bucket.PutOptions{}); err != nil || tries != 4 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// TestForeignAnswer has something answer that is no S3 server.
func TestForeignAnswer(t *testing.T) {
	s, _ := observe(t, bucket.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "<html><body>no <b>Error</b> of S3")
	})
	_, _, err := s.Get(t.Context(), "key", bucket.GetOptions{})
	var e *bucket.Error
	if !errors.As(err, &e) || e.Status != http.StatusTeapot || e.Code != "418" {
		t.Errorf("error is %#v", err)
	}
}
