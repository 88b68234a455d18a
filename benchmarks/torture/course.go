package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"merkur/benchmarks/torture/audit"
)

// A course is a direction. The tree is the source, by itself or by way of the bucket a.
type course string

const (
	up     course = "up"
	down   course = "down"
	across course = "across"
)

var courses = []course{up, down, across}

// into is the bucket that a course leads to.
var into = map[course]string{up: "a", across: "b"}

func (w *world) ends(c course) (from, to string) {
	switch c {
	case up:
		return w.tree.root, w.url("a")
	case down:
		return w.url("a"), w.local()
	}
	return w.url("a"), w.url("b")
}

// Options that each run has: it goes through with deletes, and moves what is not small in parts.
var always = []string{
	"--only-show-errors", "--max-delete", "100%", "--allow-empty-source", "--multipart-threshold", fmt.Sprint(threshold),
	"--multipart-chunksize", fmt.Sprint(partSize),
}

// args is the command line of a run.
func (w *world) args(c course, options ...string) []string {
	from, to := w.ends(c)
	args := append([]string{"sync", from, to}, always...)
	args = append(args, "--cli-read-timeout", fmt.Sprint(w.patience))
	return append(args, options...)
}

// prepare makes the bucket hold the tree where the tree is not the source itself.
func (w *world) prepare(ctx context.Context, c course) error {
	if c == up {
		return nil
	}
	return w.settle(ctx, up, "preparing")
}

// destination is what the destination holds, whole files only.
func (w *world) destination(c course) (tree audit.Tree, err error) {
	if c != down {
		return w.held(into[c])
	}
	tree, _, err = audit.Local(w.local())
	return tree, err
}

// honest audits the destination as it is after any run.
func (w *world) honest(c course, where string, before audit.Tree, deletes bool) error {
	source, err := w.source()
	if err != nil {
		return err
	}
	now, err := w.destination(c)
	if err != nil {
		return err
	}
	w.judge(where, audit.Between(before, source, now, deletes))
	for _, b := range []string{"a", "b"} {
		objects, err := w.objects(b)
		if err != nil {
			return err
		}
		_, v := audit.Honest(objects, prefix, nil)
		w.judge(where, v)
	}
	return nil
}

// exact audits the destination after a run that has done all there was to do.
func (w *world) exact(c course, where string) error {
	source, err := w.source()
	if err != nil {
		return err
	}
	if c == down {
		now, _, err := audit.Local(w.local())
		if err != nil {
			return err
		}
		w.judge(where, audit.Same(source, now))
		return nil
	}
	objects, err := w.objects(into[c])
	if err != nil {
		return err
	}
	w.judge(where, audit.Exact(objects, prefix, source))
	return nil
}

// settle has the program run until it is through, with nothing in its way, and audits what there
// is to the byte. The server cannot hold a file and a directory of one name at once, so that one
// run may not be enough where one has become the other.
func (w *world) settle(ctx context.Context, c course, where string, options ...string) error {
	var o outcome
	for range 4 {
		var err error
		if o, err = w.run(ctx, nil, w.args(c, append([]string{"--delete"}, options...)...)...); err != nil {
			return err
		}
		if !w.endedWell(where, o) {
			return nil
		}
		if o.code == 0 {
			break
		}
	}
	if o.code != 0 {
		w.find("stuck", where, o.said)
		return nil
	}
	if err := w.exact(c, where); err != nil {
		return err
	}
	return w.clean(ctx, c, where)
}

// clean looks for what dead runs have left at the destination and a settled one should have removed.
func (w *world) clean(ctx context.Context, c course, where string) error {
	left, err := w.temporary()
	if err != nil {
		return err
	}
	if len(left) > 0 { // of a dry run, and the next one removes it
		if _, err := w.run(ctx, nil, w.args(up, "--dryrun")...); err != nil {
			return err
		}
		if left, err = w.temporary(); err != nil {
			return err
		}
	}
	if c == down {
		_, drafts, err := audit.Local(w.local())
		if err != nil {
			return err
		}
		left = append(left, drafts...)
	} else {
		_, withParts, err := audit.Uploads(filepath.Join(w.server.Dir(), w.bucket(into[c])))
		if err != nil {
			return err
		}
		if withParts > 0 {
			left = append(left, fmt.Sprintf("%d uploads in parts", withParts))
		}
		objects, err := w.objects(into[c])
		if err != nil {
			return err
		}
		if m, err := audit.Read(objects, prefix); err == nil {
			w.tally.addLitter(len(audit.Litter(objects, prefix, m)))
		}
	}
	if len(left) > 0 {
		w.find("left behind", where, fmt.Sprintf("%q", left))
	}
	return nil
}

// temporary are the names of what runs have left in the directory for temporary files.
func (w *world) temporary() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(w.dir, "tmp"))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
