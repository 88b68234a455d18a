package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"merkur/hashing"
	"merkur/lab/edits"
	"merkur/lab/report"
)

// copiesAtOnce is how many files are copied at the same time.
const copiesAtOnce = 8

// A replica is a copy of the local tree that is edited.
type replica struct {
	from, dir string
	files     []edits.File // in key order
}

// survey says what a copy of the tree would have in it.
func (r *replica) survey(ctx context.Context, o hashing.Options) (bytes int64, err error) {
	o.Stat = true
	s, err := hashing.New(r.from, o)
	if err != nil {
		return 0, err
	}
	for item, err := range s.Items(ctx) {
		if err != nil {
			return 0, err
		}
		if item.Problem == nil {
			r.files = append(r.files, edits.File{Key: item.Entry.Key, Size: item.Entry.Size})
			bytes += item.Entry.Size
		}
	}
	return bytes, nil
}

// fill copies the tree, if it is no larger than the limit.
func (r *replica) fill(ctx context.Context, o hashing.Options, limit int64) error {
	size, err := r.survey(ctx, o)
	if err != nil {
		return err
	}
	if size > limit {
		return fmt.Errorf("a copy of the tree would have %s, and --scratch-limit is %s; --exclude leaves a part of it out", report.Size(size), report.Size(limit))
	}
	var keys []string
	for _, f := range r.files {
		keys = append(keys, f.Key)
	}
	return r.renew(ctx, keys)
}

// renew copies files from the original: they are new files with the bytes and times of those.
func (r *replica) renew(ctx context.Context, keys []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce)
	for _, key := range keys {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return copyFile(place(r.from, key), place(r.dir, key))
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("copy the tree: %w", err)
	}
	return nil
}

// apply makes the edits, each of another file.
func (r *replica) apply(ctx context.Context, steps []edits.Step) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce)
	for _, s := range steps {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return apply(r.dir, s)
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("edit the copy of the tree: %w", err)
	}
	return nil
}

// undo takes edits back.
func (r *replica) undo(ctx context.Context, steps []edits.Step) error {
	var keys []string
	for _, s := range steps {
		if s.Deed == edits.Move {
			if err := os.Remove(place(r.dir, s.To)); err != nil {
				return fmt.Errorf("take back an edit: %w", err)
			}
		}
		keys = append(keys, s.Key)
	}
	return r.renew(ctx, keys)
}

func place(dir, key string) string { return filepath.Join(dir, filepath.FromSlash(key)) }

// copyFile makes a new file of the bytes and time of another, also where one is. Where the file system can
// share blocks between files, it does.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	return replace(to, in, info.ModTime())
}

// replace puts a new file in the place of one. A zero time is the present.
func replace(to string, content io.Reader, at time.Time) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(to), "new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil && !at.IsZero() {
		err = os.Chtimes(out.Name(), at, at)
	}
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	return err
}

// apply makes one edit.
func apply(dir string, s edits.Step) error {
	name := place(dir, s.Key)
	switch s.Deed {
	case edits.Stamp:
		return os.Chtimes(name, time.Now(), time.Now())
	case edits.Move:
		return os.Rename(name, place(dir, s.To))
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if s.At > int64(len(content)) || s.At == int64(len(content)) && s.Deed != edits.Insert && s.Deed != edits.Rewrite {
		return fmt.Errorf("%s has changed meanwhile", name)
	}
	switch s.Deed {
	case edits.Rewrite:
		return replace(name, bytes.NewReader(content), time.Time{})
	case edits.Insert:
		content = append(content[:s.At:s.At], append([]byte(s.Text), content[s.At:]...)...)
	case edits.Flip, edits.FlipOld:
		content[s.At] ^= 0x20
	}
	if err := os.WriteFile(name, content, info.Mode()); err != nil || s.Deed != edits.FlipOld {
		return err
	}
	return os.Chtimes(name, info.ModTime(), info.ModTime())
}
