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

// TestKilled kills the program at random instants while the tree goes on changing. After each
// kill the manifest names nothing that is not there; after one run that is let alone, bucket,
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
	whole := v.run(0)
	for range kills {
		v.run(time.Duration(rng.Int64N(int64(whole))))
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
			os.RemoveAll(filepath.Join(v.home, "cache")) // also the identity: the intents left are a stranger's
		}
	}
	v.run(0)
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

// run runs the program, and kills it after a while unless that is 0. It returns how long it ran.
func (v *victim) run(kill time.Duration) time.Duration {
	cmd := exec.Command("merkur", "sync", v.dir, "s3://killed/p", "--delete", "--max-delete", "100%", "--only-show-errors")
	cmd.Env = append(os.Environ(), v.server.Env()...)
	cmd.Env = append(cmd.Env, "HOME="+v.home, "XDG_CACHE_HOME="+filepath.Join(v.home, "cache"), "AWS_EC2_METADATA_DISABLED=true")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	if kill > 0 {
		timer := time.AfterFunc(kill, func() { cmd.Process.Kill() })
		defer timer.Stop()
	}
	if err := cmd.Wait(); err != nil && kill == 0 {
		v.t.Fatalf("%v\n%s", err, said.String())
	}
	return time.Since(begun)
}

// audit reads what the manifest says, as a stranger, and looks at each object that no intent
// excuses.
func (v *victim) audit() {
	v.t.Helper()
	ctx := context.Background()
	c, err := catalog.Open(ctx, v.store, catalog.Options{Prefix: "p/", Now: func() time.Time { return time.Time{} }})
	if err != nil {
		v.t.Fatal(err)
	}
	for e, err := range c.Tree(ctx).Entries("") {
		if err != nil {
			v.t.Fatal(err)
		}
		if excused(c.Foreign(), e.Key) {
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
