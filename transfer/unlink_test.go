package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket/buckettest"
	"merkur/transfer/local"
)

// unlinking prepares a run that deletes files: 40 in each of 30 directories.
func unlinking(t *testing.T, report func(Event)) (*run, []manifest.Entry) {
	t.Helper()
	dir := t.TempDir()
	r, err := newRun(Options{From: Side{Store: &buckettest.Memory{}}, To: Side{Dir: dir}, Report: report})
	if err != nil {
		t.Fatal(err)
	}
	if r.tree, err = local.Open(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.tree.Close)
	var leaf []manifest.Entry
	for i := range 1200 {
		key := fmt.Sprintf("%02d/%02d", i/40, i%40)
		path := filepath.Join(dir, key)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644))
		info, serr := os.Stat(path)
		if err = errors.Join(err, serr); err != nil {
			t.Fatal(err)
		}
		at := info.ModTime()
		leaf = append(leaf, manifest.Entry{Key: key, Size: 1, MTime: manifest.Time(at.Unix(), int64(at.Nanosecond()))})
	}
	return r, leaf
}

// Files are deleted several at once and told of in their order, each with what became of it.
func TestUnlinksInOrder(t *testing.T) {
	var told []string
	r, leaf := unlinking(t, func(e Event) {
		switch {
		case e.Done != nil:
			told = append(told, "delete "+e.Done.Key)
		case e.Failed != nil:
			told = append(told, "failed "+e.Failed.Action.Key)
		case e.Warning != nil:
			told = append(told, "warning "+e.Warning.Key)
		}
	})
	dir := r.o.To.Dir
	err := errors.Join(os.WriteFile(filepath.Join(dir, "03/07"), []byte("changed"), 0o644), os.Remove(filepath.Join(dir, "04/07")),
		os.Rename(filepath.Join(dir, "05"), filepath.Join(dir, "away")), os.Symlink("away", filepath.Join(dir, "05")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.unlinkAll(context.Background(), leaf); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, e := range leaf {
		switch {
		case e.Key == "03/07":
			want = append(want, "failed "+e.Key)
		case e.Key[:3] == "05/":
			want = append(want, "warning "+e.Key)
		default:
			want = append(want, "delete "+e.Key)
		}
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%q; want\n%q", told, want)
	}
	if err := os.Remove(filepath.Join(dir, "05")); err != nil {
		t.Fatal(err)
	}
	left := files(t, dir)
	if r.sum.Deleted != 1200-41 || r.sent.failed.Load() != 1 || r.sent.warned.Load() != 40 || len(left) != 41 {
		t.Errorf("%d are deleted, %d failed, %d are left", r.sum.Deleted, r.sent.failed.Load(), len(left))
	}
}

// spent is a context that ends when it has been asked so often whether it has.
type spent struct {
	context.Context
	asked atomic.Int64
	most  int64
}

// Err implements [context.Context].
func (s *spent) Err() error {
	if s.asked.Add(1) > s.most {
		return context.Canceled
	}
	return nil
}

// What was deleted before an interrupt is told of, and nothing else.
func TestUnlinkInterrupted(t *testing.T) {
	told := 0
	r, leaf := unlinking(t, func(e Event) {
		if told++; e.Done == nil {
			t.Errorf("%+v", e)
		}
	})
	if _, err := r.unlinkAll(&spent{Context: t.Context(), most: 500}, leaf); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left := len(files(t, r.o.To.Dir)); told != 500 || r.sum.Deleted != 500 || left != 700 {
		t.Errorf("%d are told of, %d counted, %d are left", told, r.sum.Deleted, left)
	}
}
