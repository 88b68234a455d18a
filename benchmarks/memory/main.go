//go:build unix

// Command memory measures how much memory merkur takes for trees of a million files and more: up,
// down and across, with manifests and with listings, where everything is to be moved and where
// nothing is. It prints a row a run, with the peak resident set that the system counted for the
// finished process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"merkur/store/bucket/buckettest"
)

func main() {
	merkur := flag.String("merkur", ".bin/merkur", "the `program` to measure")
	server := flag.String("server", ".bin/versitygw", "the S3 server `program`")
	work := flag.String("work", os.TempDir(), "a `directory` for the trees, on a file system with stable times")
	store := flag.String("store", "/dev/shm", "a `directory` for the server")
	counts := flag.String("files", "1000000,2000000", "`numbers` of files")
	perDir := flag.Int("per-dir", 100, "files in a directory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *merkur, *server, *work, *store, *counts, *perDir); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, merkur, server, work, store, counts string, perDir int) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "files\trun\tpeak MiB\ttime\t")
	defer w.Flush()
	for _, field := range strings.Split(counts, ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		if err := measureTree(ctx, w, merkur, server, work, store, n, perDir); err != nil {
			return err
		}
		w.Flush()
	}
	return nil
}

// A run is one run of the program over a tree: "up" stands for the tree, "down" for an empty
// directory, and "a" to "c" for buckets.
type run struct {
	name     string
	from, to string
	options  []string
	settled  bool // waits until the files of the tree are old enough to be trusted
}

var runs = []run{
	{name: "up, first", from: "up", to: "a"},
	{name: "up, settling", from: "up", to: "a", settled: true},
	{name: "up, no-op", from: "up", to: "a"},
	{name: "up by time, no-op", from: "up", to: "a", options: []string{"--compare", "aws"}},
	{name: "down by manifest", from: "a", to: "down"},
	{name: "down, no-op", from: "a", to: "down"},
	{name: "across by manifest", from: "a", to: "b"},
	{name: "across by time", from: "a", to: "c", options: []string{"--compare", "aws"}},
	{name: "across by time, no-op", from: "a", to: "c", options: []string{"--compare", "aws"}},
	{name: "down by listing", from: "c", to: "down2"},
	{name: "down by listing, no-op", from: "c", to: "down2"},
	{name: "down by listing, no cache", from: "c", to: "down2", options: []string{"--no-cache"}},
	{name: "down by size, no-op", from: "c", to: "down2", options: []string{"--size-only"}},
	{name: "up by etag, no-op", from: "up", to: "c", options: []string{"--compare", "etag"}},
	{name: "up, taking over", from: "up", to: "c"},
	{name: "delete all below", from: "empty", to: "down2", options: []string{"--delete", "--allow-empty-source"}},
}

// measureTree makes a tree of n files and measures the runs over it.
func measureTree(ctx context.Context, w *tabwriter.Writer, merkur, server, work, store string, n, perDir int) error {
	dir, err := os.MkdirTemp(work, "merkur-memory-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	data, err := os.MkdirTemp(store, "merkur-memory-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	if err := makeTree(ctx, filepath.Join(dir, "up"), n, perDir); err != nil {
		return err
	}
	s, err := buckettest.Launch(ctx, server, data)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, name := range []string{"a", "b", "c", "empty"} {
		if err := s.CreateBucket(ctx, "memory-"+name); err != nil {
			return err
		}
	}
	env := append(os.Environ(), s.Env()...)
	env = append(env, "MERKUR_CACHE_DIR="+filepath.Join(dir, "cache"), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
	settled := time.Now().Add(150 * time.Second)
	end := func(name string) string {
		if len(name) == 1 || name == "empty" {
			return "s3://memory-" + name
		}
		return filepath.Join(dir, name)
	}
	for _, r := range runs {
		if r.settled {
			if err := until(ctx, settled); err != nil {
				return err
			}
		}
		args := append([]string{"sync", end(r.from), end(r.to), "--only-show-errors"}, r.options...)
		peak, took, err := once(ctx, merkur, args, env)
		if err != nil {
			return fmt.Errorf("%s, %d files: %w", r.name, n, err)
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%.1f s\t\n", n, r.name, peak>>20, took.Seconds())
	}
	return nil
}

// once runs the program and returns its peak resident set in bytes and its time.
func once(ctx context.Context, merkur string, args, env []string) (peak int64, took time.Duration, err error) {
	cmd := exec.CommandContext(ctx, merkur, args...)
	cmd.Env = env
	cmd.Stderr = os.Stderr
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, err
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, 0, errors.New("this system does not tell how much memory a process took")
	}
	peak = usage.Maxrss
	if runtime.GOOS == "linux" {
		peak <<= 10 // KiB there
	}
	return peak, time.Since(begun), nil
}

func until(ctx context.Context, t time.Time) error {
	select {
	case <-time.After(time.Until(t)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// makeTree makes n files of about a hundred bytes, no two alike.
func makeTree(ctx context.Context, root string, n, perDir int) error {
	for i := range n {
		dir := filepath.Join(root, fmt.Sprintf("%03d", i/perDir/100), fmt.Sprintf("%03d", i/perDir%100))
		if i%perDir == 0 {
			if err := errors.Join(ctx.Err(), os.MkdirAll(dir, 0o755)); err != nil {
				return err
			}
		}
		body := fmt.Sprintf("%0100d\n", i)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%07d", i)), []byte(body), 0o644); err != nil {
			return err
		}
	}
	return nil
}
