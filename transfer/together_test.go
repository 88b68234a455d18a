package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/pace"
)

func TestWhatIsDeletedTogether(t *testing.T) {
	known := manifest.Evidence{ETag: "e"}
	none := manifest.Evidence{}
	for _, c := range []struct {
		evidence    []manifest.Evidence
		conditional bool
		does        catalog.Batches
		want        []int
	}{
		{[]manifest.Evidence{known, known, known}, true, catalog.BatchesHeed, []int{0, 1, 2}},
		{[]manifest.Evidence{known, none, known}, true, catalog.BatchesHeed, []int{0, 2}},
		{[]manifest.Evidence{known, none, none}, true, catalog.BatchesHeed, nil}, // one alone gains nothing
		{[]manifest.Evidence{known, known, known}, true, catalog.BatchesIgnore, nil},
		{[]manifest.Evidence{known, known, known}, true, catalog.BatchesUnknown, nil},
		{[]manifest.Evidence{known, none, known}, false, catalog.BatchesUnknown, []int{0, 1, 2}},
		{[]manifest.Evidence{none, none}, false, catalog.BatchesIgnore, []int{0, 1}},
		{[]manifest.Evidence{known}, false, catalog.BatchesHeed, nil},
		{nil, false, catalog.BatchesHeed, nil},
	} {
		leaf := make([]manifest.Entry, len(c.evidence))
		for i := range leaf {
			leaf[i] = manifest.Entry{Key: fmt.Sprint(i), Evidence: c.evidence[i]}
		}
		if got := together(leaf, c.conditional, c.does); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// doomedMachine has mirrored files that are gone from its tree, and as many that are not.
func doomedMachine(t *testing.T, store *buckettest.Memory, doomed int) *machine {
	m := newMachine(t, store)
	m.o.Delete, m.o.Known, m.o.MaxDelete = true, true, Limit{Percent: 100, Given: true}
	tree := map[string]string{"stays": "1"}
	for i := range doomed {
		tree[fmt.Sprintf("gone/%04d", i)] = fmt.Sprint(i % 7)
	}
	m.write(tree)
	m.run(nil)
	m.remove("gone")
	return m
}

// Many deletes are worth a look at what the server does with many of them; few are not, unless that is known.
func TestManyDeletesTogether(t *testing.T) {
	heedless := map[buckettest.Op]bool{buckettest.Batch: true}
	for name, c := range map[string]struct {
		doomed           int
		store            *buckettest.Memory
		compare          compare.Name
		batches, deletes int // requests, with those of the probe
		again            int // batches of two deletes in a later run
	}{
		"few":      {manyDeletes, &buckettest.Memory{}, compare.Content, 0, manyDeletes, 0},
		"many":     {manyDeletes + 1, &buckettest.Memory{}, compare.Content, 2 + 1, 0, 1},
		"leaves":   {spoolLeaf + 2, &buckettest.Memory{}, compare.Content, 2 + 5 + 1, 0, 1},
		"heedless": {manyDeletes + 1, &buckettest.Memory{Heedless: heedless}, compare.Content, 1, manyDeletes + 1 + 1, 0},
		"listed":   {manyDeletes + 1, &buckettest.Memory{}, compare.Size, 2 + 1, 0, 1}, // there is a manifest to be kept true
	} {
		t.Run(name, func(t *testing.T) {
			m := doomedMachine(t, c.store, c.doomed)
			sum := m.run(func(o *Options) { o.Compare = c.compare })
			if int(sum.Deleted) != c.doomed || len(withPrefix(m.lines, "delete gone/")) != c.doomed || len(m.lines) != c.doomed || len(objects(m.store)) != 1 {
				t.Errorf("%+v, %d lines, %d objects", sum, len(m.lines), len(objects(m.store)))
			}
			if got := m.count(buckettest.Batch); got != c.batches || m.count(buckettest.Delete) != c.deletes {
				t.Errorf("%d batches, %d deletes; want %d, %d", got, m.count(buckettest.Delete), c.batches, c.deletes)
			}
			m.write(map[string]string{"a": "1", "b": "1"})
			m.mirrors()
			m.remove("a")
			m.remove("b")
			if m.mirrors(); m.count(buckettest.Batch) != c.again {
				t.Errorf("later: %v", m.calls)
			}
		})
	}
}

// Without a manifest there are no conditions, and nothing is asked before. A server that does not know the
// request is asked once in a run, and nobody hears of it.
func TestDeletesTogetherWithoutManifest(t *testing.T) {
	for _, outcome := range []buckettest.Outcome{buckettest.OK, buckettest.Unknown, buckettest.Denied, buckettest.Throttled, buckettest.NotStored, buckettest.Stored} {
		m := newMachine(t, &buckettest.Memory{})
		m.o.Delete, m.o.Known, m.o.Compare, m.o.MaxDelete = true, true, compare.Size, Limit{Percent: 100, Given: true}
		const doomed = spoolLeaf + 10
		for i := range doomed {
			put(t, m.store, fmt.Sprintf("p/old/%04d", i), "x")
		}
		m.write(map[string]string{"new": "1"})
		m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Batch {
				return outcome
			}
			return buckettest.OK
		}
		sum, err := m.try(context.Background(), nil)
		if err != nil || sum.Deleted != doomed || sum.Failed > 0 || len(m.lines) != doomed+1 || len(objects(m.store)) != 1 {
			t.Errorf("outcome %v: %+v, %v, %d lines", outcome, sum, err, len(m.lines))
		}
		batches, deletes := 1, doomed
		if outcome == buckettest.OK {
			batches, deletes = 5+1, 0
		}
		if m.count(buckettest.Batch) != batches || m.count(buckettest.Delete) != deletes {
			t.Errorf("outcome %v: %d batches, %d deletes", outcome, m.count(buckettest.Batch), m.count(buckettest.Delete))
		}
	}
}

// Somebody else replaces objects between the plan and the request that deletes many: theirs are kept and told
// of, and the others go. With --delete-foreign theirs go too.
func TestForeignObjectAmongMany(t *testing.T) {
	for _, also := range []bool{false, true} {
		m := doomedMachine(t, &buckettest.Memory{}, 10)
		m.knowsBatches()
		var once atomic.Bool
		m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Batch && !once.Swap(true) {
				put(t, m.store, "p/gone/0003", "theirs")
				discard(m.store, "p/gone/0004")
			}
			return buckettest.OK
		}
		sum := m.run(func(o *Options) { o.Foreign.Delete = also })
		m.store.Fault = nil
		kept, told := 2, "drift gone/0003: foreign-changed, keep"
		if also {
			kept, told = 1, "drift gone/0003: foreign-changed, delete"
		}
		if !once.Load() || sum.Failed > 0 || sum.Drift.Changed != 1 || len(objects(m.store)) != kept || !slices.Contains(m.lines, told) {
			t.Errorf("%+v, %v, %v", sum, m.lines, objects(m.store))
		}
		if n := m.count(buckettest.Batch); n != 1 {
			t.Errorf("%d batches", n)
		}
	}
}

// grudging is a store that lets no object with such a name be deleted, as an access policy does.
type grudging struct {
	*buckettest.Memory
	part string
}

func (g *grudging) DeleteAll(ctx context.Context, list []bucket.Deletion) map[string]error {
	var may []bucket.Deletion
	failed := map[string]error{}
	for _, d := range list {
		if strings.Contains(d.Key, g.part) {
			failed[d.Key] = &bucket.Error{Op: "DeleteObjects", Key: d.Key, Code: "AccessDenied", Message: "Access Denied"}
		} else {
			may = append(may, d)
		}
	}
	for key, err := range g.Memory.DeleteAll(ctx, may) {
		failed[key] = err
	}
	return failed
}

// What cannot be deleted among many is told of in the words of a delete of its own, and stays in the manifest.
func TestDeniedAmongMany(t *testing.T) {
	for _, strategy := range []compare.Name{compare.Content, compare.Size} {
		m := doomedMachine(t, &buckettest.Memory{}, 10)
		m.knowsBatches()
		m.o.To.Store = &grudging{m.store, "gone/0003"}
		m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Delete && key == "p/gone/0003" {
				return buckettest.Denied
			}
			return buckettest.OK
		}
		sum := m.run(func(o *Options) { o.Compare = strategy })
		const told = `failed gone/0003: DeleteObject "p/gone/0003": An error occurred (AccessDenied) when calling the DeleteObject operation: Access Denied`
		if sum.Failed != 1 || sum.Deleted != 9 || !slices.Contains(m.lines, told) || m.count(buckettest.Delete) != 1 || len(objects(m.store)) != 2 {
			t.Errorf("%+v, %v", sum, m.lines)
		}
		m.o.To.Store, m.store.Fault = m.store, nil
		m.mirrors()
	}
}

// Answers about many deletes, and about each, are lost again and again, though they are carried out: the
// manifest must not say that it knows.
func TestManyDeletesInLastingDoubt(t *testing.T) {
	for _, outcome := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
		m := doomedMachine(t, &buckettest.Memory{}, 5)
		m.knowsBatches()
		m.store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if op == buckettest.Batch || op == buckettest.Delete && !strings.Contains(key, manifest.Reserved) {
				return outcome
			}
			return buckettest.OK
		}
		if sum, err := m.try(context.Background(), nil); err != nil || sum.Failed != 5 || sum.Deleted != 0 {
			t.Errorf("%+v, %v, %v", sum, err, m.lines)
		}
		m.store.Fault = nil
		audit(t, m.store)
		m.write(map[string]string{"gone/0000": "0"}) // the same bytes again
		m.mirrors()
		m.mirrors()
		if len(m.calls) != 1 {
			t.Errorf("a quiet run takes %v", m.calls)
		}
	}
}

// A request that deletes many is lost, and the server refuses the deletes that follow: the first may still be
// carried out, so that the keys stay in the intent.
func TestManyDeletesInDoubtThenRefused(t *testing.T) {
	for _, strategy := range []compare.Name{compare.Content, compare.Size} {
		m := doomedMachine(t, &buckettest.Memory{}, 5)
		m.knowsBatches()
		m.store.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
			switch op {
			case buckettest.Batch:
				return buckettest.NotStored
			case buckettest.Delete:
				return buckettest.Denied
			}
			return buckettest.OK
		}
		if sum := m.run(func(o *Options) { o.Compare = strategy }); sum.Failed != 5 || sum.Deleted != 0 {
			t.Errorf("%+v, %v", sum, m.lines)
		}
		m.store.Fault = nil
		c, err := catalog.Open(t.Context(), m.store, catalog.Options{Prefix: "p/"})
		if err != nil {
			t.Fatal(err)
		}
		if left := c.Intents(); len(left) != 1 || left[0].Range == nil || !left[0].Range.Contains("gone/0000") || !left[0].Range.Contains("gone/0004") {
			t.Errorf("intents: %+v", left)
		}
		m.mirrors()
	}
}

// A run that is to delete many dies after each request in turn, those that try the server out among them.
func TestManyDeletesDieAfterEveryRequest(t *testing.T) {
	for _, last := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored} {
		for n, whole := 0, false; !whole; n++ {
			m := doomedMachine(t, &buckettest.Memory{}, manyDeletes+1)
			var seen atomic.Int64
			m.store.Fault = func(buckettest.Op, string) buckettest.Outcome {
				switch i := int(seen.Add(1)); {
				case i <= n:
					return buckettest.OK
				case i == n+1:
					return last
				}
				return buckettest.NotStored
			}
			_, err := m.try(context.Background(), func(o *Options) { o.Gate = pace.Fixed(1) })
			m.store.Fault = nil
			whole = err == nil && int(seen.Load()) <= n
			audit(t, m.store)
			m.mirrors()
			for key := range m.store.Objects() {
				if strings.Contains(key, "probe") {
					t.Errorf("%s is left behind", key)
				}
			}
			if m.mirrors(); len(m.calls) != 1 || t.Failed() {
				t.Fatalf("died after request %d (%v): the second run after that takes %v", n, last, m.calls)
			}
		}
	}
}

// An interrupt while many are deleted: what is known to be gone is told of, and the next run does the rest.
func TestManyDeletesInterrupted(t *testing.T) {
	m := doomedMachine(t, &buckettest.Memory{}, spoolLeaf)
	m.knowsBatches()
	ctx, cancel := context.WithCancel(context.Background())
	var batches atomic.Int64
	m.store.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
		if op == buckettest.Batch && batches.Add(1) == 3 {
			cancel()
			return buckettest.Stored
		}
		return buckettest.OK
	}
	sum, err := m.try(ctx, func(o *Options) { o.Gate = pace.Fixed(1) })
	if told := len(withPrefix(m.lines, "delete ")); !errors.Is(err, context.Canceled) || int(sum.Deleted) != told || told == 0 || sum.Failed > 0 || m.count(buckettest.Delete) > 0 {
		t.Errorf("%+v, %v, %d told of", sum, err, told)
	}
	m.store.Fault = nil
	audit(t, m.store)
	m.mirrors()
}
