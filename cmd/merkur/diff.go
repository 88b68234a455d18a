package main

import (
	"context"
	"errors"
	"fmt"

	"merkur/cmd/merkur/output"
	"merkur/hashing"
	"merkur/inspect"
	"merkur/store/bucket"
)

func diffCommand() *command {
	return &command{
		name:  "diff",
		usage: "compare two trees by content: local, in a bucket, or saved",
		paths: "A B, each a DIR, s3://BUCKET[/PREFIX], or a FILE written by merkur root --save",
		about: "Prints what leads from A to B, in key order: \"+ key\" is only in B, \"- key\" only in A, \"~ key\" in both\n" +
			"and different, \"? key\" in both, of equal size, and nobody knows a digest of one of them. Equal trees\n" +
			"print nothing. Of an s3:// path its manifest is read, or that of a mirror it lies in: one request for\n" +
			"equal trees, and no listing. Where there is none, or with --list, the objects are listed; then size,\n" +
			"ETag and CRC-64/NVME decide, for which local files of equal size are read.",
		options: lookOptions(
			group{"What to compare", []option{
				{name: "list", ours: true, usage: "list the objects of s3:// paths, whatever their manifest says"},
				{name: "stat", ours: true, usage: "print sums only"},
			}}, keyOptions, scanOptions, keepOptions,
			syncOptions.pick("Server of A, where B is in a bucket too", "source-region", "source-endpoint-url", "source-profile")),
		codes: lookCodes,
		run:   runDiff,
	}
}

func runDiff(ctx context.Context, g *given, paths []string) (int, error) {
	ends, err := lookPaths("diff", paths, 2, 2)
	if err != nil {
		return exitFailed, err
	}
	return looking(ctx, g, ends, func(ctx context.Context, l *look) (int, error) { return l.diff(ctx, ends) })
}

func (l *look) diff(ctx context.Context, ends []end) (int, error) {
	views, problems, err := l.views(ctx, ends)
	if err != nil {
		return exitFailed, err
	}
	l.out.Many()
	var sum diffSum
	for d, err := range inspect.Diff(ctx, views[0], views[1], l.filters.Select) {
		if err != nil {
			return exitFailed, err
		}
		sum.add(d)
		if l.given.on("stat") {
			continue
		}
		l.out.Say(changeLine(d), differenceObject("difference", changeWord(d), d))
		if err := l.out.Failed(); err != nil {
			return exitFailed, err
		}
	}
	if l.given.on("stat") {
		for _, line := range sum.lines() {
			l.out.Say(line, nil)
		}
	}
	l.out.Say("", sum.object(ends, *problems))
	return lookCode(sum.added+sum.removed+sum.changed > 0, sum.unclear > 0 || *problems > 0), nil
}

// views opens what is to be compared. Local directories come last: against objects that are listed,
// their digests would be of no use. The number counts the local paths that cannot be read, while the
// views are looked at.
func (l *look) views(ctx context.Context, ends []end) ([]*inspect.View, *int, error) {
	views, dirs, listed := make([]*inspect.View, len(ends)), make([]bool, len(ends)), false
	beside := "" // the local directory: what it is compared with shares its cache
	for i, e := range ends {
		if e.remote() {
			continue
		}
		is, err := isDir(e)
		if err != nil {
			return nil, nil, err
		}
		if dirs[i] = is; is {
			beside = e.dir
			continue
		}
		saved, err := inspect.OpenFile(e.dir)
		if err != nil {
			return nil, nil, err
		}
		l.closers = append(l.closers, saved.Close)
		views[i] = inspect.Of(e.typed, saved.Tree, nil, "")
	}
	for i, e := range ends {
		if !e.remote() {
			continue
		}
		v, err := l.remoteView(ctx, e, l.configs[i], beside)
		if err != nil {
			return nil, nil, err
		}
		views[i], listed = v, listed || v.Listed
	}
	problems := new(int)
	for i, e := range ends {
		if dirs[i] {
			d := inspect.Dir{Path: e.dir, Scan: l.scan(e.dir), Problem: func(p *hashing.Problem) { *problems++; l.out.Problem(p) }}
			d.Scan.Stat = listed
			views[i] = d.View()
		}
	}
	return views, problems, nil
}

// remoteView views a place in a bucket: by the manifest that tells of it, or by a listing.
func (l *look) remoteView(ctx context.Context, e end, c bucket.Config, beside string) (*inspect.View, error) {
	s, err := bucket.Open(ctx, c, e.bucket)
	if err != nil {
		return nil, err
	}
	key, err := l.given.customerKey("sse-c")
	if err != nil {
		return nil, usage(err)
	}
	name := e.location.String()
	if !l.given.on("list") {
		m, err := l.directory(ctx, s, e.location, beside)
		switch {
		case errors.Is(err, inspect.ErrNoManifest):
			l.out.Note(name + " has no manifest: its objects are listed")
		case err != nil:
			return nil, err
		default:
			return inspect.Of(name, m.Tree(ctx), &inspect.Bucket{Store: s, Prefix: m.at.prefix, Customer: key}, m.sub), nil
		}
	}
	return inspect.Listed(name, inspect.Bucket{Store: s, Prefix: e.prefix, Customer: key}), nil
}

// changeWord names a kind of difference.
func changeWord(d inspect.Difference) string {
	switch {
	case d.A == nil:
		return "added"
	case d.B == nil:
		return "removed"
	case d.Unclear:
		return "unclear"
	}
	return "changed"
}

var changeMarks = map[string]string{"added": "+", "removed": "-", "changed": "~", "unclear": "?"}

// changeLine is a difference for people.
func changeLine(d inspect.Difference) string {
	line := changeMarks[changeWord(d)] + " " + d.Key
	if d.A != nil && d.B != nil {
		line += "  " + changeDetail(d)
	}
	return line
}

// changeDetail says in what two entries differ.
func changeDetail(d inspect.Difference) string {
	switch {
	case d.A == nil:
		return output.Size(d.B.Size)
	case d.B == nil:
		return output.Size(d.A.Size)
	case d.A.Kind != d.B.Kind:
		return "another kind of file"
	case d.A.Size != d.B.Size:
		return fmt.Sprintf("size %d -> %d", d.A.Size, d.B.Size)
	case d.Unclear:
		return fmt.Sprintf("size %d, content not known", d.A.Size)
	}
	return fmt.Sprintf("size %d, other content", d.A.Size)
}

// A diffSum counts differences.
type diffSum struct {
	added, removed, changed, unclear int64
	addedBytes, removedBytes         int64
	changedBytes                     int64 // of B
}

func (s *diffSum) add(d inspect.Difference) {
	switch changeWord(d) {
	case "added":
		s.added++
		s.addedBytes += d.B.Size
	case "removed":
		s.removed++
		s.removedBytes += d.A.Size
	case "changed":
		s.changed++
		s.changedBytes += d.B.Size
	default:
		s.unclear++
	}
}

// lines are the sums for people: none, if there is no difference.
func (s *diffSum) lines() []string {
	if s.added+s.removed+s.changed+s.unclear == 0 {
		return nil
	}
	lines := []string{
		fmt.Sprintf("+ %d files, %s", s.added, output.Size(s.addedBytes)),
		fmt.Sprintf("- %d files, %s", s.removed, output.Size(s.removedBytes)),
		fmt.Sprintf("~ %d files, %s", s.changed, output.Size(s.changedBytes)),
	}
	if s.unclear > 0 {
		lines = append(lines, fmt.Sprintf("? %d files", s.unclear))
	}
	return lines
}
