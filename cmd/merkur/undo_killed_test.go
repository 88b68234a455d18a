package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
)

// TestUndoKilled kills the program at random instants and undoes what it did until then: bucket and root
// are what they were. MERKUR_KILLS sets how often.
func TestUndoKilled(t *testing.T) {
	kills := 4
	if n, err := strconv.Atoi(os.Getenv("MERKUR_KILLS")); err == nil {
		kills = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	server := buckettest.Start(t)
	for i, how := range []string{"backup", "versions"} {
		t.Run(how, func(t *testing.T) {
			name := "undo-" + how
			v := &undoVictim{
				victim:  victim{t: t, dir: t.TempDir(), home: t.TempDir(), server: server, store: server.Open(t, name)},
				rng:     rand.New(rand.NewPCG(seed, uint64(i))),
				place:   "s3://" + name + "/p",
				options: []string{"--backup-prefix", "s3://" + name + "/kept"},
			}
			if how == "versions" {
				v.options = nil
				if err := v.store.KeepVersions(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			v.story(kills)
		})
	}
}

// An undoVictim is a program to be killed, whose work is undone.
type undoVictim struct {
	victim
	rng     *rand.Rand
	place   string
	options []string
}

func (v *undoVictim) story(kills int) {
	v.change(120)
	begun := time.Now()
	v.merkur("sync", v.dir, v.place)
	whole := time.Since(begun)
	for range kills {
		before, known := v.contents(), v.runs()
		v.change(80)
		cmd, _ := v.command("sync", v.dir, v.place, "--delete", "--max-delete", "100%")
		if err := cmd.Start(); err != nil {
			v.t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(v.rng.Int64N(int64(whole))), func() { cmd.Process.Kill() })
		cmd.Wait()
		timer.Stop()
		v.undoSince(known)
		// What there was no time to record is settled by the next run, which tells of it.
		known = v.runs()
		v.merkur("sync", v.dir, v.place, "--delete", "--exclude", "*")
		v.undoSince(known)
		after := v.contents()
		for key := range before {
			if after[key] != before[key] {
				v.t.Errorf("%s is %q, was %q", key, after[key], before[key])
			}
		}
		for key := range after {
			if _, ok := before[key]; !ok {
				v.t.Errorf("%s was not there", key)
			}
		}
		v.audit()
	}
}

// change changes the tree at random.
func (v *undoVictim) change(n int) {
	for range n {
		name := fmt.Sprintf("d%d/%03d", v.rng.IntN(4), v.rng.IntN(60))
		if v.rng.IntN(3) == 0 {
			os.Remove(filepath.Join(v.dir, name))
		} else {
			v.write(name, v.rng)
		}
	}
}

func (v *undoVictim) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command("merkur", append(args, v.options...)...)
	cmd.Env = append(os.Environ(), v.server.Env()...)
	cmd.Env = append(cmd.Env, "HOME="+v.home, "XDG_CACHE_HOME="+filepath.Join(v.home, "cache"),
		"XDG_STATE_HOME="+filepath.Join(v.home, "state"))
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	return cmd, said
}

// merkur runs the program, which has to succeed, and returns what it says.
func (v *undoVictim) merkur(args ...string) string {
	v.t.Helper()
	cmd, said := v.command(args...)
	if err := cmd.Run(); err != nil {
		v.t.Fatalf("%v: %v\n%s", args, err, said)
	}
	return said.String()
}

// runs are the names of those that can be undone, oldest first.
func (v *undoVictim) runs() (names []string) {
	v.t.Helper()
	for line := range strings.Lines(v.merkur("undo", "--list", v.place, "--output", "json")) {
		var r ran
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			v.t.Fatalf("%s: %v", line, err)
		}
		names = append(names, r.Run)
	}
	return names
}

// undoSince undoes all runs since some.
func (v *undoVictim) undoSince(known []string) {
	v.t.Helper()
	all := v.runs()
	for i := len(all) - 1; i >= len(known); i-- {
		v.merkur("undo", all[i], v.place)
	}
}

// contents is what the bucket holds, and the root.
func (v *undoVictim) contents() map[string]string {
	v.t.Helper()
	ctx := context.Background()
	all := map[string]string{}
	for obj, err := range v.store.List(ctx, "p/", "") {
		if err != nil {
			v.t.Fatal(err)
		}
		key := strings.TrimPrefix(obj.Key, "p/")
		if manifest.IsReserved(key) {
			continue
		}
		body, got, err := v.store.Get(ctx, obj.Key, bucket.GetOptions{})
		if err != nil {
			v.t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			v.t.Fatal(err)
		}
		body.Close()
		all[key] = got.ContentType + " " + string(text)
	}
	c, err := catalog.Open(ctx, v.store, catalog.Options{Prefix: "p/"})
	if err != nil {
		v.t.Fatal(err)
	}
	all["/root"] = c.Root().Digest.String()
	return all
}

// On a server that keeps objects as files, an undo puts back what has no room before its deletes after
// them, as the run did that it undoes.
func TestUndoWhereDirectoriesWere(t *testing.T) {
	server := buckettest.Start(t)
	v := &undoVictim{
		victim:  victim{t: t, dir: t.TempDir(), home: t.TempDir(), server: server, store: server.Open(t, "undo-room")},
		place:   "s3://undo-room/p",
		options: []string{"--backup-prefix", "s3://undo-room/kept"},
	}
	file := func(name, text string) {
		path := filepath.Join(v.dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file("a/b", "below a directory")
	file("c", "a file")
	file("z", "last")
	v.merkur("sync", v.dir, v.place)
	states := []map[string]string{v.contents()}
	os.RemoveAll(filepath.Join(v.dir, "a"))
	os.Remove(filepath.Join(v.dir, "c"))
	file("a", "a file")
	file("c/d", "below a directory")
	v.merkur("sync", v.dir, v.place, "--delete")
	states = append(states, v.contents())
	for i := range 3 {
		v.merkur("undo", "--last", v.place)
		got := v.contents()
		for key, want := range states[i%2] {
			if got[key] != want {
				t.Errorf("undo %d: %s is %q, want %q", i, key, got[key], want)
			}
		}
		if len(got) != len(states[i%2]) {
			t.Errorf("undo %d: %v", i, got)
		}
	}
}
