//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"merkur/benchmarks/figures"
	"merkur/store/bucket/buckettest"
)

// A stage is what the works have in common: trees, servers and tools.
type stage struct {
	ctx    context.Context
	o      options
	dir    string // for trees and what the tools keep
	data   string // of the server
	server *buckettest.Server
	null   *exec.Cmd
	front  string            // the server's URL, or that of what counts the requests to it
	at     string            // the same of the null server
	tools  map[string]string // paths by name; empty: not on this machine
	self   string
	trees  map[string]time.Time // when they were last written
	fresh  int                  // destinations so far
}

func newStage(ctx context.Context, o options) (s *stage, err error) {
	s = &stage{ctx: ctx, o: o, tools: map[string]string{}, trees: map[string]time.Time{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return s, err
	}
	if s.self, err = os.Executable(); err != nil {
		return s, err
	}
	if s.dir, err = os.MkdirTemp(o.work, "merkur-compare-"); err != nil {
		return s, err
	}
	if s.data, err = os.MkdirTemp(o.store, "merkur-compare-"); err != nil {
		return s, err
	}
	for _, name := range []string{"merkur", "s5cmd", "rclone", "aws", "git", "find", "b3sum"} {
		s.tools[name] = s.find(o.bin, name)
	}
	if s.tools["merkur"] == "" {
		return s, fmt.Errorf("no merkur in %s", o.bin)
	}
	if s.server, err = buckettest.Launch(ctx, filepath.Join(o.bin, "versitygw"), s.data); err != nil {
		return s, err
	}
	s.front = s.server.URL()
	for _, name := range []string{"merkur", "s5cmd", "rclone", "aws", "mirror"} {
		if err = s.server.CreateBucket(ctx, "of-"+name); err != nil {
			return s, err
		}
	}
	return s, s.startNull()
}

// find returns the path of a tool: a pinned one before one that is on PATH.
func (s *stage) find(bin, name string) string {
	if path := filepath.Join(bin, name); exec.Command(path, "--version").Run() == nil || name == "s5cmd" && exec.Command(path, "version").Run() == nil {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// versions are those of the tools, in their own words.
func (s *stage) versions() map[string]string {
	v := map[string]string{}
	for name, path := range s.tools {
		if path == "" {
			continue
		}
		out, err := exec.Command(path, "--version").Output()
		if err != nil {
			out, err = exec.Command(path, "version").Output()
		}
		if words := strings.Fields(string(out)); err == nil && len(words) > 0 {
			v[name] = version(words)
		}
	}
	return v
}

// version is the first word of what a tool says of itself that has a digit and a dot: others tell of the machine.
func version(words []string) string {
	for _, w := range words {
		if strings.Contains(w, ".") && strings.ContainsAny(w, "0123456789") {
			return w
		}
	}
	return words[0]
}

// startNull starts the server that does nothing, as a process of its own.
func (s *stage) startNull() error {
	s.null = exec.CommandContext(s.ctx, s.self, "null", s.dir)
	out, err := s.null.StdoutPipe()
	if err == nil {
		err = s.null.Start()
	}
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	s.at = "http://" + strings.TrimSpace(line)
	return err
}

func (s *stage) close() {
	if s.server != nil {
		s.server.Close()
	}
	if s.null != nil && s.null.Process != nil {
		s.null.Process.Kill()
		s.null.Wait()
	}
	for _, dir := range []string{s.dir, s.data} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
}

// env is that of all tools: the server's keys, and nothing of the user's.
func (s *stage) env() []string {
	return append(os.Environ(), "AWS_ACCESS_KEY_ID="+buckettest.AccessKey, "AWS_SECRET_ACCESS_KEY="+buckettest.SecretKey, "AWS_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "HOME="+s.dir, "XDG_STATE_HOME="+filepath.Join(s.dir, "state"), "MERKUR_CACHE_DIR="+filepath.Join(s.dir, "cache"),
		"GIT_DIR="+filepath.Join(s.dir, "git"), "RCLONE_CONFIG=", "RCLONE_CONFIG_S_TYPE=s3", "RCLONE_CONFIG_S_PROVIDER=Other", "RCLONE_CONFIG_S_ENV_AUTH=true",
		"RCLONE_CONFIG_S_ENDPOINT="+s.front, "RCLONE_CONFIG_S_FORCE_PATH_STYLE=true")
}

// hold has all tools do a work.
func (s *stage) hold(c contest) (w figures.Work, err error) {
	w = figures.Work{Name: c.name, Title: c.title, Bars: slices.Clone(c.bars)}
	for i := range w.Bars {
		if b := &w.Bars[i]; b.Tool == "" && b.Of == figures.CPU {
			b.Most *= s.o.scale // so much for all files together
		}
	}
	if c.prepare != nil {
		if err := c.prepare(s); err != nil {
			return w, fmt.Errorf("prepare: %w", err)
		}
	}
	for _, r := range c.rivals {
		row := figures.Row{Tool: r.name}
		if r.needs != "" && s.tools[r.needs] == "" {
			row.Missing = "not on this machine"
		}
		w.Rows = append(w.Rows, row)
	}
	for n := -1; n < s.o.rounds; n++ { // the first round warms up
		for i, r := range c.rivals {
			if w.Rows[i].Missing != "" {
				continue
			}
			sample, err := s.once(r)
			if err != nil {
				return w, fmt.Errorf("%s: %w", r.name, err)
			}
			if n >= 0 {
				w.Rows[i].Samples = append(w.Rows[i].Samples, sample)
			}
		}
	}
	for i, r := range c.rivals {
		if w.Rows[i].Missing != "" {
			continue
		}
		if w.Rows[i].Requests, err = s.counted(r); err != nil {
			return w, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return w, nil
}

// counted has one tool do a work behind proxies that count its requests, by operation. They have addresses of
// their own, by which merkur knows a server: so the work is done once before, for it to get acquainted.
func (s *stage) counted(r rival) (map[string]int64, error) {
	real, err := buckettest.Record(s.server.URL())
	if err != nil {
		return nil, err
	}
	defer real.Close()
	null, err := buckettest.Record(s.at)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	defer func(front, at string) { s.front, s.at = front, at }(s.front, s.at)
	s.front, s.at = real.URL(), null.URL()
	if _, err := s.once(r); err != nil {
		return nil, err
	}
	real.Reset()
	null.Reset()
	if _, err := s.once(r); err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, c := range []map[string]int{real.Counts(), null.Counts()} {
		for kind, n := range c {
			counts[kind] += int64(n)
		}
	}
	return counts, nil
}

// once has one tool do a work once.
func (s *stage) once(r rival) (figures.Sample, error) {
	args, clean, err := r.command(s)
	if clean != nil {
		defer clean()
	}
	if err != nil {
		return figures.Sample{}, err
	}
	return s.run(args)
}

// run runs a command and returns what it took. What it prints is thrown away.
func (s *stage) run(args []string) (figures.Sample, error) {
	// A process counts as having held what we hold at the moment that it is made.
	debug.FreeOSMemory()
	cmd := exec.CommandContext(s.ctx, args[0], args[1:]...)
	var said strings.Builder
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env(), io.Discard, &said
	begun := time.Now()
	err := cmd.Run()
	sample := figures.Sample{Wall: time.Since(begun)}
	if err != nil {
		return sample, fmt.Errorf("%s: %w: %.500s", strings.Join(args, " "), err, said.String())
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample, errors.New("this system does not tell what a process took")
	}
	sample.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	sample.Peak = usage.Maxrss * peakUnit
	return sample, nil
}
