package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
)

// TestKilled kills or interrupts the program at random instants while the tree goes on
// changing. After each the manifest names nothing that is not there; after one run that is let alone, bucket,
// manifest and tree agree. MERKUR_KILLS sets how often; the default is enough for every day.
func TestKilled(t *testing.T) {
	kills := 15
	if n, err := strconv.Atoi(os.Getenv("MERKUR_KILLS")); err == nil {
		kills = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	server := buckettest.Start(t)
	v := &victim{t: t, dir: t.TempDir(), home: t.TempDir(), server: server, store: server.Open(t, "killed")}
	for i := range 400 {
		v.write(fmt.Sprintf("d%d/%03d", i%7, i), rng)
	}
	whole := v.run()
	for range kills {
		how := os.Kill
		if rng.IntN(4) == 0 {
			how = os.Interrupt
		}
		v.stop(how, time.Duration(rng.Int64N(int64(whole))))
		v.audit()
		for range rng.IntN(60) {
			i := rng.IntN(440)
			name := fmt.Sprintf("d%d/%03d", i%7, i)
			if rng.IntN(4) == 0 {
				os.Remove(filepath.Join(v.dir, name))
			} else {
				v.write(name, rng)
			}
		}
		if rng.IntN(10) == 0 {
			os.RemoveAll(filepath.Join(v.home, "cache"))
		}
	}
	v.run()
	v.audit()
	v.agrees()
}

// A victim is a program to be killed, and what it works on.
type victim struct {
	t      *testing.T
	dir    string
	home   string
	server *buckettest.Server
	store  *bucket.S3
}

func (v *victim) write(name string, rng *rand.Rand) {
	path := filepath.Join(v.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat(fmt.Sprint(rng.Uint64()), 1+rng.IntN(200))), 0o644); err != nil {
		v.t.Fatal(err)
	}
}

// start starts the program; what it prints goes to the buffer.
func (v *victim) start() (*exec.Cmd, *bytes.Buffer) {
	v.t.Helper()
	cmd := exec.Command("merkur", "sync", v.dir, "s3://killed/p", "--delete", "--max-delete", "100%", "--only-show-errors")
	cmd.Env = append(os.Environ(), v.server.Env()...)
	cmd.Env = append(cmd.Env, "HOME="+v.home, "XDG_CACHE_HOME="+filepath.Join(v.home, "cache"),
		"XDG_STATE_HOME="+filepath.Join(v.home, "state"))
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	return cmd, said
}

// run lets the program run to its end, which must be a good one, and returns how long it took.
func (v *victim) run() time.Duration {
	v.t.Helper()
	begun := time.Now()
	cmd, said := v.start()
	if err := cmd.Wait(); err != nil {
		v.t.Fatalf("%v\n%s", err, said)
	}
	return time.Since(begun)
}

// stop starts the program and signals it after a while.
func (v *victim) stop(how os.Signal, after time.Duration) {
	v.t.Helper()
	cmd, said := v.start()
	timer := time.AfterFunc(after, func() { cmd.Process.Signal(how) })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if how != os.Interrupt || err == nil || errors.As(err, &exit) && exit.ExitCode() == -1 {
		return // dead, or done before, or interrupted before it could take note of it
	}
	if exit == nil || exit.ExitCode() != exitFailed || !strings.Contains(said.String(), "cancelled: ctrl-c received") {
		v.t.Fatalf("interrupted: %v\n%s", err, said)
	}
}

// audit reads what the manifest says, as a stranger, and looks at each object that no intent
// excuses.
func (v *victim) audit() {
	v.t.Helper()
	ctx := context.Background()
	c, err := catalog.Open(ctx, v.store, catalog.Options{Prefix: "p/"})
	if err != nil {
		v.t.Fatal(err)
	}
	for e, err := range c.Tree(ctx).Entries("") {
		if err != nil {
			v.t.Fatal(err)
		}
		if excused(c.Intents(), e.Key) {
			continue
		}
		obj, err := v.store.Head(ctx, "p/"+e.Key, bucket.HeadOptions{})
		if err != nil || obj.ETag != e.Evidence.ETag || obj.Size != e.Size {
			v.t.Fatalf("the manifest says of %s %+v; the bucket %+v, %v", e.Key, e, obj, err)
		}
	}
}

func excused(intents []manifest.Intent, key string) bool {
	return slices.ContainsFunc(intents, func(i manifest.Intent) bool { return i.Range != nil && i.Range.Contains(key) })
}

// agrees checks that tree, bucket and manifest hold the same.
func (v *victim) agrees() {
	v.t.Helper()
	ctx := context.Background()
	tree := map[string]string{}
	err := filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		key, _ := filepath.Rel(v.dir, path)
		tree[filepath.ToSlash(key)] = fmt.Sprintf("%x", blake3.Sum256(body))
		return err
	})
	if err != nil {
		v.t.Fatal(err)
	}
	held := map[string]string{}
	for obj, err := range v.store.List(ctx, "p/", "") {
		if err != nil {
			v.t.Fatal(err)
		}
		key := strings.TrimPrefix(obj.Key, "p/")
		if strings.HasPrefix(key, manifest.Reserved) {
			continue
		}
		body, _, err := v.store.Get(ctx, obj.Key, bucket.GetOptions{})
		if err != nil {
			v.t.Fatal(err)
		}
		all, err := io.ReadAll(body)
		if err = errors.Join(err, body.Close()); err != nil {
			v.t.Fatal(err)
		}
		held[key] = fmt.Sprintf("%x", blake3.Sum256(all))
	}
	named := map[string]string{}
	c, err := catalog.Open(ctx, v.store, catalog.Options{Prefix: "p/"})
	if err != nil {
		v.t.Fatal(err)
	}
	for e, err := range c.Tree(ctx).Entries("") {
		if err != nil {
			v.t.Fatal(err)
		}
		named[e.Key] = e.Digest.String()
	}
	for name, side := range map[string]map[string]string{"bucket": held, "manifest": named} {
		for key, digest := range tree {
			if side[key] != digest {
				v.t.Errorf("%s: %s holds %q, the tree %q", key, name, side[key], digest)
			}
		}
		for key := range side {
			if _, ok := tree[key]; !ok {
				v.t.Errorf("%s is in the %s and not in the tree", key, name)
			}
		}
	}
}
