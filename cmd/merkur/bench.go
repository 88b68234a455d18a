package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"merkur/cmd/merkur/settings"
	"merkur/lab"
	"merkur/lab/edits"
	"merkur/lab/report"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer/compare"
)

func benchCommand() *command {
	return &command{
		name:  "bench",
		usage: "measure every compare strategy on your own tree and bucket, and find its errors",
		paths: "DIR s3://BUCKET[/PREFIX] | s3://BUCKET[/PREFIX] DIR | s3://BUCKET[/PREFIX] s3://BUCKET[/PREFIX]",
		about: "Runs each strategy of merkur sync --compare as a dry run in a process of its own, and tells what it\n" +
			"costs, what it would transfer, and what it gets wrong by the truth, which is by content: changes that it\n" +
			"misses, and transfers that are not needed. Nothing is changed: no object, no manifest, no cache.\n\n" +
			"Each --simulate makes a copy of the local tree in a scratch directory, edits it, and measures again against\n" +
			"the bucket as it is:\n\n" +
			"  touch           every file gets the present time\n" +
			"  clone           every file is written anew, as by git clone\n" +
			"  edit            a line is put into the middle of 1 % of the files\n" +
			"  append          a line is put at the end of 1 % of the files\n" +
			"  same-size-edit  one byte of 1 % of the files becomes another\n" +
			"  quiet-edit      the same, and the file keeps its time, as with cp -p or tar\n" +
			"  rename          1 % of the files get another name\n" +
			"  all             all of them\n\n" +
			"edit=5% is about 5 % of the files. Time and CPU are of the whole process, medians of the rounds. Prices are\n" +
			"in dollars for 1,000 requests, as S3 Standard has them in us-east-1, of the plan and of the transfers that\n" +
			"it would carry out. Needs s3:ListBucket and s3:GetObject; it lists the prefix, and reads the whole local tree.",
		options: lookOptions(
			group{"What to measure", []option{
				{name: "simulate", kind: valued, ours: true, usage: "edit a copy of the local tree: `KIND`, KIND=SHARE, or several with commas"},
				{name: "rounds", kind: valued, ours: true, usage: "measure `N` times, and tell the medians (default: 3)"},
				{name: "seed", kind: valued, ours: true, usage: "pick the edits by the number `N`: the same number picks the same (default: 1)"},
				{name: "scratch", kind: valued, ours: true, usage: "make the scratch directory in `DIR` (default: the cache directory of the user)"},
				{name: "scratch-limit", kind: valued, ours: true, usage: "copy no tree of more than `SIZE` (default: 4GB)"},
				{name: "read", ours: true, usage: "read objects whose content no manifest, ETag or checksum tells, for the truth"},
				{name: "price-list", kind: valued, ours: true, usage: "prices in dollars: of 1,000 requests, and of a GiB that a download takes out of the region (`KIND=N,...` of LIST, HEAD, GET, PUT and OUT; default: LIST=0.005,HEAD=0.0004,GET=0.0004,PUT=0.005,OUT=0)"},
				{name: "html", kind: valued, ours: true, usage: "write the report as a page to `FILE` as well"},
			}}, keyOptions,
			syncOptions.pick("Local trees", "exclude", "include", "follow-symlinks", "no-follow-symlinks", "trust-stat"),
			syncOptions.pick("Server of the first path, where both are in a bucket", "source-region", "source-endpoint-url", "source-profile")),
		meant: map[string]string{
			"compare": "all strategies are measured",
			"dryrun":  "bench changes nothing in any case",
			"delete":  "what is deleted is the same for all strategies",
			"round":   "--rounds is meant",
			"rehash":  "the truth reads every file in any case",
		},
		codes: []exitMeaning{
			{exitDone, "all strategies are measured, whatever they got wrong"},
			{exitFailed, "it could not be found out"},
			{exitWarned, "a strategy could not be run"},
		},
		run: runBench,
	}
}

func runBench(ctx context.Context, g *given, paths []string) (int, error) {
	ends, err := lookPaths("bench", paths, 2, 2)
	if err != nil {
		return exitFailed, err
	}
	if !ends[0].remote() && !ends[1].remote() {
		return exitFailed, usage(fmt.Errorf("one of the two paths has to be an s3:// path: %s and %s are not", paths[0], paths[1]))
	}
	o, err := g.bench(ends)
	if err != nil {
		return exitFailed, usage(err)
	}
	return looking(ctx, g, ends, func(ctx context.Context, l *look) (int, error) { return l.bench(ctx, ends, o) })
}

// bench reads what is measured, and how.
func (g *given) bench(ends []end) (o lab.Options, err error) {
	o = lab.Options{Rounds: 3, Seed: 1, Limit: 4 << 30, Read: g.on("read"), Prices: report.USEast1, Follow: !g.noFollow}
	for _, name := range compare.Names() {
		o.Strategies = append(o.Strategies, string(name))
	}
	if n, err := g.number("rounds", 1); err != nil {
		return o, err
	} else if n > 0 {
		o.Rounds = n
	}
	if g.has("seed") {
		if o.Seed, err = strconv.ParseUint(g.text("seed"), 10, 64); err != nil {
			return o, fmt.Errorf("argument --seed: invalid int value: '%s'", g.text("seed"))
		}
	}
	if o.Wishes, err = wishes(g.wishes); err != nil {
		return o, fmt.Errorf("--simulate: %w", err)
	}
	if len(o.Wishes) > 0 && ends[0].remote() && ends[1].remote() {
		return o, errors.New("--simulate edits a copy of a local tree, and both paths are in a bucket")
	}
	if g.has("scratch-limit") {
		if o.Limit, err = settings.ParseSize(g.text("scratch-limit")); err != nil {
			return o, fmt.Errorf("--scratch-limit: %w", err)
		}
	}
	if g.has("price-list") {
		if o.Prices, err = report.ParsePrices(g.text("price-list"), report.USEast1); err != nil {
			return o, fmt.Errorf("--price-list: %w", err)
		}
	}
	o.Scratch = g.text("scratch")
	if dir, err := os.UserCacheDir(); o.Scratch == "" && err == nil {
		if _, err := os.Stat(dir); err == nil {
			o.Scratch = dir // and not that for temporary files, which may lie in memory
		}
	}
	return o, nil
}

// wishes reads simulations. One that is wished for twice is made once.
func wishes(texts []string) (list []edits.Wish, err error) {
	for _, text := range texts {
		if text == "all" {
			for _, k := range edits.Kinds {
				texts = append(texts, string(k))
			}
		}
	}
	for _, text := range texts {
		if text == "all" {
			continue
		}
		w, err := edits.Parse(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list, nil
}

// bench measures, and tells what was found.
func (l *look) bench(ctx context.Context, ends []end, o lab.Options) (int, error) {
	stores, err := l.benchSides(ctx, ends, &o)
	if err != nil {
		return exitFailed, err
	}
	program, err := os.Executable()
	if err != nil {
		return exitFailed, fmt.Errorf("find the program itself: %w", err)
	}
	if name := l.given.text("html"); name != "" {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666) // who cannot write it is told now
		if err != nil {
			return exitFailed, fmt.Errorf("write the report: %w", err)
		}
		f.Close()
	}
	if l.root != "" {
		o.Leave = []string{l.root}
	}
	o.Select, o.Descend, o.Tell = l.filters.Select, l.filters.Descend, l.out.Passing
	o.Asked = func() map[string]int64 { return requestsOf(stores) }
	o.Process = func(ctx context.Context, s lab.Spec) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, l.given.planArgs(ends, s)...)
		cmd.Env = planEnv(os.Environ(), s)
		return cmd
	}
	r, err := lab.Run(ctx, o)
	l.out.Passing("")
	if err != nil {
		return exitFailed, cancelled(ctx, err)
	}
	l.tellBench(r)
	if name := l.given.text("html"); name != "" {
		page, err := r.Page()
		if err == nil {
			err = os.WriteFile(name, page, 0o666)
		}
		if err != nil {
			return exitFailed, fmt.Errorf("write the report: %w", err)
		}
	}
	for _, c := range r.Cases {
		if slices.ContainsFunc(c.Outcomes, func(o report.Outcome) bool { return o.Error != "" }) {
			return exitWarned, nil
		}
	}
	return exitDone, nil
}

// benchSides makes the sides, and returns the stores that they have.
func (l *look) benchSides(ctx context.Context, ends []end, o *lab.Options) (stores []*bucket.S3, err error) {
	marks, err := identityDir()
	if err != nil && l.key != nil {
		return nil, err
	}
	customer, err := l.given.customerKey("sse-c")
	if err != nil {
		return nil, usage(err)
	}
	for i, side := range []*lab.Side{&o.From, &o.To} {
		e := ends[i]
		if side.Name = e.typed; !e.remote() {
			if is, err := isDir(e); err != nil {
				return nil, err
			} else if !is {
				return nil, usage(fmt.Errorf("%s is no directory", e.typed))
			}
			side.Dir = e.dir
			continue
		}
		s, err := bucket.Open(ctx, l.configs[i], e.bucket)
		if err != nil {
			return nil, err
		}
		stores = append(stores, s)
		*side = lab.Side{
			Name: e.location.String(), Store: s, Prefix: e.prefix, Place: s.Endpoint() + " " + e.location.String(), Customer: customer, Seal: l.seal(e.location),
		}
		if l.key != nil {
			side.Mark = catalog.NewMark(marks, side.Place)
		}
	}
	return stores, nil
}

func (l *look) tellBench(r report.Report) {
	if l.out.JSON() {
		l.out.Say("", r)
		return
	}
	for _, line := range r.Text(l.out.Width()) {
		l.out.Line(line)
	}
}

// planArgs is the command line of a process that plans.
func (g *given) planArgs(ends []end, s lab.Spec) []string {
	args := []string{"bench-plan", "--compare=" + s.Strategy, "--cache-dir=" + s.Cache, "--clock-ahead=" + s.Ahead.String()}
	if s.Draft != "" {
		args = append(args, "--draft="+s.Draft)
	}
	if len(s.Leave) > 0 {
		args = append(args, "--leave="+strings.Join(s.Leave, string(os.PathListSeparator)))
	}
	for _, group := range planOptions() {
		for _, o := range group.options {
			args = append(args, g.passed(o, s)...)
		}
	}
	for _, f := range g.filters {
		args = append(args, map[bool]string{true: "--include=", false: "--exclude="}[f.Include]+f.Pattern)
	}
	if g.noFollow {
		args = append(args, "--no-follow-symlinks")
	}
	var paths []string
	for _, e := range ends {
		if e.remote() || s.Dir == "" {
			paths = append(paths, e.typed)
			continue
		}
		args, paths = append(args, "--stands-for="+e.dir), append(paths, s.Dir)
	}
	return append(append(args, "--"), paths...)
}

// notPassed are options that the process is given in another way, or not at all.
var notPassed = []string{"exclude", "include", "follow-symlinks", "no-follow-symlinks", "cache-dir", "output", "quiet", "color", "debug"}

// passed is an option as the process is given it. Only content goes with a key.
func (g *given) passed(o option, s lab.Spec) []string {
	switch {
	case !g.has(o.name) || slices.Contains(notPassed, o.name), o.name == "manifest-key" && s.Strategy != string(compare.Content):
		return nil
	case o.kind == toggle:
		return []string{"--" + o.name}
	}
	return []string{"--" + o.name + "=" + g.text(o.name)}
}

// planEnv is the environment of a process that plans: what it writes goes to its scratch directory.
func planEnv(env []string, s lab.Spec) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"MERKUR_CACHE_DIR", "MERKUR_MANIFEST_KEY", "MERKUR_SUMMARY", "TMPDIR", "TMP", "TEMP"}, name)
	})
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		env = append(env, name+"="+filepath.Clean(s.Temp))
	}
	return env
}
