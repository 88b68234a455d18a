package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket/buckettest/flat"
)

// The wire tests run the program and read what it sends. A server's answers do not do for that:
// most servers drop some of what they are asked for.

// A wire is a place to run the program in, and a server that remembers what it was asked. The
// program runs as a function of the test: what is its own are the environment, the directory and
// the standard files, so that one wire is used at a time.
type wire struct {
	t      *testing.T
	server *flat.Server
	dir    string // where the program runs, and its home
	child  bool   // run it as a process of its own: some of the environment is read but once
}

// newWire makes a wire whose server has the buckets "here" and "there".
func newWire(t *testing.T) *wire {
	w := &wire{t: t, server: flat.Start(t, "here", "there"), dir: t.TempDir()}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "MERKUR_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	w.set(w.server.Env()...)
	w.set("HOME="+w.dir, "USERPROFILE="+w.dir, "XDG_CACHE_HOME="+w.path("cache"), "XDG_STATE_HOME="+w.path("state"), "MERKUR_SAMPLE_SHARE=0")
	t.Chdir(w.dir)
	return w
}

// set sets variables of the environment; one that is NAME= is as good as not set.
func (w *wire) set(variables ...string) {
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		w.t.Setenv(name, value)
	}
}

func (w *wire) path(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

// write makes a file in the directory of the program.
func (w *wire) write(name, body string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(body), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// read returns what is in a file, or that there is none.
func (w *wire) read(name string) string {
	body, err := os.ReadFile(w.path(name))
	if err != nil {
		return "(none)"
	}
	return string(body)
}

// An ended is how the program has ended, and what it printed.
type ended struct {
	code        int
	out, errors string
}

// run runs the program, and makes the server forget what it was asked before.
func (w *wire) run(args ...string) (e ended) {
	w.t.Helper()
	w.server.Reset()
	if w.child {
		return w.runChild(args)
	}
	e.out = w.printed(&os.Stdout, func() {
		e.errors = w.printed(&os.Stderr, func() { e.code = run(append([]string{"merkur"}, args...)) })
	})
	return e
}

func (w *wire) runChild(args []string) ended {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "merkur", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// printed is what f prints to one of the standard files.
func (w *wire) printed(file **os.File, f func()) string {
	w.t.Helper()
	kept, err := os.CreateTemp(w.t.TempDir(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	defer kept.Close()
	before := *file
	*file = kept
	defer func() { *file = before }()
	f()
	text, err := os.ReadFile(kept.Name())
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// sync runs a sync that must succeed. Its arguments are words in one string.
func (w *wire) sync(args string) ended {
	w.t.Helper()
	o := w.run(append([]string{"sync"}, strings.Fields(args)...)...)
	if o.code != exitDone {
		w.t.Fatalf("sync %s: exit code %d\n%s%s", args, o.code, o.out, o.errors)
	}
	return o
}

// asked are the requests about objects of the tree, in order of their keys, or those about the
// objects of the program itself.
func (w *wire) asked(own bool) []flat.Request {
	var list []flat.Request
	for _, r := range w.server.Requests() {
		if r.Key != "" && strings.Contains("/"+r.Key, "/"+manifest.Reserved) == own {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b flat.Request) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// counts are the numbers of requests about objects of the tree, as "CopyObject 1, HeadObject 2".
func (w *wire) counts() string {
	n := map[string]int{}
	for _, r := range w.asked(false) {
		n[r.Operation]++
	}
	var list []string
	for _, op := range slices.Sorted(maps.Keys(n)) {
		list = append(list, fmt.Sprint(op, " ", n[op]))
	}
	return strings.Join(list, ", ")
}

// A said is what is said in the headers of a request, by name.
type said map[string]string

// unsaid are headers that tell nothing of what was asked for on the command line.
var unsaid = []string{
	"Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "Content-Length", "Expect", "Host",
	"User-Agent", "X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Checksum-Mode",
	"If-Match", "If-None-Match", "X-Amz-Copy-Source-If-Match", "X-Amz-Mp-Object-Size", "Range", "X-Amz-Copy-Source-Range",
}

// sums are how the server is to verify what it is sent where nothing is said about it.
var sums = []string{"X-Amz-Checksum-Crc64nvme", "X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Type"}

// headersOf are the headers that tell something, without those named.
func headersOf(r flat.Request, without ...string) said {
	s := said{}
	for name := range r.Header {
		if !slices.Contains(unsaid, name) && !slices.Contains(without, name) {
			s[name] = r.Header.Get(name)
		}
	}
	return s
}

// says checks what is said in each request of a kind about an object, of which there must be at
// least one. Checksums are checked if some are expected.
func (w *wire) says(operation, key string, want ...said) {
	w.t.Helper()
	all, without := said{}, sums
	for _, s := range want {
		maps.Copy(all, s)
	}
	for name := range all {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			without = nil
		}
	}
	found := false
	for _, r := range w.asked(false) {
		if r.Operation != operation || r.Key != key {
			continue
		}
		found = true
		if got := headersOf(r, without...); !maps.Equal(got, all) {
			w.t.Errorf("%s %s says\n%v\nwant\n%v", operation, key, got, all)
		}
	}
	if !found {
		w.t.Errorf("no %s of %s; there were %s", operation, key, w.counts())
	}
}

// saysOfItself checks what is said about the objects of the program itself when it stores them:
// nothing but what is wanted.
func (w *wire) saysOfItself(want said) {
	w.t.Helper()
	puts := 0
	for _, r := range w.asked(true) {
		if r.Operation != "PutObject" {
			continue
		}
		got := headersOf(r, append(sums, "Content-Type")...)
		maps.DeleteFunc(got, func(name, _ string) bool { return strings.HasPrefix(name, "X-Amz-Meta-Merkur-") })
		if puts++; !maps.Equal(got, want) {
			w.t.Errorf("PutObject %s says\n%v\nwant\n%v", r.Key, got, want)
		}
	}
	if puts == 0 {
		w.t.Error("no manifest is stored")
	}
}

// every checks a header of every request that there is, and that there are requests of each of
// the kinds.
func (w *wire) every(name, value string, operations ...string) {
	w.t.Helper()
	for _, r := range w.server.Requests() {
		if got := r.Header.Get(name); got != value {
			w.t.Errorf("%s %s says %s %q, want %q", r.Operation, r.Key, name, got, value)
		}
	}
	counts := w.server.Counts()
	for _, op := range operations {
		if counts[op] == 0 {
			w.t.Errorf("no %s; there were %v", op, counts)
		}
	}
}

// long is a body that is moved in one part where the options parts are given, and large one that is
// moved in two parts where the options twoParts are. S3 takes no smaller parts before the last.
var (
	long  = strings.Repeat("0123456789abcdef", 1<<7)
	large = strings.Repeat("0123456789abcdef", 5<<16) + "!"
)

const (
	parts    = " --multipart-threshold 1KB "
	twoParts = " --multipart-threshold 5MB --multipart-chunksize 5MB "
)

// tree makes the directory "d" with a small file and a long one.
func (w *wire) tree() {
	w.t.Helper()
	w.write("d/a.txt", "text")
	w.write("d/z.bin", long)
}

// The keys of customers, as files "key" and "key2" have them.
const (
	key1 = "0123456789abcdef0123456789abcdef"
	key2 = "fedcba9876543210fedcba9876543210"
)

// customer are the headers that have a key, with a prefix in front of their names.
func customer(prefix, key, md5 string) said {
	prefix += "Server-Side-Encryption-Customer-"
	return said{prefix + "Algorithm": "AES256", prefix + "Key": key, prefix + "Key-Md5": md5}
}

var (
	customer1       = customer("X-Amz-", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "hRasmdxgYDKV3nvbahU1MA==")
	customer2       = customer("X-Amz-", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=", "dT1y7SEiqn6YCJ3QeqwoIw==")
	customer1Source = customer("X-Amz-Copy-Source-", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "hRasmdxgYDKV3nvbahU1MA==")
)
