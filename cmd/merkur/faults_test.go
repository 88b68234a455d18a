package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/bucket/buckettest/faults"
)

// A trial is a tree, a real server and a proxy that fails between them.
type trial struct {
	t     *testing.T
	dir   string // of the tree
	home  string
	proxy *faults.Proxy
	env   []string
	store *bucket.S3
	data  string // where the server keeps the bucket
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	server := buckettest.Start(t)
	proxy, err := faults.Start(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	r := &trial{t: t, dir: t.TempDir(), home: t.TempDir(), proxy: proxy, store: server.Open(t, "trial")}
	r.data = filepath.Join(server.Dir(), "trial")
	r.env = append(os.Environ(), server.Env()...)
	r.env = append(r.env, "AWS_ENDPOINT_URL="+proxy.URL(), "HOME="+r.home, "XDG_CACHE_HOME="+filepath.Join(r.home, "cache"),
		"XDG_STATE_HOME="+filepath.Join(r.home, "state"), "MERKUR_SUMMARY=1")
	return r
}

func (r *trial) write(name string, size int) {
	r.t.Helper()
	body := strings.Repeat(name+"\n", size/(len(name)+1)+1)[:size]
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(body), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// sync runs the program while a plan decides what happens to its requests, and returns what those
// were, in order.
func (r *trial) sync(plan faults.Plan, victim chan<- *os.Process, options ...string) (code int, said string, requests []string) {
	r.t.Helper()
	r.proxy.Set(func(q faults.Request) (f faults.Fault) {
		if plan != nil {
			f = plan(q)
		}
		if requests = append(requests, q.String()); f.Kind != "" {
			requests[len(requests)-1] += " " + string(f.Kind)
		}
		return f
	})
	cmd := exec.Command("merkur", append([]string{"sync", r.dir, "s3://trial/p"}, options...)...)
	cmd.Env = r.env
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	if victim != nil {
		victim <- cmd.Process
	}
	cmd.Wait()
	r.proxy.Quiet()
	r.proxy.Set(nil)
	return cmd.ProcessState.ExitCode(), out.String(), requests
}

func count(requests []string, parts ...string) (n int) {
	for _, q := range requests {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(q, p)
		}
		if all {
			n++
		}
	}
	return n
}

// Credentials that run out in the middle end the run, with one error and not one for each file. The
// next run sends what is missing and nothing else.
func TestExpired(t *testing.T) {
	for _, kind := range []faults.Kind{faults.Expired, faults.Forbidden} {
		r := newTrial(t)
		const files, before = 600, 100
		for i := range files {
			r.write(fmt.Sprintf("%03d", i), 100)
		}
		puts := func(q faults.Request) bool { return q.Method == "PUT" && !strings.Contains(q.Path, ".merkur") }
		// The server takes the manifest all the same, so that what was stored is written down.
		stop := faults.From(before, puts, faults.Fault{Kind: kind})
		code, said, requests := r.sync(func(q faults.Request) faults.Fault {
			if !puts(q) {
				return faults.Fault{}
			}
			return stop(q)
		}, nil, "--no-progress", "--only-show-errors")
		if n := count(requests, string(kind)); code != exitFailed || n > 2*mostAtOnce || strings.Count(said, "ExpiredToken") != 1 {
			t.Errorf("%s: exit code %d after %d vain requests:\n%s", kind, code, n, said)
		}
		if !strings.Contains(said, "fatal error: ") || !strings.Contains(said, "hint: the credentials are not valid any more") {
			t.Errorf("%s: it says\n%s", kind, said)
		}
		code, said, requests = r.sync(nil, nil, "--no-progress", "--only-show-errors")
		if n := count(requests, "PUT", "/trial/p/") - count(requests, "PUT", ".merkur"); code != exitDone || n != files-before {
			t.Errorf("%s: the next run ends with %d and sends %d files, and %d were missing:\n%s", kind, code, n, files-before, said)
		}
	}
}

// The same while objects are deleted.
func TestExpiredAmongDeletes(t *testing.T) {
	r := newTrial(t)
	for i := range 300 {
		r.write(fmt.Sprintf("%03d", i), 10)
	}
	if code, said, _ := r.sync(nil, nil); code != exitDone {
		t.Fatal(said)
	}
	for i := range 290 {
		os.Remove(filepath.Join(r.dir, fmt.Sprintf("%03d", i)))
	}
	deletes := func(q faults.Request) bool { return q.Method == "DELETE" }
	stop := faults.From(50, deletes, faults.Fault{Kind: faults.Forbidden})
	code, said, requests := r.sync(stop, nil, "--delete", "--max-delete", "100%", "--only-show-errors")
	if n := count(requests, string(faults.Forbidden)); code != exitFailed || n > 2*mostAtOnce || strings.Count(said, "ExpiredToken") != 1 {
		t.Errorf("exit code %d after %d vain requests:\n%s", code, n, said)
	}
	code, said, _ = r.sync(nil, nil, "--only-show-errors") // which goes on without being told to delete
	left, err := filepath.Glob(filepath.Join(r.data, "p", "[0-9]*"))
	if code != exitDone || err != nil || len(left) != 10 {
		t.Errorf("after the next run, which ends with %d, %d objects are left, want 10: %v\n%s", code, len(left), err, said)
	}
}

// cutOff has the program die after it has sent three parts of four.
func (r *trial) cutOff(options ...string) {
	r.t.Helper()
	r.write("large", 20<<20-7)
	victim := make(chan *os.Process, 1)
	kill := func() { (<-victim).Kill() }
	parts := func(q faults.Request) bool { return strings.Contains(q.Query, "partNumber=") }
	plan, _ := faults.Nth(3, parts, faults.Fault{Kind: faults.HookAfter, Hook: kill})
	code, said, requests := r.sync(plan, victim, append([]string{"--multipart-chunksize", "5MB", "--max-concurrent-requests", "1"}, options...)...)
	if code != -1 || count(requests, "partNumber=") != 3 || r.uploads() != 1 {
		r.t.Fatalf("exit code %d after %d parts, %d uploads are open\n%s", code, count(requests, "partNumber="), r.uploads(), said)
	}
}

// uploads is how many uploads in parts are open at the server.
func (r *trial) uploads() int {
	found, err := filepath.Glob(filepath.Join(r.data, ".sgwtmp", "multipart", "*", "*-*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(found)
}

// A run goes on with the upload that a dead one has left, or removes it.
func TestCutOffUpload(t *testing.T) {
	for name, c := range map[string]struct {
		options []string
		change  func(r *trial)
		parts   int // that are sent by the next run
	}{
		"the same":       {nil, func(*trial) {}, 1},
		"other headers":  {[]string{"--cache-control", "no-cache"}, func(*trial) {}, 4},
		"other content":  {nil, func(r *trial) { r.write("large", 20<<20-8) }, 1},
		"another part":   {nil, (*trial).spoilFirst, 2},
		"no file":        {nil, func(r *trial) { os.Remove(filepath.Join(r.dir, "large")) }, 0},
		"small now":      {nil, func(r *trial) { r.write("large", 5) }, 0},
		"other sizes":    {[]string{"--multipart-chunksize", "7MB"}, func(*trial) {}, 3},
		"a dead run too": {nil, func(r *trial) { r.cutOffAgain() }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrial(t)
			r.write("small", 5)
			r.cutOff()
			c.change(r)
			code, said, requests := r.sync(nil, nil, append([]string{"--multipart-chunksize", "5MB"}, c.options...)...)
			if n := count(requests, "partNumber="); code != exitDone || n != c.parts {
				t.Errorf("exit code %d, %d parts are sent, want %d:\n%s", code, n, c.parts, said)
			}
			if n := r.uploads(); n > 0 {
				t.Errorf("%d uploads are left", n)
			}
			if code, said, requests = r.sync(nil, nil); code != exitDone || len(requests) != 1 {
				t.Errorf("a run with nothing to do ends with %d after %q:\n%s", code, requests, said)
			}
			want, _ := os.ReadFile(filepath.Join(r.dir, "large"))
			if got, _ := os.ReadFile(filepath.Join(r.data, "p", "large")); string(got) != string(want) {
				t.Errorf("the object has %d bytes, the file %d, or they differ", len(got), len(want))
			}
		})
	}
}

// spoilFirst changes a byte of the first part.
func (r *trial) spoilFirst() {
	f, err := os.OpenFile(filepath.Join(r.dir, "large"), os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("X"), 100)
		f.Close()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// cutOffAgain has another run die before its first part.
func (r *trial) cutOffAgain() {
	victim := make(chan *os.Process, 1)
	parts := func(q faults.Request) bool { return strings.Contains(q.Query, "partNumber=") }
	plan, _ := faults.Nth(1, parts, faults.Fault{Kind: faults.HookBefore, Hook: func() { (<-victim).Kill() }})
	if code, said, _ := r.sync(plan, victim, "--multipart-chunksize", "5MB"); code != -1 {
		r.t.Fatal(code, said)
	}
}
