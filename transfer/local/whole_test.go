package local

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// whole makes a file at once, or skips the test where the system cannot.
func whole(t *testing.T, tree *Tree, name string) {
	t.Helper()
	done, err := tree.Whole(name, []byte("new"), time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !done {
		t.Skip("no files without a name here")
	}
}

// A file that is made at once has its bytes, its time and the permissions of any new file, and nothing else is
// made.
func TestWhole(t *testing.T) {
	tree, dir := tree(t, "sub")
	whole(t, tree, "sub/file")
	if files := found(t, dir); len(files) != 1 {
		t.Errorf("there are %q", files)
	}
	at := filepath.Join(dir, "sub", "file")
	if body, err := os.ReadFile(at); err != nil || string(body) != "new" {
		t.Errorf("it has %q: %v", body, err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(at)
	if err != nil || !info.ModTime().Equal(time.Unix(1e9, 0)) {
		t.Errorf("%v, %v", info, err)
	}
	if usual, err := os.Stat(other); err != nil || info.Mode() != usual.Mode() {
		t.Errorf("it has mode %v, a new file %v: %v", info.Mode(), usual.Mode(), err)
	}
}

// What has a name keeps it, whatever it is, and behind a link that leads out nothing is made.
func TestWholeReplacesNothing(t *testing.T) {
	tree, dir := tree(t, "empty")
	whole(t, tree, "there")
	outside := t.TempDir()
	for name, to := range map[string]string{"dangling": "nowhere", "linked": "there", "out": outside} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	for _, name := range []string{"there", "empty", "dangling", "linked", "there/below", "missing/file", "out/file"} {
		if done, err := tree.Whole(name, []byte("other"), time.Unix(2e9, 0)); done || err != nil {
			t.Errorf("%s: done %v, %v", name, done, err)
		}
	}
	if body, err := os.ReadFile(filepath.Join(dir, "there")); err != nil || string(body) != "new" {
		t.Errorf("the file that was there has %q: %v", body, err)
	}
	if files := found(t, outside); len(files) > 0 || tree.Exists("nowhere") {
		t.Errorf("made %q outside, or what a link leads to", files)
	}
}
