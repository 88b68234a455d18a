package cache

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mountTmpfs mounts a small disk, if the test may do that.
func mountTmpfs(t *testing.T, size string) string {
	t.Helper()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	return disk
}

// A process that fills a disk with its cache notices in time, and the next one copes.
func TestRealDiskFillsUp(t *testing.T) {
	disk := mountTmpfs(t, "90m")
	dir := filepath.Join(disk, "cache")
	out, err := child("write", dir, 6000).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), "are free on its disk and 64 MiB needed; nothing more is written to it") {
		t.Errorf("output: %s", out)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=400m"); err != nil {
		t.Fatal(err)
	}
	if n := wantNoLie(t, open(t, dir), 6000, 1); n < 1000 {
		t.Errorf("%d records are left", n)
	}
}

// A disk that is full from the start, though nobody says so, does not end the process
// while the cache is opened.
func TestDiskIsSecretlyFull(t *testing.T) {
	disk := mountTmpfs(t, "1m")
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 1<<20-3*4096), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(disk, "cache")
	sys := localSystem()
	sys.free = func(string) (uint64, error) { return 1 << 40, nil }
	c := openOn(dir, testOptions, sys)
	closeQuietly(t, c)
	wantNotes(t, c, "cache DIR: a file in memory cannot be read or written; this run goes without it")
}

func TestReadOnlyDisk(t *testing.T) {
	disk := mountTmpfs(t, "200m")
	dir := filepath.Join(disk, "cache")
	c := open(t, dir)
	load(c, 10, 0)
	closeQuietly(t, c)
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	wantInactive(t, Open(dir, testOptions),
		"cache DIR: open DIR/merkur.lock: read-only file system; this run goes without it")
	wantInactive(t, Open(filepath.Join(disk, "other"), testOptions),
		"cache DIR: mkdir DIR: read-only file system; this run goes without it")
}

func TestNoPermission(t *testing.T) {
	dir := small(t)
	if err := os.Chmod(filepath.Dir(dir), 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Dir(dir), 0o700)
	if os.Geteuid() == 0 {
		runtime.LockOSThread() // root may do all, but not this thread
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer unix.Setfsuid(0)
	}
	other := filepath.Join(filepath.Dir(dir), "other")
	c := Open(other, testOptions)
	closeQuietly(t, c)
	if notes := c.Notes(); len(notes) != 1 || !strings.HasSuffix(notes[0], ": permission denied; this run goes without it") {
		t.Errorf("notes: %q", notes)
	}
}

func TestForeignOwner(t *testing.T) {
	dir := small(t)
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Skipf("only root gives away: %v", err)
	}
	wantInactive(t, Open(dir, testOptions), "cache DIR: belongs to another user; this run goes without it")
}

func TestNetworkKinds(t *testing.T) {
	if kind, err := networkKind(t.TempDir()); err != nil || kind != "" {
		t.Errorf("the test directory is on %q (%v)", kind, err)
	}
	if kind, err := networkKind("/proc"); err != nil || kind != "" {
		t.Errorf("/proc is on %q (%v)", kind, err)
	}
	if networkKinds[0x6969] != "NFS" || networkKinds[0xff534d42] != "CIFS" {
		t.Error("NFS and CIFS are not known")
	}
	if _, err := networkKind(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing directory has a file system")
	}
}
