package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"merkur/inspect"
	"merkur/manifest"
	"merkur/store/bucket"
)

func explainCommand() *command {
	return &command{
		name:  "explain",
		usage: "say why a path was, or would be, transferred or not",
		paths: "PATH s3://BUCKET[/PREFIX]",
		about: "Looks at one path of a local tree and at its object, and says all that a sync goes by: which filter\n" +
			"decides, what kind of file it is, whether its digest is remembered or why it is read, what the manifest\n" +
			"says, what the bucket has now, what each way of comparing makes of it, and what a sync would do. The same\n" +
			"filters and link options as for the sync are to be given. The tree is the one at --root; without it, the\n" +
			"directory above PATH that was mirrored from here, or below which the manifest has the key, or else the\n" +
			"working directory. PATH need not exist. Needs s3:GetObject of PREFIX/.merkur/* and of the object.",
		options: lookOptions(
			group{"Which tree", []option{
				{name: "root", kind: valued, ours: true, usage: "PATH is in the tree at `DIR`"},
			}}, keyOptions, scanOptions, keepOptions),
		codes: []exitMeaning{
			{exitDone, "it is explained"},
			{exitFailed, "it could not be found out"},
		},
		run: runExplain,
	}
}

func runExplain(ctx context.Context, g *given, paths []string) (int, error) {
	ends, err := lookPaths("explain", paths, 2, 2)
	if err != nil {
		return exitFailed, err
	}
	if ends[0].remote() || !ends[1].remote() {
		return exitFailed, usage(errors.New("explain takes a local path and an s3:// path"))
	}
	return looking(ctx, g, ends, func(ctx context.Context, l *look) (int, error) { return l.explain(ctx, ends[0], ends[1]) })
}

func (l *look) explain(ctx context.Context, path, at end) (int, error) {
	s, err := bucket.Open(ctx, l.configs[0], at.bucket)
	if err != nil {
		return exitFailed, err
	}
	key, err := l.given.customerKey("sse-c")
	if err != nil {
		return exitFailed, usage(err)
	}
	m, err := l.mirror(ctx, s, at.location, "")
	if errors.Is(err, inspect.ErrNoManifest) {
		m, err = nil, nil
	}
	if err != nil {
		return exitFailed, err
	}
	if m != nil && m.single { // it is the object that is named, not the prefix
		at.location, m.sub = m.at, ""
	}
	w := &why{Type: "explanation", Objects: at.location.String(), mirror: m}
	if err := w.findTree(ctx, l, path); err != nil {
		return exitFailed, err
	}
	if err := w.gather(ctx, l, inspect.Bucket{Store: s, Prefix: at.prefix, Customer: key}); err != nil {
		return exitFailed, err
	}
	w.judge(l.given)
	if l.out.JSON() {
		l.out.Say("", w)
		return exitDone, nil
	}
	for _, line := range w.lines() {
		l.out.Say(line, nil)
	}
	return exitDone, nil
}

// findTree finds out which directory is the tree that the path is in.
func (w *why) findTree(ctx context.Context, l *look, path end) error {
	if root := l.given.text("root"); root != "" {
		dir, err := filepath.Abs(root)
		if err != nil {
			return err
		}
		if w.Key = below(dir, path.dir); w.Key == "" && !filepath.IsAbs(path.typed) {
			w.Key = below(dir, filepath.Join(dir, path.typed)) // it is given as it is in the tree
		}
		if w.Key == "" {
			return usage(fmt.Errorf("%s does not lie in --root %s", path.typed, root))
		}
		w.Tree, w.TreeBy = dir, "as --root says"
		return nil
	}
	trees, err := treesOf(ctx, path.dir, l.root, w.mirror)
	if err != nil {
		return err
	}
	if best := slices.MaxFunc(trees, func(a, b treeAt) int { return a.evidence() - b.evidence() }); best.evidence() > 0 {
		w.Tree, w.Key = best.dir, best.key
		w.TreeBy = "it was mirrored from here"
		if best.known {
			w.TreeBy = "the manifest has the key"
		}
		return nil
	}
	dir, err := os.Getwd()
	if err == nil {
		w.Key = below(dir, path.dir)
	}
	if err != nil || w.Key == "" {
		return usage(fmt.Errorf("in which tree is %s? --root DIR says it", path.typed))
	}
	w.Tree, w.TreeBy = dir, "the working directory"
	return nil
}

// A treeAt is a directory above a path that may be the tree, and what speaks for it.
type treeAt struct {
	dir, key string
	known    bool // the manifest has the key
	cached   bool // there is a cache about it
}

func (t treeAt) evidence() (n int) {
	if t.known {
		n += 2
	}
	if t.cached {
		n++
	}
	return n
}

// treesOf lists the directories above a path, highest first.
func treesOf(ctx context.Context, path, caches string, m *mirror) ([]treeAt, error) {
	var trees []treeAt
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		t := treeAt{dir: dir, key: below(dir, path)}
		if _, err := os.Stat(cachePath(caches, dir)); caches != "" && err == nil {
			t.cached = true
		}
		trees = append(trees, t)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	slices.Reverse(trees)
	if m == nil {
		return trees, nil
	}
	for i := range trees {
		if len(m.sub+trees[i].key) > manifest.MaxKey {
			continue
		}
		_, found, err := m.Tree(ctx).Get(m.sub + trees[i].key)
		if err != nil {
			return nil, err
		}
		trees[i].known = found
	}
	return trees, nil
}

// below is the key of a path in a directory; empty if it does not lie in it.
func below(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return ""
	}
	return filepath.ToSlash(rel)
}
