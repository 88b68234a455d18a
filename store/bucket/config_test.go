package bucket_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
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
		"AWS_REQUEST_CHECKSUM_CALCULATION": "", "AWS_RESPONSE_CHECKSUM_VALIDATION": "",
		"AWS_USE_DUALSTACK_ENDPOINT": "", "AWS_USE_FIPS_ENDPOINT": "", "AWS_S3_USE_ARN_REGION": "",
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

// Checksums that nobody asks for are left out where the environment or the profile wants it so.
func TestChecksumsWhenRequired(t *testing.T) {
	const body, named = "123456789", "SHA256"
	tests := []struct {
		request, response, profile string
		sums, mode                 bool
	}{
		{"", "", "", true, true},
		{"when_supported", "when_supported", "", true, true},
		{"when_required", "", "", false, true},
		{"", "when_required", "", true, false},
		{"", "", "request_checksum_calculation = when_required\nresponse_checksum_validation = WHEN_REQUIRED", false, false},
	}
	for _, test := range tests {
		isolate(t)
		behind := httptest.NewServer(http.HandlerFunc(obliging))
		t.Cleanup(behind.Close)
		r, err := buckettest.Record(behind.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte("[default]\n"+test.profile+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"AWS_CONFIG_FILE": file, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
			"AWS_REQUEST_CHECKSUM_CALCULATION": test.request, "AWS_RESPONSE_CHECKSUM_VALIDATION": test.response,
		} {
			t.Setenv(name, value)
		}
		s, err := bucket.Open(t.Context(), bucket.Config{Endpoint: r.URL(), Sleep: buckettest.NoSleep}, "bucket")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		for _, algorithm := range []string{"", named} {
			r.Reset()
			o := bucket.PutOptions{CRC64: 0xae8b14860a799888, HasCRC64: true}
			o.Checksum = algorithm
			if _, err := s.Put(t.Context(), "key", strings.NewReader(body), int64(len(body)), o); err != nil {
				t.Fatal(err)
			}
			h := said(t, r, "PutObject")
			if _, sent := h["X-Amz-Checksum-Crc64nvme"]; sent != (test.sums && algorithm == "") {
				t.Errorf("%+v, algorithm %q: put with %v", test, algorithm, h)
			}
			if _, sent := h["X-Amz-Checksum-Sha256"]; sent != (algorithm == named) {
				t.Errorf("%+v, algorithm %q: put with %v", test, algorithm, h)
			}
		}
		if _, err := s.Head(t.Context(), "key", bucket.HeadOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, asked := said(t, r, "HeadObject")["X-Amz-Checksum-Mode"]; asked != test.mode {
			t.Errorf("%+v: asks for checksums: %v", test, asked)
		}
	}
}
