package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// open returns a tree and its directory.
func open(t *testing.T) (*Tree, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dest")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tree.Close)
	return tree, dir
}

// found are the paths of all files below a directory.
func found(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The directory of a draft is moved away, and something else is in its place: nothing is published,
// and no draft is left, neither where it was begun nor where it is now.
func TestDirectorySwapped(t *testing.T) {
	for what, put := range map[string]func(path string) error{
		"nothing":   func(string) error { return nil },
		"a file":    func(path string) error { return os.WriteFile(path, nil, 0o666) },
		"a link":    func(path string) error { return os.Symlink("other", path) },
		"a way out": func(path string) error { return os.Symlink("../outside", path) },
	} {
		for _, publish := range []bool{true, false} {
			tree, dir := open(t)
			for _, name := range []string{"other", "../outside"} {
				if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			draft, err := tree.Create("d/sub/x")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "d/sub"), filepath.Join(dir, "../moved")); err != nil {
				t.Skip(err) // Windows keeps a directory in its place that has open files
			}
			if err := put(filepath.Join(dir, "d/sub")); err != nil {
				t.Skip(err)
			}
			if publish {
				if err := draft.Publish(time.Now()); err == nil {
					t.Errorf("%s: it was published", what)
				}
			} else {
				draft.Drop()
			}
			for _, path := range found(t, filepath.Dir(dir)) {
				if path != filepath.Join(dir, "d/sub") {
					t.Errorf("%s, publish %v: left behind: %s", what, publish, path)
				}
			}
		}
	}
}

// A name that is too long makes no directory, wherever on the way it stands.
func TestTooLong(t *testing.T) {
	tree, dir := open(t)
	long := strings.Repeat("n", 256)
	for _, name := range []string{long, "new/" + long, "new/" + long + "/x", "new/er/" + long + "/x"} {
		if _, err := tree.Create(name); !errors.Is(err, syscall.ENAMETOOLONG) {
			t.Errorf("%.20s: %v", name, err)
		}
		if tree.Exists("new") {
			t.Errorf("%.20s: a directory was made for it", name)
		}
	}
	name := "new/" + strings.Repeat("é", 127)
	draft, err := tree.Create(name)
	if err == nil {
		err = draft.Publish(time.Now())
	}
	if err != nil || len(found(t, dir)) != 1 {
		t.Errorf("%v: %v", err, found(t, dir))
	}
}

// An error names the file, and no draft.
func TestErrorsNameTheFile(t *testing.T) {
	tree, dir := open(t)
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"f/x", "f/sub/x"} {
		if _, err := tree.Create(name); err == nil || err.Error() != "download to "+name+": "+syscall.ENOTDIR.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
	draft, err := tree.Create("d")
	if err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(dir, "d"), 0o777)
	os.WriteFile(filepath.Join(dir, "d", "file"), nil, 0o666) // else it would give way
	if err := draft.Publish(time.Now()); err == nil || !strings.HasPrefix(err.Error(), "download to d: ") {
		t.Errorf("a directory in its place: %v", err)
	}
	if os.Mkdir(filepath.Join(dir, "ro"), 0o555); os.Getuid() > 0 {
		if _, err := tree.Create("ro/x"); err == nil || err.Error() != "download to ro/x: permission denied" {
			t.Errorf("a directory that cannot be written to: %v", err)
		}
	}
}

// A directory that was made meanwhile is called so.
func TestStillAs(t *testing.T) {
	tree, dir := open(t)
	for name, c := range map[string]struct {
		make func(path string) error
		want error
	}{
		"dir": {func(path string) error {
			// With a file in it, else it would give way.
			return errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, "file"), nil, 0o666))
		}, syscall.EISDIR},
		"file": {func(path string) error { return os.WriteFile(path, []byte("1"), 0o666) }, ErrOther},
		"gone": {func(string) error { return nil }, nil},
	} {
		draft, err := tree.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := draft.StillAs(nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		draft.Drop()
	}
}
