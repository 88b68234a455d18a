package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// TestAuditClasses does to a bucket what others do, and finds each.
func TestAuditClasses(t *testing.T) {
	w := newWorld(t)
	for _, k := range []string{"a", "b/c", "b/d", "e", "f", "g/h", "i"} {
		w.mirror(k, "content of "+k)
	}
	w.commit(0)
	tally := w.want(1)
	if tally.Files != 7 || tally.Objects != 7 || tally.ReadFiles != 7 || tally.Differs() {
		t.Errorf("tally of a true mirror: %+v", tally)
	}
	w.put(under+"b/c", "other content") // another size
	w.put(under+"b/new", "x")           // foreign
	w.put(under+"other/.merkur/x", "y") // of a mirror further down
	w.put(under+"dir/", "")             // a marker
	w.put("outside", "z")               // not below the prefix
	w.remove("e")                       // missing
	w.put(under+"f", "content of F")    // another ETag
	w.Set(under+"g/h", func(o *bucket.Object) { o.ETag = "restamped" })
	w.corrupt("i", "CONTENT OF i")
	want := []string{"foreign-changed b/c", "foreign-new b/new", "missing e", "foreign-changed f", "restamped g/h"}
	if tally := w.want(0, want...); !tally.Differs() || tally.ReadFiles != 0 {
		t.Errorf("tally %+v", tally)
	}
	w.want(1, append(slices.Clone(want), "corrupt i")...)
	w.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if op == buckettest.Get && key == under+"a" || op == buckettest.Head {
			return buckettest.Denied
		}
		return buckettest.OK
	}
	want[4] = "foreign-changed g/h" // who may not look cannot tell
	w.want(1, append(append([]string{"unread a"}, want...), "corrupt i")...)
}

// corrupt stores other bytes of the same length, and has the bucket say what it said before.
func (w *world) corrupt(key, body string) {
	e := w.entries[key]
	w.put(under+key, body)
	w.Set(under+key, func(o *bucket.Object) { o.ETag, o.CRC64 = e.Evidence.ETag, e.Evidence.CRC64 })
}

// TestAuditShare reads about the share that is asked for, and others by another seed.
func TestAuditShare(t *testing.T) {
	w := newWorld(t)
	w.many(300)
	w.commit(0)
	if tally := w.want(0.2); tally.ReadFiles < 30 || tally.ReadFiles > 90 {
		t.Errorf("%d of 300 are read, where 60 are expected", tally.ReadFiles)
	}
	corrupt := w.keys()
	for _, k := range corrupt {
		w.corrupt(k, strings.Repeat("x", int(w.entries[k].Size)))
	}
	one, _, err := w.audit(0.2)
	if err != nil || len(one) < 30 {
		t.Errorf("%d found, %v", len(one), err)
	}
	again, _, _ := w.audit(0.2)
	if !slices.Equal(one, again) {
		t.Error("the same seed reads other objects")
	}
}

// TestAuditDamage breaks the manifest in all ways, and nothing of it goes unnoticed.
func TestAuditDamage(t *testing.T) {
	w := newWorld(t)
	w.many(3000)
	w.commit(20 << 10)
	if len(w.packs) < 2 {
		t.Fatalf("%d packs", len(w.packs))
	}
	w.want(0)
	root := string(w.Objects()[under+rootName])

	// A bit of the root object: it is either refused whole, or a page in it is.
	for range 120 {
		at := rand.IntN(len(root))
		w.put(under+rootName, root)
		w.flip(under+rootName, at)
		found, tally, err := w.audit(0)
		if err == nil && !tally.Differs() || err != nil && !errors.Is(err, manifest.ErrCorrupt) && !errors.Is(err, manifest.ErrVersion) {
			t.Fatalf("byte %d of %d flipped: found %q, %v", at, len(root), found, err)
		}
	}
	for n := 0; n < len(root); n += 1 + len(root)/50 {
		w.put(under+rootName, root[:n])
		if _, _, err := w.audit(0); !errors.Is(err, manifest.ErrCorrupt) {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
	w.put(under+rootName, root)

	// A bit of a pack, but for its head, which has no meaning for readers.
	for range 40 {
		key := w.packs[rand.IntN(len(w.packs))]
		whole := string(w.Objects()[key])
		w.flip(key, manifest.HeadSize+rand.IntN(len(whole)-manifest.HeadSize))
		if found, tally, err := w.audit(0); err != nil || !tally.Differs() || !strings.HasPrefix(found[0], "damaged ") {
			t.Fatalf("a bit of a pack: found %q, %v", found, err)
		}
		w.put(key, whole)
	}
	w.want(0)

	// A pack that is gone or cut off: its keys are not called foreign, nor are others.
	whole := string(w.Objects()[w.packs[0]])
	w.put(under+"d03/foreign", "x")
	for _, left := range []string{"", whole[:len(whole)/2]} {
		w.remove(strings.TrimPrefix(w.packs[0], under))
		if left != "" {
			w.put(w.packs[0], left)
		}
		found, tally, err := w.audit(0)
		if err != nil || !slices.Contains(found, "damaged "+strings.TrimPrefix(w.packs[0], under)) || tally.Hidden == 0 {
			t.Fatalf("a pack is gone or cut off: found %q, %v", found, err)
		}
		for _, line := range found {
			if !strings.HasPrefix(line, "damaged ") && line != "foreign-new d03/foreign" {
				t.Fatalf("a pack is gone or cut off: %s", line)
			}
		}
	}
	w.put(w.packs[0], whole)
	w.want(0, "foreign-new d03/foreign")

	// What is left behind.
	w.put(under+packs+strings.Repeat("ab", 16), "a pack that nobody names")
	w.put(under+probes+"x", "probe")
	if tally := w.want(0, "foreign-new d03/foreign", "garbage "+packs+strings.Repeat("ab", 16), "garbage "+probes+"x"); tally.Found[Garbage] != 2 {
		t.Errorf("tally %+v", tally)
	}
}

// TestAuditWrongCounts finds a manifest whose parts are true each for itself.
func TestAuditWrongCounts(t *testing.T) {
	w := newWorld(t)
	w.many(2000)
	w.commit(20 << 10)
	footer := func() {
		body := w.Objects()[under+rootName]
		n, err := manifest.FooterSize(body)
		if err != nil {
			t.Fatal(err)
		}
		w.put(under+rootName, string(w.m.AppendFooter(slices.Clone(body[:len(body)-n]))))
	}
	w.m.Packs[0].Live--
	footer()
	w.want(0, "damaged "+packs+packHex(w.m.Packs[0].Name))
	w.m.Packs[0].Live++
	w.m.Packs[0].Size++
	footer()
	w.want(0, "damaged "+packs+packHex(w.m.Packs[0].Name))
	name := w.m.Packs[0].Name
	w.m.Packs = w.m.Packs[1:]
	footer()
	w.want(0, "damaged "+packs+packHex(name), "garbage "+packs+packHex(name))
}

// TestAuditInProgress tells nothing of keys that a run is writing or deleting.
func TestAuditInProgress(t *testing.T) {
	w := newWorld(t)
	for _, k := range []string{"a", "b", "c", "d"} {
		w.mirror(k, "content of "+k)
	}
	w.put(under+"b2", "new")
	w.put(under+"c", "changed, and longer")
	w.remove("d")
	w.commit(0, manifest.Intent{Run: manifest.ID{1}, Range: &manifest.Range{First: "b", Last: "c"}})
	if tally := w.want(0, "missing d"); tally.InProgress != 2 {
		t.Errorf("tally %+v", tally)
	}
	w.commit(0, manifest.Intent{Run: manifest.ID{1}, Range: &manifest.Range{}})
	if tally := w.want(0); tally.InProgress != 3 || tally.Differs() {
		t.Errorf("tally %+v", tally)
	}
	// An object on a list of those that are being deleted.
	w = newWorld(t)
	w.mirror("a", "x")
	w.put(under+"gone", "going")
	object, ref := doomed(manifest.AppendHead(nil, manifest.ID{}), manifest.Entry{Key: "gone", Size: 5})
	p := &manifest.Page{Entries: []manifest.Entry{w.entries["a"]}}
	object, at := manifest.AppendFrame(object, p)
	top := p.Ref()
	top.At = at
	m := manifest.Manifest{Generation: 1, Root: manifest.RootOf(top), Intents: []manifest.Intent{{Doomed: &ref}}}
	w.put(under+rootName, string(m.AppendFooter(object)))
	if tally := w.want(0); tally.InProgress != 1 {
		t.Errorf("tally %+v", tally)
	}
}

// What a run means to store is a part of the manifest.
func TestAuditOfStatements(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		w := newWorld(t)
		object, at := manifest.AppendMeant(manifest.AppendHead(nil, manifest.ID{}), manifest.Meant{1, 2})
		if damaged {
			at.Tag[0] ^= 1
		}
		p := &manifest.Page{}
		object, top := manifest.AppendFrame(object, p)
		ref := p.Ref()
		ref.At = top
		m := manifest.Manifest{Generation: 1, Root: manifest.RootOf(ref), Intents: []manifest.Intent{{Range: &manifest.Range{}, Meant: &at}}}
		w.put(under+rootName, string(m.AppendFooter(object)))
		if damaged {
			w.want(0, "damaged ")
		} else {
			w.want(0)
		}
	}
}

// A meddler is a store in which something happens before a listing.
type meddler struct {
	bucket.Store
	before func()
}

func (m meddler) List(ctx context.Context, prefix, start string) iter.Seq2[bucket.Listed, error] {
	m.before()
	return m.Store.List(ctx, prefix, start)
}

// TestAuditBesideRuns audits while runs change the mirror: nothing that they did is told.
func TestAuditBesideRuns(t *testing.T) {
	for _, whole := range []bool{true, false} {
		w := newWorld(t)
		w.many(50)
		w.mirror("old", "1")
		w.mirror("lost", "2")
		w.commit(0)
		w.remove("lost")
		done := false
		found, tally, err := auditOf(meddler{w.Memory, func() {
			if done {
				return
			}
			done = true
			w.mirror("old", "a new content")
			w.mirror("new", "new")
			w.remove("d00/f00000")
			delete(w.entries, "d00/f00000")
			if whole {
				w.commit(0)
			} else { // it is still at work
				w.entries["old"], w.entries["new"] = manifest.Entry{Key: "old", Size: 1}, manifest.Entry{Key: "new"}
				delete(w.entries, "new")
				w.commit(0, manifest.Intent{Range: &manifest.Range{First: "new", Last: "old"}})
			}
		}}, 1)
		if err != nil || !slices.Equal(found, []string{"missing lost"}) || !whole && tally.InProgress != 2 {
			t.Errorf("whole %v: found %q, %v, %+v", whole, found, err, tally)
		}
	}
}

// TestAuditManyFindings tells of more than it keeps.
func TestAuditManyFindings(t *testing.T) {
	w := newWorld(t)
	w.many(3500)
	w.commit(0)
	var want []string
	for i, k := range w.keys() {
		if i%2 == 0 {
			w.remove(k)
			want = append(want, "missing "+k)
		}
	}
	w.want(0, want...)
	if _, _, err := auditOf(&buckettest.Memory{}, 0); !errors.Is(err, ErrNoManifest) {
		t.Errorf("an empty bucket: %v", err)
	}
	stop := errors.New("stop")
	_, err := Audit{Store: w.Memory, Prefix: under}.Run(context.Background(), func(Finding) error { return stop })
	if err != stop {
		t.Errorf("error %v", err)
	}
}

// TestAuditManyFindingsBesideRuns tells of more than it keeps, while a run changes what comes after that.
func TestAuditManyFindingsBesideRuns(t *testing.T) {
	w := newWorld(t)
	w.many(2*mostUntold + 10)
	w.mirror("zz-edited", "1")
	w.mirror("zz-gone", "1")
	w.commit(0)
	var want []string
	for _, k := range w.keys() {
		if k < "zz" {
			w.remove(k)
			want = append(want, "missing "+k)
		}
	}
	done := false
	found, _, err := auditOf(meddler{w.Memory, func() {
		if !done {
			done = true
			w.mirror("zz-edited", "2")
			w.mirror("zz-new", "2")
			w.remove("zz-gone")
			delete(w.entries, "zz-gone")
			w.commit(0)
		}
	}}, 0)
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("%d findings, want %d: %v\n%v", len(found), len(want), err, found[max(0, len(found)-5):])
	}
}

// TestAuditLargeObject reads a large object in parts, also where bodies break off.
func TestAuditLargeObject(t *testing.T) {
	w := newWorld(t)
	body := make([]byte, 2*partSize+12345)
	for i := range body {
		body[i] = byte(i >> 3)
	}
	w.mirror("large", string(body))
	w.mirror("empty", "")
	w.mirror("part", string(body[:partSize]))
	w.commit(0)
	breaks := &breaking{Store: w.Memory, left: map[int64]int{}}
	found, tally, err := auditOf(breaks, 1)
	if err != nil || len(found) > 0 || tally.ReadFiles != 3 || tally.ReadBytes != int64(len(body)+partSize) {
		t.Fatalf("found %q, %v, %+v", found, err, tally)
	}
	body[partSize+1]++
	w.corrupt("large", string(body))
	w.want(1, "corrupt large")
}

// A breaking store breaks each body off that is large, twice.
type breaking struct {
	bucket.Store
	left map[int64]int // by offset
}

func (b *breaking) Get(ctx context.Context, key string, o bucket.GetOptions) (io.ReadCloser, bucket.Object, error) {
	body, obj, err := b.Store.Get(ctx, key, o)
	if err == nil && o.Length == 12345 && b.left[o.Offset] < 2 { // one part, so that the map has one user at a time
		b.left[o.Offset]++
		body = io.NopCloser(io.LimitReader(body, 1000))
	}
	return body, obj, err
}

// TestAuditUnproven counts what has no digest.
func TestAuditUnproven(t *testing.T) {
	w := newWorld(t)
	o := w.put(under+"u", "unknown")
	w.entries["u"] = unproven(o, "u")
	w.commit(0)
	if tally := w.want(1); tally.Unproven != 1 || tally.ReadFiles != 0 {
		t.Errorf("tally %+v", tally)
	}
}

// TestJudge compares the merge of a manifest and a listing with a slow twin, gaps included.
func TestJudge(t *testing.T) {
	for range 3000 {
		var tells []told
		var objects []bucket.Object
		want := map[string]string{}
		key := func(i int) string { return fmt.Sprintf("k%02d", i) }
		gapTo := 0
		for i := range 12 {
			inGap := i < gapTo
			if !inGap && rand.IntN(8) == 0 {
				gapTo = i + 1 + rand.IntN(3)
				tells = append(tells, told{gap: &stretch{ref: manifest.Ref{First: key(i)}, end: key(gapTo)}})
				inGap = true
			}
			has, there := !inGap && rand.IntN(2) == 0, rand.IntN(2) == 0
			size := int64(rand.IntN(2))
			if has {
				tells = append(tells, told{entry: manifest.Entry{Key: key(i), Size: 1}})
			}
			if there {
				objects = append(objects, bucket.Object{Key: under + key(i), Size: size})
			}
			switch {
			case inGap && there:
				want[key(i)] = "hidden"
			case inGap:
			case has && !there:
				want[key(i)] = string(Missing)
			case there && !has:
				want[key(i)] = string(ForeignNew)
			case has && size != 1:
				want[key(i)] = string(ForeignChanged)
			case has:
				want[key(i)] = ""
			}
		}
		got := map[string]string{}
		for m, err := range judge(seq(tells), seq(objects), under) {
			switch {
			case err != nil:
				t.Fatal(err)
			case m.hidden:
				got[m.key] = "hidden"
			case m.gap == nil:
				got[m.key] = string(m.class)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v and %v\n got %v\nwant %v", tells, objects, got, want)
		}
	}
}

func seq[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}
