package transfer

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/bucket/buckettest/flat"
)

// A failing server does something to the request of a number, and to those after it if it is dead then.
type failing struct {
	server http.Handler
	number atomic.Int64
	at     int64 // 0: to none
	how    string
	cancel func()
}

func (f *failing) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	n := f.number.Add(1)
	switch now := f.at > 0 && n == f.at; {
	case now && f.how == "interrupt":
		f.cancel()
	case now && f.how == "denied":
		http.Error(w, "", http.StatusForbidden)
		return
	case now && f.how == "cut":
		f.server.ServeHTTP(&cutting{w, 3}, in)
		panic(http.ErrAbortHandler)
	case f.at > 0 && n >= f.at && f.how == "dead":
		panic(http.ErrAbortHandler)
	}
	f.server.ServeHTTP(w, in)
}

// A cutting answer ends after so many bytes of its body.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(b []byte) (int, error) {
	n, _ := c.ResponseWriter.Write(b[:min(len(b), c.left)])
	if c.left -= n; c.left == 0 {
		c.ResponseWriter.(http.Flusher).Flush()
	}
	return len(b), nil
}

// running are the stacks of the goroutines that are none of the tests' or their servers' and that run the
// program or hold a connection of it.
func running() (stacks []string) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		ours := strings.Contains(stack, "\nmerkur/") || strings.Contains(stack, "net/http.(*persistConn)") ||
			strings.Contains(stack, "net/http.(*Transport)")
		if ours && !strings.Contains(stack, "testing.tRunner") && !strings.Contains(stack, "net/http.(*conn).serve") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// ended fails the test if a goroutine does not come to its end.
func ended(t *testing.T, what string) {
	t.Helper()
	stacks := running()
	for deadline := time.Now().Add(20 * time.Second); len(stacks) > 0; stacks = running() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d goroutines are left, one of them:\n%s", what, len(stacks), stacks[0])
		}
		runtime.Gosched()
	}
}

// A journey is a run between real clients and a server that fails.
type journey struct {
	*machine
	failing *failing
	stores  []*bucket.S3
}

// newJourney makes a server with something to be transferred, deleted and audited in a direction. What
// servers can do is in the state.
func newJourney(t *testing.T, way string, state *table) *journey {
	j := &journey{machine: newMachine(t, &buckettest.Memory{}), failing: &failing{server: flat.New("a", "b", "k")}}
	j.o.State = state
	server := httptest.NewServer(j.failing)
	t.Cleanup(server.Close)
	side := func(name, prefix string) Side {
		s, err := bucket.Open(t.Context(), bucket.Config{Endpoint: server.URL, AccessKey: "key", SecretKey: "secret", Sleep: buckettest.NoSleep}, name)
		if err != nil {
			t.Fatal(err)
		}
		j.stores = append(j.stores, s)
		return Side{Store: s, Bucket: name, Prefix: prefix, Place: name + prefix}
	}
	sync := func(o Options) Summary {
		t.Helper()
		sum, err := j.try(context.Background(), func(now *Options) { *now = o })
		if err != nil || sum.Failed > 0 {
			t.Fatalf("%s: %+v, %v\n%s", way, sum, err, strings.Join(j.lines, "\n"))
		}
		return sum
	}
	j.o.Parts, j.o.Delete, j.o.Known = Parts{Threshold: 5 << 20, Size: 5 << 20}, true, true
	j.o.To = side("b", "p/")
	up, large := j.o, (5<<20)/16+64
	switch way {
	case "up", "undo":
		backup := side("k", "")
		j.o.Backup = &backup
	case "across", "relay":
		j.o.From, j.o.To, j.o.Relay = up.To, side("a", "q/"), way == "relay"
	case "down":
		j.o.From, j.o.To = up.To, Side{Dir: t.TempDir()}
	}
	j.write(tree())
	j.write(map[string]string{"large": strings.Repeat("0123456789abcdef", large), "gone": "1", "edited": "1"})
	sync(up)
	sync(j.o)
	j.remove("gone")
	j.write(map[string]string{"edited": "2", "new": "1", "large": strings.Repeat("fedcba9876543210", large)})
	if way != "up" && way != "undo" {
		sync(up)
	}
	if way == "undo" {
		var err error
		if j.undoing, err = FindRun(t.Context(), j.o.To, j.o.Backup, sync(j.o).Run); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// However a run ends, nothing of it goes on: no goroutine, and no connection whose answer nobody reads.
func TestNothingGoesOn(t *testing.T) {
	state := newTable()
	for _, way := range []string{"up", "down", "across", "relay", "undo"} {
		t.Run(way, func(t *testing.T) {
			for _, how := range []string{"interrupt", "denied", "cut", "dead"} {
				for n := int64(1); ; n += 1 + n {
					j := newJourney(t, way, state)
					ctx, cancel := context.WithCancel(context.Background())
					j.failing.number.Store(0)
					j.failing.at, j.failing.how, j.failing.cancel = n, how, cancel
					_, err := j.try(ctx, func(o *Options) { o.Audit = 1 })
					cancel()
					for _, s := range j.stores {
						s.Close()
					}
					ended(t, fmt.Sprintf("%s at request %d, %v", how, n, err))
					if j.failing.number.Load() < n {
						break
					}
				}
			}
		})
	}
}
