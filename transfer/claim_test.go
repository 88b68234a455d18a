package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zeebo/blake3"

	"merkur/manifest"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/filter"
	"merkur/transfer/pace"
)

// Whose an object is, by what was stated before it came.
func TestWhose(t *testing.T) {
	digest := manifest.Digest{1, 2, 3, 4, 5}
	c := claim{keys: &manifest.Range{}, meant: manifest.NewMeant([]manifest.Statement{
		manifest.Stores("content", 7, digest), manifest.Stores("both", 1, digest), manifest.StoresSize("both", 2),
		manifest.StoresSize("size", 7), manifest.Touches("any"), manifest.Stores("zero", 7, manifest.Digest{}),
	})}
	for _, row := range []struct {
		key  string
		size int64 // less than 0: nothing is there
		want owner
	}{
		{"content", 7, unclear}, {"content", 8, foreign}, {"content", 0, foreign}, {"content", -1, foreign},
		{"both", 1, unclear}, {"both", 2, ours}, {"both", 3, foreign},
		{"size", 7, ours}, {"size", 6, foreign}, {"size", -1, foreign},
		{"any", 0, ours}, {"any", 1 << 50, ours}, {"any", -1, ours},
		{"zero", 7, ours}, // a digest that begins so cannot be told from one that is not known
		{"", 7, foreign}, {"conten", 7, foreign}, {"content\x00", 7, foreign}, {"other", 7, foreign}, {"other", -1, foreign},
	} {
		var seen *manifest.Entry
		if row.size >= 0 {
			seen = &manifest.Entry{Key: row.key, Size: row.size}
		}
		if got := c.whose(row.key, seen); got != row.want {
			t.Errorf("%s of %d bytes: %v, want %v", row.key, row.size, got, row.want)
		}
		if got := (claim{keys: c.keys, any: true}).whose(row.key, seen); got != ours {
			t.Errorf("%s of %d bytes, where nothing is stated: %v", row.key, row.size, got)
		}
		if got := (claim{keys: c.keys}).whose(row.key, seen); got != foreign {
			t.Errorf("%s of %d bytes, where nothing is meant: %v", row.key, row.size, got)
		}
	}
}

func TestClaims(t *testing.T) {
	one := claim{keys: &manifest.Range{First: "b", Last: "d"}, meant: manifest.NewMeant([]manifest.Statement{manifest.Touches("c")})}
	two := claim{keys: &manifest.Range{First: "c", Last: "f"}, meant: manifest.NewMeant([]manifest.Statement{manifest.Touches("f"), manifest.Touches("c")})}
	all := claim{keys: &manifest.Range{}, any: true}
	for _, row := range []struct {
		a, b   claim
		covers bool
	}{
		{one, one, true}, {one, two, false}, {one.and(two), two, true}, {two.and(one), one, true}, {one, claim{}, true}, {claim{}, one, false},
		{claim{}, claim{}, true}, {one, claim{keys: one.keys}, true}, {claim{keys: one.keys}, one, false},
		{all, one, false}, {one, all, false}, {all, all, true}, {all.and(one), all, true}, // what is not stated is stated anew
	} {
		if got := row.a.covers(row.b); got != row.covers {
			t.Errorf("%+v covers %+v: %v", row.a, row.b, got)
		}
	}
	for _, c := range []claim{{}, one, two, all, {keys: one.keys}} {
		if got := claimed(c.of(catalog.Edit{})); !got.covers(c) || !c.covers(got) {
			t.Errorf("%+v comes back as %+v", c, got)
		}
	}
}

// dying has every request after the n-th fail, and the n-th fail or get through, until it is told to stop. It
// reports whether it came to that.
func dying(store *buckettest.Memory, n int, last buckettest.Outcome, at func(op buckettest.Op, key string)) (died func() bool) {
	var seen atomic.Int64
	store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		i := int(seen.Add(1))
		if at != nil {
			at(op, key)
		}
		switch {
		case i <= n:
			return buckettest.OK
		case i == n+1:
			return last
		}
		return buckettest.NotStored
	}
	return func() bool {
		store.Fault = nil
		return int(seen.Load()) > n
	}
}

// reborn loses all that the machine has beside its tree, and lets the time go by for which others have to
// wait for it.
func (m *machine) reborn() {
	m.t.Helper()
	rand.Read(m.o.Identity.Writer[:])
	m.forget()
	object, ok := m.store.Objects()["p/"+manifest.Reserved+"manifest"]
	if !ok {
		return
	}
	seal := (*manifest.Seal)(nil)
	if m.o.Key != nil {
		seal = &manifest.Seal{Key: *m.o.Key, Place: m.o.To.Bucket + "/" + m.o.To.Prefix}
	}
	n, err := manifest.FooterSize(object)
	if err != nil {
		m.t.Fatal(err)
	}
	body := bytes.Clone(object[:len(object)-n])
	root, err := seal.DecodeFooter(object[len(object)-n:])
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range root.Intents {
		root.Intents[i].Until = 1
	}
	put(m.t, m.store, "p/"+manifest.Reserved+"manifest", string(seal.AppendFooter(body, root)))
}

// left reports which keys the intents that stand in the manifest cover or list, and which it names with a content that
// is 22.
func (m *machine) left() (claimed, names, done func(key string) bool) {
	m.t.Helper()
	o := catalog.Options{Prefix: "p/"}
	if m.o.Key != nil {
		o.Seal = &manifest.Seal{Key: *m.o.Key, Place: m.o.To.Bucket + "/" + m.o.To.Prefix}
	}
	c, err := catalog.Open(context.Background(), m.store, o)
	if err != nil {
		m.t.Fatal(err)
	}
	tree := c.Tree(context.Background())
	claimed = func(key string) bool {
		return slices.ContainsFunc(c.Intents(), func(i manifest.Intent) bool {
			doomed, err := c.DoomedBy(context.Background(), i.Run)
			listed := slices.ContainsFunc(doomed, func(e manifest.Entry) bool { return e.Key == key })
			return err != nil || listed || i.Range != nil && i.Range.Contains(key)
		})
	}
	names = func(key string) bool {
		_, ok, err := tree.Get(key)
		return ok && err == nil
	}
	return claimed, names, func(key string) bool {
		e, _, err := tree.Get(key)
		return err == nil && e.Digest == manifest.Digest(blake3.Sum256([]byte("22")))
	}
}

// theirs are what somebody else does to a bucket after a run died: objects of other sizes, and of the sizes
// that it meant to store, within the range of its keys and outside; and one that is removed.
var theirs = map[string]string{
	"edited": "T2", "added": "theirs", "kept": "theirs", "removed": "theirs", "m-new": "theirs", "zz-new": "theirs", "removed-late": "1",
}

func meddle(t *testing.T, store *buckettest.Memory) {
	t.Helper()
	for key, body := range theirs {
		put(t, store, "p/"+key, body)
	}
	discard(store, "lost")
}

// keepsTheirs checks, after a run, that nothing of theirs is gone, that what it touched of it was told, and nothing
// of its own was.
func (m *machine) keepsTheirs(what string, touched func(key string) bool) {
	m.t.Helper()
	told := m.told()
	for key, body := range theirs {
		now := string(m.store.Objects()["p/"+key])
		switch {
		case key == "removed-late": // equal to what was there: not to be told from it
		case now != body:
			m.t.Fatalf("%s: %s, which is theirs, holds %q: %v", what, key, now, m.lines)
		case touched(key) && told[key] != "keep":
			m.t.Fatalf("%s: %s is theirs, and nobody is told: %v", what, key, m.lines)
		}
		delete(told, key)
	}
	delete(told, "lost")
	if len(told) > 0 {
		m.t.Fatalf("%s: its own is called somebody else's: %v, %v", what, told, m.lines)
	}
}

// A run dies after each of its requests, while files change under it. Somebody else adds, replaces and removes
// objects in the range of its keys. The runs after it destroy nothing of that, tell of it, and know their own,
// whatever was lost besides.
func TestForeignInTheRangeOfADeadRun(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*machine)
		lose   func(*machine)
		remove bool
	}{
		"default":            {},
		"delete":             {remove: true},
		"no cache":           {remove: true, lose: (*machine).forget},
		"nothing but a tree": {remove: true, lose: (*machine).reborn},
		"sealed":             {remove: true, change: func(m *machine) { sealing(m) }},
		"in parts":           {remove: true, change: func(m *machine) { m.o.Parts = Parts{Threshold: 1, Size: 1 << 10} }},
		"encrypted":          {remove: true, lose: (*machine).forget, change: func(m *machine) { m.o.Terms.Encryption = "aws:kms" }},
	} {
		for _, last := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
			t.Run(fmt.Sprint(name, " ", last), func(t *testing.T) {
				t.Parallel()
				for n, died := 0, true; died; n++ {
					m := newMachine(t, &buckettest.Memory{})
					if c.change != nil {
						c.change(m)
					}
					died = diesAmidOthers(m, n, last, c.remove, c.lose)
				}
			})
		}
	}
}

func diesAmidOthers(m *machine, n int, last buckettest.Outcome, remove bool, lose func(*machine)) (died bool) {
	m.write(map[string]string{"edited": "1", "edited-later": "1", "kept": "1", "lost": "1", "removed": "1", "removed-late": "1", "z": "1"})
	m.goes(nil)
	m.write(map[string]string{"edited": "22", "edited-later": "22", "added": "22", "added-removed": "22", "grows": "22", "turns": "22", "z": "22"})
	m.remove("removed")
	m.remove("removed-late")
	over := dying(m.store, n, last, func(op buckettest.Op, key string) {
		if op == buckettest.Put && key == "p/"+manifest.Reserved+"manifest" { // between plan and put
			m.write(map[string]string{"grows": "4444", "turns": "44"})
		}
	})
	m.try(context.Background(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
	died = over()
	m.write(map[string]string{"edited-later": "33", "grows": "666666", "turns": "66"})
	m.remove("added-removed")
	meddle(m.t, m.store)
	if lose != nil {
		lose(m)
	}
	claimed, names, done := m.left()
	sends := func(key string) bool { return (key == "edited" || key == "added") && !done(key) }
	what := fmt.Sprintf("died after request %d (%v)", n, last)
	quiet := func(o *Options) { o.Delete = remove }
	m.goes(quiet)
	m.keepsTheirs(what, func(key string) bool {
		return claimed(key) || sends(key) || remove && key == "removed" && names(key)
	})
	sum := m.goes(quiet)
	m.keepsTheirs(what+", the second run", sends)
	if sends("edited") && sum.Drift.Total() == 0 {
		m.t.Fatalf("%s: a run after that does not know of it: %v", what, m.lines)
	}
	for _, key := range []string{"edited-later", "grows", "turns", "z"} {
		if got, want := string(m.store.Objects()["p/"+key]), content(m, key); got != want {
			m.t.Fatalf("%s: %s holds %q and not %q: %v", what, key, got, want, m.lines)
		}
	}
	if _, there := m.store.Objects()["p/added-removed"]; there && remove {
		m.t.Fatalf("%s: an object that it has stored, and whose file is gone, is not deleted: %v", what, m.lines)
	}
	// And a word makes all of it the mirror's.
	m.goes(func(o *Options) { full(o); o.Delete, o.Foreign.Adopt = true, true })
	if got, want := objects(m.store), files(m.t, m.dir); !slices.Equal(got, want) {
		m.t.Fatalf("%s: bucket:\n%s\ntree:\n%s\nthe run said:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"), strings.Join(m.lines, "\n"))
	}
	return died
}

// So it is with copies. Where nobody knows the content of the source, the size alone is stated.
func TestForeignInTheRangeOfADeadCopy(t *testing.T) {
	for _, mode := range []string{"manifest", "listing", "relay"} {
		for _, last := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
			t.Run(fmt.Sprint(mode, " ", last), func(t *testing.T) {
				t.Parallel()
				for n, died := 0, true; died; n++ {
					died = copyDiesAmidOthers(t, mode, n, last)
				}
			})
		}
	}
}

func copyDiesAmidOthers(t *testing.T, mode string, n int, last buckettest.Outcome) (died bool) {
	source := &buckettest.Memory{Name: "a"}
	up, m := newMachine(t, source), newCopier(t, source)
	m.o.Relay = mode == "relay"
	if mode == "manifest" {
		m.o.Parts = tiny
	}
	large, larger, largest := noise(3<<10), noise(3<<10), noise(3<<10)
	up.write(map[string]string{"edited": large, "edited-later": large, "kept": "1", "z": "1"})
	up.mirrors()
	m.goes(nil)
	up.write(map[string]string{"edited": larger, "edited-later": larger, "added": larger, "z": "22"})
	up.mirrors()
	if mode == "listing" {
		withoutManifest(source)
	}
	over := dying(m.store, n, last, nil)
	m.try(context.Background(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
	died = over()
	up.write(map[string]string{"edited-later": largest})
	up.run(nil)
	if mode == "listing" {
		withoutManifest(source)
	}
	foreign := map[string]string{"edited": largest, "added": largest, "kept": "theirs", "m-new": "theirs", "zz-new": "theirs"}
	if mode == "listing" {
		foreign["edited"], foreign["added"] = "theirs", "theirs"
	}
	for key, body := range foreign {
		put(t, m.store, "p/"+key, body)
	}
	for range 2 {
		m.goes(func(o *Options) { o.Delete = true })
		told := m.told()
		for key, body := range foreign {
			if now := string(m.store.Objects()["p/"+key]); now != body {
				t.Fatalf("died after request %d: %s, which is theirs, holds %.20q: %v", n, key, now, m.lines)
			}
			delete(told, key)
		}
		if len(told) > 0 {
			t.Fatalf("died after request %d: its own is called somebody else's: %v, %v", n, told, m.lines)
		}
	}
	for _, key := range []string{"edited-later", "z"} {
		if got, want := m.store.Objects()["p/"+key], source.Objects()["p/"+key]; string(got) != string(want) {
			t.Fatalf("died after request %d: %s is not what the source has: %v", n, key, m.lines)
		}
	}
	return died
}

// What somebody else stores where a run died is not touched by its undo either, nor when the undo dies.
func TestForeignInTheRangeOfADeadUndo(t *testing.T) {
	for _, how := range ways {
		for _, undoDies := range []bool{false, true} {
			t.Run(fmt.Sprint(how, " ", undoDies), func(t *testing.T) {
				t.Parallel()
				for n, died := 0, true; died; n++ {
					died = undoAmidOthers(t, how, undoDies, n)
				}
			})
		}
	}
}

func undoAmidOthers(t *testing.T, how string, undoDies bool, n int) (died bool) {
	m := newUndoable(t, how)
	m.o.Delete = true
	m.write(map[string]string{"edited": "1", "kept": "1", "removed": "1", "z": "1"})
	m.goes(nil)
	m.write(map[string]string{"edited": "22", "added": "22", "z": "22"})
	m.remove("removed")
	var name string
	var over func() bool
	if undoDies {
		name = m.goes(nil).Run
		past, err := FindRun(context.Background(), m.o.To, m.o.Backup, name)
		if err != nil {
			t.Fatal(err)
		}
		over = dying(m.store, n, buckettest.Stored, nil)
		m.undoing = past
		m.try(context.Background(), func(o *Options) { o.Gate = pace.Fixed(1) })
		m.undoing = nil
	} else {
		over = dying(m.store, n, buckettest.Stored, nil)
		m.try(context.Background(), func(o *Options) { o.Gate = pace.Fixed(1) })
	}
	died = over()
	foreign := map[string]string{"edited": "T2", "added": "T2", "kept": "T", "m-new": "theirs"}
	for key, body := range foreign {
		put(t, m.store, "p/"+key, body)
	}
	intact := func() {
		t.Helper()
		for key, body := range foreign {
			if now := string(m.store.Objects()["p/"+key]); now != body {
				t.Fatalf("died after request %d: %s, which is theirs, holds %q: %v", n, key, now, m.lines)
			}
		}
	}
	for _, past := range slices.Backward(m.runs()) {
		if sum, err := m.undo(past.Name, nil); err != nil || sum.Failed > 0 {
			t.Fatalf("died after request %d: %+v, %v, %v", n, sum, err, m.lines)
		}
		intact()
		for key := range m.told() {
			if _, ok := foreign[key]; !ok {
				t.Fatalf("died after request %d: its own is called somebody else's: %s, %v", n, key, m.lines)
			}
		}
	}
	m.goes(nil)
	intact()
	return died
}

// A first run that dies over an empty prefix has stated what it meant to store, as soon as it stores something.
func TestForeignInTheRangeOfADeadFirstRun(t *testing.T) {
	taken := 0
	for n, died := 0, true; died; n++ {
		m := newMachine(t, &buckettest.Memory{})
		m.write(map[string]string{"a": "22", "b": "22", "c": "22"})
		over := dying(m.store, n, buckettest.Stored, nil)
		m.try(context.Background(), func(o *Options) { o.Gate = pace.Fixed(1) })
		died = over()
		stores := len(objects(m.store)) > 0
		put(t, m.store, "p/b", "T2")
		put(t, m.store, "p/new", "theirs")
		m.goes(func(o *Options) { o.Delete = true })
		got := m.store.Objects()
		if kept := string(got["p/b"]) == "T2" && string(got["p/new"]) == "theirs"; !kept {
			if taken++; stores {
				t.Fatalf("died after request %d: %v", n, m.lines)
			}
		}
		if string(got["p/a"]) != "22" || string(got["p/c"]) != "22" || m.told()["a"]+m.told()["c"] != "" {
			t.Fatalf("died after request %d: %v", n, m.lines)
		}
	}
	if taken == 0 {
		t.Error("a first run takes over what it finds, and no more")
	}
}

// An intent of an earlier version states nothing: what is found in its range is the mirror's, as before.
func TestIntentThatStatesNothing(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a": "1", "b": "1"})
	m.goes(nil)
	c, err := catalog.Open(context.Background(), m.store, catalog.Options{Prefix: "p/", Identity: m.o.Identity})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(context.Background(), catalog.Edit{Range: &manifest.Range{First: "a", Last: "b"}}); err != nil {
		t.Fatal(err)
	}
	put(t, m.store, "p/a", "another")
	put(t, m.store, "p/ab", "another")
	put(t, m.store, "p/c", "another")
	m.goes(func(o *Options) { o.Delete = true })
	m.wants("delete ab", "note 2 objects were found that the manifest did not know; comparing their content",
		"note an earlier run did not finish; looking at what it left", "put a")
}

// A put whose answer is lost for good leaves its statement with its key; what somebody else has put there by then
// is not taken for it.
func TestForeignAfterADoubtfulPut(t *testing.T) {
	for _, stored := range []bool{true, false} {
		for _, theirs := range []string{"", "T2", "theirs"} {
			m := newMachine(t, &buckettest.Memory{})
			m.write(map[string]string{"a": "1", "b": "1", "c": "1"})
			m.goes(nil)
			m.write(map[string]string{"b": "22"})
			m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
				if op == buckettest.Put && key == "p/b" {
					if stored {
						return buckettest.Stored
					}
					return buckettest.NotStored
				}
				if op == buckettest.Head && key == "p/b" {
					return buckettest.NotStored
				}
				return buckettest.OK
			}
			if _, err := m.try(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
			m.store.Fault = nil
			m.write(map[string]string{"b": "33"})
			if theirs != "" {
				put(t, m.store, "p/b", theirs)
			}
			m.goes(nil)
			got, told := string(m.store.Objects()["p/b"]), m.told()["b"]
			if theirs == "" && (got != "33" || told != "") || theirs != "" && (got != theirs || told != "keep") {
				t.Errorf("stored %v, and then %q: %q, %v", stored, theirs, got, m.lines)
			}
		}
	}
}

// Files that change between plan and put are stated as they are sent, as many at once as wait for that.
func TestChangedFilesAreStated(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	files, changed := map[string]string{}, map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("%02d", i)], changed[fmt.Sprintf("%02d", i)] = "1", "22"
	}
	m.write(map[string]string{"z": "1"})
	m.goes(nil)
	m.write(files)
	roots := 0
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Put && key == "p/"+manifest.Reserved+"manifest" {
			if roots++; roots == 1 {
				m.write(changed)
			}
		}
		return buckettest.OK
	}
	m.run(nil)
	m.store.Fault = nil
	if roots < 3 || roots > 42 {
		t.Errorf("%d commits for 40 files that had changed", roots)
	}
	m.mirrors()
	m.wants()

	r := &run{statements: make(chan statement, 5)}
	for i := range 5 {
		r.statements <- statement{says: manifest.Statement(9 - i)}
	}
	if list := r.allAsked(<-r.statements); len(list) != 5 || !toldOf(list).meant.Has(5) || toldOf(list).meant[0] != 5 {
		t.Errorf("%+v", list)
	}
}

// Somebody removes the manifest with all the rest and fills the prefix with objects of his own, as aws s3 sync
// --delete does. Who has seen a manifest there does not take that for a prefix which nobody has mirrored to.
func TestManifestRemovedBySomebodyElse(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Options)
		takes  bool
	}{
		{"default", nil, false},
		{"delete", func(o *Options) { o.Delete = true }, false},
		{"adopt", func(o *Options) { o.Delete, o.Foreign.Adopt = true, true }, true},
		{"rebuild", func(o *Options) { o.Delete, o.Rebuild = true, true }, true},
		{"rollback", func(o *Options) { o.Delete, o.AcceptRollback = true, true }, true},
	} {
		m := newMachine(t, &buckettest.Memory{})
		m.o.ToMark = catalog.NewMark(t.TempDir(), "test")
		m.write(map[string]string{"a": "11", "b": "11", "c": "11", "d": "11"})
		m.goes(nil)
		for key := range m.store.Objects() {
			discard(m.store, strings.TrimPrefix(key, "p/"))
		}
		foreign := map[string]string{"a": "TT", "b": "theirs", "m": "theirs"}
		for key, body := range foreign {
			put(t, m.store, "p/"+key, body)
		}
		put(t, m.store, "p/c", "11")
		sum := m.goes(c.change)
		for key, body := range foreign {
			if kept := string(m.store.Objects()["p/"+key]) == body; kept == c.takes {
				t.Errorf("%s: %s holds %q, %v", c.name, key, m.store.Objects()["p/"+key], m.lines)
			}
		}
		if told := m.told(); !c.takes && (told["a"] != "keep" || told["b"] != "keep" || told["m"] != "keep" || len(told) != 3) || sum.Proved != 1 && !c.takes {
			t.Errorf("%s: %+v, %v", c.name, sum, m.lines)
		}
		if got := string(m.store.Objects()["p/d"]); got != "11" {
			t.Errorf("%s: d holds %q", c.name, got)
		}
		if !c.takes {
			m.goes(c.change) // again, now that there is a manifest
			for key, body := range foreign {
				if got := string(m.store.Objects()["p/"+key]); got != body {
					t.Errorf("%s: at the second run %s holds %q, %v", c.name, key, got, m.lines)
				}
			}
		}
	}
}

// What may be ours and is not is left alone also where another run is at work: that one, or the next of ours,
// tells of it.
func TestForeignWhereTwoRunsClaim(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a": "1"})
	m.run(nil)
	other := newMachine(t, m.store)
	for i, dead := range []*machine{m, other} { // each dies when it has announced that it will store "a"
		dead.write(map[string]string{"a": []string{"22", "33"}[i]})
		var died atomic.Bool
		m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Put && key == "p/a" {
				died.Store(true)
			}
			if died.Load() {
				return buckettest.NotStored
			}
			return buckettest.OK
		}
		dead.try(context.Background(), nil)
		if m.store.Fault = nil; !died.Load() {
			t.Fatal("it lived")
		}
	}
	put(t, m.store, "p/a", "44")
	m.try(context.Background(), nil)
	if got := string(m.store.Objects()["p/a"]); got != "44" {
		t.Errorf("somebody else's object is %q now\n%s", got, strings.Join(m.lines, "\n"))
	}
}

// A first run that died does not make the next one take for the mirror's what somebody stored when another run had
// mirrored to the prefix meanwhile.
func TestForeignAfterAFirstRunThatDied(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"a/1": "1", "a/2": "2", "a/3": "3"})
	var died atomic.Bool
	m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if died.Load() {
			return buckettest.NotStored
		}
		died.Store(op == buckettest.Put && key == "p/"+manifest.Reserved+"manifest")
		return buckettest.OK
	}
	half := func(hidden string) func(o *Options) {
		return func(o *Options) {
			o.Delete, o.Filters = true, filter.New([]filter.Filter{{Pattern: hidden}}, o.From.Dir, "bucket/p")
		}
	}
	m.try(context.Background(), half("b/*"))
	if m.store.Fault = nil; !died.Load() {
		t.Fatal("it lived")
	}
	other := newMachine(t, m.store)
	other.write(map[string]string{"b/1": "1"})
	other.goes(half("a/*"))
	put(t, m.store, "p/a/2", "theirs")
	put(t, m.store, "p/a/3", "3")
	put(t, m.store, "p/a/new", "theirs")
	m.goes(half("b/*"))
	if told := m.told(); len(told) != 2 || told["a/2"] != "keep" || told["a/new"] != "keep" {
		t.Errorf("%v", m.lines)
	}
	for key, want := range map[string]string{"a/1": "1", "a/2": "theirs", "a/3": "3", "a/new": "theirs", "b/1": "1"} {
		if got := string(m.store.Objects()["p/"+key]); got != want {
			t.Errorf("%s holds %q, not %q\n%s", key, got, want, strings.Join(m.lines, "\n"))
		}
	}
}
