package transfer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/transfer/compare"
	"merkur/transfer/pace"
)

// A file that the source knows by the name that it has behind a link is not deleted by its other one.
func TestTwoNamesThroughLink(t *testing.T) {
	for _, from := range []string{"manifest", "content", "size", "exact", "etag"} {
		store := &buckettest.Memory{}
		up := newMachine(t, store)
		up.write(map[string]string{"data/x": "1", "data/sub/y": "2", "plain": "3", "current/z": "4"})
		up.mirrors()
		put(t, store, "p/data//odd", "5")
		m, around := newPlace(t, store)
		if from != "manifest" {
			store.Delete(context.Background(), "p/"+manifest.Reserved+"manifest", bucket.Condition{})
			m.o.Compare = compare.Name(from)
		} else {
			declare(t, store, []string{"data//odd", "data/x", "data/sub/y", "plain", "current/z"})
		}
		m.write(map[string]string{"store/data/gone": "1", "store/v1/gone": "1", "gone": "1", "plain": "3"})
		for link, to := range map[string]string{"data": "store/data", "current": "store/latest", "store/latest": "v1"} {
			if err := os.Symlink(to, filepath.Join(m.dir, link)); err != nil {
				t.Skip(err)
			}
		}
		before := around()
		m.run(func(o *Options) { o.Scan.Follow = true })
		for _, name := range []string{"store/data/x", "store/data/sub/y", "store/data/odd", "store/v1/z"} {
			if content(m, name) == "" {
				t.Fatalf("%s: %s was not written: %v", from, name, m.lines)
			}
		}
		for n := range 3 {
			sum := m.run(func(o *Options) { o.Scan.Follow, o.Delete, o.DryRun = true, true, n == 0 })
			want := []string{"delete gone", "delete store/data/gone", "delete store/v1/gone"}
			if n == 2 {
				want = nil
			}
			deleted := slices.DeleteFunc(slices.Clone(m.lines), func(l string) bool { return !strings.HasPrefix(l, "delete ") })
			if !slices.Equal(deleted, want) || sum.Transferred+sum.Failed != 0 {
				t.Errorf("%s, run %d: %v", from, n, m.lines)
			}
		}
		for name, want := range map[string]string{"data/x": "1", "data/sub/y": "2", "data/odd": "5", "current/z": "4", "plain": "3"} {
			if got := content(m, name); got != want {
				t.Errorf("%s: %s holds %q", from, name, got)
			}
		}
		if !slices.Equal(before, around()) {
			t.Errorf("%s: %q", from, around())
		}
	}
}

// What lies behind a link that is not followed is compared where it is: it is neither fetched again in
// each run nor deleted by its other name.
func TestLinkThatIsNotFollowed(t *testing.T) {
	for _, from := range []string{"manifest", "content", "size", "exact", "etag"} {
		store := &buckettest.Memory{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
		for _, key := range []string{"data/x", "data//odd", "data/sub/y", "out/z", "plain"} {
			put(t, store, "p/"+key, "content of "+key)
		}
		m, around := newPlace(t, store)
		if from != "manifest" {
			m.o.Compare = compare.Name(from)
		} else {
			declare(t, store, []string{"data/x", "data//odd", "data/sub/y", "out/z", "plain"})
		}
		m.write(map[string]string{"store/gone": "1", "store/x": "old"})
		for link, to := range map[string]string{"data": "store", "out": "../outside"} {
			if err := os.Symlink(to, filepath.Join(m.dir, link)); err != nil {
				t.Skip(err)
			}
		}
		before := around()
		for n := range 3 {
			sum := m.run(func(o *Options) { o.Scan.Follow, o.Delete = false, true })
			transferred, deleted := int64(4), int64(1)
			if n > 0 {
				transferred, deleted = 0, 0
			}
			if sum.Transferred != transferred || sum.Deleted != deleted || sum.Failed != 1 || sum.Warnings != 0 || n > 0 && len(m.fetched()) > 0 {
				t.Errorf("%s, run %d: %+v, %v", from, n, sum, m.lines)
			}
		}
		for _, name := range []string{"data/x", "data/sub/y", "plain"} {
			if got := content(m, name); got != "content of "+name {
				t.Errorf("%s: %s holds %q", from, name, got)
			}
		}
		if !slices.Equal(before, around()) {
			t.Errorf("%s: %q", from, around())
		}
	}
}

// If it cannot be found out whether the source has a file under its other name, nothing is deleted.
func TestOtherNameThatCannotBeAskedFor(t *testing.T) {
	store := &buckettest.Memory{}
	put(t, store, "p/data/x", "1")
	m := newFetcher(t, store)
	m.o.Compare = compare.Size
	m.write(map[string]string{"store/x": "1", "store/gone": "1"})
	if err := os.Symlink("store", filepath.Join(m.dir, "data")); err != nil {
		t.Skip(err)
	}
	deny(store, buckettest.Head, "p/data/")
	if _, err := m.try(context.Background(), func(o *Options) { o.Scan.Follow, o.Delete = true, true }); err == nil {
		t.Errorf("it went on: %v", m.lines)
	}
	if content(m, "store/x") != "1" || content(m, "store/gone") != "1" {
		t.Error("something was deleted")
	}
}

// A link to a directory becomes a file while something is downloaded behind it. No draft is left.
func TestLinkBecomesFileMeanwhile(t *testing.T) {
	store := &buckettest.Memory{}
	put(t, store, "p/lin", "file")
	put(t, store, "p/lin/x", "new")
	m := newFetcher(t, store)
	m.o.Compare = compare.Size
	m.write(map[string]string{"inside/kept": "1"})
	if err := os.Symlink("inside", filepath.Join(m.dir, "lin")); err != nil {
		t.Skip(err)
	}
	store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Get && key == "p/lin/x" { // the draft is there by then
			os.Remove(filepath.Join(m.dir, "lin"))
			os.WriteFile(filepath.Join(m.dir, "lin"), []byte("file"), 0o666)
		}
		return buckettest.OK
	}
	m.run(func(o *Options) { o.Scan.Follow, o.Gate = true, pace.Fixed(1) })
	noDrafts(t, m.dir)
	if content(m, "lin") != "file" || content(m, "inside/x") != "" {
		t.Errorf("%q", files(t, m.dir))
	}
}
