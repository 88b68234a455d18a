package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"merkur/benchmarks/torture/audit"
	"merkur/store/bucket/buckettest"
	"merkur/store/bucket/buckettest/faults"
)

// A rig is what all worlds share.
type rig struct {
	merkur   string // the program
	server   *buckettest.Server
	work     string        // a directory
	deadline time.Duration // of each run; one that takes longer is hung
	patience int           // seconds that the program waits for a byte
	stall    time.Duration
	most     int64 // bytes of the largest files
	tally    *tally
	keep     bool      // leave worlds in which something was found
	until    time.Time // nothing is begun after it; zero: no matter
}

// over reports whether nothing is to be begun any more.
func (g *rig) over(ctx context.Context) bool {
	return ctx.Err() != nil || !g.until.IsZero() && time.Now().After(g.until)
}

// A world is a tree, buckets and a machine, and what is between them.
type world struct {
	*rig
	name  string // tells how to make it again
	rng   *rand.Rand
	dir   string
	tree  *forest
	proxy *faults.Proxy
	dead  bool     // something was found
	turn  int      // of kills
	under []string // command line of a program that runs the program

	mu     sync.Mutex
	victim *os.Process   // that is running
	ended  chan struct{} // closed when it has
	struck bool          // it was killed on purpose
}

// prefix is where in its bucket a mirror lies.
const prefix = "p/"

func (g *rig) world(ctx context.Context, kind string, seed uint64) (*world, error) {
	w := &world{rig: g, name: fmt.Sprintf("%s-%d", kind, seed), rng: rand.New(rand.NewPCG(seed, uint64(len(kind))))}
	w.dir = filepath.Join(g.work, w.name)
	w.tree = &forest{root: filepath.Join(w.dir, "tree"), rng: w.rng, most: g.most}
	for _, sub := range []string{"tree", "local", "tmp", "state", "cache"} {
		if err := os.MkdirAll(filepath.Join(w.dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	for _, bucket := range []string{w.bucket("a"), w.bucket("b")} {
		if err := g.server.CreateBucket(ctx, bucket); err != nil {
			return nil, err
		}
	}
	p, err := faults.Start(g.server.URL())
	if err != nil {
		return nil, err
	}
	p.StallFor = g.stall
	w.proxy = p
	return w, nil
}

// close ends a world.
func (w *world) close() {
	w.proxy.Close()
	counts := w.proxy.Counts()
	w.tally.addFaults(counts)
	if w.dead && w.keep {
		return
	}
	os.RemoveAll(w.dir)
	for _, b := range []string{"a", "b"} {
		os.RemoveAll(filepath.Join(w.server.Dir(), w.bucket(b)))
	}
}

func (w *world) bucket(name string) string { return w.name + "-" + name }

func (w *world) url(bucket string) string { return "s3://" + w.bucket(bucket) + "/" + prefix }

func (w *world) local() string { return filepath.Join(w.dir, "local") }

// An outcome is how a run ended.
type outcome struct {
	code         int // -1: by a signal
	said         string
	hung, struck bool
}

// run runs the program to its end, and waits until the server is at rest.
func (w *world) run(ctx context.Context, env []string, args ...string) (outcome, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(outer, w.deadline)
	defer cancel()
	line := append(slices.Clone(w.under), append([]string{w.merkur}, args...)...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append(w.server.Env(), "AWS_ENDPOINT_URL="+w.proxy.URL(), "HOME="+w.dir, "PATH="+os.Getenv("PATH"),
		"XDG_CACHE_HOME="+filepath.Join(w.dir, "cache"), "XDG_STATE_HOME="+filepath.Join(w.dir, "state"), "TMPDIR="+filepath.Join(w.dir, "tmp"))
	cmd.Env = append(cmd.Env, env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // which tells where it hangs
	cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	ended := make(chan struct{})
	w.mu.Lock()
	if err := cmd.Start(); err != nil {
		w.mu.Unlock()
		return outcome{}, fmt.Errorf("start %s: %w", w.merkur, err)
	}
	w.victim, w.ended, w.struck = cmd.Process, ended, false
	w.mu.Unlock()
	err := cmd.Wait()
	close(ended)
	w.proxy.Quiet()
	w.proxy.Set(nil)
	if outer.Err() != nil {
		return outcome{}, outer.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	o := outcome{code: cmd.ProcessState.ExitCode(), said: said.String(), struck: w.struck}
	o.hung = !w.struck && ctx.Err() != nil
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !o.hung {
		return o, err
	}
	return o, nil
}

// kill kills the program that is running, and returns when it is dead.
func (w *world) kill() {
	w.mu.Lock()
	victim, ended := w.victim, w.ended
	w.struck = true
	w.mu.Unlock()
	victim.Kill()
	<-ended
}

// ended notes how a run has ended, and reports whether that may be.
func (w *world) endedWell(where string, o outcome) bool {
	how := fmt.Sprintf("with exit code %d", o.code)
	switch {
	case o.struck:
		how = "killed"
	case o.hung:
		how = "hung"
		w.find("hung", where, o.said)
	case o.code != 0 && o.code != 1 && o.code != 2, strings.Contains(o.said, "goroutine "), strings.Contains(o.said, "panic"):
		how = "crashed"
		w.find("crashed", where, fmt.Sprintf("exit code %d: %s", o.code, o.said))
	}
	w.tally.add(w.tally.runs, how)
	return !w.dead
}

// find notes a finding, after which this world is not gone on with.
func (w *world) find(kind, where, text string) {
	w.dead = true
	w.tally.find(kind, w.name+", "+where, text)
}

func (w *world) judge(where string, v audit.Verdict) bool {
	if !w.tally.judge(w.name+", "+where, v) {
		w.dead = true
	}
	return !w.dead
}

// objects are those of a bucket now.
func (w *world) objects(bucket string) (audit.Objects, error) {
	return audit.Bucket(filepath.Join(w.server.Dir(), w.bucket(bucket)))
}

// held is what a bucket holds below the prefix, as a tree.
func (w *world) held(bucket string) (audit.Tree, error) {
	o, err := w.objects(bucket)
	if err != nil {
		return nil, err
	}
	return o.Tree(prefix)
}

func (w *world) source() (audit.Tree, error) {
	tree, _, err := audit.Local(w.tree.root)
	return tree, err
}
