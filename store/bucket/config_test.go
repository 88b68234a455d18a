package bucket_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// isolate hides the user's settings from the SDK.
func isolate(t *testing.T) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_MAX_ATTEMPTS": "", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
}

func TestEnvironment(t *testing.T) {
	server := buckettest.Start(t)
	server.Open(t, "environment")
	isolate(t)
	for _, pair := range server.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	s, err := bucket.Open(t.Context(), bucket.Config{}, "environment")
	if err != nil {
		t.Fatal(err)
	}
	if err := putNew(t.Context(), s, bucket.Condition{}); err != nil {
		t.Error(err)
	}
}

func TestMaxAttempts(t *testing.T) {
	isolate(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusServiceUnavailable, "SlowDown", "")
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
	for env, want := range map[string]int64{"": 5, "2": 2} {
		t.Setenv("AWS_MAX_ATTEMPTS", env)
		s, err := bucket.Open(t.Context(), bucket.Config{Sleep: buckettest.NoSleep}, "bucket")
		if err != nil {
			t.Fatal(err)
		}
		putNew(t.Context(), s, bucket.Condition{})
		if got := s.Requests()["PutObject"]; got != want {
			t.Errorf("AWS_MAX_ATTEMPTS=%q: %d tries; want %d", env, got, want)
		}
		s.Close()
	}
}

func TestNoCredentials(t *testing.T) {
	isolate(t)
	_, err := bucket.Open(t.Context(), bucket.Config{}, "bucket")
	if !errors.Is(err, bucket.ErrNoCredentials) || !strings.Contains(err.Error(), "Unable to locate credentials") {
		t.Errorf("error is %v", err)
	}
}

func TestMetadataServiceIsAskedOnce(t *testing.T) {
	isolate(t)
	var asked atomic.Int64
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-release
	}))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(release) })
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", silent.URL)
	start := time.Now()
	_, err := bucket.Open(t.Context(), bucket.Config{}, "bucket")
	if !errors.Is(err, bucket.ErrNoCredentials) {
		t.Errorf("error is %v", err)
	}
	if n := asked.Load(); n > 2 { // for a token, then without one
		t.Errorf("asked %d times in %v", n, time.Since(start))
	}
}

func TestMissingProfile(t *testing.T) {
	isolate(t)
	_, err := bucket.Open(t.Context(), bucket.Config{Profile: "nobody"}, "bucket")
	if err == nil || !strings.Contains(err.Error(), "the config profile (nobody) could not be found") {
		t.Errorf("error is %v", err)
	}
}
