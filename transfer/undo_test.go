package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/filter"
	"merkur/transfer/headers"
	"merkur/transfer/history"
)

// ways are those in which a run can be made undoable: another prefix of the same bucket, another
// bucket, and versions.
var ways = []string{"prefix", "bucket", "versions"}

// newUndoable returns a machine whose runs can be undone.
func newUndoable(t *testing.T, how string) *machine {
	m := newMachine(t, &buckettest.Memory{Name: "b", Versions: how == "versions"})
	switch how {
	case "prefix":
		m.o.Backup = &Side{Store: m.store, Bucket: "b", Prefix: "kept/", Place: "kept"}
	case "bucket":
		other := &buckettest.Memory{Name: "k", Others: map[string]*buckettest.Memory{"b": m.store}}
		m.store.Others = map[string]*buckettest.Memory{"k": other}
		m.o.Backup = &Side{Store: other, Bucket: "k", Prefix: "kept/", Place: "kept"}
	}
	return m
}

// undo undoes a run, and returns what Undo returns.
func (m *machine) undo(name string, change func(*Options)) (Summary, error) {
	m.t.Helper()
	past, err := FindRun(context.Background(), m.o.To, m.o.Backup, name)
	if err != nil {
		m.t.Fatal(err)
	}
	m.undoing = past
	defer func() { m.undoing = nil }()
	return m.try(context.Background(), change)
}

// undone undoes a run, which must succeed, and checks what it left.
func (m *machine) undone(name string) Summary {
	m.t.Helper()
	sum, err := m.undo(name, nil)
	if err != nil || sum.Failed > 0 {
		m.t.Fatalf("undo %s: %v\n%s", name, err, strings.Join(m.lines, "\n"))
	}
	faithful(m.t, m.store)
	return sum
}

// state is all that undoing has to bring back: bodies, headers and tags by key, and the root.
func (m *machine) state() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	for key, body := range m.store.Objects() {
		name, ours := strings.CutPrefix(key, "p/")
		if !ours || strings.HasPrefix(name, manifest.Reserved) {
			continue
		}
		o, _ := m.store.Options(key)
		tags, err := m.store.Tags(context.Background(), key)
		if err != nil {
			m.t.Fatal(err)
		}
		all[name] = fmt.Sprintf("%x %v %v %s", body, o.Headers, o.Class, tags)
	}
	c, err := catalog.Open(context.Background(), m.store, catalog.Options{Prefix: "p/"})
	if err != nil {
		m.t.Fatal(err)
	}
	if c.Exists() {
		all["/root"] = c.Root().Digest.String()
	}
	return all
}

// same fails the test if two states differ.
func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("%s: %s is %q, want %q", what, key, got[key], want[key])
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: %s is there", what, key)
		}
	}
}

func TestUndoStory(t *testing.T) {
	for _, how := range ways {
		t.Run(how, func(t *testing.T) {
			m := newUndoable(t, how)
			m.o.Delete = true
			m.write(map[string]string{"a": "1", "dir/b": "2", "gone": "3", "kept": "4"})
			first := m.run(func(o *Options) {
				o.Headers = headers.Set{CacheControl: "no-store", Metadata: map[string]string{"k": "v"}}
			})
			if _, err := history.ParseName(first.Run); err != nil {
				t.Fatal(err)
			}
			if err := m.store.SetTags(context.Background(), "p/a", "t=1"); err != nil {
				t.Fatal(err)
			}
			before := m.state()
			m.write(map[string]string{"a": "changed", "new": "5"})
			m.remove("gone")
			second := m.run(nil)
			after := m.state()
			if sum := m.run(nil); sum.Run != "" || len(m.calls) != 1 {
				t.Errorf("a run that does nothing: %q, %v", sum.Run, m.calls)
			}

			if sum, err := m.undo(second.Run, func(o *Options) { o.DryRun = true }); err != nil || sum.Run != "" {
				t.Errorf("a dry run: %+v, %v", sum, err)
			}
			m.wants("delete new", "restore a", "restore gone")
			same(t, "a dry run", m.state(), after)
			third := m.undone(second.Run)
			m.wants("delete new", "restore a", "restore gone")
			same(t, "undone", m.state(), before)
			again := m.undone(third.Run)
			m.wants("delete gone", "restore a", "restore new")
			same(t, "undone twice", m.state(), after)
			m.undone(again.Run)
			same(t, "undone three times", m.state(), before)
			if sum := m.undone(second.Run); sum.Run != "" || len(m.lines) > 0 || sum.Drift.Total() != 0 {
				t.Errorf("there is nothing left to be undone: %+v, %v", sum, m.lines)
			}

			runs, err := Runs(context.Background(), m.o.To, m.o.Backup)
			if err != nil || len(runs) != 5 {
				t.Fatalf("%d runs, %v", len(runs), err)
			}
			want := []history.Counts{{Created: 4}, {Created: 1, Replaced: 1, Deleted: 1}, {Created: 1, Replaced: 1, Deleted: 1}}
			for i, c := range want {
				if p := runs[i]; p.Counts != c || !p.Ended || p.Name != []string{first.Run, second.Run, third.Run}[i] {
					t.Errorf("run %d: %+v", i, p)
				}
			}
			if runs[2].Undoes != second.Run || runs[1].Undoes != "" {
				t.Errorf("%q and %q are undone", runs[2].Undoes, runs[1].Undoes)
			}
			m.undone(first.Run)
			if left := objects(m.store); how != "prefix" && len(left) > 0 {
				t.Errorf("left of the first run: %v", left)
			}
		})
	}
}

// New objects cost nothing more, and each that is replaced or deleted one copy.
func TestBackupCost(t *testing.T) {
	m := newUndoable(t, "bucket")
	kept := m.o.Backup.Store.(*buckettest.Memory)
	m.write(tree())
	m.run(nil)
	if n := kept.Count(buckettest.Copy) + kept.Count(buckettest.PartCopy); n != 0 || kept.Count(buckettest.Put) != 2 {
		t.Errorf("%d copies of new objects, %d records", n, kept.Count(buckettest.Put))
	}
	m.write(map[string]string{"a.txt": "b", "fresh": "x"})
	m.remove("a/b")
	sum := m.run(func(o *Options) { o.Delete = true })
	if n := kept.Count(buckettest.Copy); n != 2 {
		t.Errorf("%d copies for one that is replaced and one that is deleted", n)
	}
	bodies := kept.Objects()
	for key, want := range map[string]string{"a.txt": "a", "a/b": "ab"} {
		if got := string(bodies["kept/"+sum.Run+"/"+key]); got != want {
			t.Errorf("of %s %q is kept", key, got)
		}
	}
	if m.count(buckettest.Head)+m.count(buckettest.List) > 0 {
		t.Errorf("keeping asks the bucket: %v", m.calls)
	}
}

// Where there are no versions and no place for copies, nothing is recorded and nothing more asked.
func TestNoRecord(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a": "1"})
	m.run(nil)
	m.write(map[string]string{"a": "2"})
	if sum := m.run(nil); sum.Run != "" || m.count(buckettest.Put) != 3 {
		t.Errorf("run %q, %v", sum.Run, m.calls)
	}
	for key := range m.store.Objects() {
		if strings.Contains(key, "/runs/") {
			t.Error(key)
		}
	}
	if runs, err := Runs(context.Background(), m.o.To, nil); err != nil || len(runs) > 0 {
		t.Errorf("%v, %v", runs, err)
	}
	if _, err := FindRun(context.Background(), m.o.To, nil, history.NewName(time.Now(), [4]byte{})); !errors.Is(err, ErrNoRecord) {
		t.Error(err)
	}
}

// An object of which no copy can be made is neither replaced nor deleted.
func TestNotKept(t *testing.T) {
	m := newUndoable(t, "bucket")
	m.write(map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"})
	m.mirrors()
	before := m.state()
	kept := m.o.Backup.Store.(*buckettest.Memory)
	kept.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Copy {
			return buckettest.Denied
		}
		return buckettest.OK
	}
	m.write(map[string]string{"a": "changed"})
	m.remove("b")
	for range 2 {
		sum, err := m.try(context.Background(), func(o *Options) { o.Delete = true })
		if err != nil || sum.Failed != 2 || sum.Transferred+sum.Deleted != 0 || sum.Run != "" {
			t.Fatalf("%+v, %v, %v", sum, err, m.lines)
		}
		same(t, "nothing is kept", m.state(), before)
		audit(t, m.store)
	}
	kept.Fault = nil
	m.mirrors()
	m.wants("delete b", "put a")
}

// A run dies among its deletes, and the next one can make no copies. What is there stays, and the manifest
// names it; what is gone, or may be, it does not vouch for.
func TestNotKeptOfADeadRun(t *testing.T) {
	for name, head := range map[string]buckettest.Outcome{"looked at": buckettest.OK, "not to be seen": buckettest.NotStored} {
		t.Run(name, func(t *testing.T) {
			m := newUndoable(t, "bucket")
			m.write(map[string]string{"a": "1", "gone": "2", "there": "3"})
			m.mirrors()
			m.remove("gone")
			m.remove("there")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				switch {
				case op == buckettest.Delete && key == "p/gone":
					cancel()
					return buckettest.Stored
				case op == buckettest.Delete || ctx.Err() != nil:
					return buckettest.NotStored
				}
				return buckettest.OK
			}
			m.try(ctx, func(o *Options) { o.Delete = true })
			_, there := m.store.Objects()["p/gone"]
			if _, stays := m.store.Objects()["p/there"]; there || !stays {
				t.Fatalf("the run did not die among its deletes: %v", m.lines)
			}
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if op == buckettest.Head && (key == "p/gone" || key == "p/there") {
					return head
				}
				return buckettest.OK
			}
			kept := m.o.Backup.Store.(*buckettest.Memory)
			kept.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if op == buckettest.Copy {
					return buckettest.Denied
				}
				return buckettest.OK
			}
			m.try(context.Background(), nil)
			m.store.Fault, kept.Fault = nil, nil
			audit(t, m.store)
			m.mirrors()
			audit(t, m.store)
		})
	}
}

// What was changed since, by whomever, is left as it is and told of.
func TestUndoLeavesWhatCameLater(t *testing.T) {
	for _, how := range ways {
		t.Run(how, func(t *testing.T) {
			m := newUndoable(t, how)
			m.o.Delete = true
			m.write(map[string]string{"a": "1", "b": "1", "c": "1", "d": "1", "e": "1"})
			m.run(nil)
			m.write(map[string]string{"a": "2", "b": "2", "c": "2", "new": "2", "other": "2"})
			m.remove("d")
			m.remove("e")
			sum := m.run(nil)
			m.write(map[string]string{"b": "3", "e": "3"})
			m.remove("new")
			m.run(nil)
			body := "theirs"
			if _, err := m.store.Put(context.Background(), "p/c", strings.NewReader(body), int64(len(body)), bucket.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			undo, err := m.undo(sum.Run, nil)
			if err != nil || undo.Drift.Total() != 3 || undo.Failed != 0 {
				t.Fatalf("%+v, %v", undo, err)
			}
			left := func(key, class string) string {
				return "drift " + key + ": " + class + ", keep"
			}
			m.wants("delete other", left("b", "foreign-changed"), left("c", "foreign-changed"), left("e", "foreign-new"), "restore a", "restore d")
			held := map[string]string{}
			for key, body := range m.store.Objects() {
				if key, ok := strings.CutPrefix(key, "p/"); ok && !manifest.IsReserved(key) {
					held[key] = string(body)
				}
			}
			if want := map[string]string{"a": "1", "b": "3", "c": "theirs", "d": "1", "e": "3"}; !maps.Equal(held, want) {
				t.Errorf("%v", held)
			}
		})
	}
}

// What somebody else has removed since is left so, and told, also by a server that says of it what it says
// of a missing copy.
func TestUndoMeetsWhatIsGone(t *testing.T) {
	for _, how := range ways {
		for _, curt := range []bool{false, true} {
			m := newUndoable(t, how)
			m.store.Curt = curt
			m.write(map[string]string{"a": "1", "b": "1"})
			m.run(nil)
			m.write(map[string]string{"a": "2", "b": "2"})
			sum := m.run(nil)
			m.store.Delete(context.Background(), "p/a", bucket.Condition{})
			undo, err := m.undo(sum.Run, nil)
			if err != nil || undo.Failed != 0 || undo.Drift.Total() != 1 {
				t.Errorf("%s, curt %v: %+v, %v, %v", how, curt, undo, err, m.lines)
			}
			m.wants("drift a: missing, keep", "restore b")
		}
	}
}

// An object that has the size of what a run was to store, which died before it kept what it was to replace, is
// not taken for the run's.
func TestUndoOfWhatADeadRunDidNotReplace(t *testing.T) {
	m := newUndoable(t, "bucket")
	m.write(map[string]string{"a": "1", "b": "1"})
	m.run(nil)
	m.write(map[string]string{"a": "two"})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m.o.Backup.Store.(*buckettest.Memory).Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Copy {
			cancel()
		}
		if ctx.Err() != nil {
			return buckettest.NotStored
		}
		return buckettest.OK
	}
	m.store.Fault = func(buckettest.Op, string) buckettest.Outcome {
		if ctx.Err() != nil {
			return buckettest.NotStored
		}
		return buckettest.OK
	}
	m.try(ctx, nil)
	m.o.Backup.Store.(*buckettest.Memory).Fault, m.store.Fault = nil, nil
	put(t, m.store, "p/a", "new")
	m.remove("a") // nothing is compared with it
	m.goes(func(o *Options) { o.Foreign.Adopt = true; full(o) })
	runs := m.runs()
	undo, err := m.undo(runs[len(runs)-1].Name, nil)
	if err != nil || undo.Failed != 0 || undo.Drift.Total() != 1 || m.state()["a"] == "" {
		t.Errorf("%+v, %v, %v", undo, err, m.lines)
	}
}

// New headers are put back too, though the content and its ETag are the same.
func TestUndoHeaders(t *testing.T) {
	for _, how := range ways {
		m := newUndoable(t, how)
		m.write(map[string]string{"a.html": "1", "b.js": "2"})
		by := func(text string) func(*Options) {
			return func(o *Options) { o.Rules = rules(t, text) }
		}
		m.run(by("/*\n  Cache-Control: no-cache\n"))
		before := m.state()
		sum := m.run(by("/*\n  Cache-Control: public\n"))
		if sum.Described != 2 {
			t.Fatalf("%s: %+v", how, sum)
		}
		m.undone(sum.Run)
		same(t, how, m.state(), before)
		m.run(by("/*\n  Cache-Control: no-cache\n"))
		m.wants() // the manifest knows the old headers
	}
}

// A delete that failed and was carried out all the same, by the try whose answer was lost or by one that the
// server said it had turned away, is undone like any other.
func TestUndoOfDeletesThatFailed(t *testing.T) {
	for _, how := range ways {
		for _, outcome := range []buckettest.Outcome{buckettest.Stored, buckettest.Throttled, buckettest.Denied} {
			m := newUndoable(t, how)
			m.write(map[string]string{"a": "1", "gone": "11", "too": "1"})
			m.run(nil)
			before := m.state()
			m.remove("gone")
			m.remove("too")
			var struck atomic.Bool
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if op != buckettest.Delete || key != "p/gone" || !struck.CompareAndSwap(false, true) {
					return buckettest.OK
				}
				discard(m.store, "gone")
				return outcome
			}
			sum, err := m.try(context.Background(), func(o *Options) { o.Delete = true })
			m.store.Fault = nil
			if err != nil {
				t.Fatal(err)
			}
			m.undone(sum.Run)
			same(t, fmt.Sprint(how, " ", outcome), m.state(), before)
		}
	}
}

// A run is interrupted when it has said what it deletes, and before it does so. Whoever settles that carries it out,
// the undo of that very run too; then it puts it back.
func TestUndoOfDeletesLeftToOthers(t *testing.T) {
	for _, how := range ways {
		for _, settled := range []bool{true, false} {
			m := newUndoable(t, how)
			m.write(map[string]string{"a": "1", "gone": "11"})
			m.run(nil)
			before := m.state()
			m.write(map[string]string{"a": "2"})
			m.remove("gone")
			ctx, cancel := context.WithCancel(context.Background())
			commits := 0
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if op == buckettest.Put && key == "p/"+manifest.Reserved+"manifest" {
					if commits++; commits == 3 { // after the announcement and the commit of what was sent
						cancel()
						return buckettest.Stored
					}
				}
				return buckettest.OK
			}
			sum, err := m.try(ctx, func(o *Options) { o.Delete = true })
			m.store.Fault = nil
			if commits < 3 || err == nil || m.store.Objects()["p/gone"] == nil {
				t.Fatalf("%s: not interrupted in time: %d commits, %v, %v", how, commits, err, m.lines)
			}
			if settled {
				m.run(nil)
			}
			m.undone(sum.Run)
			same(t, fmt.Sprint(how, " ", settled), m.state(), before)
		}
	}
}

// A run dies when it has said that it deletes an object that was somebody else's by then, so that nothing is kept
// of it. Its undo tells of that, and does not fail for what nobody can put back.
func TestUndoOfADeleteOfForeign(t *testing.T) {
	for _, how := range ways {
		m := newUndoable(t, how)
		m.write(map[string]string{"a": "1", "gone": "11"})
		m.run(nil)
		m.write(map[string]string{"a": "2"})
		m.remove("gone")
		put(t, m.store, "p/gone", "theirs")
		dead, commits := false, 0
		m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Put && key == "p/"+manifest.Reserved+"manifest" {
				if commits++; commits == 3 { // after the announcement and the commit of what was sent
					dead = true
					return buckettest.Stored
				}
			}
			if dead {
				return buckettest.NotStored
			}
			return buckettest.OK
		}
		m.try(context.Background(), func(o *Options) { o.Delete = true })
		m.store.Fault = nil
		runs, err := Runs(context.Background(), m.o.To, m.o.Backup)
		if err != nil || !dead {
			t.Fatal(how, dead, runs, err)
		}
		m.undone(runs[len(runs)-1].Name)
		if got := string(m.store.Objects()["p/gone"]); got != "theirs" || len(withPrefix(m.lines, "drift gone: ")) != 1 {
			t.Errorf("%s: it is %q now; the undo said %v", how, got, m.lines)
		}
	}
}

// A run of a strategy that lists can be undone as well, with a manifest or without.
func TestUndoListed(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		for _, how := range ways {
			if how == "versions" && !withManifest {
				continue // nothing tells the run that there are versions
			}
			name := fmt.Sprintf("%s, manifest %v", how, withManifest)
			m := newUndoable(t, how)
			m.write(map[string]string{"a": "1", "gone": "11", "kept": "1"})
			m.run(func(o *Options) {
				if !withManifest {
					o.Compare = compare.Size
				}
			})
			before := m.state()
			m.write(map[string]string{"a": "changed", "new": "1"})
			m.remove("gone")
			list := func(o *Options) { o.Compare, o.Delete = compare.Size, true }
			sum, err := m.try(context.Background(), list)
			if err != nil || sum.Run == "" || sum.Transferred != 2 || sum.Deleted != 1 {
				t.Fatalf("%s: %+v, %v, %v", name, sum, err, m.lines)
			}
			m.undone(sum.Run)
			m.wants("delete new", "restore a", "restore gone")
			same(t, name, m.state(), before)
		}
	}
}

// Copies from bucket to bucket can be undone like uploads.
func TestUndoCopies(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	up, m := newMachine(t, source), newCopier(t, source)
	m.store.Versions = true
	up.write(map[string]string{"a": "1", "gone": "2"})
	up.mirrors()
	m.copies(nil)
	before := m.state()
	up.write(map[string]string{"a": "changed", "new": "3"})
	up.remove("gone")
	up.mirrors()
	sum, _ := m.copies(nil)
	m.undone(sum.Run)
	same(t, "copies", m.state(), before)
}

// What was there before merkur came, whose versions no listing tells, is put back too.
func TestUndoAdopted(t *testing.T) {
	m := newUndoable(t, "versions")
	for key, body := range map[string]string{"a": "old", "gone": "old", "same": "same"} {
		o := bucket.PutOptions{Headers: bucket.Headers{ContentType: "text/x"}}
		if _, err := m.store.Put(context.Background(), "p/"+key, strings.NewReader(body), int64(len(body)), o); err != nil {
			t.Fatal(err)
		}
	}
	before := m.state()
	m.write(map[string]string{"a": "newer", "same": "same", "b": "new"})
	sum := m.run(func(o *Options) { o.Delete = true })
	if n := m.count(buckettest.Head); n != 2 {
		t.Errorf("%d looks at one object that is replaced, one that is deleted and one that is equal", n)
	}
	m.wants("delete gone", "note 3 objects were found that the manifest did not know; comparing their content", "put a", "put b")
	m.undone(sum.Run)
	got := m.state()
	delete(got, "/root") // there was none before
	same(t, "adopted", got, before)
}

// Whenever a run dies, what it did until then can be undone: in the end, with the run of somebody else
// between or without, the bucket is what it was.
func TestUndoOfDeadRuns(t *testing.T) {
	for _, how := range ways {
		for _, outcome := range []buckettest.Outcome{buckettest.NotStored, buckettest.Stored} {
			t.Run(fmt.Sprint(how, outcome), func(t *testing.T) {
				for n, died := int64(1), true; died; n++ {
					died = undoDead(t, how, n, outcome)
				}
			})
		}
	}
}

// undoDead has a run die at its n-th request to the buckets, and undoes it. It reports whether it died.
func undoDead(t *testing.T, how string, n int64, outcome buckettest.Outcome) bool {
	m := newUndoable(t, how)
	m.o.Delete = true
	m.write(map[string]string{"a": "1", "b": "2", "c": "3", "gone": "4", "off": "5"})
	m.run(nil)
	before := m.state()
	m.write(map[string]string{"a": "changed", "b": "22", "new": "6"})
	m.remove("gone")
	m.remove("off")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var requests atomic.Int64
	fault := func(buckettest.Op, string) buckettest.Outcome {
		switch i := requests.Add(1); {
		case i == n:
			cancel()
			return outcome
		case i > n:
			return buckettest.NotStored // it is dead: not even what it does in the end is done
		}
		return buckettest.OK
	}
	setFault := func(f func(buckettest.Op, string) buckettest.Outcome) {
		m.store.Fault = f
		if m.o.Backup != nil {
			m.o.Backup.Store.(*buckettest.Memory).Fault = f
		}
	}
	known := map[string]bool{}
	for _, p := range m.runs() {
		known[p.Name] = true
	}
	setFault(fault)
	m.try(ctx, nil)
	setFault(nil)
	died := requests.Load() >= n
	for _, p := range slices.Backward(m.runs()) {
		if !known[p.Name] {
			m.undone(p.Name)
		}
	}
	// A run that does nothing of its own settles what there is no record of, and that can be undone too.
	all := filter.New([]filter.Filter{{Pattern: "*"}}, m.dir, "b/p")
	if sum := m.run(func(o *Options) { o.Filters = all }); sum.Run != "" {
		m.undone(sum.Run)
	}
	same(t, fmt.Sprintf("died at request %d", n), m.state(), before)
	return died && !t.Failed()
}

// runs are those that can be undone.
func (m *machine) runs() []*Past {
	m.t.Helper()
	runs, err := Runs(context.Background(), m.o.To, m.o.Backup)
	if err != nil {
		m.t.Fatal(err)
	}
	return runs
}

// Random trees are changed at random, and each run undone: then bucket and root are what they were.
func TestRandomUndo(t *testing.T) {
	seeds := 24
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			randomUndo(t, ways[seed%len(ways)], rand.New(rand.NewPCG(uint64(seed), 3)), seed/len(ways)%2 == 1)
		})
	}
}

func randomUndo(t *testing.T, how string, rng *rand.Rand, batches bool) {
	m := newUndoable(t, how)
	if batches {
		m.knowsBatches()
	}
	m.o.Delete, m.o.AllowEmpty, m.o.MaxDelete = true, true, Limit{Percent: 100, Given: true}
	m.o.Parts = Parts{Threshold: 6 << 20, Size: 5 << 20}
	m.o.Ahead = firstFiles
	change := func() {
		for range 1 + rng.IntN(400) {
			name := fmt.Sprintf("%c/%03d", 'a'+rng.IntN(3), rng.IntN(300))
			switch rng.IntN(4) {
			case 0:
				m.remove(name)
			case 1:
				m.write(map[string]string{name: fmt.Sprint(rng.IntN(3))})
			default:
				m.write(map[string]string{name: strings.Repeat("x", rng.IntN(100))})
			}
		}
		if rng.IntN(4) == 0 {
			m.write(map[string]string{"large": strings.Repeat(fmt.Sprint(rng.IntN(10)), 7<<20)})
		}
		if rng.IntN(3) == 0 {
			m.forget()
		}
	}
	change()
	m.run(nil)
	var states []map[string]string
	var names []string
	for range 3 {
		states = append(states, m.state())
		change()
		sum := m.run(func(o *Options) {
			if rng.IntN(2) == 0 {
				o.Headers = headers.Set{CacheControl: fmt.Sprint(rng.IntN(3))}
			}
		})
		if names = append(names, sum.Run); sum.Run == "" {
			t.Fatalf("no record of %+v", sum)
		}
	}
	last := m.state()
	var undos []string
	for i := range slices.Backward(names) {
		undos = append(undos, m.undone(names[i]).Run)
		same(t, "undone "+names[i], m.state(), states[i])
	}
	for _, name := range slices.Backward(undos) {
		m.undone(name)
	}
	same(t, "all undos undone", m.state(), last)
	if _, err := os.Stat(filepath.Join(m.dir)); err != nil {
		t.Fatal(err)
	}
}

// What is to be done about each kind of step, whether its outcome is known or not.
func TestBack(t *testing.T) {
	object := func(content, version string) *manifest.Entry {
		e := &manifest.Entry{Key: "k", Size: int64(len(content)), Evidence: manifest.Evidence{ETag: content, Version: version}}
		e.Digest[0] = content[0]
		return e
	}
	given := func(e *manifest.Entry, tag uint64) *manifest.Entry {
		g := *e
		g.Headers = tag
		return &g
	}
	blind := *object("new", "")
	blind.Unproven = true
	old, new, other := object("o", "1"), object("new", "2"), object("xxx", "3")
	want := &manifest.Entry{Key: "k", Size: 3, Digest: new.Digest}
	left := func(e *manifest.Entry) *history.Outcome { return &history.Outcome{Key: "k", New: e} }
	for i, c := range []struct {
		step history.Step
		out  *history.Outcome // nil: nobody knows
		now  *manifest.Entry
		want remedy
	}{
		{history.Step{Deed: history.Create, Want: want}, left(new), new, takeAway},
		{history.Step{Deed: history.Create, Want: want}, left(new), other, later},
		{history.Step{Deed: history.Create, Want: want}, left(new), object("new", "7"), takeAway},
		{history.Step{Deed: history.Create, Want: want}, left(new), object("new", ""), takeAway},
		{history.Step{Deed: history.Create, Want: want}, left(new), nil, nothing},
		{history.Step{Deed: history.Create, Want: want}, nil, nil, nothing},
		{history.Step{Deed: history.Create, Want: want}, nil, new, takeAway},
		{history.Step{Deed: history.Create, Want: want}, nil, &blind, takeAway},
		{history.Step{Deed: history.Create, Want: want}, nil, other, later},
		{history.Step{Deed: history.Create, Want: want}, nil, old, later},
		{history.Step{Deed: history.Replace, Old: old, Want: want}, left(new), new, putBack},
		{history.Step{Deed: history.Replace, Old: old, Want: want}, left(new), old, nothing},
		{history.Step{Deed: history.Replace, Old: old, Want: want}, left(new), object("o", "9"), nothing},
		{history.Step{Deed: history.Replace, Old: old, Want: want}, left(new), other, later},
		{history.Step{Deed: history.Replace, Old: old, Want: want}, left(new), nil, later},
		{history.Step{Deed: history.Replace, Old: old, Want: want}, nil, new, putBack},
		{history.Step{Deed: history.Replace, Old: old, Want: want}, nil, old, nothing},
		{history.Step{Deed: history.Replace, Old: old, Want: want}, nil, other, later},
		{history.Step{Deed: history.Headers, Old: old}, left(given(old, 5)), given(old, 5), putBack},
		{history.Step{Deed: history.Headers, Old: old}, left(given(old, 5)), given(old, 6), later},
		{history.Step{Deed: history.Headers, Old: old}, left(given(old, 5)), old, nothing},
		{history.Step{Deed: history.Headers, Old: old}, left(given(old, 5)), other, later},
		{history.Step{Deed: history.Headers, Old: old}, nil, old, putBack},
		{history.Step{Deed: history.Headers, Old: old}, nil, other, later},
		{history.Step{Deed: history.Delete, Old: old}, left(nil), nil, putBack},
		{history.Step{Deed: history.Delete, Old: old}, left(nil), old, nothing},
		{history.Step{Deed: history.Delete, Old: old}, left(nil), other, later},
		{history.Step{Deed: history.Delete, Old: old}, nil, nil, putBack},
		{history.Step{Deed: history.Delete, Old: old}, nil, old, nothing},
		{history.Step{Deed: history.Delete, Old: old}, nil, other, later},
	} {
		out := history.Outcome{}
		if c.out != nil {
			out = *c.out
		}
		if got := back(c.step, out, c.out != nil, c.now); got != c.want {
			t.Errorf("case %d: %v, want %v", i, got, c.want)
		}
	}
}

// What somebody else has changed is neither kept nor replaced nor deleted.
func TestForeignIsNotKept(t *testing.T) {
	for _, listed := range []bool{false, true} {
		m := newUndoable(t, "bucket")
		m.write(map[string]string{"a": "1", "gone": "2"})
		m.run(nil)
		m.write(map[string]string{"a": "changed"})
		m.remove("gone")
		var once atomic.Bool
		kept := m.o.Backup.Store.(*buckettest.Memory)
		kept.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Put && once.CompareAndSwap(false, true) { // the first record: all is planned
				for _, key := range []string{"p/a", "p/gone"} {
					if _, err := m.store.Put(context.Background(), key, strings.NewReader("theirs"), 6, bucket.PutOptions{}); err != nil {
						t.Error(err)
					}
				}
			}
			return buckettest.OK
		}
		sum, err := m.try(context.Background(), func(o *Options) {
			if o.Delete = true; listed {
				o.Compare = compare.Size
			}
		})
		told := sum.Failed // a listing knows nothing of drift
		if !listed {
			told = sum.Drift.Changed
		}
		if err != nil || sum.Transferred+sum.Deleted != 0 || told != 2 || sum.Failed+sum.Drift.Total() != 2 || kept.Count(buckettest.Copy) != 2 {
			t.Errorf("listed %v: %+v, %v, %v", listed, sum, err, m.lines)
		}
		bodies := m.store.Objects()
		if string(bodies["p/a"]) != "theirs" || string(bodies["p/gone"]) != "theirs" {
			t.Errorf("listed %v: %q, %q", listed, bodies["p/a"], bodies["p/gone"])
		}
	}
}

// What somebody else has stored, and a run may replace and delete, is kept and recorded before, whether an
// audit or a transfer has found it; and what is put back is somebody else's again.
func TestUndoOfForeign(t *testing.T) {
	for _, how := range ways {
		for _, audits := range []bool{true, false} {
			m := newUndoable(t, how)
			m.write(map[string]string{"a": "1", "b": "1", "gone": "1", "kept": "1"})
			m.run(nil)
			theirs := map[string]string{"a": "their a", "gone": "their gone", "new": "their new"}
			if audits {
				theirs["alone"] = "theirs alone"
			}
			for key, body := range theirs {
				if _, err := m.store.Put(context.Background(), "p/"+key, strings.NewReader(body), int64(len(body)), bucket.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			before := m.state()
			m.write(map[string]string{"a": "2", "b": "2", "new": "2"})
			m.remove("gone")
			sum := m.goes(func(o *Options) {
				o.Delete, o.Foreign.Overwrite, o.Foreign.Delete = true, true, true
				if audits {
					full(o)
				}
			})
			if sum.Deleted != int64(len(theirs)-2) || sum.Transferred != 3 {
				t.Fatalf("%s, audits %v: %+v, %v", how, audits, sum, m.lines)
			}
			undo, err := m.undo(sum.Run, nil)
			if err != nil || undo.Failed+undo.Drift.Total() > 0 {
				t.Fatalf("%s, audits %v: %+v, %v\n%v", how, audits, undo, err, m.lines)
			}
			after := m.state()
			delete(before, "/root") // the drift has been seen
			delete(after, "/root")
			same(t, fmt.Sprintf("%s, audits %v", how, audits), after, before)
			c, err := catalog.Open(context.Background(), m.store, catalog.Options{Prefix: "p/"})
			if err != nil {
				t.Fatal(err)
			}
			for e, err := range c.Tree(context.Background()).Entries("") {
				if _, foreign := theirs[e.Key]; foreign || err != nil {
					t.Errorf("%s, audits %v: the manifest names %s, %v", how, audits, e.Key, err)
				}
			}
			m.run(func(o *Options) { o.Delete = true })
			for key, body := range theirs {
				if got := string(m.store.Objects()["p/"+key]); got != body {
					t.Errorf("%s, audits %v: afterwards %s is %q", how, audits, key, got)
				}
			}
		}
	}
}

// With a key, what a record says of content is not believed: records are not sealed.
func TestUndoSealed(t *testing.T) {
	for _, how := range ways {
		m := sealing(newUndoable(t, how))
		m.write(map[string]string{"a": "1", "b": "1"})
		m.sync(nil)
		m.write(map[string]string{"a": "2", "new": "2"})
		m.remove("b")
		sum := m.sync(nil)
		key := m.o.Key
		if _, err := m.undo(sum.Run, func(o *Options) { o.Key = nil }); !errors.Is(err, manifest.ErrSealed) {
			t.Errorf("%s: without the key: %v", how, err)
		}
		undo, err := m.undo(sum.Run, nil)
		if err != nil || undo.Failed > 0 || undo.Transferred != 2 || undo.Deleted != 1 {
			t.Fatalf("%s: %+v, %v\n%v", how, undo, err, m.lines)
		}
		down := sealing(newFetcher(t, m.store))
		down.o.Key = key
		if got, err := down.try(context.Background(), nil); err != nil || got.Failed != 2 {
			t.Errorf("%s: what is put back is taken unproven: %+v, %v\n%v", how, got, err, down.lines)
		}
		m.write(map[string]string{"a": "1", "b": "1"})
		m.remove("new")
		if again := m.sync(nil); again.Transferred+again.Deleted != 0 || again.Proved != 2 {
			t.Errorf("%s: %+v, %v", how, again, m.lines)
		}
		if got, err := down.try(context.Background(), nil); err != nil || got.Failed != 0 || got.Transferred != 2 {
			t.Errorf("%s: once it is proved: %+v, %v\n%v", how, got, err, down.lines)
		}
	}
}

// What somebody else has removed is told of and stored again, also where a copy of it was to be kept first.
func TestMissingIsNotKept(t *testing.T) {
	for _, how := range ways {
		m := newUndoable(t, how)
		m.write(map[string]string{"a": "1", "b": "1"})
		m.run(nil)
		discard(m.store, "a")
		m.write(map[string]string{"a": "2"})
		if sum := m.run(nil); sum.Drift.Missing != 1 || sum.Transferred != 1 {
			t.Errorf("%s: %+v", how, sum)
		}
		m.wants("drift a: missing, restore", "put a")
	}
}

// An object that somebody else removes before it can be kept was created by the run, which its undo takes back.
func TestUndoOfWhatWasGoneBeforeItWasKept(t *testing.T) {
	m := newUndoable(t, "prefix")
	m.write(map[string]string{"edited": "1", "kept": "1"})
	m.run(nil)
	m.write(map[string]string{"edited": "22"})
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Copy {
			m.store.Fault = nil
			discard(m.store, "edited")
		}
		return buckettest.OK
	}
	sum := m.run(nil)
	if m.store.Fault != nil {
		t.Fatal("nothing was kept")
	}
	m.wants("drift edited: missing, restore", "put edited")
	m.undone(sum.Run)
	if got := m.state(); got["edited"] != "" || got["kept"] == "" {
		t.Errorf("%v\n%v", got, m.lines)
	}
}
