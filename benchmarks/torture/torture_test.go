package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"merkur/benchmarks/torture/audit"
	"merkur/store/bucket/buckettest"
)

// program is merkur as it is in this module now.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "merkur-torture-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "merkur")
	out, err := exec.Command("go", "build", "-o", program, "merkur/cmd/merkur").CombinedOutput()
	status := 1
	if err != nil {
		fmt.Fprintf(os.Stderr, "build merkur: %v\n%s", err, out)
	} else {
		status = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

// TestTorture is a short torture of each kind. "make torture" is a long one.
func TestTorture(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the auditor reads the files of the server as Linux keeps them")
	}
	g := &rig{
		merkur: program, server: buckettest.Start(t), work: t.TempDir(), deadline: 2 * time.Minute, patience: 1, stall: 1500 * time.Millisecond,
		most: partSize + 5000, tally: newTally(),
	}
	t.Run("all", func(t *testing.T) {
		kind := func(name string, do func(t *testing.T) error) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if err := do(t); err != nil {
					t.Error(err)
				}
			})
		}
		for i, k := range massacres(1) {
			if k.fresh && !k.filled {
				continue // much the same as the one that is filled, and "make torture" has them all
			}
			if k.grow, k.change = 3, 1; testing.Short() {
				k.most = 4
			}
			kind(fmt.Sprintf("kill %d", i), func(t *testing.T) error { return g.massacre(t.Context(), k, uint64(i)) })
		}
		for seed := range uint64(4) {
			kind(fmt.Sprintf("siege %d", seed), func(t *testing.T) error { return g.siege(t.Context(), seed, 2) })
		}
		for seed := range uint64(3) {
			kind(fmt.Sprintf("power %d", seed), func(t *testing.T) error { return g.lossOfPower(t.Context(), seed, 4) })
		}
	})
	var figures strings.Builder
	if !g.tally.print(&figures) {
		t.Errorf("something was found:\n%s", &figures)
	}
	t.Log(figures.String())
	if g.tally.runs["killed"] < 20 || g.tally.faults["pass"] < 500 {
		t.Errorf("%d kills among %d requests: nothing was put to the test", g.tally.runs["killed"], g.tally.faults["pass"])
	}
}

// What the auditor has to find, by what somebody does to a bucket.
func TestAuditor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the auditor reads the files of the server as Linux keeps them")
	}
	g := &rig{merkur: program, server: buckettest.Start(t), work: t.TempDir(), deadline: time.Minute, patience: 10, most: 1000, tally: newTally()}
	w, err := g.world(t.Context(), "auditor", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	object := func(name string) string { return filepath.Join(g.server.Dir(), w.bucket("a"), "p", name) }
	begin := func() {
		for _, name := range []string{"a", "b", "c/d"} {
			path := filepath.Join(w.tree.root, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), fill(path, w.rng.Uint64(), 100)); err != nil {
				t.Fatal(err)
			}
		}
		os.RemoveAll(object(""))
		if err := w.settle(t.Context(), up, "before"); err != nil || w.dead {
			t.Fatal(err, g.tally.findings)
		}
	}
	for what, c := range map[string]struct {
		do   func() error
		want string
	}{
		"missing": {func() error { return os.Remove(object("a")) }, `lost: "a" is named, and not in the bucket`},
		"other":   {func() error { return os.WriteFile(object("c/d"), make([]byte, 100), 0o644) }, `false: "c/d" has another content than is named`},
		"longer":  {func() error { return os.Truncate(object("b"), 101) }, `false: "b" has 101 bytes, and 100 are named`},
		"unknown": {func() error { return os.WriteFile(object("x"), nil, 0o644) }, `lost: "x" is in the bucket, and nobody knows of it`},
		"cut":     {func() error { return os.Truncate(object(".merkur/manifest"), 100) }, "false: manifest: footer: no end of a root object"},
	} {
		begin()
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		objects, err := w.objects("a")
		if err != nil {
			t.Fatal(err)
		}
		if _, v := audit.Honest(objects, prefix, nil); v.String() != c.want {
			t.Errorf("%s: the auditor finds\n%v\nwant\n%s", what, v, c.want)
		}
	}
}
