package local

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"merkur/hashing"
	"merkur/manifest"
)

func tree(t *testing.T, dirs ...string) (*Tree, string) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tree.Close)
	return tree, dir
}

// A draft of a process that is no more goes at once, and one that is being written stays until it
// has its name.
func TestSweep(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no locks")
	}
	tree, dir := tree(t)
	d, err := tree.Create("sub/file")
	if err != nil {
		t.Fatal(err)
	}
	dead := hashing.DraftPrefix + "dead"
	if err := os.WriteFile(filepath.Join(dir, dead), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree.Sweep(d.path())
	tree.Sweep(dead)
	if tree.Exists(dead) || !tree.Exists(d.path()) {
		t.Errorf("the draft of the dead is there: %v; that of the living: %v", tree.Exists(dead), tree.Exists(d.path()))
	}
	if err := d.file.finish(); err != nil { // as Publish does, before the rename
		t.Fatal(err)
	}
	if tree.Sweep(d.path()); !tree.Exists(d.path()) {
		t.Fatal("a draft is swept away between its end and its name")
	}
	if err := d.Publish(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}

// A draft that is swept away before it is locked is not gone on with.
func TestSweptBeforeItWasLocked(t *testing.T) {
	tree, _ := tree(t)
	dir, err := tree.open(".")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.close()
	f, err := dir.create("draft")
	if err == nil {
		err = dir.remove("draft")
	}
	if err != nil {
		t.Skip(err) // Windows keeps a file that is open
	}
	defer f.close()
	if err := claimed(dir, f, "draft"); err != errBusy {
		t.Errorf("claimed: %v", err)
	}
}

// A directory with nothing in it but directories gives way to a file of its name; one with a file
// does not.
func TestHollowDirectoryGivesWay(t *testing.T) {
	tree, dir := tree(t, "hollow/a/b", "hollow/c", "full/a")
	if err := os.WriteFile(filepath.Join(dir, "full", "a", "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Create("full"); err == nil {
		t.Error("a directory with a file in it is to give way")
	}
	d, err := tree.Create("hollow")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.StillAs(nil); err != nil {
		t.Error(err)
	}
	if err := d.StillAs(&manifest.Entry{Key: "hollow"}); err != ErrOther {
		t.Errorf("a directory in the place of a file that was seen: %v", err)
	}
	if err := d.Publish(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "hollow")); err != nil || info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
}

// What comes into a directory at the last moment keeps it from giving way.
func TestGivesWayToNothing(t *testing.T) {
	tree, dir := tree(t, "d/e")
	if err := os.WriteFile(filepath.Join(dir, "d", "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if tree.giveWay("d"); !tree.Exists("d/file") {
		t.Error("a file is removed")
	}
}
