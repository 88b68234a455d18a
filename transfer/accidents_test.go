package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/transfer/compare"
	"merkur/transfer/filter"
)

// The accidents that have wiped other people's mirrors, in each direction: with manifests, with a
// source that has none, and with a strategy that lists.

// A scene is a mirror that is complete: 300 files at either end.
type scene struct {
	*machine
	source *buckettest.Memory // nil: the source is a directory
}

func scenes(t *testing.T, visit func(t *testing.T, s *scene)) {
	for _, way := range []string{"up", "down", "across"} {
		for _, how := range []string{"manifest", "no manifest", "list"} {
			if how == "no manifest" && way == "up" {
				continue // the source is a directory
			}
			t.Run(way+"/"+how, func(t *testing.T) { visit(t, newScene(t, way, how)) })
		}
	}
}

func newScene(t *testing.T, way, how string) *scene {
	s := &scene{}
	switch way {
	case "up":
		s.machine = newMachine(t, &buckettest.Memory{})
	case "down":
		s.source = &buckettest.Memory{}
		s.machine = newFetcher(t, s.source)
	case "across":
		s.source = &buckettest.Memory{Name: "a"}
		s.machine = newCopier(t, s.source)
	}
	if how == "list" {
		s.o.Compare = compare.Size
	}
	s.o.Delete, s.o.Known = true, true
	files := map[string]string{}
	for i := range 300 {
		files[fmt.Sprintf("%c/%03d", 'a'+i%3, i)] = "content"
	}
	s.put(t, files)
	if s.source != nil && how == "manifest" {
		up := newMachine(t, s.source)
		up.write(files)
		up.run(nil)
	}
	if _, err := s.try(context.Background(), nil); err != nil || len(s.keys(t)) != 300 {
		t.Fatalf("%v, %d files, %v", err, len(s.keys(t)), s.lines)
	}
	return s
}

// put puts files into the source, behind the back of its manifest if it has one.
func (s *scene) put(t *testing.T, files map[string]string) {
	t.Helper()
	if s.source == nil {
		s.write(files)
		return
	}
	for key, body := range files {
		if _, err := s.source.Put(context.Background(), "p/"+key, strings.NewReader(body), int64(len(body)), bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// lose makes the source lose files, its manifest as well.
func (s *scene) lose(t *testing.T, goes func(key string) bool) {
	t.Helper()
	if s.source == nil {
		for _, line := range files(t, s.dir) {
			if key, _, _ := strings.Cut(line, " "); goes(key) {
				s.remove(key)
			}
		}
		return
	}
	for key := range s.source.Objects() {
		if name := strings.TrimPrefix(key, "p/"); manifest.IsReserved(name) || goes(name) {
			s.source.Delete(context.Background(), key, bucket.Condition{})
		}
	}
}

// keys are those that the destination has.
func (s *scene) keys(t *testing.T) (keys []string) {
	t.Helper()
	list := objects(s.store)
	if s.o.To.local() {
		list = files(t, s.dir)
	}
	for _, line := range list {
		key, _, _ := strings.Cut(line, " ")
		keys = append(keys, key)
	}
	return keys
}

// refuses runs, which has to end with an error, or with all deletes refused, and checks that the
// destination has lost nothing.
func (s *scene) refuses(t *testing.T, want error, change func(*Options)) {
	t.Helper()
	before := s.keys(t)
	_, err := s.try(context.Background(), change)
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%v, want %v; %v", err, want, s.lines)
	}
	after := s.keys(t)
	for _, key := range before {
		if !slices.Contains(after, key) {
			t.Fatalf("%s is lost", key)
		}
	}
}

// rclone#1574, #1186: the source is a mount point with nothing mounted, or a prefix that holds nothing.
func TestEmptiedSource(t *testing.T) {
	scenes(t, func(t *testing.T, s *scene) {
		s.lose(t, func(string) bool { return true })
		s.refuses(t, ErrEmptySource, nil)
		s.refuses(t, ErrEmptySource, func(o *Options) { o.MaxDelete = Limit{Percent: 100, Given: true} })
		s.refuses(t, ErrEmptySource, func(o *Options) { o.DryRun = true })
	})
}

// rclone#4298, #1032: the source is another one than was meant.
func TestWrongSource(t *testing.T) {
	scenes(t, func(t *testing.T, s *scene) {
		s.lose(t, func(string) bool { return true })
		other := map[string]string{}
		for i := range 300 {
			other[fmt.Sprintf("other/%03d", i)] = "content"
		}
		s.put(t, other)
		s.refuses(t, ErrWrongSource, nil)
		s.refuses(t, ErrTooManyDeletes, func(o *Options) { o.MaxDelete = Limit{Count: 299, Given: true} })
		if _, err := s.try(context.Background(), func(o *Options) { o.MaxDelete = Limit{Percent: 100, Given: true} }); err != nil || !slices.Equal(s.keys(t), slices.Sorted(maps.Keys(other))) {
			t.Errorf("with the word: %v, %d keys", err, len(s.keys(t)))
		}
	})
}

// A source that is not there at all is not an empty one.
func TestMissingSource(t *testing.T) {
	scenes(t, func(t *testing.T, s *scene) {
		if s.source == nil {
			if err := os.RemoveAll(s.dir); err != nil {
				t.Fatal(err)
			}
			s.refuses(t, nil, func(o *Options) { o.AllowEmpty = true })
			return
		}
		s.source.Fault = func(op buckettest.Op, key string) buckettest.Outcome { return buckettest.Denied }
		s.refuses(t, nil, func(o *Options) { o.AllowEmpty = true })
	})
}

// More than half of the source is gone: a disk that is not mounted, below it.
func TestShrunkSource(t *testing.T) {
	scenes(t, func(t *testing.T, s *scene) {
		s.lose(t, func(key string) bool { return key[0] != 'a' })
		s.refuses(t, ErrTooManyDeletes, nil)
		if _, err := s.try(context.Background(), func(o *Options) { o.MaxDelete = Limit{Percent: 70, Given: true} }); err != nil || len(s.keys(t)) != 100 {
			t.Errorf("with the word: %v, %d keys", err, len(s.keys(t)))
		}
	})
}

// s5cmd#815: what is excluded is not deleted, though the source does not show it.
func TestExcludedIsKept(t *testing.T) {
	scenes(t, func(t *testing.T, s *scene) {
		s.lose(t, func(key string) bool { return key[0] == 'b' || strings.HasSuffix(key, "9") })
		first, second := s.o.From.Dir, "b/p"
		if s.source != nil {
			first, second = "b/p", "b/p"
			if s.o.From.Bucket != "" {
				first = s.o.From.Bucket + "/p"
			}
			if s.o.To.local() {
				first, second = s.dir, first
			}
		}
		f := filter.New([]filter.Filter{{Pattern: "b/*"}}, first, second)
		if _, err := s.try(context.Background(), func(o *Options) { o.Filters = f }); err != nil {
			t.Fatal(err)
		}
		left := map[byte]int{}
		for _, key := range s.keys(t) {
			if left[key[0]]++; key[0] != 'b' && strings.HasSuffix(key, "9") {
				t.Errorf("%s is still there", key)
			}
		}
		if left['a'] != 90 || left['b'] != 100 || left['c'] != 90 {
			t.Errorf("left are %v", left)
		}
	})
}

// What a listing that breaks off does not show is not gone: s5cmd takes most errors of listings
// for the end of them.
func TestBrokenListing(t *testing.T) {
	scenes(t, func(t *testing.T, s *scene) {
		if s.source == nil {
			t.Skip("see TestUnreadableSource")
		}
		s.lose(t, func(key string) bool { return false })
		for _, outcome := range []buckettest.Outcome{buckettest.NotStored, buckettest.Throttled, buckettest.Denied} {
			for from := range int64(2) {
				var lists atomic.Int64
				s.source.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
					if op == buckettest.List && lists.Add(1) > from {
						return outcome
					}
					return buckettest.OK
				}
				before := s.keys(t)
				_, err := s.try(context.Background(), func(o *Options) { o.AllowEmpty, o.MaxDelete = true, Limit{Percent: 100, Given: true} })
				s.source.Fault = nil
				if after := s.keys(t); len(after) != len(before) || err == nil && lists.Load() > from {
					t.Errorf("outcome %v of listing %d: %v, %d keys", outcome, from, err, len(after))
				}
			}
		}
	})
}

// A directory that has turned into something that cannot be read protects what was in it.
func TestUnreadableSource(t *testing.T) {
	for _, how := range []string{"manifest", "list"} {
		s := newScene(t, "up", how)
		if err := os.RemoveAll(filepath.Join(s.dir, "b")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("nowhere", filepath.Join(s.dir, "b")); err != nil {
			t.Skip(err)
		}
		if sum, err := s.try(context.Background(), nil); err != nil || sum.Problems != 1 || sum.Deleted != 0 || len(s.keys(t)) != 300 {
			t.Errorf("%s: %+v, %v, %d keys", how, sum, err, len(s.keys(t)))
		}
	}
}

// Where nothing was mirrored before, what is there is somebody else's, and little of it is deleted.
func TestFirstRun(t *testing.T) {
	scenes(t, func(t *testing.T, s *scene) {
		if s.catalogued() {
			withoutManifest(s.store)
		}
		first := func(o *Options) { o.Known = false }
		gone := func(last string) func(string) bool {
			return func(key string) bool { return key[0] == 'c' && key <= last }
		}
		s.lose(t, gone("c/032")) // 11 of them
		s.refuses(t, ErrFirstRun, func(o *Options) { o.Known, o.DryRun = false, true })
		s.put(t, map[string]string{"c/002": "content"})
		if _, err := s.try(context.Background(), first); err != nil || len(s.keys(t)) != 290 {
			t.Fatalf("ten deletes: %v, %d keys", err, len(s.keys(t)))
		}
		if s.catalogued() {
			withoutManifest(s.store)
		}
		s.lose(t, gone("c/077"))
		s.refuses(t, ErrFirstRun, func(o *Options) { o.Known, o.DryRun = false, true })
		if _, err := s.try(context.Background(), func(o *Options) { o.Known, o.MaxDelete = false, Limit{Count: 16, Given: true} }); err != nil || len(s.keys(t)) != 274 {
			t.Errorf("with the word: %v, %d keys", err, len(s.keys(t)))
		}
	})
}

// A first run that was not let delete has made a manifest of what it found. That does not make it the mirror's:
// trying again deletes no more, on whichever machine; and the word does.
func TestRefusedFirstRunIsTriedAgain(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	up := newMachine(t, source)
	up.write(map[string]string{"a": "1", "b": "1", "c": "1"})
	up.run(nil)
	for _, m := range []*machine{newMachine(t, &buckettest.Memory{}), newCopier(t, source)} {
		if m.dir != "" {
			m.write(map[string]string{"a": "1", "b": "1", "c": "1"})
		}
		for i := range firstObjects + 1 {
			put(t, m.store, fmt.Sprintf("p/theirs/%02d", i), "theirs")
		}
		remove := func(o *Options) { o.Delete = true }
		for range 3 {
			if sum, err := m.try(t.Context(), remove); !errors.Is(err, ErrFirstRun) || sum.Deleted > 0 {
				t.Fatalf("%+v, %v, %v", sum, err, m.lines)
			}
			m.forget()
		}
		if sum, err := m.try(t.Context(), func(o *Options) { o.Delete, o.MaxDelete = true, Limit{Count: 11, Given: true} }); err != nil || sum.Deleted != 11 {
			t.Errorf("with the word: %+v, %v, %v", sum, err, m.lines)
		}
		if m.dir == "" {
			continue
		}
		// What was once the same as a file is the mirror's, and a machine that never was here may delete it.
		many := map[string]string{}
		for i := range 2 * firstObjects {
			many[fmt.Sprintf("ours/%02d", i)] = "ours"
			put(t, m.store, fmt.Sprintf("p/ours/%02d", i), "ours")
		}
		m.write(many)
		m.run(nil)
		m.remove("ours")
		if sum := m.run(remove); sum.Deleted != 2*firstObjects {
			t.Errorf("%+v, %v", sum, m.lines)
		}
	}
}

// catalogued reports whether the destination keeps a manifest.
func (s *scene) catalogued() bool { return !s.o.To.local() && s.o.Compare == "" }

// s5cmd#436, #852, #382: many deletes are all done, and nothing else is.
func TestManyDeletesEachWay(t *testing.T) {
	for _, way := range []string{"up", "down", "across"} {
		s := newScene(t, way, "list")
		s.o.MaxDelete = Limit{Percent: 100, Given: true}
		many := map[string]string{}
		for i := range spoolLeaf + 1_500 {
			many[fmt.Sprintf("many/%05d", i)] = ""
		}
		s.put(t, many)
		if _, err := s.try(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		s.lose(t, func(key string) bool { return strings.HasPrefix(key, "many/") && key != "many/00007" })
		if sum, err := s.try(context.Background(), nil); err != nil || int(sum.Deleted) != len(many)-1 || len(s.keys(t)) != 301 {
			t.Errorf("%s: %+v, %v, %d keys", way, sum, err, len(s.keys(t)))
		}
	}
}
