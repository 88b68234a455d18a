package buckettest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"merkur/store/bucket"
)

// The keys of a Server.
const (
	AccessKey = "test"
	SecretKey = "testtest"
)

// A Server is an S3 server, versitygw, that runs as a child process on a port of the loopback
// interface and keeps objects as files. It has limits that S3 has not: an object's key cannot
// be a directory of another's, and "a//b", "./a" and "/a" are the same objects as "a/b" and "a".
type Server struct {
	url  string
	dir  string
	stop context.CancelFunc
	done chan struct{} // closed when the process has ended
}

// Start runs a Server until the test ends. Its program is what the variable MERKUR_S3_SERVER
// names, or .bin/versitygw in the module's root.
func Start(t testing.TB) *Server {
	t.Helper()
	binary, err := findBinary()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Launch(t.Context(), binary, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Launch runs a Server that keeps its data in dir, which must exist. It returns when the
// server answers; ctx limits that wait and nothing else. The server ends with Close, or with
// this process.
func Launch(ctx context.Context, binary, dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"objects", "versions"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	const tries = 3 // another process may take the port before the server does
	for n := 1; ; n++ {
		s, err := launch(ctx, binary, dir)
		if err == nil {
			return s, nil
		}
		if n == tries || ctx.Err() != nil {
			return nil, fmt.Errorf("start S3 server %s: %w", binary, err)
		}
	}
}

func launch(ctx context.Context, binary, dir string) (*Server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		url:  "http://" + address,
		dir:  filepath.Join(dir, "objects"),
		stop: stop,
		done: make(chan struct{}),
	}
	var output strings.Builder
	cmd := exec.CommandContext(running, binary, "-a", AccessKey, "-s", SecretKey, "-p", address,
		"--keep-alive", "-q", "--health", "/health",
		"posix", "--versioning-dir", filepath.Join(dir, "versions"), s.dir)
	cmd.Stdout, cmd.Stderr = &output, &output
	endWithParent(cmd)
	go func() {
		defer close(s.done)
		// The death signal of Linux comes when the thread that started the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Run(); running.Err() == nil {
			fmt.Fprintf(&output, "server ended: %v", err)
		}
	}()
	if err := s.await(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("%w: %s", err, output.String())
	}
	return s, nil
}

// await returns when the server answers.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/health", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(r); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return errors.New("it ended at once")
		case <-tick.C:
		}
	}
}

// Close ends the server and waits for that.
func (s *Server) Close() {
	s.stop()
	<-s.done
}

// URL is the address of the server, without a slash at its end.
func (s *Server) URL() string { return s.url }

// Dir is the directory that holds a directory for each bucket, and in it a file for each object.
func (s *Server) Dir() string { return s.dir }

// Config is how to reach the server. Nothing of the environment enters into it, and tries
// follow each other without a pause.
func (s *Server) Config() bucket.Config {
	return bucket.Config{
		Endpoint:  s.url,
		Region:    "us-east-1",
		AccessKey: AccessKey,
		SecretKey: SecretKey,
		Sleep:     NoSleep,
	}
}

// NoSleep is the Sleep of a [bucket.Config] for tests: it does not wait.
func NoSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// Env is what a program needs in its environment to reach the server and nothing else: the
// files of ~/.aws are out of its sight.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.url,
		"AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=" + AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + SecretKey,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
}

// CreateBucket makes an empty bucket. A name has at least three characters.
func (s *Server) CreateBucket(ctx context.Context, name string) error {
	b, err := bucket.Open(ctx, s.Config(), name)
	if err != nil {
		return err
	}
	defer b.Close()
	return b.CreateBucket(ctx)
}

// Open makes an empty bucket and opens it.
func (s *Server) Open(t testing.TB, name string) *bucket.S3 {
	t.Helper()
	return Open(t, s.Config(), name)
}

// Open makes an empty bucket and opens it until the test ends. To look at its requests, take a
// [Server.Config] whose Endpoint is a Recorder's.
func Open(t testing.TB, c bucket.Config, name string) *bucket.S3 {
	t.Helper()
	b, err := bucket.Open(t.Context(), c, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.CreateBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// findBinary finds the program of the server.
func findBinary() (string, error) {
	if path := os.Getenv("MERKUR_S3_SERVER"); path != "" {
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory: set MERKUR_S3_SERVER")
		}
		dir = parent
	}
	path := filepath.Join(dir, ".bin", "versitygw")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no S3 server at %s: run make tools", path)
	}
	return path, nil
}

// freeAddress is one of the loopback interface that nobody listens on at this moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
