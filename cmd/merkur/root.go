package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"merkur/cmd/merkur/output"
	"merkur/hashing"
	"merkur/inspect"
	"merkur/manifest"
	"merkur/store/bucket"
)

func rootCommand() *command {
	return &command{
		name:  "root",
		usage: "print the root digest of a tree",
		paths: "DIR | s3://BUCKET[/PREFIX] | FILE",
		about: "Equal trees have equal roots, wherever they are: a local directory, which is scanned; a prefix, whose\n" +
			"manifest is read with one request; a directory of a mirror, whose root is folded from the pages of the\n" +
			"manifest; or a saved manifest. --save writes the whole manifest to a file, for merkur diff. Mind that\n" +
			"a sync with filters or problems leaves another tree in the bucket than there is in the directory.",
		options: lookOptions(
			group{"What to print", []option{
				{name: "sub", kind: valued, ours: true, usage: "of the directory `DIR` in the tree"},
				{name: "long", short: "l", ours: true, usage: "all that is known of the tree (-l)"},
				{name: "save", kind: valued, ours: true, usage: "save the manifest to `FILE` as well"},
			}}, scanOptions, keepOptions),
		codes: []exitMeaning{
			{exitDone, "the root is printed"},
			{exitFailed, "there is none, or it could not be read"},
			{exitWarned, "the root is printed, but local paths could not be read: it is that of the rest"},
		},
		run: runRoot,
	}
}

func runRoot(ctx context.Context, g *given, paths []string) (int, error) {
	ends, err := lookPaths("root", paths, 1, 1)
	if err != nil {
		return exitFailed, err
	}
	sub, err := g.subdir()
	if err != nil {
		return exitFailed, err
	}
	if ends[0].remote() && len(g.filters) > 0 {
		return exitFailed, usage(errors.New("--exclude and --include go with a local tree"))
	}
	return looking(ctx, g, ends, func(ctx context.Context, l *look) (int, error) { return l.printRoot(ctx, ends[0], sub) })
}

// A rooted is a tree whose root is asked for.
type rooted struct {
	*inspect.View
	m        *manifest.Manifest // nil: it is a local tree
	packs    uint64             // bytes
	problems int
}

func (l *look) printRoot(ctx context.Context, e end, sub string) (int, error) {
	r, err := l.rooted(ctx, e, sub)
	if err != nil {
		return exitFailed, err
	}
	var root manifest.Root
	if file := l.given.text("save"); file != "" {
		root, err = inspect.Save(ctx, file, r.View, r.m)
	} else {
		root, err = r.Root(ctx)
	}
	if err != nil {
		return exitFailed, err
	}
	facts := rootObject(e, sub, root, r)
	if !l.given.on("long") {
		l.out.Say(root.Digest.String(), facts)
		return lookCode(false, r.problems > 0), nil
	}
	if l.out.JSON() {
		l.out.Say("", facts)
	} else {
		for _, line := range facts.lines() {
			l.out.Say(line, nil)
		}
	}
	return lookCode(false, r.problems > 0), nil
}

// rooted opens the tree of a path.
func (l *look) rooted(ctx context.Context, e end, sub string) (*rooted, error) {
	if e.remote() {
		s, err := bucket.Open(ctx, l.configs[0], e.bucket)
		if err != nil {
			return nil, err
		}
		m, err := l.directory(ctx, s, e.location, "")
		if err != nil {
			return nil, err
		}
		return newRooted(inspect.Of(e.location.String()+sub, m.Tree(ctx), nil, m.sub+sub), m.Manifest()), nil
	}
	is, err := isDir(e)
	if err != nil {
		return nil, err
	}
	if !is {
		saved, err := inspect.OpenFile(e.dir)
		if err != nil {
			return nil, err
		}
		l.closers = append(l.closers, saved.Close)
		return newRooted(inspect.Of(e.typed, saved.Tree, nil, sub), saved.Manifest), nil
	}
	r := &rooted{}
	r.View = inspect.Dir{Path: e.dir, Sub: sub, Scan: l.scan(e.dir), Problem: func(p *hashing.Problem) {
		r.problems++
		l.out.Problem(p)
	}}.View()
	return r, nil
}

func newRooted(v *inspect.View, m *manifest.Manifest) *rooted {
	r := &rooted{View: v, m: m}
	for _, p := range m.Packs {
		r.packs += p.Size
	}
	return r
}

// A rootFacts is what root --long and --output json print.
type rootFacts struct {
	Type       string        `json:"type"` // root
	Tree       string        `json:"tree"`
	Sub        string        `json:"sub,omitempty"`
	Root       string        `json:"root"`
	Files      uint64        `json:"files"`
	Bytes      uint64        `json:"bytes"`
	Problems   int           `json:"problems,omitempty"` // local paths that could not be read
	Manifest   string        `json:"manifest,omitempty"` // what follows is about the whole of it
	Generation uint64        `json:"generation,omitempty"`
	Written    string        `json:"written,omitempty"`
	Writer     string        `json:"writer,omitempty"`
	Packs      int           `json:"packs,omitempty"`
	PackBytes  uint64        `json:"pack_bytes,omitempty"`
	Retired    int           `json:"retired_packs,omitempty"`
	Intents    []intentFacts `json:"in_progress,omitempty"`
}

// An intentFacts is a run that may be changing the bucket.
type intentFacts struct {
	Run     string `json:"run"`
	Writer  string `json:"writer"`
	Until   string `json:"until"` // another writer waits so long for it
	First   string `json:"first,omitempty"`
	Last    string `json:"last,omitempty"`
	Deletes bool   `json:"deletes,omitempty"`
}

func rootObject(e end, sub string, root manifest.Root, r *rooted) rootFacts {
	f := rootFacts{
		Type: "root", Tree: e.name(), Sub: sub, Root: root.Digest.String(), Files: root.Top.Files, Bytes: root.Top.Bytes, Problems: r.problems,
	}
	if m := r.m; m != nil {
		f.Manifest, f.Generation, f.Writer = fmt.Sprintf("%x", m.UUID), m.Generation, fmt.Sprintf("%x", m.Writer)
		f.Written, f.Packs, f.PackBytes, f.Retired = instant(time.Unix(0, m.Time)), len(m.Packs), r.packs, len(m.Retired)
		f.Intents = intentsOf(m.Intents)
	}
	return f
}

func intentsOf(intents []manifest.Intent) (list []intentFacts) {
	for _, i := range intents {
		f := intentFacts{Run: fmt.Sprintf("%x", i.Run), Writer: fmt.Sprintf("%x", i.Writer), Until: instant(time.Unix(0, i.Until)), Deletes: i.Doomed != nil}
		if i.Range != nil {
			f.First, f.Last = i.Range.First, i.Range.Last
		}
		list = append(list, f)
	}
	return list
}

// lines are the facts for people.
func (f rootFacts) lines() []string {
	lines := []string{
		"root        " + f.Root,
		fmt.Sprintf("files       %d", f.Files),
		fmt.Sprintf("bytes       %d (%s)", f.Bytes, output.Size(int64(f.Bytes))),
	}
	if f.Manifest == "" {
		return lines
	}
	lines = append(lines,
		"manifest    "+f.Manifest,
		fmt.Sprintf("generation  %d", f.Generation),
		"written     "+f.Written,
		"writer      "+f.Writer,
		fmt.Sprintf("packs       %d (%s), retired %d", f.Packs, output.Size(int64(f.PackBytes)), f.Retired))
	for _, i := range f.Intents {
		lines = append(lines, "in progress "+i.String())
	}
	return lines
}

// String is a run in progress for people.
func (i intentFacts) String() string {
	what := "no keys"
	switch {
	case i.First != "" && i.Last != "":
		what = fmt.Sprintf("keys %q to %q", i.First, i.Last)
	case i.First != "":
		what = fmt.Sprintf("keys from %q on", i.First)
	case i.Last != "":
		what = fmt.Sprintf("keys up to %q", i.Last)
	case !i.Deletes:
		what = "all keys"
	}
	if i.Deletes {
		what += ", deleting"
	}
	return fmt.Sprintf("run %s of writer %s until %s: %s", i.Run[:8], i.Writer[:8], i.Until, what)
}
