package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"merkur/cmd/merkur/output"
	"merkur/hashing"
	"merkur/inspect"
	"merkur/manifest"
	"merkur/store/bucket"
)

func verifyCommand() *command {
	return &command{
		name:  "verify",
		usage: "check a bucket, or a local tree, against the manifest",
		paths: "s3://BUCKET[/PREFIX] | DIR s3://BUCKET[/PREFIX]",
		about: "Of a bucket: reads the whole manifest and checks it, lists the prefix, and compares object by object.\n" +
			"Nothing is taken from a cache, and nothing is changed. Each line names a class and a key:\n\n" +
			"  missing          the bucket has no such object\n" +
			"  foreign-new      the manifest does not know the object\n" +
			"  foreign-changed  the object has another size or ETag than was recorded\n" +
			"  restamped        another ETag, but the same bytes (minor)\n" +
			"  corrupt          with --data: the bytes are not those that were recorded\n" +
			"  unread           with --data: the bytes could not be read\n" +
			"  damaged          a page or a pack of the manifest\n" +
			"  garbage          an object of merkur's own that nothing needs (minor)\n\n" +
			"What a run is just writing or deleting is counted, and not told.\n" +
			"Needs s3:GetObject of PREFIX/.merkur/* and s3:ListBucket; s3:GetObject of the objects for --data,\n" +
			"and to tell restamped from foreign-changed. It writes nothing.\n\n" +
			"Of a local tree: compares its content with the manifest, without looking at the objects. The classes\n" +
			"are differs, only-local, only-in-manifest and unproven (the manifest has no digest of an object of\n" +
			"equal size). Needs s3:GetObject of PREFIX/.merkur/*.",
		options: lookOptions(
			group{"How much", []option{
				{name: "data", kind: optional, ours: true, none: "all", takes: isShare, usage: "read the objects too, and compare their digests: all, or a `SHARE` such as 5%, picked at random"},
				{name: "seed", kind: valued, ours: true, usage: "pick the share by the number `N`: the same number picks the same objects"},
			}}, keyOptions, scanOptions, keepOptions),
		codes: lookCodes,
		run:   runVerify,
	}
}

// isShare reports whether a word can be the value of --data.
func isShare(word string) bool {
	_, err := parseShare(word)
	return err == nil || word == "all"
}

func runVerify(ctx context.Context, g *given, paths []string) (int, error) {
	ends, err := lookPaths("verify", paths, 1, 2)
	if err != nil {
		return exitFailed, err
	}
	last := ends[len(ends)-1]
	switch {
	case !last.remote() || len(ends) == 2 && ends[0].remote():
		return exitFailed, usage(errors.New("verify takes an s3:// path, or a directory and an s3:// path"))
	case len(ends) == 2 && (g.has("data") || g.has("seed") || g.has("sse-c")):
		return exitFailed, usage(errors.New("--data, --seed and --sse-c are for reading objects; with a local tree none is read"))
	case g.has("seed") && !g.has("data"):
		return exitFailed, usage(errors.New("--seed goes with --data"))
	case len(ends) == 1 && len(g.filters) > 0:
		return exitFailed, usage(errors.New("--exclude and --include go with a local tree"))
	}
	return looking(ctx, g, ends, func(ctx context.Context, l *look) (int, error) {
		if len(ends) == 2 {
			return l.verifyDir(ctx, ends[0], ends[1])
		}
		return l.verifyBucket(ctx, ends[0])
	})
}

// lookPaths reads the paths of a command that looks.
func lookPaths(name string, paths []string, least, most int) ([]end, error) {
	if len(paths) < least || len(paths) > most {
		count := map[int]string{1: "one path", 2: "two paths"}
		wants := count[least]
		if least != most {
			wants = "one or two paths"
		}
		return nil, usage(fmt.Errorf("%s takes %s, not %d", name, wants, len(paths)))
	}
	var ends []end
	for _, p := range paths {
		e, err := place(p)
		if err != nil {
			return nil, err
		}
		ends = append(ends, e)
	}
	return ends, nil
}

func (l *look) verifyBucket(ctx context.Context, e end) (int, error) {
	share, seed, err := l.given.sample()
	if err != nil {
		return exitFailed, usage(err)
	}
	key, err := l.given.customerKey("sse-c")
	if err != nil {
		return exitFailed, usage(err)
	}
	s, err := bucket.Open(ctx, l.configs[0], e.bucket)
	if err != nil {
		return exitFailed, err
	}
	audit := inspect.Audit{Store: s, Prefix: e.prefix, Seal: l.seal(e.location), Customer: key, Share: share, Seed: seed}
	tally, err := audit.Run(ctx, func(f inspect.Finding) error {
		l.out.Say(findingLine(f), findingObject(f))
		return l.out.Failed()
	})
	if errors.Is(err, inspect.ErrNoManifest) {
		err = fmt.Errorf("%s: %w", e.location, err)
	}
	if err != nil {
		return exitFailed, err
	}
	l.out.Say(tallyLine(e.location, tally, share), tallyObject(e.location, tally, s.Requests()))
	switch {
	case tally.Differs():
		return exitDiffers, nil
	case tally.Found[inspect.Unread] > 0 || share > 0 && tally.Unproven > 0:
		return exitWarned, nil
	}
	return exitDone, nil
}

// sample is the share of --data, and the seed that picks it.
func (g *given) sample() (share float64, seed uint64, err error) {
	if text := g.text("data"); text == "all" {
		share = 1
	} else if g.has("data") {
		if share, err = parseShare(text); err != nil {
			return 0, 0, fmt.Errorf("--data: %w", err)
		}
	}
	if !g.has("seed") {
		return share, rand.Uint64(), nil
	}
	if seed, err = strconv.ParseUint(g.text("seed"), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("argument --seed: invalid int value: '%s'", g.text("seed"))
	}
	return share, seed, nil
}

// findingLine is a finding for people.
func findingLine(f inspect.Finding) string {
	line := string(f.Class) + ":"
	if f.Key != "" {
		line += " " + f.Key
	}
	if d := findingDetail(f); d != "" {
		line += " (" + d + ")"
	}
	return line
}

func findingDetail(f inspect.Finding) string {
	var parts []string
	switch {
	case f.Entry != nil && f.Object != nil:
		if f.Entry.Size != f.Object.Size {
			parts = append(parts, fmt.Sprintf("size %d -> %d", f.Entry.Size, f.Object.Size))
		}
		if f.Entry.Evidence.ETag != f.Object.ETag {
			parts = append(parts, fmt.Sprintf("ETag %s -> %s", f.Entry.Evidence.ETag, f.Object.ETag))
		}
	case f.Entry != nil:
		parts = append(parts, output.Size(f.Entry.Size))
	case f.Object != nil:
		parts = append(parts, output.Size(f.Object.Size))
	}
	if f.Detail != "" {
		parts = append(parts, f.Detail)
	}
	return strings.Join(parts, "; ")
}

// verified are the classes in the order of the closing line.
var verified = []inspect.Class{inspect.Damaged, inspect.Missing, inspect.ForeignNew, inspect.ForeignChanged,
	inspect.Corrupt, inspect.Unread, inspect.Restamped, inspect.Garbage}

func tallyLine(at location, t inspect.Tally, share float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "verified %s: %d files, %s", at, t.Files, output.Size(t.Bytes))
	if share > 0 {
		fmt.Fprintf(&b, "; read %d, %s", t.ReadFiles+t.Found[inspect.Corrupt], output.Size(t.ReadBytes))
	}
	clean := true
	for _, c := range verified {
		if n := t.Found[c]; n > 0 {
			clean = false
			fmt.Fprintf(&b, "; %s %d", c, n)
		}
	}
	if clean {
		b.WriteString("; all as the manifest says")
	}
	for _, n := range []struct {
		count int64
		what  string
	}{
		{t.InProgress, "in progress, or left by a run that died"},
		{t.Unproven, "unproven: their content was never compared with a digest"},
		{t.Hidden, "objects below damaged pages, of which nothing can be said"},
	} {
		if n.count > 0 {
			fmt.Fprintf(&b, "; %d %s", n.count, n.what)
		}
	}
	fmt.Fprintf(&b, "; root %s, generation %d", short(t.Manifest.Root.Digest), t.Manifest.Generation)
	return b.String()
}

// short is a digest for people to compare.
func short(d manifest.Digest) string { return d.String()[:16] }

// verifyDir compares a local tree with a manifest.
func (l *look) verifyDir(ctx context.Context, dir, at end) (int, error) {
	if is, err := isDir(dir); err != nil {
		return exitFailed, err
	} else if !is {
		return exitFailed, usage(fmt.Errorf("%s is no directory", dir.typed))
	}
	s, err := bucket.Open(ctx, l.configs[1], at.bucket)
	if err != nil {
		return exitFailed, err
	}
	m, err := l.directory(ctx, s, at.location, dir.dir)
	if err != nil {
		return exitFailed, err
	}
	var problems int
	var stats hashing.Stats
	local := inspect.Dir{
		Path: dir.dir, Scan: l.scan(dir.dir), Done: func(s hashing.Stats) { stats = s },
		Problem: func(p *hashing.Problem) { problems++; l.out.Problem(p) },
	}.View()
	committed := inspect.Of(at.String(), m.Tree(ctx), nil, m.sub)
	counts := map[string]int64{}
	for d, err := range inspect.Diff(ctx, committed, local, l.filters.Select) {
		if err != nil {
			return exitFailed, err
		}
		class := localClass(d)
		counts[class]++
		l.out.Say(class+": "+d.Key+" ("+changeDetail(d)+")", differenceObject("finding", class, d))
		if err := l.out.Failed(); err != nil {
			return exitFailed, err
		}
	}
	differ := counts["differs"] + counts["only-local"] + counts["only-in-manifest"]
	l.out.Say(localLine(dir, at, stats, counts, problems), localObject(dir, at, stats, counts, problems, differ, m.Root().Digest))
	return lookCode(differ > 0, counts["unproven"] > 0 || problems > 0), nil
}

// lookCode is the exit code of a comparison.
func lookCode(differs, incomplete bool) int {
	switch {
	case differs:
		return exitDiffers
	case incomplete:
		return exitWarned
	}
	return exitDone
}

// localClass is what a difference from the manifest to a local tree is called.
func localClass(d inspect.Difference) string {
	switch {
	case d.A == nil:
		return "only-local"
	case d.B == nil:
		return "only-in-manifest"
	case d.Unclear:
		return "unproven"
	}
	return "differs"
}

func localLine(dir, at end, s hashing.Stats, counts map[string]int64, problems int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "verified %s against %s: %d files, %s; hashed %d", dir.typed, at.location, s.Files, output.Size(s.Bytes), s.HashedFiles)
	clean := problems == 0
	for _, class := range []string{"differs", "only-local", "only-in-manifest", "unproven"} {
		if n := counts[class]; n > 0 {
			clean = false
			fmt.Fprintf(&b, "; %s %d", class, n)
		}
	}
	if problems > 0 {
		fmt.Fprintf(&b, "; %d paths could not be read", problems)
	}
	if clean {
		b.WriteString("; all as the manifest says")
	}
	return b.String()
}
