package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/bucket/buckettest/flat"
	"merkur/store/catalog"
)

// A mate is a machine that mirrors its own part of a prefix, beside others.
type mate struct {
	t         *testing.T
	dir, home string
	own       string // the directory that is its part
	env       []string
}

// sync runs the program once and returns its exit code and what it said.
func (m *mate) sync(options ...string) (int, string) {
	args := append([]string{"sync", m.dir, "s3://shared/p", "--delete", "--max-delete", "100%", "--no-progress",
		"--exclude", "*", "--include", m.own + "/*"}, options...)
	cmd := exec.Command("merkur", args...)
	cmd.Env = append(append(os.Environ(), m.env...), "HOME="+m.home, "XDG_CACHE_HOME="+filepath.Join(m.home, "cache"),
		"XDG_STATE_HOME="+filepath.Join(m.home, "state"))
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Error(err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// edit changes the mate's part of the tree.
func (m *mate) edit(rng *rand.Rand) {
	for range 30 {
		path := filepath.Join(m.dir, m.own, fmt.Sprintf("%02d", rng.IntN(60)))
		err := os.Remove(path)
		if rng.IntN(4) > 0 {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, fmt.Append(nil, rng.Uint64()), 0o644))
		}
		if err != nil && !os.IsNotExist(err) {
			m.t.Error(err)
		}
	}
}

// TestTogether has processes mirror their parts into one prefix at the same time. On a server
// that keeps them apart all of them win. On one that does not, they take turns: a run that is
// refused says so, does nothing, and succeeds when it is run again. Nothing is lost.
func TestTogether(t *testing.T) {
	real := buckettest.Start(t)
	real.Open(t, "shared")
	for name, s := range map[string]struct {
		safe bool
		env  []string
	}{
		"real": {true, real.Env()}, "flat": {true, flatServer(t, false).Env()}, "racy": {false, flatServer(t, true).Env()},
	} {
		t.Run(name, func(t *testing.T) {
			var mates []*mate
			for _, own := range []string{"a", "b"} {
				mates = append(mates, &mate{t, t.TempDir(), t.TempDir(), own, s.env})
			}
			refused := 0
			for round := range 3 {
				again := runTogether(t, mates, uint64(round))
				if refused += len(again); s.safe && len(again) > 0 {
					t.Errorf("round %d: refused on a server that needs no lease", round)
				}
				for _, m := range again {
					if code, said := m.sync(); code != exitDone {
						t.Fatalf("run again: %d\n%s", code, said)
					}
				}
				sharedAgree(t, s.env, mates)
			}
			if !s.safe && refused == 0 {
				t.Error("no run had to wait for the other's lease")
			}
			code, said := mates[0].sync("--strict")
			if changed := strings.Contains(said, "--strict"); changed && s.safe || code != exitDone && s.safe {
				t.Errorf("--strict on a safe server: %d\n%s", code, said)
			}
			mates[0].edit(rand.New(rand.NewPCG(99, 99)))
			if code, said := mates[0].sync("--strict"); (code == exitDone) != s.safe || strings.Contains(said, "hint: without --strict") == s.safe {
				t.Errorf("--strict with something to do: %d\n%s", code, said)
			}
		})
	}
}

// runTogether lets all mates run at once after edits, and returns those that were refused.
func runTogether(t *testing.T, mates []*mate, seed uint64) (again []*mate) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for i, m := range mates {
		m.edit(rand.New(rand.NewPCG(seed, uint64(i))))
		all.Go(func() {
			code, said := m.sync()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case code == exitFailed && strings.Contains(said, "another run is writing here") && strings.Contains(said, "hint: "):
				again = append(again, m)
			case code != exitDone:
				t.Errorf("%s: %d\n%s", m.own, code, said)
			}
		})
	}
	all.Wait()
	return again
}

func flatServer(t *testing.T, racy bool) *flat.Server {
	t.Helper()
	s := flat.New("shared")
	if s.Racy = racy; racy {
		t.Log("a server that checks conditions before the body comes")
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// sharedAgree checks that bucket and manifest are the trees of all mates, and that nothing is
// left of a lease or an intent.
func sharedAgree(t *testing.T, env []string, mates []*mate) {
	t.Helper()
	ctx := context.Background()
	var want []string
	for _, m := range mates {
		err := filepath.WalkDir(m.dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := os.ReadFile(path)
			key, _ := filepath.Rel(m.dir, path)
			want = append(want, filepath.ToSlash(key)+" "+string(body))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	store := openShared(t, env)
	var got, named []string
	for obj, err := range store.List(ctx, "p/", "") {
		if err != nil {
			t.Fatal(err)
		}
		key := strings.TrimPrefix(obj.Key, "p/")
		if strings.HasPrefix(key, ".merkur/") {
			if key != ".merkur/manifest" {
				t.Errorf("%s is left", key)
			}
			continue
		}
		body, _, err := store.Get(ctx, obj.Key, bucket.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(body)
		if err = errors.Join(err, body.Close()); err != nil {
			t.Fatal(err)
		}
		got = append(got, key+" "+string(all))
	}
	c, err := catalog.Open(ctx, store, catalog.Options{Prefix: "p/"})
	if err != nil || len(c.Intents()) > 0 {
		t.Fatalf("intents %v, %v", c.Intents(), err)
	}
	for e, err := range c.Tree(ctx).Entries("") {
		if err != nil {
			t.Fatal(err)
		}
		named = append(named, e.Key)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("bucket\n%q\ntrees\n%q", got, want)
	}
	for i := range want {
		if i >= len(named) || !strings.HasPrefix(want[i], named[i]+" ") {
			t.Fatalf("manifest\n%q\ntrees\n%q", named, want)
		}
	}
}

func openShared(t *testing.T, env []string) *bucket.S3 {
	t.Helper()
	c := bucket.Config{AccessKey: "test", SecretKey: "testtest", Region: "us-east-1"}
	for _, v := range env {
		if url, ok := strings.CutPrefix(v, "AWS_ENDPOINT_URL="); ok {
			c.Endpoint = url
		}
	}
	s, err := bucket.Open(t.Context(), c, "shared")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
