package transfer

// These tests are about features where they meet: each of them works by itself.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/transfer/compare"
	"merkur/transfer/drift"
	"merkur/transfer/history"
	"merkur/transfer/pace"
)

// What a run has created in several batches, whose keys overlap, is taken away by one undo, which can be
// undone.
func TestUndoOfBatchesThatOverlap(t *testing.T) {
	for _, how := range ways {
		m := newUndoable(t, how)
		m.o.Delete = true
		m.write(map[string]string{"base": "1"})
		m.run(nil)
		before := m.state()
		m.write(map[string]string{"a.html": "2", "b.css": "3", "m.html": "4", "z.css": "5"})
		sum := m.run(func(o *Options) { o.Order = PagesLast })
		after := m.state()
		undo := m.undone(sum.Run)
		m.wants("delete a.html", "delete b.css", "delete m.html", "delete z.css")
		same(t, how, m.state(), before)
		m.undone(undo.Run)
		same(t, how+", undone twice", m.state(), after)
	}
}

// The foreign objects that an audit is to delete are deleted also where it goes round at the end of the
// tree, and the record of it can be read.
func TestForeignDeletesOfAnAuditThatGoesRound(t *testing.T) {
	m := newUndoable(t, "prefix")
	files := map[string]string{}
	for i := range 2500 {
		files[fmt.Sprintf("%04d", i)] = "x"
	}
	m.write(files)
	m.run(nil)
	put(t, m.store, "p/0000-theirs", "1")
	put(t, m.store, "p/2499-theirs", "2")
	m.o.State.Remember(auditPlace{side: m.o.To}.record(), []byte("@2000"))
	sum := m.run(func(o *Options) { o.Delete, o.Foreign.Delete, o.Audit = true, true, 0.9999 })
	if sum.Deleted != 2 || sum.Failed > 0 {
		t.Fatalf("%+v\n%s", sum, strings.Join(m.lines, "\n"))
	}
	past, err := FindRun(context.Background(), m.o.To, m.o.Backup, sum.Run)
	if err != nil {
		t.Fatal(err)
	}
	for i := range past.labels {
		if _, err := past.open(context.Background(), i); err != nil {
			t.Error(err)
		}
	}
	if past.Counts != (history.Counts{Deleted: 2}) {
		t.Errorf("%+v", past.Counts)
	}
}

// A wooded store keeps objects as files: there is no room for one where another one is a directory, or
// a file on its way.
type wooded struct {
	*buckettest.Memory
	onPut func(key string) // nil: nothing
}

func (w *wooded) inTheWay(key string) error {
	for other := range w.Objects() {
		if strings.HasPrefix(key, other+"/") || strings.HasPrefix(other, key+"/") {
			return bucket.ErrInTheWay
		}
	}
	return nil
}

func (w *wooded) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, o bucket.PutOptions) (bucket.Object, error) {
	if err := w.inTheWay(key); err != nil {
		return bucket.Object{}, err
	}
	if w.onPut != nil {
		w.onPut(key)
	}
	return w.Memory.Put(ctx, key, body, size, o)
}

func (w *wooded) Copy(ctx context.Context, src bucket.Source, dst string, o bucket.CopyOptions) (bucket.Object, error) {
	if err := w.inTheWay(dst); err != nil {
		return bucket.Object{}, err
	}
	return w.Memory.Copy(ctx, src, dst, o)
}

// An undo puts back what had no room before its deletes, or says that it did not.
func TestUndoWhereSomethingIsInTheWay(t *testing.T) {
	m := newUndoable(t, "bucket")
	m.o.Delete, m.o.To.Store = true, &wooded{Memory: m.store}
	m.write(map[string]string{"a": "1", "c/d": "1", "e": "1"})
	m.run(nil)
	before := m.state()
	for _, name := range []string{"a", "c"} {
		m.remove(name)
	}
	m.write(map[string]string{"a/b": "2", "c": "2", "e": "2"})
	sum := m.run(nil)
	if sum.Failed > 0 || sum.Transferred != 3 || sum.Deleted != 2 {
		t.Fatalf("%+v %v", sum, m.lines)
	}
	m.undone(sum.Run)
	m.wants("delete a/b", "delete c", "restore a", "restore c/d", "restore e")
	same(t, "undone", m.state(), before)
}

// A run that is interrupted among the transfers that come after the deletes has not come to its end, and
// does not say so.
func TestInterruptAmongPostponed(t *testing.T) {
	m := newUndoable(t, "bucket")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store := &wooded{Memory: m.store}
	m.o.Delete, m.o.To.Store = true, store
	m.write(map[string]string{"a": "1"})
	m.run(nil)
	m.remove("a")
	m.write(map[string]string{"a/b": "2"})
	store.onPut = func(key string) {
		if key == "p/a/b" {
			cancel()
		}
	}
	if sum, err := m.try(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v, %v", sum, err, m.lines)
	}
	runs, err := Runs(context.Background(), m.o.To, m.o.Backup)
	if err != nil || len(runs) != 2 || runs[1].Ended {
		t.Errorf("%+v, %v", runs[len(runs)-1], err)
	}
	audit(t, m.store)
}

// Where there is no manifest, an undo whose copy is made though its answer is lost does not take its own
// object for somebody else's; nor, if it is not made, the one that it is to replace.
func TestUndoInDoubtWithoutManifest(t *testing.T) {
	for _, lost := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
		for _, key := range []string{"p/gone", "p/a"} {
			m := newUndoable(t, "bucket")
			m.o.Compare, m.o.Delete = compare.Size, true
			m.write(map[string]string{"a": "1", "gone": "1", "kept": "1"})
			m.run(nil)
			before := m.state()
			m.remove("gone")
			m.write(map[string]string{"a": "22"})
			sum := m.run(nil)
			once := true
			m.store.Fault = func(op buckettest.Op, at string) buckettest.Outcome {
				if op == buckettest.Copy && at == key && once {
					once = false
					return lost
				}
				return buckettest.OK
			}
			undo := m.undone(sum.Run)
			if m.wants("restore a", "restore gone"); undo.Drift.Total() != 0 {
				t.Errorf("%v at %s: %+v", lost, key, undo.Drift)
			}
			same(t, fmt.Sprint(lost, " at ", key), m.state(), before)
		}
	}
}

// What somebody else has stored is taken over with --adopt, and stays what it is with --no-overwrite:
// found by a sample, by an audit or by a transfer, with a record and without.
func TestAdoptWithoutOverwriting(t *testing.T) {
	for _, how := range append([]string{""}, ways...) {
		for _, by := range []string{"transfer", "sample", "audit", "dry run"} {
			m := newUndoable(t, how)
			m.write(map[string]string{"a": "1", "b": "1"})
			m.run(nil)
			m.write(map[string]string{"new": "1", "fresh": "1"})
			put(t, m.store, "p/a", "theirs")
			put(t, m.store, "p/new", "theirs too")
			sum := m.goes(func(o *Options) {
				o.NoOverwrite, o.Foreign.Adopt, o.DryRun = true, true, by == "dry run"
				switch by {
				case "sample":
					o.Sample = mostLooks
				case "audit", "dry run":
					o.Audit = 1
				}
			})
			held := m.store.Objects()
			if string(held["p/a"]) != "theirs" || string(held["p/new"]) != "theirs too" || sum.Failed > 0 {
				t.Errorf("%s by %s: %q, %q, %+v\n%s", how, by, held["p/a"], held["p/new"], sum, strings.Join(m.lines, "\n"))
			}
			if n := strings.Count(strings.Join(m.lines, "\n"), "put "); n != 1 {
				t.Errorf("%s by %s: %v", how, by, m.lines)
			}
			if by != "dry run" {
				full(&m.o)
				m.o.NoOverwrite, m.o.Foreign.Adopt = true, true
				want := drift.Count{}
				if by == "transfer" {
					want.Changed = 1 // which that run did not touch
				}
				if again := m.run(nil); again.Drift != want || again.Transferred != 0 {
					t.Errorf("%s by %s, and again: %+v %v", how, by, again, m.lines)
				}
			}
		}
	}
}

// An object of which no copy can be kept since it is in an archive is a failure, whatever is said about
// archives: it is no source that is left out.
func TestKeepFromAnArchive(t *testing.T) {
	m := newUndoable(t, "bucket")
	m.write(map[string]string{"a": "1"})
	m.run(nil)
	m.store.Set("p/a", func(o *bucket.Object) { o.Class = "GLACIER" })
	m.write(map[string]string{"a": "22"})
	for _, what := range []Archive{ArchiveQuiet, ArchiveWarn, ArchiveForce} {
		if sum, err := m.try(context.Background(), func(o *Options) { o.Archive = what }); err != nil || sum.Failed != 1 || sum.Warnings != 0 {
			t.Errorf("%d: %+v, %v, %v", what, sum, err, m.lines)
		}
	}
}

// An object of the mirror's that the bucket describes in another way, and that may not be deleted, or of
// which no copy can be kept, stays in the manifest: it is not somebody else's. What is somebody else's does not get there.
func TestDeleteOfSameBytesFails(t *testing.T) {
	for _, c := range []struct {
		how string
		op  buckettest.Op // that is refused when the objects have been looked at
	}{{"", buckettest.Delete}, {"prefix", buckettest.Delete}, {"prefix", buckettest.Copy}, {"versions", buckettest.Delete}} {
		m := newUndoable(t, c.how)
		m.o.Delete, m.o.Gate = true, pace.Fixed(1)
		m.write(map[string]string{"a": "1", "gone": "1", "theirs": "1"})
		m.run(nil)
		m.store.Set("p/gone", func(o *bucket.Object) { o.ETag = "00000000000000000000000000000000" })
		put(t, m.store, "p/theirs", "2")
		m.remove("gone")
		m.remove("theirs")
		tries := 0
		m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op != c.op || !strings.HasSuffix(key, "/gone") && !strings.HasSuffix(key, "/theirs") {
				return buckettest.OK
			}
			if tries++; tries <= 2 {
				return buckettest.OK // they do not meet the condition
			}
			return buckettest.Denied
		}
		sum, err := m.try(context.Background(), func(o *Options) { o.Foreign.Delete = true })
		if err != nil || sum.Failed != 2 || tries != 4 {
			t.Errorf("%v: %+v, %v, %d tries, %v", c, sum, err, tries, m.lines)
		}
		m.store.Fault = nil
		faithful(t, m.store)
		if named := entries(t, m.store); named["gone"].Key == "" || named["theirs"].Key != "" {
			t.Errorf("%v: the manifest names %v", c, named)
		}
		m.run(nil)
		m.wants("delete gone")
	}
}

// The server verifies records as it does objects: a bit that changes on the way would only be found when
// the run is to be undone.
func TestRecordsHaveChecksums(t *testing.T) {
	for i, how := range append(ways, ways...) {
		m, refused := newUndoable(t, how), i >= len(ways)
		store := m.store
		if m.o.Backup != nil {
			store = m.o.Backup.Store.(*buckettest.Memory)
		}
		store.NoChecksum = refused
		m.write(map[string]string{"a": "1"})
		m.run(nil)
		records := 0
		for key := range store.Objects() {
			if o, _ := store.Options(key); o.ContentType == "application/gzip" {
				if records++; !o.HasCRC64 && !refused {
					t.Errorf("%s: %s is stored without a checksum", how, key)
				}
			}
		}
		if records == 0 {
			t.Errorf("%s: no records", how)
		}
	}
}

// A strategy that lists knows less of an object than the manifest does, which goes on knowing it when the
// object is found to be equal: its headers, and with them what an undo has to put back, and its version.
func TestListingForgetsNothing(t *testing.T) {
	for _, how := range ways {
		for _, name := range []compare.Name{compare.ETag, compare.Size} {
			m := newUndoable(t, how)
			by := func(text string) func(*Options) {
				return func(o *Options) { o.Rules = rules(t, text) }
			}
			m.write(map[string]string{"a.html": "1", "b.js": "2"})
			m.run(nil)
			before := m.state()
			sum := m.run(by("/*\n  Cache-Control: public\n"))
			known := entries(t, m.store)
			m.write(map[string]string{"new": "3"})
			m.run(func(o *Options) { o.Compare = name })
			now := entries(t, m.store)
			for key, e := range known {
				if now[key] != e {
					t.Errorf("%s, %s: of %s the manifest says %+v, before %+v", how, name, key, now[key], e)
				}
			}
			m.undone(sum.Run)
			m.remove("new")
			m.run(func(o *Options) { o.Delete = true })
			same(t, how, m.state(), before)
		}
	}
}
