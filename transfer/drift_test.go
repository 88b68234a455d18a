package transfer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/drift"
	"merkur/transfer/pace"
)

func full(o *Options) { o.Audit = 1 }

// remove removes an object of a store behind the back of its manifest.
func discard(store *buckettest.Memory, key string) {
	store.Delete(context.Background(), "p/"+key, bucket.Condition{})
}

// goes runs Sync, in which nothing may fail. The manifest may be wrong where that was told.
func (m *machine) goes(change func(*Options)) Summary {
	m.t.Helper()
	sum, err := m.try(context.Background(), change)
	if err != nil || sum.Failed > 0 {
		m.t.Fatalf("%+v, %v\n%s", sum, err, strings.Join(m.lines, "\n"))
	}
	return sum
}

// An audit finds what no run touches, mends what is missing, and leaves alone what is somebody
// else's, unless an option says otherwise.
func TestAuditAtDestination(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     func(*Options)
		lines []string
		holds map[string]string // "": nothing
	}{
		{"default", nil,
			[]string{"drift changed: foreign-changed, keep", "drift dropped: missing, forget", "drift lost: missing, restore", "drift new: foreign-new, keep",
				"drift orphan: foreign-changed, keep", "drift twin: foreign-new, keep", "put lost"},
			map[string]string{"changed": "theirs", "lost": "1", "new": "theirs", "orphan": "theirs", "twin": "theirs", "dropped": ""}},
		{"delete", func(o *Options) { o.Delete = true },
			[]string{"drift changed: foreign-changed, keep", "drift dropped: missing, forget", "drift lost: missing, restore", "drift new: foreign-new, keep",
				"drift orphan: foreign-changed, keep", "drift twin: foreign-new, keep", "put lost"},
			map[string]string{"changed": "theirs", "lost": "1", "new": "theirs", "orphan": "theirs", "twin": "theirs", "dropped": ""}},
		{"adopt", func(o *Options) { o.Foreign.Adopt = true },
			[]string{"drift changed: foreign-changed, adopt", "drift dropped: missing, forget", "drift lost: missing, restore", "drift new: foreign-new, adopt",
				"drift orphan: foreign-changed, adopt", "drift same: foreign-new, adopt", "drift twin: foreign-new, adopt", "put changed", "put lost", "put twin"},
			map[string]string{"changed": "1", "lost": "1", "new": "theirs", "orphan": "theirs", "twin": "1", "dropped": ""}},
		{"adopt and delete", func(o *Options) { o.Foreign.Adopt, o.Delete = true, true },
			[]string{"delete new", "delete orphan", "drift changed: foreign-changed, adopt", "drift dropped: missing, forget", "drift lost: missing, restore",
				"drift new: foreign-new, adopt", "drift orphan: foreign-changed, adopt", "drift same: foreign-new, adopt", "drift twin: foreign-new, adopt", "put changed", "put lost", "put twin"},
			map[string]string{"changed": "1", "lost": "1", "new": "", "orphan": "", "twin": "1", "dropped": ""}},
		{"overwrite", func(o *Options) { o.Foreign.Overwrite, o.Delete = true, true },
			[]string{"drift changed: foreign-changed, replace", "drift dropped: missing, forget", "drift lost: missing, restore", "drift new: foreign-new, keep",
				"drift orphan: foreign-changed, keep", "drift same: foreign-new, replace", "drift twin: foreign-new, replace", "put changed", "put lost", "put twin"},
			map[string]string{"changed": "1", "lost": "1", "new": "theirs", "orphan": "theirs", "twin": "1", "dropped": ""}},
		{"delete foreign", func(o *Options) { o.Foreign.Delete, o.Delete = true, true },
			[]string{"delete new", "delete orphan", "drift changed: foreign-changed, keep", "drift dropped: missing, forget", "drift lost: missing, restore",
				"drift new: foreign-new, delete", "drift orphan: foreign-changed, delete", "drift twin: foreign-new, keep", "put lost"},
			map[string]string{"changed": "theirs", "lost": "1", "new": "", "orphan": "", "twin": "theirs", "dropped": ""}},
		{"delete foreign without delete", func(o *Options) { o.Foreign.Delete = true },
			[]string{"drift changed: foreign-changed, keep", "drift dropped: missing, forget", "drift lost: missing, restore", "drift new: foreign-new, keep",
				"drift orphan: foreign-changed, keep", "drift twin: foreign-new, keep", "put lost"},
			map[string]string{"changed": "theirs", "lost": "1", "new": "theirs", "orphan": "theirs", "twin": "theirs", "dropped": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := meddled(t)
			change := func(o *Options) {
				if full(o); c.o != nil {
					c.o(o)
				}
			}
			dry := m.goes(func(o *Options) { change(o); o.DryRun = true })
			if m.count(buckettest.Put)+m.count(buckettest.Delete) > 0 {
				t.Errorf("a dry run writes: %v", m.calls)
			}
			if told := withPrefix(m.lines, "drift "); !slices.Equal(told, withPrefix(c.lines, "drift ")) {
				t.Errorf("a dry run tells %q", told)
			}
			sum, err := m.try(context.Background(), change)
			m.lines = slices.DeleteFunc(m.lines, func(l string) bool { return strings.HasPrefix(l, "note ") })
			if m.wants(c.lines...); err != nil || sum.Failed > 0 || sum.Audited != dry.Audited || sum.Audited != 11 {
				t.Errorf("%+v, %v", sum, err)
			}
			for key, want := range c.holds {
				if got := string(m.store.Objects()["p/"+key]); got != want {
					t.Errorf("%s holds %q, want %q", key, got, want)
				}
			}
			// The same again finds what was kept, and nothing else; and without an audit there is nothing to do.
			sum, err = m.try(context.Background(), change)
			kept := slices.DeleteFunc(slices.Clone(c.lines), func(l string) bool { return !strings.HasSuffix(l, ", keep") })
			if orphan := "drift orphan: foreign-changed, keep"; slices.Contains(kept, orphan) && slices.Contains([]string{"delete", "overwrite"}, c.name) {
				kept[slices.Index(kept, orphan)] = "drift orphan: foreign-new, keep" // given up by the run that was to delete it
			}
			if m.wants(kept...); err != nil || sum.Failed > 0 {
				t.Errorf("again: %+v, %v", sum, err)
			}
			m.goes(nil)
			if twin := "drift twin: foreign-new, keep"; slices.Contains(kept, twin) {
				m.wants(twin) // it is touched in each run
			} else if m.wants(); len(m.calls) != 1 {
				t.Errorf("a run that has nothing to do makes %v", m.calls)
			}
		})
	}
}

// meddled is a mirror in whose bucket somebody else has been at work. Nothing of it is touched by a
// run of its own but "orphan" and "dropped", which the source does not have any more, and "twin",
// which it has just got.
func meddled(t *testing.T) *machine {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"changed": "1", "lost": "1", "moved": "1", "kept/1": "1", "kept/2": "1", "kept/3": "1", "orphan": "1", "dropped": "1"})
	m.mirrors()
	for key, body := range map[string]string{"changed": "theirs", "new": "theirs", "orphan": "theirs", "twin": "theirs", "same": "1"} {
		put(t, m.store, "p/"+key, body)
	}
	m.store.Set("p/moved", func(o *bucket.Object) { o.ETag = "another-1" }) // in another storage class, say
	discard(m.store, "lost")
	discard(m.store, "dropped")
	m.remove("orphan")
	m.remove("dropped")
	m.write(map[string]string{"twin": "1", "same": "1"})
	return m
}

func withPrefix(lines []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.HasPrefix(l, prefix) })
}

// An audit that finds nothing reads the root and lists, and writes nothing.
func TestAuditThatFindsNothing(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(tree())
	m.mirrors()
	if sum := m.goes(full); len(m.calls) != 2 || m.count(buckettest.List) != 1 || sum.Audited != 45 || sum.Drift.Total() != 0 {
		t.Errorf("%+v, %v", sum, m.calls)
	}
	m.wants()
}

// An object whose bytes are the same is no drift. The manifest learns its new ETag, so that it can
// be replaced.
func TestSameBytesAreNoDrift(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"touched": "1", "audited": "1", "doomed": "1", "kept": "1"})
	m.mirrors()
	for _, key := range []string{"touched", "audited", "doomed"} {
		m.store.Set("p/"+key, func(o *bucket.Object) { o.ETag = "another-1" })
	}
	m.write(map[string]string{"touched": "2"})
	m.remove("doomed")
	m.goes(func(o *Options) { o.Delete = true })
	m.wants("delete doomed", "put touched")
	if sum := m.goes(full); sum.Drift.Total() > 0 {
		t.Errorf("%+v", sum)
	}
	faithful(t, m.store)
	if m.goes(full); m.count(buckettest.Head) > 0 || m.count(buckettest.Put) > 0 {
		t.Errorf("what was found is forgotten: %v", m.calls)
	}
}

// Options hold at keys that a run touches too, and there on the condition of what is seen.
func TestForeignAtTouchedKeys(t *testing.T) {
	for _, c := range []struct {
		foreign drift.Options
		lines   []string
	}{
		{drift.Options{Adopt: true}, []string{"delete doomed", "drift doomed: foreign-changed, adopt", "drift edited: foreign-changed, adopt", "drift new: foreign-new, adopt", "put edited", "put new"}},
		{drift.Options{Overwrite: true}, []string{"drift doomed: foreign-changed, keep", "drift edited: foreign-changed, replace", "drift new: foreign-new, replace", "put edited", "put new"}},
		{drift.Options{Delete: true}, []string{"delete doomed", "drift doomed: foreign-changed, delete", "drift edited: foreign-changed, keep", "drift new: foreign-new, keep"}},
	} {
		m := newMachine(t, &buckettest.Memory{})
		m.write(map[string]string{"edited": "1", "doomed": "1", "same": "1"})
		m.mirrors()
		for _, key := range []string{"edited", "doomed", "new"} {
			put(t, m.store, "p/"+key, "theirs")
		}
		m.write(map[string]string{"edited": "2", "new": "2"})
		m.remove("doomed")
		sum := m.goes(func(o *Options) { o.Delete, o.Foreign = true, c.foreign })
		m.wants(c.lines...)
		if sum.Failed > 0 || sum.Drift.Total() != 3 {
			t.Errorf("%+v: %+v", c.foreign, sum)
		}
		m.trueButFor(fmt.Sprint(c.foreign), m.told())
	}
}

// What changes once more between the look and the write is left alone, whatever the options say.
func TestForeignIsNeverOverwrittenBlindly(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"edited": "1", "doomed": "1", "kept": "1"})
	m.mirrors()
	put(t, m.store, "p/edited", "theirs")
	put(t, m.store, "p/doomed", "theirs")
	m.write(map[string]string{"edited": "2"})
	m.remove("doomed")
	tries, ours := map[string]int{}, true
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if (op == buckettest.Put && key == "p/edited" || op == buckettest.Delete && key == "p/doomed") && ours {
			tries[key]++
			ours = false
			put(t, m.store, key, fmt.Sprint("theirs, ", tries[key]))
			ours = true
		}
		return buckettest.OK
	}
	sum, err := m.try(context.Background(), func(o *Options) {
		o.Delete, o.Foreign, o.Gate = true, drift.Options{Overwrite: true, Delete: true}, pace.Fixed(1)
	})
	m.store.Fault = nil
	if err != nil || sum.Transferred+sum.Deleted > 0 || sum.Failed != 2 {
		t.Errorf("%+v, %v, %v", sum, err, m.lines)
	}
	for key, n := range tries {
		if got := string(m.store.Objects()[key]); got != fmt.Sprint("theirs, ", n) {
			t.Errorf("%s holds %q after %d tries", key, got, n)
		}
	}
}

// A delete of foreign objects counts for the limit, and nothing foreign is gone if that is reached.
func TestForeignDeletesAreGuarded(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a": "1", "b": "1"})
	m.mirrors()
	for i := range 150 {
		put(t, m.store, fmt.Sprintf("p/theirs/%03d", i), "x")
	}
	all := func(o *Options) { full(o); o.Delete, o.Foreign.Delete = true, true }
	if _, err := m.try(context.Background(), all); err == nil || !strings.Contains(err.Error(), "150 of 152") {
		t.Errorf("%v", err)
	}
	if n := len(objects(m.store)); n != 152 {
		t.Errorf("%d objects are left", n)
	}
	// Nor are they the mirror's from then on.
	m.goes(func(o *Options) { o.Delete, o.MaxDelete = true, Limit{Percent: 100, Given: true} })
	if n := len(objects(m.store)); n != 152 {
		t.Errorf("%d objects are left", n)
	}
	if sum := m.goes(func(o *Options) { all(o); o.MaxDelete = Limit{Count: 150, Given: true} }); sum.Deleted != 150 || len(objects(m.store)) != 2 {
		t.Errorf("%+v", sum)
	}
	audit(t, m.store)
}

// What was told of as going is another object by the time: nobody has been told of that one, and it stays.
func TestForeignChangesAgainBeforeItsDelete(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"gone": "1", "kept": "1"})
	m.mirrors()
	m.remove("gone")
	put(t, m.store, "p/gone", "theirs")
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Delete && key == "p/gone" {
			m.store.Fault = nil
			put(t, m.store, "p/gone", "theirs, later")
		}
		return buckettest.OK
	}
	sum, err := m.try(context.Background(), func(o *Options) { full(o); o.Delete, o.Foreign.Delete = true, true })
	if got := string(m.store.Objects()["p/gone"]); err != nil || sum.Failed != 1 || got != "theirs, later" {
		t.Errorf("%+v, %v; it is %q now; the run said %v", sum, err, got, m.lines)
	}
	m.goes(func(o *Options) { full(o); o.Delete, o.Foreign.Delete = true, true })
	m.mirrors()
}

// What the scan cannot tell of is not deleted, foreign or not.
func TestForeignBehindProblems(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a": "1", "dir/x": "1"})
	m.mirrors()
	put(t, m.store, "p/dir/loop/y", "theirs")
	put(t, m.store, "p/broken", "theirs")
	for link, target := range map[string]string{"dir/loop": ".", "broken": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(m.dir, link)); err != nil {
			t.Skip(err)
		}
	}
	m.goes(func(o *Options) { full(o); o.Delete, o.Foreign.Delete = true, true })
	if n := len(objects(m.store)); n != 4 {
		t.Errorf("%d objects are left: %v", n, m.lines)
	}
}

// A rolling audit has seen everything after as many runs as its share says, and goes on from where it
// was, wherever it began. Losing its place costs time only.
func TestRollingAudit(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	files := map[string]string{}
	for i := range 6000 {
		files[fmt.Sprintf("%04d", i)] = "x"
	}
	m.write(files)
	m.mirrors()
	for _, forget := range []bool{false, true} {
		for i := range 60 {
			put(t, m.store, fmt.Sprintf("p/%04d", i*100+7), "theirs")
			put(t, m.store, fmt.Sprintf("p/%04d foreign", i*100+3), "theirs")
		}
		put(t, m.store, "p/~ the last", "theirs")
		put(t, m.store, "p/! the first", "theirs")
		found := map[string]bool{}
		var audited int64
		for range 10 {
			sum := m.goes(func(o *Options) { o.Audit = 0.1 })
			audited += sum.Audited
			for _, l := range m.lines {
				found[l] = true
			}
			if n := sum.Audited; n > 6062*4/10 {
				t.Errorf("one of ten audits looks at %d keys", n)
			}
		}
		if len(found) != 122 || audited > 3*6062 {
			t.Errorf("%d of 122 are found, by %d looks", len(found), audited)
		}
		if m.forget(); forget {
			if sum := m.goes(full); sum.Drift.Total() != 122 || sum.Audited != 6062 {
				t.Errorf("%+v", sum)
			}
		}
	}
}

// Windows go round the tree leaf by leaf.
func TestWindow(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	files := map[string]string{}
	for i := range 5000 {
		files[fmt.Sprintf("%04d", i)] = ""
	}
	m.write(files)
	m.mirrors()
	c, err := catalog.Open(context.Background(), m.store, catalog.Options{Prefix: "p/"})
	if err != nil {
		t.Fatal(err)
	}
	tree := c.Tree(context.Background())
	for _, share := range []float64{0.001, 0.05, 0.3, 0.5, 0.99, 1} {
		for _, start := range []string{"", "0000", "2500", "4999", "9"} {
			seen, at := map[string]bool{}, start
			runs := 0
			for ; len(seen) < 5000 && runs < 5000; runs++ {
				ranges, next, err := window(tree, share, at)
				if err != nil {
					t.Fatal(err)
				}
				for key := range files {
					if slices.ContainsFunc(ranges, func(r manifest.Range) bool { return r.Contains(key) }) {
						seen[key] = true
					}
				}
				at = next
			}
			if most := int(1/share) + 1; len(seen) < 5000 || runs > most {
				t.Errorf("a share of %v from %q: %d keys after %d runs", share, start, len(seen), runs)
			}
		}
	}
	if ranges, next, err := window(manifest.Tree{Root: tree.Root}, 1, "x"); len(ranges) != 1 || ranges[0] != (manifest.Range{}) || next != "" || err != nil {
		t.Errorf("all: %v, %q, %v", ranges, next, err)
	}
}

func TestLooks(t *testing.T) {
	for _, c := range []struct {
		transfers     int
		share, chance float64
		want          int
	}{
		{0, 0.25, 0, 0}, {1, 0.25, 0.24, 1}, {1, 0.25, 0.25, 0}, {4, 0.25, 0, 1}, {4, 0.25, 0.99, 1}, {6, 0.25, 0.49, 2}, {6, 0.25, 0.5, 1},
		{64, 0.25, 0.5, 16}, {63, 0.25, 0.5, 16}, {63, 0.25, 0.8, 15}, {1e6, 0.25, 0, 16}, {1e6, 1, 0, 16}, {10, 0, 0, 0},
	} {
		if got := looks(c.transfers, c.share, c.chance); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// A run that transfers something looks at objects that it does not touch, and mends what it finds; a
// run that transfers nothing does not.
func TestSample(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.o.Sample = 16
	m.write(map[string]string{"a": "1", "b": "1", "c": "1", "d": "1", "touched": "1"})
	if m.mirrors(); m.count(buckettest.Head) > 0 {
		t.Errorf("the first run looks at what it has stored: %v", m.calls)
	}
	if m.goes(nil); len(m.calls) != 1 {
		t.Errorf("a run that transfers nothing makes %v", m.calls)
	}
	m.write(map[string]string{"touched": "2"})
	if sum := m.goes(nil); m.count(buckettest.Head) != 4 || len(m.calls) != 8 || sum.Drift.Total() > 0 {
		t.Errorf("%+v, %v", sum, m.calls)
	}
	discard(m.store, "a")
	put(t, m.store, "p/b", "theirs")
	m.store.Set("p/c", func(o *bucket.Object) { o.ETag = "another-1" })
	m.write(map[string]string{"touched": "3"})
	sum := m.goes(nil)
	m.wants("drift a: missing, restore", "drift b: foreign-changed, keep",
		"note of 4 objects that were looked at by chance, somebody else has changed 2; --audit=full looks at all", "put a", "put touched")
	if sum.Drift.Total() != 2 || sum.Transferred != 2 || string(m.store.Objects()["p/a"]) != "1" {
		t.Errorf("%+v", sum)
	}
	m.write(map[string]string{"touched": "4"})
	m.goes(func(o *Options) { o.Foreign.Overwrite = true })
	if got := string(m.store.Objects()["p/b"]); got != "1" {
		t.Errorf("b holds %q: %v", got, m.lines)
	}
	faithful(t, m.store)
}

// On a download the manifest of the source is audited, and nothing is written anywhere because of
// what is found.
func TestAuditAtSource(t *testing.T) {
	up := meddled(t)
	up.write(map[string]string{"orphan": "1", "dropped": "1"})
	for _, old := range []bool{false, true} {
		down := newFetcher(t, up.store)
		if old {
			down.write(map[string]string{"changed": "1", "lost": "1", "moved": "1", "kept/1": "1", "kept/2": "1", "kept/3": "1", "orphan": "1", "dropped": "1"})
		}
		sum, err := down.try(context.Background(), func(o *Options) { full(o); o.Delete = true })
		if err != nil || sum.Failed > 0 || down.count(buckettest.Put)+down.count(buckettest.Delete) > 0 {
			t.Errorf("%+v, %v, %v", sum, err, down.calls)
		}
		want := []string{"drift changed at the source: foreign-changed, keep", "drift dropped at the source: missing, keep", "drift lost at the source: missing, keep",
			"drift new at the source: foreign-new, keep", "drift orphan at the source: foreign-changed, keep", "drift same at the source: foreign-new, keep",
			"drift twin at the source: foreign-new, keep"}
		if !old {
			want = append(want, "get kept/1", "get kept/2", "get kept/3", "get moved")
		}
		if down.wants(want...); old && len(files(t, down.dir)) != 8 {
			t.Errorf("what is there is lost: %v", files(t, down.dir))
		}
	}
}

// A sample of a download looks at the source.
func TestSampleAtSource(t *testing.T) {
	up := newMachine(t, &buckettest.Memory{})
	up.write(map[string]string{"a": "1", "b": "1", "c": "1"})
	up.mirrors()
	down := newFetcher(t, up.store)
	down.o.Sample = 16
	down.run(nil)
	up.write(map[string]string{"c": "2"})
	up.mirrors()
	put(t, up.store, "p/a", "theirs")
	discard(up.store, "b")
	sum := down.goes(nil)
	down.wants("drift a at the source: foreign-changed, keep", "drift b at the source: missing, keep", "get c",
		"note of 2 objects that were looked at by chance, somebody else has changed 2; --audit=full looks at all")
	if sum.Drift.Total() != 2 || content(down, "a") != "1" || content(down, "b") != "1" {
		t.Errorf("%+v", sum)
	}
	deny(up.store, buckettest.Head, "p/") // as one who may not list is told of what is missing
	up.write(map[string]string{"c": "3"})
	up.goes(nil)
	if sum := down.goes(nil); sum.Drift.Missing > 0 {
		t.Errorf("%+v, %v", sum, down.lines)
	}
}

// An audit of the destination of a copy asks the source what it has.
func TestAuditAcross(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		source := &buckettest.Memory{Name: "a"}
		up, m := newMachine(t, source), newCopier(t, source)
		up.write(map[string]string{"changed": "1", "lost": "1", "kept": "1"})
		up.mirrors()
		if !withManifest {
			withoutManifest(source)
		}
		m.goes(nil)
		discard(m.store, "lost")
		put(t, m.store, "p/changed", "theirs")
		put(t, m.store, "p/new", "theirs")
		m.goes(full)
		m.lines = withPrefix(m.lines, "drift ")
		m.wants("drift changed: foreign-changed, keep", "drift lost: missing, restore", "drift new: foreign-new, keep")
		m.goes(func(o *Options) { full(o); o.Delete, o.Foreign = true, drift.Options{Overwrite: true, Delete: true} })
		if !slices.Equal(objects(m.store), objects(source)) {
			t.Errorf("manifest %v: %v", withManifest, m.lines)
		}
		faithful(t, m.store)
	}
}

// What the source has under a key and cannot give, no transfer meets at the destination: the audit tells of it.
func TestAuditWhereNothingIsTransferred(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	up, m := newMachine(t, source), newCopier(t, source)
	up.write(map[string]string{"a": "1"})
	up.mirrors()
	m.goes(nil)
	put(t, source, "p/theirs", "not in the manifest of the source")
	put(t, m.store, "p/theirs", "nor in that of the destination")
	m.goes(full)
	m.lines = withPrefix(m.lines, "drift ")
	m.wants("drift theirs: foreign-new, keep")

	if err := os.Symlink("nowhere", filepath.Join(up.dir, "theirs")); err != nil {
		t.Fatal(err)
	}
	up.goes(full)
	up.lines = withPrefix(up.lines, "drift ")
	up.wants("drift theirs: foreign-new, keep")
}

// A delete whose answers are lost leaves no doubt about what another one has stored in the place of the object: it
// was not what was to be deleted, and stays theirs.
func TestDeleteInDoubtMeetsForeignObject(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"gone": "1", "kept": "1"})
	m.mirrors()
	m.remove("gone")
	put(t, m.store, "p/gone", "theirs")
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Delete && key == "p/gone" {
			return buckettest.NotStored
		}
		return buckettest.OK
	}
	m.goes(func(o *Options) { o.Delete = true })
	m.lines = withPrefix(m.lines, "drift ")
	m.wants("drift gone: foreign-changed, keep")
	m.store.Fault = nil
	m.goes(func(o *Options) { o.Delete = true })
	if got := string(m.store.Objects()["p/gone"]); got != "theirs" {
		t.Errorf("it is %q now; the run said %v", got, m.lines)
	}
}

// Two runs of this program are no drift to each other: what the other writes, has written since, or
// left when it died is not called foreign.
func TestAuditMeetsAnotherRun(t *testing.T) {
	for _, dies := range []bool{false, true} {
		store := &buckettest.Memory{}
		one, other := newMachine(t, store), newMachine(t, store)
		one.write(map[string]string{"a": "1", "b": "1", "c": "1", "d": "1"})
		one.mirrors()
		other.write(map[string]string{"a": "2", "b": "1", "d": "1", "e": "2"})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		began := false
		store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if began || op != buckettest.List {
				return buckettest.OK
			}
			began = true // the other run comes after the root was read, and before the listing
			store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if dies && op == buckettest.Put && key == "p/e" {
					cancel()
				}
				if dies && ctx.Err() != nil && key != "p/e" {
					return buckettest.NotStored
				}
				return buckettest.OK
			}
			other.try(ctx, func(o *Options) { o.Delete = true })
			store.Fault = nil
			return buckettest.OK
		}
		sum, err := one.try(context.Background(), func(o *Options) { full(o); o.Foreign.Adopt = true })
		if err != nil || sum.Drift.Total() > 0 {
			t.Errorf("dies %v: %+v, %v, %v; the other: %v", dies, sum, err, one.lines, other.lines)
		}
		if !began {
			t.Error("nobody listed")
		}
		faithful(t, store)
	}
}

// A run that dies in the middle of an audit that mends, after any request, leaves a manifest that does not lie,
// and the next run ends what it began.
func TestAuditDiesAfterEveryRequest(t *testing.T) {
	for at := 1; ; at++ {
		m := meddled(t)
		ctx, cancel := context.WithCancel(context.Background())
		var n atomic.Int64
		m.store.Fault = func(buckettest.Op, string) buckettest.Outcome {
			if n.Add(1) > int64(at) {
				cancel()
				return buckettest.NotStored
			}
			return buckettest.OK
		}
		all := func(o *Options) {
			full(o)
			o.Delete, o.Foreign = true, drift.Options{Adopt: true, Overwrite: true, Delete: true}
		}
		_, err := m.try(ctx, all)
		cancel()
		m.store.Fault = nil
		m.goes(all)
		if got, want := objects(m.store), files(t, m.dir); !slices.Equal(got, want) {
			t.Fatalf("after request %d the next run leaves\n%v\nwant\n%v\n%v", at, got, want, m.lines)
		}
		faithful(t, m.store)
		if err == nil {
			return
		}
	}
}

// Somebody else changes a bucket at random, and runs with random options follow each other. Nothing of
// theirs is destroyed without an option that says so; and after an audit of everything the manifest is
// true, but for what it has told is not.
func TestRandomDrift(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			randomDrift(t, rand.New(rand.NewPCG(uint64(seed), 13)), seed%2 == 1)
		})
	}
}

func randomDrift(t *testing.T, rng *rand.Rand, batches bool) {
	m := newMachine(t, &buckettest.Memory{Name: "b"})
	if batches {
		m.knowsBatches()
	}
	m.o.Parts, m.o.Sample = tiny, float64(rng.IntN(2))
	m.mirrors() // or all that is there would be taken over
	theirs, owned := 0, map[string]string{}
	key := func() string { return fmt.Sprintf("%c/%02d", 'a'+rng.IntN(2), rng.IntN(15)) }
	for round := range 12 {
		for range rng.IntN(10) {
			if rng.IntN(3) == 0 {
				m.remove(key())
			} else {
				m.write(map[string]string{key(): strings.Repeat("x", rng.IntN(3)*1000+rng.IntN(3))})
			}
		}
		for range rng.IntN(6) {
			switch theirs++; rng.IntN(4) {
			case 0:
				discard(m.store, key())
			case 1:
				m.store.Set("p/"+key(), func(o *bucket.Object) { o.ETag = fmt.Sprintf("another-%d", theirs) })
			default:
				put(t, m.store, "p/"+key(), fmt.Sprint("theirs ", theirs))
			}
		}
		if rng.IntN(5) == 0 {
			m.forget()
		}
		before := m.store.Objects()
		o := drift.Options{Adopt: rng.IntN(4) == 0, Overwrite: rng.IntN(4) == 0, Delete: rng.IntN(4) == 0}
		shares := []float64{0, 0, 0.1, 1}
		share, remove := shares[rng.IntN(4)], rng.IntN(2) == 0
		sum, err := m.try(context.Background(), func(opts *Options) {
			opts.Audit, opts.Foreign, opts.Delete = share, o, remove
			opts.AllowEmpty, opts.MaxDelete = true, Limit{Percent: 100, Given: true}
		})
		what := fmt.Sprintf("round %d, %+v, share %v, delete %v", round, o, share, remove)
		if err != nil || sum.Failed > 0 {
			t.Fatalf("%s: %+v, %v, %v", what, sum, err, m.lines)
		}
		if told := m.told(); !permits(o, told) {
			t.Fatalf("%s: %v", what, m.lines)
		} else {
			m.destroysNothing(what, before, told, owned)
			if share == 1 {
				m.trueButFor(what, told)
			}
		}
	}
	m.run(func(o *Options) { full(o); o.Foreign.Adopt = true })
	faithful(t, m.store)
	m.mirrors()
}

// told returns the actions of drift that the last run told of, by key.
func (m *machine) told() map[string]string {
	told := map[string]string{}
	for _, l := range withPrefix(m.lines, "drift ") {
		key, rest, _ := strings.Cut(strings.TrimPrefix(l, "drift "), ": ")
		if told[key] != "" {
			m.t.Errorf("%s is told of twice: %v", key, m.lines)
		}
		_, told[key], _ = strings.Cut(rest, ", ")
	}
	return told
}

// permits reports whether options let a run do what it told.
func permits(o drift.Options, told map[string]string) bool {
	may := map[string]bool{"keep": true, "restore": true, "forget": true, "adopt": o.Adopt, "replace": o.Overwrite, "delete": o.Delete}
	for _, action := range told {
		if !may[action] {
			return false
		}
	}
	return true
}

// destroysNothing checks that what is gone of somebody else's, since before the last run, is told of,
// or was adopted earlier: then it is among what is owned.
func (m *machine) destroysNothing(what string, before map[string][]byte, told, owned map[string]string) {
	m.t.Helper()
	now := m.store.Objects()
	for key, body := range before {
		name := strings.TrimPrefix(key, "p/")
		if told[name] == "adopt" {
			owned[name] = string(body)
		}
		lost := strings.HasPrefix(string(body), "theirs") && string(now[key]) != string(body)
		if lost && owned[name] != string(body) && told[name] != "replace" && told[name] != "delete" {
			m.t.Fatalf("%s: %s, which held %q, holds %q: %v", what, key, body, now[key], m.lines)
		}
	}
}

// trueButFor checks that the manifest says what the bucket holds, but for what the last run has told of
// and kept.
func (m *machine) trueButFor(what string, told map[string]string) {
	m.t.Helper()
	ctx := context.Background()
	c, err := catalog.Open(ctx, m.store, catalog.Options{Prefix: "p/"})
	if err != nil {
		m.t.Fatal(err)
	}
	known := map[string]manifest.Entry{}
	for e, err := range c.Tree(ctx).Entries("") {
		if err != nil {
			m.t.Fatal(err)
		}
		known[e.Key] = e
	}
	for obj, err := range m.store.List(ctx, "p/", "") {
		if err != nil {
			m.t.Fatal(err)
		}
		key := strings.TrimPrefix(obj.Key, "p/")
		e, named := known[key]
		delete(known, key)
		if !manifest.IsReserved(key) && (!named || e.Evidence.ETag != obj.ETag) && told[key] != "keep" {
			m.t.Fatalf("%s: the manifest is wrong about %s, and nobody was told: %v", what, key, m.lines)
		}
	}
	if len(known) > 0 {
		m.t.Fatalf("%s: the manifest names what is not there: %v, %v", what, known, m.lines)
	}
}
