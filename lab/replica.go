package lab

import (
	"context"
	"errors"
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

// fill copies the tree, if it is no larger than the limit, to where nothing is yet.
func (r *replica) fill(ctx context.Context, o hashing.Options, limit int64) error {
	size, err := r.survey(ctx, o)
	if err != nil {
		return err
	}
	if size > limit {
		return fmt.Errorf("a copy of the tree would have %s, and --scratch-limit is %s; --exclude leaves a part of it out", report.Size(size), report.Size(limit))
	}
	return each(ctx, "copy the tree", r.files, func(f edits.File) error { return copyFile(place(r.from, f.Key), place(r.dir, f.Key)) })
}

// apply makes the edits, each of another file.
func (r *replica) apply(ctx context.Context, steps []edits.Step) error {
	return each(ctx, "edit the copy of the tree", steps, func(s edits.Step) error { return apply(r.dir, s) })
}

// undo takes edits back: bytes, names and times are then as they were.
func (r *replica) undo(ctx context.Context, steps []edits.Step) error {
	return each(ctx, "take back an edit", steps, r.undoOne)
}

func (r *replica) undoOne(s edits.Step) error {
	from, to := place(r.from, s.Key), place(r.dir, s.Key)
	switch s.Deed {
	case edits.Move:
		return os.Rename(place(r.dir, s.To), to)
	case edits.Stamp, edits.Rewrite:
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		return os.Chtimes(to, info.ModTime(), info.ModTime())
	}
	return copyFile(from, to)
}

// each does something to many files, several at once.
func each[T any](outer context.Context, what string, list []T, do func(T) error) error {
	g, ctx := errgroup.WithContext(outer)
	g.SetLimit(copiesAtOnce)
	for _, one := range list {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return do(one) })
	}
	if err := errors.Join(g.Wait(), outer.Err()); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func place(dir, key string) string { return filepath.Join(dir, filepath.FromSlash(key)) }

// copyFile gives a file the bytes and the time of another. Where the file system can share blocks between
// files, it does; they are never one file.
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
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// rewrite puts a new file with the same content in the place of one.
func rewrite(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
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
		return rewrite(name, content)
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
