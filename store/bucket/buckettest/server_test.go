package buckettest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"merkur/store/bucket"
)

func TestServer(t *testing.T) {
	binary, err := findBinary()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Launch(t.Context(), binary, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.CreateBucket(t.Context(), "files"); err != nil {
		t.Fatal(err)
	}
	b, err := bucket.Open(t.Context(), s.Config(), "files")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	put(t, b, "dir/key", "body", bucket.PutOptions{})
	if body, err := os.ReadFile(filepath.Join(s.Dir(), "files", "dir", "key")); string(body) != "body" {
		t.Errorf("the file of an object holds %q, %v", body, err)
	}
	s.Close()
	if resp, err := http.Get(s.URL() + "/health"); err == nil {
		resp.Body.Close()
		t.Error("the server answers after its end")
	}
}

func TestServerDoesNotStart(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "none")
	if s, err := Launch(t.Context(), binary, t.TempDir()); err == nil || !strings.Contains(err.Error(), binary) {
		t.Errorf("server %v, error %v", s, err)
	}
}
