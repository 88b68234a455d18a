package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"merkur/cmd/merkur/output"
	"merkur/inspect"
	"merkur/manifest"
	"merkur/store/bucket"
)

func lsCommand() *command {
	return &command{
		name:  "ls",
		usage: "list what a manifest holds, without listing the bucket",
		paths: "s3://BUCKET[/PREFIX][/DIR]",
		about: "Prints lines as aws s3 ls does, from the manifest of the prefix or of a mirror that it lies in: only the\n" +
			"pages that are needed are fetched. The time is that of the file when it was mirrored, or else that of the\n" +
			"object. With --recursive keys are whole, as with aws; with --digest they are below the path, so that\n" +
			"b3sum --check can read the lines in a copy of it.",
		options: lookOptions(
			group{"What to print", []option{
				{name: "recursive", short: "r", usage: "all files below, not only the names in the directory (-r)"},
				{name: "long", short: "l", ours: true, usage: "mode, beginning of the digest, ETag and version too (-l)"},
				{name: "digest", ours: true, usage: "digests and names, as b3sum prints them; implies --recursive"},
				{name: "human-readable", usage: "sizes as 1.2 MiB"},
				{name: "summarize", usage: "print the number of files and the sum of their sizes"},
			}}, keepOptions),
		codes: []exitMeaning{
			{exitDone, "something is listed"},
			{exitFailed, "there is nothing of that name, no manifest, or it could not be read"},
			{exitWarned, "with --digest: files were left out that have no digest"},
		},
		run: runLs,
	}
}

func runLs(ctx context.Context, g *given, paths []string) (int, error) {
	ends, err := lookPaths("ls", paths, 1, 1)
	if err != nil {
		return exitFailed, err
	}
	if !ends[0].remote() {
		return exitFailed, usage(fmt.Errorf("ls lists an s3:// path, which %s is not", paths[0]))
	}
	return looking(ctx, g, ends, func(ctx context.Context, l *look) (int, error) { return l.ls(ctx, ends[0]) })
}

// A lister prints names.
type lister struct {
	*look
	m            *mirror
	files, bytes int64
	unproven     int
}

func (l *look) ls(ctx context.Context, e end) (int, error) {
	s, err := bucket.Open(ctx, l.configs[0], e.bucket)
	if err != nil {
		return exitFailed, err
	}
	m, err := l.mirror(ctx, s, e.location, "")
	if err != nil {
		return exitFailed, err
	}
	l.out.Many()
	p := &lister{look: l, m: m}
	if err := p.list(ctx); err != nil {
		return exitFailed, err
	}
	p.summary()
	if p.unproven > 0 {
		l.out.Warn(fmt.Sprintf("%d files have no digest: their content was never compared with one", p.unproven))
		return exitWarned, nil
	}
	return exitDone, nil
}

func (p *lister) list(ctx context.Context) error {
	t, dir := p.m.Tree(ctx), p.m.sub
	switch g := p.given; {
	case p.m.single:
		key := strings.TrimSuffix(dir, "/")
		e, _, err := t.Get(key)
		if err == nil {
			err = p.file(key[strings.LastIndexByte(key, '/')+1:], &e)
		}
		return err
	case g.on("recursive") || g.on("digest"):
		for e, err := range inspect.Below(t.Entries(dir), dir) {
			if err == nil {
				err = p.file(e.Key, &e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for n, err := range inspect.Names(t, dir) {
		if err == nil && n.Entry == nil {
			p.out.Say(strings.Repeat(" ", 27)+"PRE "+n.Name, lsObject{Type: "directory", Key: dir + n.Name, Name: n.Name})
			err = p.out.Failed()
		} else if err == nil {
			err = p.file(n.Name, n.Entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// An lsObject is a line of ls as JSON.
type lsObject struct {
	Type string `json:"type"` // file, directory
	Key  string `json:"key"`  // in the manifest
	Name string `json:"name"` // below the path that is listed
	*thing
}

// file prints a file, whose name is below the path.
func (p *lister) file(name string, e *manifest.Entry) error {
	p.files++
	p.bytes += e.Size
	object := lsObject{"file", strings.TrimSuffix(p.m.sub, "/"), name, entryThing(e)}
	if !p.m.single {
		object.Key = p.m.sub + name
	}
	switch g := p.given; {
	case !g.on("digest"):
		p.out.Say(p.line(name, e), object)
	case e.Unproven:
		p.unproven++
	default:
		p.out.Say(digestLine(e.Digest, name), object)
	}
	return p.out.Failed()
}

// digestLine is a line as b3sum prints it: a name with a backslash or a line end in it is escaped, and
// marked by a backslash before the digest.
func digestLine(d manifest.Digest, name string) string {
	if strings.ContainsAny(name, "\\\n\r") {
		return `\` + d.String() + "  " + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
	}
	return d.String() + "  " + name
}

// line is a line in the form of aws: time, size and name. A manifest knows the time of the file, or
// else that of an object that it took over.
func (p *lister) line(name string, e *manifest.Entry) string {
	when := "-"
	switch {
	case e.MTime != 0:
		when = time.Unix(0, e.MTime).Format(time.DateTime)
	case e.Evidence.Modified != 0:
		when = time.Unix(e.Evidence.Modified, 0).Format(time.DateTime)
	}
	size := fmt.Sprint(e.Size)
	if p.given.on("human-readable") {
		size = output.Size(e.Size)
	}
	if p.given.on("recursive") && !p.m.single {
		name = p.m.at.prefix + p.m.sub + name
	}
	if !p.given.on("long") {
		return fmt.Sprintf("%-19s %10s %s", when, size, name)
	}
	mode := "-"
	if e.Mode != 0 {
		mode = octal(e.Mode)
	}
	long := fmt.Sprintf("%-19s %10s %-4s %s %-32s", when, size, mode, p.content(e), orDash(e.Evidence.ETag))
	if e.Evidence.Version != "" {
		long += " " + e.Evidence.Version
	}
	return long + " " + name
}

// content is the beginning of the digest, if there is one.
func (p *lister) content(e *manifest.Entry) string {
	if e.Unproven {
		return fmt.Sprintf("%-16s", "unproven")
	}
	return short(e.Digest)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// summary is what --summarize prints, as aws does.
func (p *lister) summary() {
	if !p.given.on("summarize") {
		return
	}
	size := fmt.Sprint(p.bytes)
	if p.given.on("human-readable") {
		size = output.Size(p.bytes)
	}
	for _, line := range []string{"", fmt.Sprintf("Total Objects: %d", p.files), "   Total Size: " + size} {
		p.out.Line(line)
	}
	p.out.Say("", struct {
		Type  string `json:"type"`
		Files int64  `json:"files"`
		Bytes int64  `json:"bytes"`
	}{"summary", p.files, p.bytes})
}
