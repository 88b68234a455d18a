package hashing

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestAccount follows one file from the first scan on.
func TestAccount(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	cache := newMemoryCache()
	look := func(o Options) (got Account) {
		t.Helper()
		o.Tell = func(key string, a Account) {
			if key != "file" {
				t.Errorf("told of %q", key)
			}
			got = a
		}
		s, err := New(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range s.Items(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
		}
		needTrust(t, s.Stats())
		return got
	}
	young := trusting(cache)
	young.Now = time.Now
	if a := look(young); a.Known || a.Trusted || a.Settled || a.Now.Size != 3 || a.Settle <= 0 {
		t.Errorf("a young file: %+v", a)
	}
	if a := look(trusting(cache)); a.Known || !a.Settled {
		t.Errorf("an old file that nobody knows: %+v", a)
	}
	if a := look(trusting(cache)); !a.Known || !a.Trusted || a.Then != a.Now || a.Digest != Sum([]byte("one")) {
		t.Errorf("a file that is remembered: %+v", a)
	}
	if err := os.WriteFile(path, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	a := look(trusting(cache))
	if differs := a.Then.Differs(a.Now); a.Trusted || !a.Known || !slices.Contains(differs, "size") || slices.Contains(differs, "inode") {
		t.Errorf("a changed file: %+v, differs in %q", a, differs)
	}
}
