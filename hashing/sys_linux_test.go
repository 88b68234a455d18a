//go:build !portable

package hashing

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSpecialFiles(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{"a": "1", "link-to-pipe": "-> pipe", "z": "2"})
	if err := unix.Mkfifo(filepath.Join(root, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(root, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := []string{"a", "link-to-pipe: special file", "pipe: special file", "socket: special file", "z"}
	if unix.Mknod(filepath.Join(root, "device"), unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) == nil {
		want = slices.Insert(want, 1, "device: special file")
	}
	lines, _, _ := scan(t, root, Options{Follow: true})
	expect(t, lines, want...)
}

// TestBadNames has names that no key can have, and keys at the limit of length.
func TestBadNames(t *testing.T) {
	long := strings.Repeat(strings.Repeat("l", 250)+"/", 4) // 1,004 bytes
	root := plant(t, t.TempDir(), map[string]string{
		"a\xff": "1", "b\xff/x": "2", "c\n\x01": "3",
		long + strings.Repeat("m", 20): "", long + strings.Repeat("n", 21): "",
		long + strings.Repeat("o", 18) + "/p": "", long + strings.Repeat("q", 19) + "/r": "",
	})
	lines, _, _ := scan(t, root, Options{})
	expect(t, lines, "a\xff: name is not UTF-8", "b\xff/: name is not UTF-8", "c\n\x01",
		long+strings.Repeat("m", 20), long+strings.Repeat("n", 21)+": key is too long",
		long+strings.Repeat("o", 18)+"/p", long+strings.Repeat("q", 19)+"/: key is too long")
}

// TestVanishing removes what was listed just before it is looked at.
func TestVanishing(t *testing.T) {
	root := plant(t, t.TempDir(), map[string]string{"a": "1", "b": "2", "c/d": "3", "e/f": "4", "g": "5", "h": "6"})
	o := Options{Workers: 1}
	o.Select = func(key string) bool {
		switch key {
		case "b":
			os.Remove(filepath.Join(root, key))
		case "g", "h":
			os.Remove(filepath.Join(root, key))
			if key == "g" {
				os.Mkdir(filepath.Join(root, key), 0o755)
			} else {
				unix.Mkfifo(filepath.Join(root, key), 0o644)
			}
		}
		return true
	}
	o.Descend = func(key string) bool {
		if key == "c/" {
			os.RemoveAll(filepath.Join(root, key))
		}
		return true
	}
	lines, _, _ := scan(t, root, o)
	expect(t, lines, "a", "b: does not exist", "c/: does not exist", "e/f", "g: special file", "h: special file")
}

// TestReplacedDirectory puts another directory in the place of a wide one between its slices.
func TestReplacedDirectory(t *testing.T) {
	root := crowd(t, 1, 2*sliceMost)
	s, err := New(root, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.reach = reach{} // nothing ahead of the drain
	files, problems := 0, 0
	for it, err := range s.Items(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if it.Problem == nil {
			files++
		} else if problems++; it.Problem.Reason != Missing {
			t.Fatalf("%+v", it.Problem)
		}
		if files == 1 {
			os.Rename(filepath.Join(root, "0"), filepath.Join(root, "1"))
			plant(t, root, map[string]string{"0/other": ""})
		}
	}
	if files+problems != 2*sliceMost || files > sliceMost || files < sliceLeast {
		t.Errorf("%d files, %d problems", files, problems)
	}
}

// TestReadError scans a file that opens and does not read.
func TestReadError(t *testing.T) {
	src, err := openAt(unix.AT_FDCWD, []byte("/proc/self/mem\x00"), 0)
	if err != nil {
		t.Skip(err)
	}
	defer file(src).close()
	if _, _, err := File(file(src), 10); reasonOf(err) != Failed {
		t.Errorf("error %v", err)
	}
	if n, err := file(src).ReadAt(make([]byte, 1), 0); n != 0 || err == io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// asNobody runs the test once more, in a process without privileges. It reports whether this
// is that process.
func asNobody(t *testing.T) bool {
	t.Helper()
	const mark = "HASHING_TEST_RERUN"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	// A copy, because the directory of the test binary may be closed to other users.
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "hashing.test")
	if content, err := os.ReadFile("/proc/self/exe"); err != nil {
		t.Fatal(err)
	} else if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.Dir = "/"
	if os.Getuid() == 0 { // to whom everything is readable
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else if !strings.Contains(string(out), "--- PASS") {
		t.Skipf("%s", out)
	}
	return false
}

func TestUnreadable(t *testing.T) {
	if !asNobody(t) {
		return
	}
	root := plant(t, t.TempDir(), map[string]string{
		"closed-dir/x": "1", "closed-file": "2", "no-search/y": "3", "ok": "4",
		"through": "-> no-search/y",
	})
	for name, mode := range map[string]os.FileMode{"closed-dir": 0, "closed-file": 0, "no-search": 0o400} {
		path := filepath.Join(root, name)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o700) })
	}
	lines, _, stats := scan(t, root, Options{Follow: true})
	expect(t, lines, "closed-dir/: not permitted", "closed-file: not permitted", "no-search/y: not permitted", "ok",
		"through: not permitted", "through/: not permitted")
	if stats.Problems != 4 {
		t.Errorf("stats %+v", stats)
	}
}

// TestFewHandles scans a deep and a wide tree with hardly any file handles.
func TestFewHandles(t *testing.T) {
	tree := map[string]string{strings.Repeat("d/", 500) + "f": "deep"}
	for i := range 500 {
		tree[fmt.Sprintf("%sf%d", strings.Repeat("d/", i), i)] = "x"
		tree[fmt.Sprintf("wide/%d/f", i)] = "x"
	}
	root := plant(t, t.TempDir(), tree)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 48, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	lines, _, stats := scan(t, root, Options{Workers: 16})
	if len(lines) != len(tree) || !slices.IsSorted(lines) || stats.Problems != 0 {
		t.Errorf("%d of %d items, sorted %v, %+v", len(lines), len(tree), slices.IsSorted(lines), stats)
	}
}

// look is the fingerprint of a file, as if its file system were local.
func look(t *testing.T, path string) fingerprint {
	t.Helper()
	st, err := statAt(unix.AT_FDCWD, append([]byte(path), 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	return newFileSystem(local, 0, 0, 0, Options{}).fingerprint(&st)
}

// tick returns when the clock of the file system has moved on, which may take a hundredth of a
// second. What a tick hides is what the age of a settled file is for.
func tick(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clock")
	plant(t, filepath.Dir(path), map[string]string{"clock": ""})
	for before := look(t, path).ctime; look(t, path).ctime == before; {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatShows proves on the file system of the tests what the trust rests on.
func TestWhatShows(t *testing.T) {
	_, _, stats := scan(t, t.TempDir(), Options{})
	if fs := stats.FileSystem; fs != "local" && fs != "memory" {
		t.Skipf("no promise is made for a file system that is %s", fs)
	}
	for name, change := range map[string]func(path string) error{
		"same size, time set back": func(path string) error { edit(t, path, "B"); return nil },
		"chmod":                    func(path string) error { return os.Chmod(path, 0o600) },
		"rename over": func(path string) error {
			plant(t, filepath.Dir(path), map[string]string{"other": "B"})
			return os.Rename(path[:len(path)-1]+"other", path)
		},
		"rename away and back": func(path string) error {
			if err := os.Rename(path, path+"2"); err != nil {
				return err
			}
			return os.Rename(path+"2", path)
		},
		"truncate": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(plant(t, t.TempDir(), map[string]string{"f": "A"}), "f")
			before := look(t, path)
			tick(t)
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			if look(t, path) == before {
				t.Error("nothing shows")
			}
		})
	}
}

// TestMapping shows why young files are not trusted: a store through a mapping leaves no
// trace while the page is dirty, and leaves one once it was written back.
func TestMapping(t *testing.T) {
	_, _, stats := scan(t, t.TempDir(), Options{})
	path := filepath.Join(t.TempDir(), "f")
	h, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	page, err := unix.Mmap(int(h.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Skipf("no mapping here: %v", err)
	}
	defer unix.Munmap(page)
	page[0] = 1
	dirty := look(t, path)
	tick(t)
	page[0] = 2
	t.Logf("%s: a store into a dirty page shows: %v", stats.FileSystem, look(t, path) != dirty)
	if err := h.Sync(); err != nil {
		t.Skip(err)
	}
	clean := look(t, path)
	tick(t)
	page[0] = 3
	shows := look(t, path) != clean
	t.Logf("%s: a store into a clean page shows: %v", stats.FileSystem, shows)
	if stats.FileSystem == "local" && !shows {
		t.Error("a file system that counts as local hides a store into a clean page")
	}
}

// TestMemoryIsNotTrusted scans a file system without writeback.
func TestMemoryIsNotTrusted(t *testing.T) {
	root, err := os.MkdirTemp("/dev/shm", "hashing")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(root)
	plant(t, root, map[string]string{"a": "1", "b": "2"})
	o := Options{Cache: newMemoryCache(), Now: later}
	for range 2 {
		if _, _, s := scan(t, root, o); s.FileSystem == "memory" && (s.HashedFiles != 2 || s.UnsettledFiles != 2) {
			t.Errorf("stats %+v", s)
		}
	}
	o.TrustStat = true
	scan(t, root, o)
	if _, _, s := scan(t, root, o); s.TrustedFiles != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestNatures(t *testing.T) {
	for magic, want := range map[uint32]nature{
		unix.EXT4_SUPER_MAGIC: local, unix.XFS_SUPER_MAGIC: local, unix.BTRFS_SUPER_MAGIC: local,
		unix.OVERLAYFS_SUPER_MAGIC: local, unix.TMPFS_MAGIC: memory, unix.NFS_SUPER_MAGIC: network,
		unix.SMB2_SUPER_MAGIC: network, unix.FUSE_SUPER_MAGIC: weak, unix.V9FS_MAGIC: weak,
		unix.MSDOS_SUPER_MAGIC: weak, unix.PROC_SUPER_MAGIC: weak, 0x12345678: weak,
	} {
		if got := natures[magic]; got != want {
			t.Errorf("%#x: %v, want %v", magic, got, want)
		}
	}
}
