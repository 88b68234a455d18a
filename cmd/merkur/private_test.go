//go:build unix

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// under runs the program as a process with a umask, which must succeed.
func (w *wire) under(umask, line string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "sh", append([]string{"-c", "umask " + umask + `; exec merkur "$@"`, "sh"}, strings.Fields(line)...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// modes are the permissions of all files and directories below one, by path.
func (w *wire) modes(dir string) map[string]fs.FileMode {
	w.t.Helper()
	m := map[string]fs.FileMode{}
	err := filepath.WalkDir(w.path(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			m[path] = info.Mode().Perm()
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	return m
}

// TestPrivateFiles gives away all permissions that a umask can give. What the program makes for itself
// is its user's alone all the same; downloads have what the umask leaves, as those of aws.
func TestPrivateFiles(t *testing.T) {
	w := newWire(t)
	w.tree()
	if err := os.Mkdir(w.path("tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	w.set("TMPDIR=" + w.path("tmp"))
	w.under("0", "sync d s3://here --log-file log --dryrun --delete")
	w.under("0", "sync d s3://here --log-file log")
	w.under("0", "sync s3://here s3://there")
	w.under("0", "sync s3://here e/sub")
	w.under("0", "root s3://here --save saved")
	w.under("0", "verify d s3://here")
	w.under("0", "verify s3://here --data")
	w.under("077", "sync s3://here f/sub")
	seen := 0
	for _, dir := range []string{"cache", "state", "log", "saved"} {
		for path, mode := range w.modes(dir) {
			if seen++; mode&0o077 != 0 {
				t.Errorf("%s has %v", path, mode)
			}
		}
	}
	if left := w.modes("tmp"); seen < 15 || len(left) != 1 {
		t.Errorf("%d files are made, and %v are left", seen, left)
	}
	for dir, mode := range map[string]fs.FileMode{"e": 0o777, "f": 0o700} {
		for path, got := range w.modes(dir) {
			want := mode
			if filepath.Ext(path) != "" {
				want &= 0o666
			}
			if got != want {
				t.Errorf("%s has %v, want %v", path, got, want)
			}
		}
	}
}
