package catalog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

func plant(t *testing.T, s bucket.Store, key string, body []byte) {
	t.Helper()
	if _, err := s.Put(context.Background(), key, strings.NewReader(string(body)), int64(len(body)), bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func aSeal() *manifest.Seal { return &manifest.Seal{Key: manifest.Key{7}, Place: "bucket/p/"} }

// reopen opens the catalog as the writer's next run would, and returns the error.
func (w *writer) reopen() error {
	_, err := Open(context.Background(), w.store, w.o)
	return err
}

func TestSealedManifest(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	w.o.Seal = aSeal()
	es := many(5000, 0)
	commit(t, w.open(t), Edit{Changes: puts(es...), Range: &manifest.Range{First: "a"}})
	c := w.open(t)
	if !c.Exists() || len(c.Intents()) != 1 {
		t.Fatal("a sealed manifest does not come back")
	}
	commit(t, c, Edit{Changes: puts(entry("z", 0))})
	root := store.Objects()["p/"+rootName]

	stranger := newWriter(store)
	if err := stranger.reopen(); !errors.Is(err, manifest.ErrSealed) {
		t.Errorf("without a key: %v", err)
	}
	stranger.o.Seal = &manifest.Seal{Key: manifest.Key{8}, Place: "bucket/p/"}
	if err := stranger.reopen(); !errors.Is(err, manifest.ErrSeal) {
		t.Errorf("with another key: %v", err)
	}
	elsewhere := newWriter(store)
	elsewhere.o.Prefix, elsewhere.o.Seal = "q/", &manifest.Seal{Key: manifest.Key{7}, Place: "bucket/q/"}
	plant(t, store, "q/"+rootName, root)
	if err := elsewhere.reopen(); !errors.Is(err, manifest.ErrSeal) || !strings.Contains(err.Error(), "bucket/p/") {
		t.Errorf("copied to another prefix: %v", err)
	}

	// The root that the cache remembers passes for nobody who has another key or none, and a root
	// that was remembered without one does not pass the seal.
	w.o.Seal = nil
	if err := w.reopen(); !errors.Is(err, manifest.ErrSealed) {
		t.Errorf("from the cache, without a key: %v", err)
	}
	w.o.Seal, w.o.Rebuild = nil, true
	commit(t, w.open(t), Edit{Changes: puts(es...)})
	w.o.Seal, w.o.Rebuild = aSeal(), false
	if err := w.reopen(); !errors.Is(err, manifest.ErrUnsealed) {
		t.Errorf("from the cache, not sealed: %v", err)
	}
	w.o.Rebuild = true
	commit(t, w.open(t), Edit{Changes: puts(es...)})
	w.o.Rebuild = false
	if c := w.open(t); c.Root().Top.Files != 5000 {
		t.Error("what was sealed again does not come back")
	}
}

// Whoever may write to the bucket, and has no key, cannot make a run believe anything: each object
// of the manifest is changed in turn, and what is read is what was sealed, or an error.
func TestSealCoversPagesAndPacks(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	w.o.Seal, w.packSize = aSeal(), 100_000
	es := many(20_000, 0)
	commit(t, w.open(t), Edit{Changes: puts(es...), Doomed: []manifest.Entry{entry("zz", 0)}})
	all := append(slices.Clone(es), entry("zz", 0)) // and what is being deleted
	// The same tree, with one entry another, made by somebody without the key.
	evil := &buckettest.Memory{}
	forger := newWriter(evil)
	forger.packSize = 100_000
	forged := slices.Clone(es)
	forged[777].Evidence.ETag = strings.Repeat("e", 32)
	commit(t, forger.open(t), Edit{Changes: puts(forged...), Doomed: []manifest.Entry{entry("zz", 1)}})
	var theirs [][]byte
	for _, body := range evil.Objects() {
		theirs = append(theirs, body)
	}
	for key, good := range store.Objects() {
		for i, body := range theirs {
			plant(t, store, key, body)
			w.o.Pages, w.o.State = nil, nil
			if got, err := readSealed(w); err == nil && !slices.Equal(got, all) {
				t.Errorf("object %d of the forger in place of %s is believed", i, key)
			}
		}
		plant(t, store, key, good)
	}
	if got, err := readSealed(w); err != nil || !slices.Equal(got, all) {
		t.Fatalf("in the end: %d entries, %v", len(got), err)
	}
}

func readSealed(w *writer) (es []manifest.Entry, err error) {
	c, err := Open(context.Background(), w.store, w.o)
	if err != nil {
		return nil, err
	}
	for e, err := range c.Tree(context.Background()).Entries("") {
		if err != nil {
			return nil, err
		}
		es = append(es, e)
	}
	for _, i := range c.Intents() {
		doomed, err := c.doomed(context.Background(), i)
		if err != nil {
			return nil, err
		}
		es = append(es, doomed...)
	}
	return es, nil
}

// An old manifest that is put back passes the seal, and not the mark.
func TestRollBack(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	dir := filepath.Join(t.TempDir(), "state")
	w.o.Seal, w.o.Mark = aSeal(), NewMark(dir, "place")
	commit(t, w.open(t), Edit{Changes: puts(many(10, 0)...)})
	first := store.Objects()["p/"+rootName]
	commit(t, w.open(t), Edit{Changes: puts(many(10, 1)...)})
	second := store.Objects()["p/"+rootName]

	plant(t, store, "p/"+rootName, first)
	if err := w.reopen(); !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "generation was 2 and is 1") {
		t.Errorf("an old one put back: %v", err)
	}
	if err := store.Delete(context.Background(), "p/"+rootName, bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := w.reopen(); !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "none any more") {
		t.Errorf("taken away: %v", err)
	}
	fork := newWriter(store)
	fork.o.Seal = aSeal()
	plant(t, store, "p/"+rootName, first)
	commit(t, fork.open(t), Edit{Changes: puts(many(10, 2)...)})
	if err := w.reopen(); !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "two of generation 2") {
		t.Errorf("another of the same generation: %v", err)
	}
	if err := store.Delete(context.Background(), "p/"+rootName, bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		commit(t, fork.open(t), Edit{Changes: puts(many(10, 2)...)})
	}
	if err := w.reopen(); !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "another one") {
		t.Errorf("another one: %v", err)
	}

	// A dry run that accepts it leaves the mark where it is; a real one moves it, back too.
	plant(t, store, "p/"+rootName, first)
	mark := w.o.Mark
	w.o.AcceptRollback, w.o.Mark = true, mark.Frozen()
	if err := w.reopen(); err != nil {
		t.Error(err)
	}
	w.o.AcceptRollback, w.o.Mark = false, mark
	if err := w.reopen(); !errors.Is(err, ErrRolledBack) {
		t.Errorf("after a dry run that accepted it: %v", err)
	}
	w.o.AcceptRollback = true
	commit(t, w.open(t), Edit{Changes: puts(many(20, 1)[10:]...)})
	w.o.AcceptRollback = false
	if err := w.reopen(); err != nil {
		t.Errorf("after it was accepted: %v", err)
	}
	plant(t, store, "p/"+rootName, second)
	if err := w.reopen(); !errors.Is(err, ErrRolledBack) {
		t.Errorf("the other line of history: %v", err)
	}

	// One that is not sealed, which a run without a key meets, leaves no way around.
	keyless := newWriter(store)
	keyless.o.Mark, keyless.o.Rebuild = mark, true
	commit(t, keyless.open(t), Edit{Changes: puts(many(10, 0)...)})
	keyless.o.Rebuild = false
	keyless.open(t)
	if err := store.Delete(context.Background(), "p/"+rootName, bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := w.reopen(); !errors.Is(err, ErrRolledBack) {
		t.Errorf("taken away after a run without a key: %v", err)
	}
}

// Where nothing is sealed, a step back is told and not refused.
func TestRollBackUnsealed(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	w.o.Mark = NewMark(t.TempDir(), "place")
	commit(t, w.open(t), Edit{Changes: puts(many(10, 0)...)})
	first := store.Objects()["p/"+rootName]
	commit(t, w.open(t), Edit{Changes: puts(many(10, 1)...)})
	if c := w.open(t); c.Doubt() != "" {
		t.Errorf("nothing happened: %s", c.Doubt())
	}
	plant(t, store, "p/"+rootName, first)
	if c := w.open(t); !strings.Contains(c.Doubt(), "generation was 2 and is 1") {
		t.Errorf("an old one put back: %q", c.Doubt())
	}
	if c := w.open(t); c.Doubt() != "" {
		t.Errorf("it is told twice: %s", c.Doubt())
	}
}

// A commit whose answer is lost, and one that meets another writer, are no steps back.
func TestMarkMovesWithCommits(t *testing.T) {
	store := &buckettest.Memory{}
	dir := t.TempDir()
	a, b := newWriter(store), newWriter(store)
	a.o.Seal, b.o.Seal = aSeal(), aSeal()
	a.o.Mark, b.o.Mark = NewMark(dir, "place"), NewMark(dir, "place") // of one machine
	ca := a.open(t)
	commit(t, ca, Edit{Changes: puts(entry("a", 0))})
	cb := b.open(t)
	for v := range 4 {
		n := 0
		store.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
			if op == buckettest.Put {
				if n++; n == 1 {
					return []buckettest.Outcome{buckettest.Stored, buckettest.NotStored}[v%2]
				}
			}
			return buckettest.OK
		}
		commit(t, ca, Edit{Changes: puts(entry("a", v))})
		commit(t, cb, Edit{Changes: puts(entry("b", v))})
	}
	store.Fault = nil
	if err := errors.Join(a.reopen(), b.reopen()); err != nil {
		t.Error(err)
	}
	last, err := a.o.Mark.sealed().last()
	if err != nil || last.generation != a.open(t).Generation() {
		t.Errorf("the mark is at %+v, %v; the manifest at %d", last, err, a.open(t).Generation())
	}
}

func TestDamagedMark(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	w.o.Seal, w.o.Mark = aSeal(), NewMark(t.TempDir(), "place")
	commit(t, w.open(t), Edit{Changes: puts(entry("a", 0))})
	b, err := os.ReadFile(w.o.Mark.sealed().file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(w.o.Mark.sealed().file); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read %v, %v", info.Mode(), err)
	}
	for _, bad := range [][]byte{nil, b[:5], append(slices.Clone(b), 0), append([]byte{b[0] ^ 1}, b[1:]...)} {
		if err := os.WriteFile(w.o.Mark.sealed().file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := w.reopen(); !errors.Is(err, ErrMark) {
			t.Errorf("a mark of %x is believed: %v", bad, err)
		}
	}
	w.o.AcceptRollback = true
	if err := w.reopen(); err != nil {
		t.Error(err)
	}
	w.o.AcceptRollback = false
	if err := w.reopen(); err != nil {
		t.Errorf("after it was accepted: %v", err)
	}
	w.o.Mark = NewMark("/dev/null/nowhere", "place")
	if err := w.reopen(); err == nil {
		t.Error("where nothing can be kept in mind, a sealed manifest is believed")
	}
	plain := newWriter(&buckettest.Memory{})
	plain.o.Mark = w.o.Mark
	commit(t, plain.open(t), Edit{Changes: puts(entry("a", 0))})
	if err := plain.reopen(); err != nil {
		t.Errorf("one that is not sealed: %v", err)
	}
}
