// Command demo shows merkur's main job on a real tree and a real S3 server: it mirrors a copy
// of the Go distribution, then touches, edits, deletes and moves it, and mirrors it again each
// time. What each run asked of the server is counted by a proxy between the two, so that the
// figures are not merkur's own. It ends with an error if one of them is not what it should be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"merkur/store/bucket/buckettest"
)

func main() {
	merkur := flag.String("merkur", ".bin/merkur", "the `program` to show")
	server := flag.String("server", ".bin/versitygw", "the S3 server `program`")
	tree := flag.String("tree", goroot(), "the `directory` to mirror a copy of")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *merkur, *server, *tree); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func goroot() string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return runtime.Version()
	}
	return strings.TrimSpace(string(out))
}

// A show is a server, a counting proxy before it, and what the runs so far did.
type show struct {
	ctx    context.Context
	merkur string
	work   string
	env    []string
	proxy  *buckettest.Recorder
	rows   []row
	wrong  []string
}

// A row of the table is one run.
type row struct {
	step, files, hashed       string
	puts, deletes, root, rest int // requests: for objects; to write the manifest; all others
	lists                     int
	took                      time.Duration
}

func demo(ctx context.Context, merkur, server, tree string) error {
	work, err := os.MkdirTemp("", "merkur-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	store := filepath.Join(work, "server")
	if err := os.Mkdir(store, 0o700); err != nil {
		return err
	}
	s, err := buckettest.Launch(ctx, server, store)
	if err != nil {
		return err
	}
	defer s.Close()
	proxy, err := buckettest.Record(s.URL())
	if err != nil {
		return err
	}
	defer proxy.Close()
	if err := s.CreateBucket(ctx, "demo"); err != nil {
		return err
	}
	if merkur, err = filepath.Abs(merkur); err != nil {
		return err
	}
	env := append(os.Environ(), s.Env()...)
	env = append(env, "AWS_ENDPOINT_URL="+proxy.URL(), "MERKUR_CACHE_DIR="+filepath.Join(work, "cache"), "XDG_STATE_HOME="+filepath.Join(work, "state"), "MERKUR_SAMPLE_SHARE=0")
	sh := &show{ctx: ctx, merkur: merkur, work: work, env: env, proxy: proxy}
	fmt.Printf("An S3 server runs at %s, over %s.\n", s.URL(), store)
	if err := sh.story(tree); err != nil {
		return err
	}
	sh.table()
	if len(sh.wrong) > 0 {
		return fmt.Errorf("not as it should be: %s", strings.Join(sh.wrong, "; "))
	}
	return nil
}

// story is what the demo does. Each run says how many objects it should put and delete.
func (s *show) story(tree string) error {
	dir, moved := filepath.Join(s.work, "tree"), filepath.Join(s.work, "elsewhere", "tree")
	fmt.Printf("Copying %s to %s.\n", tree, dir)
	if err := copyTree(s.ctx, tree, dir); err != nil {
		return err
	}
	files, err := filesBelow(dir)
	if err != nil {
		return err
	}
	if len(files) < 10_000 {
		return fmt.Errorf("%s has %d files; the demo wants 10,000", tree, len(files))
	}
	edited, gone := files[len(files)/2], files[len(files)/3]
	steps := []struct {
		name          string
		prepare       func() error
		dir           string
		options       []string
		puts, deletes int
	}{
		{"first run", nil, dir, nil, len(files), 0},
		{"nothing changed", nil, dir, nil, 0, 0},
		{"every file touched", func() error { return touch(files) }, dir, nil, 0, 0},
		{"one file edited", func() error { return appendTo(edited) }, dir, nil, 1, 0},
		{"one file deleted", func() error { return os.Remove(gone) }, dir, nil, 0, 0},
		{"the same, with --delete", nil, dir, []string{"--delete"}, 0, 1},
		{"moved, as a fresh clone", func() error { return copyTree(s.ctx, dir, moved) }, moved, []string{"--delete"}, 0, 0},
		{"the cache removed", func() error { return os.RemoveAll(filepath.Join(s.work, "cache")) }, moved, []string{"--delete"}, 0, 0},
	}
	for _, step := range steps {
		if step.prepare != nil {
			if err := step.prepare(); err != nil {
				return err
			}
		}
		if err := s.run(step.name, step.dir, step.puts, step.deletes, step.options...); err != nil {
			return err
		}
	}
	return nil
}

// run mirrors a directory and notes what it took.
func (s *show) run(name, dir string, puts, deletes int, options ...string) error {
	args := append([]string{"sync", dir, "s3://demo/mirror"}, options...)
	fmt.Printf("\n%s\n$ merkur %s\n", name, strings.Join(args, " "))
	s.proxy.Reset()
	cmd := exec.CommandContext(s.ctx, s.merkur, args...)
	cmd.Env = s.env
	// Interrupted, it is asked to stop, and given time to.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	var said strings.Builder
	cmd.Stderr = &said // the lines of stdout, one an object, are not shown
	begun := time.Now()
	err := cmd.Run()
	r := row{step: name, took: time.Since(begun)}
	fmt.Print(said.String())
	if err = errors.Join(err, s.ctx.Err()); err != nil {
		return fmt.Errorf("merkur sync: %w", err)
	}
	s.count(&r, said.String())
	if r.puts != puts || r.deletes != deletes || r.lists > 0 && name != "first run" {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %d puts, %d deletes, %d listings", name, r.puts, r.deletes, r.lists))
	}
	s.rows = append(s.rows, r)
	return nil
}

var figures = regexp.MustCompile(`merkur: (\d+) files, .*?; hashed \d+, (.*?)(?: \(|;)`)

// count fills in what the proxy has seen, and what merkur says that it read.
func (s *show) count(r *row, said string) {
	if m := figures.FindStringSubmatch(said); m != nil {
		r.files, r.hashed = m[1], m[2]
	}
	for _, q := range s.proxy.Requests() {
		own := strings.Contains(q.Key, ".merkur/")
		switch {
		case q.Kind == "ListObjectsV2":
			r.lists++
		case q.Kind == "PutObject" && !own, q.Kind == "CompleteMultipartUpload":
			r.puts++
		case q.Kind == "DeleteObject" && !own:
			r.deletes++
		case q.Kind == "PutObject" && strings.HasSuffix(q.Key, ".merkur/manifest"):
			r.root++
		default:
			r.rest++
		}
	}
}

func (s *show) table() {
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tfiles\thashed\tputs\tdeletes\tlistings\tmanifest puts\tother requests\ttime\t")
	for _, r := range s.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.2f s\t\n",
			r.step, r.files, r.hashed, r.puts, r.deletes, r.lists, r.root, r.rest, r.took.Seconds())
	}
	w.Flush()
}

func filesBelow(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// copyTree copies what is in a directory, with new times, as a clone does.
func copyTree(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.CopyFS(to, until{ctx, os.DirFS(from)})
}

// until is a file system that is gone when the context is done.
type until struct {
	ctx context.Context
	fs.FS
}

func (u until) Open(name string) (fs.File, error) {
	if err := u.ctx.Err(); err != nil {
		return nil, err
	}
	return u.FS.Open(name)
}

func touch(files []string) error {
	now := time.Now()
	for _, f := range files {
		if err := os.Chtimes(f, now, now); err != nil {
			return err
		}
	}
	return nil
}

func appendTo(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n")
	return errors.Join(err, f.Close())
}
