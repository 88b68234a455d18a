package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// TestWireLastIsSummary ends JSON with the summary, also where there is something to say about what
// somebody else did.
func TestWireLastIsSummary(t *testing.T) {
	w := newWire(t)
	w.tree()
	w.sync("d s3://here")
	w.server.Put("here", "a.txt", flat.Object{Body: []byte("theirs")})
	w.write("d/a.txt", "ours")
	o := w.run("sync", "d", "s3://here", "--output", "json")
	var types []string
	for line := range strings.Lines(o.out) {
		var event struct{ Type string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		types = append(types, event.Type)
	}
	if got := strings.Join(types, " "); o.code != exitDrift || got != "drift note summary" {
		t.Errorf("exit code %d, events %s", o.code, got)
	}
}

// TestWireStranger says so if what answers is no S3 server.
func TestWireStranger(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusFound, http.StatusForbidden, http.StatusNotFound} {
		portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "<html><body>Welcome</body></html>")
		}))
		defer portal.Close()
		w := newWire(t)
		w.tree()
		for _, args := range []string{"d s3://here", "s3://here d --delete", "s3://here d --delete --size-only"} {
			o := w.run(strings.Fields("sync --endpoint-url " + portal.URL + " " + args)...)
			if o.code != exitFailed || !strings.Contains(o.errors, "\nhint: this is not how an S3 server answers") {
				t.Errorf("%d, sync %s: exit code %d, %s", status, args, o.code, o.errors)
			}
		}
	}
}

// TestWireSignals tells by which signal a run was ended, and what it had done.
func TestWireSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	for signal, says := range map[os.Signal]string{
		os.Interrupt:    "\ncancelled: ctrl-c received\n",
		syscall.SIGTERM: "\ncancelled: terminated signal received\n",
		syscall.SIGHUP:  "\ncancelled: hangup signal received\n",
	} {
		for _, format := range []string{"text", "json"} {
			w := newWire(t)
			w.tree()
			put := make(chan struct{})
			front := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/z.bin") {
					io.Copy(io.Discard, r.Body) // or nobody notices that the program is gone
					close(put)
					<-r.Context().Done()
					return
				}
				w.server.ServeHTTP(out, r)
			}))
			cmd := exec.CommandContext(t.Context(), "merkur", "sync", "d", "s3://here", "--summary", "--output", format,
				"--endpoint-url", front.URL, "--max-concurrent-requests", "1")
			var out, errs strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-put
			cmd.Process.Signal(signal)
			cmd.Wait()
			front.Close()
			if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.HasSuffix("\n"+errs.String(), says) {
				t.Errorf("%v, %s: exit code %d\n%s", signal, format, code, errs.String())
			}
			if format == "text" && !strings.Contains(errs.String(), "; not finished; ") ||
				format == "json" && !strings.Contains(out.String(), `"error":{"message":"`+strings.TrimSpace(says)+`"}}`) {
				t.Errorf("%v, %s:\n%s%s", signal, format, out.String(), errs.String())
			}
		}
	}
}

// TestHomeless finds the user's home directory where nobody says which it is. Nothing is ever kept in
// the directory that the program is run in.
func TestHomeless(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system says which it is")
	}
	for _, name := range []string{"HOME", "XDG_STATE_HOME"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	if dir, err := identityDir(); err == nil {
		t.Errorf("without a home, identities are kept in %s", dir)
	}
	settleHome()
	if dir, err := identityDir(); err != nil || !filepath.IsAbs(dir) {
		t.Errorf("identities are kept in %q: %v", dir, err)
	}
	os.Setenv("HOME", "/elsewhere")
	if settleHome(); os.Getenv("HOME") != "/elsewhere" {
		t.Errorf("a home that is given becomes %s", os.Getenv("HOME"))
	}
}

// TestWireProbeOfBusyServer tries out a server that turns requests away meanwhile: what it answers on the next
// try tells what it does.
func TestWireProbeOfBusyServer(t *testing.T) {
	for busy := int32(1); busy <= 3; busy++ { // the first put, and the two whose conditions do not hold
		w := newWire(t)
		w.tree()
		var puts atomic.Int32
		w.server.Fail(func(r flat.Request) *flat.Failure {
			if !strings.Contains(r.Key, "/probe/") || r.Operation != "PutObject" {
				return nil
			}
			if puts.Add(1) == busy {
				return &flat.Failure{Status: http.StatusServiceUnavailable, Code: "SlowDown"}
			}
			return nil
		})
		if o := w.run("sync", "d", "s3://here"); o.code != exitDone {
			t.Errorf("busy at put %d: exit code %d\n%s", busy, o.code, o.errors)
		}
	}
}
