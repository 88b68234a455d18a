package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
)

// remove carries out the deletes. A leaf full of objects at a time is taken out of the
// manifest, which at the same time says that they are being deleted; then they are deleted;
// and the next commit drops that note. Dying in between leaves the note, and the next run goes
// on from there.
func (r *run) remove(ctx context.Context) error {
	if r.doomed.n == 0 {
		return nil
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	var back []manifest.Change // objects that could not be deleted: the manifest names them again
	err := r.doomed.each(func(leaf []manifest.Entry) error {
		edit := catalog.Edit{Changes: back, Range: r.doubt, Doomed: leaf}
		for i := range leaf {
			edit.Changes = append(edit.Changes, manifest.Change{Key: leaf[i].Key, Old: &leaf[i]})
		}
		kept, err := r.commit(ctx, edit)
		if err != nil {
			return err
		}
		leaf = slices.DeleteFunc(leaf, func(e manifest.Entry) bool { return kept[e.Key] })
		done := make(chan struct{})
		go func() {
			defer close(done)
			back = r.deleteAll(ctx, leaf)
		}()
		return errors.Join(r.renewUntil(ctx, done, catalog.Edit{Range: edit.Range, Doomed: leaf}), ctx.Err())
	})
	if err != nil {
		return err // the note stays, and the next run does the rest
	}
	_, err = r.commit(ctx, catalog.Edit{Changes: back, Range: r.doubt})
	return err
}

// deleteAll deletes objects at once, and returns the changes that name again, in the manifest,
// those that could not be deleted.
func (r *run) deleteAll(ctx context.Context, leaf []manifest.Entry) []manifest.Change {
	failed := make([]bool, len(leaf))
	var deleted atomic.Int64
	var g errgroup.Group
	g.SetLimit(r.o.Concurrency)
	for i := range leaf {
		g.Go(func() error {
			a := Action{Verb: Delete, Key: leaf[i].Key, Old: &leaf[i]}
			err := r.deleteObject(ctx, a.Old)
			if err == nil {
				deleted.Add(1)
				r.report(Event{Done: &a})
			} else if ctx.Err() == nil {
				r.fail(a, err)
				failed[i] = !errors.Is(err, errForeign) && !r.gone(ctx, a.Old)
				if errors.Is(err, bucket.ErrUncertain) {
					r.doubtful(a.Key) // it may still be carried out
				}
			}
			return nil
		})
	}
	g.Wait()
	var back []manifest.Change
	for i := range leaf {
		if failed[i] {
			back = append(back, manifest.Change{Key: leaf[i].Key, New: &leaf[i]})
		}
	}
	r.sum.Deleted += deleted.Load()
	return back
}

// gone reports whether an object that could not be deleted is not there, or is another one: an
// earlier try, also one of a run before, may have deleted it. Where that cannot be found out,
// the key is in doubt.
func (r *run) gone(ctx context.Context, e *manifest.Entry) bool {
	obj, err := r.store.Head(ctx, r.o.Prefix+e.Key, bucket.HeadOptions{})
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return true
	case err != nil:
		r.doubtful(e.Key)
		return false
	}
	return obj.ETag != e.Evidence.ETag
}

// A spool keeps the entries to be deleted, in key order, until it is clear that they may be:
// in leaves on disk, since there may be more of them than memory has room for.
type spool struct {
	n      uint64
	open   []manifest.Entry
	leaves []manifest.Ref
	file   *os.File
	size   int64
}

func (s *spool) add(e manifest.Entry) error {
	s.n++
	if s.open = append(s.open, e); len(s.open) < manifest.MaxPage {
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "merkur-deletes-")
		if err != nil {
			return fmt.Errorf("keep the list of deletes: %w", err)
		}
		s.file = f
	}
	p := &manifest.Page{Entries: s.open}
	frame, at := manifest.AppendFrame(nil, p)
	if _, err := s.file.WriteAt(frame, s.size); err != nil {
		return fmt.Errorf("keep the list of deletes: %w", err)
	}
	ref := p.Ref()
	ref.At = at
	ref.At.Off = uint64(s.size)
	s.size += int64(len(frame))
	s.leaves, s.open = append(s.leaves, ref), nil
	return nil
}

// each calls do with the entries, as many at a time as a leaf takes.
func (s *spool) each(do func([]manifest.Entry) error) error {
	for _, ref := range s.leaves {
		frame := make([]byte, ref.At.Len)
		if _, err := s.file.ReadAt(frame, int64(ref.At.Off)); err != nil {
			return fmt.Errorf("read the list of deletes: %w", err)
		}
		p, err := manifest.DecodeFrame(frame, ref)
		if err != nil {
			return fmt.Errorf("read the list of deletes: %w", err)
		}
		if err := do(p.Entries); err != nil {
			return err
		}
	}
	if len(s.open) == 0 {
		return nil
	}
	return do(s.open)
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
	*s = spool{}
}
