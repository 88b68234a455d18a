package catalog

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// loose is a store whose batches are wrong in some way.
type loose struct {
	*buckettest.Memory
	deleteAll func(m *buckettest.Memory, list []bucket.Deletion) map[string]error
}

func (l *loose) DeleteAll(_ context.Context, list []bucket.Deletion) map[string]error {
	return l.deleteAll(l.Memory, list)
}

func TestProbeBatches(t *testing.T) {
	all := func(err error) func(*buckettest.Memory, []bucket.Deletion) map[string]error {
		return func(_ *buckettest.Memory, list []bucket.Deletion) map[string]error {
			return map[string]error{list[0].Key: err}
		}
	}
	for name, c := range map[string]struct {
		store bucket.Store
		want  Batches
	}{
		"heed":    {&buckettest.Memory{}, BatchesHeed},
		"ignore":  {&buckettest.Memory{Heedless: map[buckettest.Op]bool{buckettest.Batch: true}}, BatchesIgnore},
		"none":    {&loose{&buckettest.Memory{}, all(bucket.ErrUnsupported)}, BatchesIgnore},
		"refuses": {&loose{&buckettest.Memory{}, all(bucket.ErrChanged)}, BatchesIgnore}, // also what is right
		"silent":  {&loose{&buckettest.Memory{}, all(bucket.ErrUncertain)}, BatchesUnknown},
		"says that it stays": {&loose{&buckettest.Memory{}, func(m *buckettest.Memory, list []bucket.Deletion) map[string]error {
			m.DeleteAll(context.Background(), []bucket.Deletion{{Key: list[0].Key}})
			return map[string]error{list[0].Key: bucket.ErrChanged}
		}}, BatchesIgnore},
		"says that it is gone": {&loose{&buckettest.Memory{}, func(_ *buckettest.Memory, list []bucket.Deletion) map[string]error {
			if list[0].IfMatch == noETag {
				return map[string]error{list[0].Key: bucket.ErrChanged}
			}
			return nil
		}}, BatchesIgnore},
		"slow, then heeds": {&loose{&buckettest.Memory{}, func(m *buckettest.Memory, list []bucket.Deletion) map[string]error {
			if list[0].IfMatch == noETag {
				return map[string]error{list[0].Key: errors.Join(&bucket.Error{Code: "PreconditionFailed"}, bucket.ErrUncertain)}
			}
			return m.DeleteAll(context.Background(), list)
		}}, BatchesHeed},
		"no power": {struct{ bucket.Store }{&buckettest.Memory{}}, BatchesUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(c.store)
			first := w.open(t)
			if _, err := first.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := first.ProbeBatches(t.Context()); got != c.want {
				t.Errorf("found %v; want %v", got, c.want)
			}
			for o := range c.store.List(t.Context(), "", "") {
				t.Errorf("%s is left behind", o.Key)
			}
			if p, err := w.open(t).Probe(t.Context()); err != nil || p.Batches != c.want || !p.Atomic {
				t.Errorf("remembered: %+v, %v; want %v", p, err, c.want)
			}
		})
	}
}

// What is known is not asked again, unless it is a week old or was remembered by a program that did not ask.
func TestProbeBatchesIsRemembered(t *testing.T) {
	store := &buckettest.Memory{}
	w := newWriter(store)
	now := time.Now()
	w.o.Now = func() time.Time { return now }
	ask := func(want int) {
		t.Helper()
		c := w.open(t)
		p, err := c.Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		before := len(store.Calls())
		if got := c.ProbeBatches(t.Context()); got != BatchesHeed {
			t.Errorf("after %+v: %v", p, got)
		}
		if n := len(store.Calls()) - before; n != want {
			t.Errorf("%d requests; want %d", n, want)
		}
	}
	ask(5)
	ask(0)
	now = now.Add(keepPowers - time.Hour)
	ask(0)
	now = now.Add(time.Hour) // of the probe; to have found out about batches does not make it younger
	ask(5)
	name := w.open(t).powersRecord()
	w.o.State.Remember(name, slices.Clone(w.o.State.Recall(name)[:13]))
	ask(5)
	ask(0)
	w.o.State.Remember(name, append(slices.Clone(w.o.State.Recall(name)[:13]), 9))
	if _, ok := w.open(t).recallPowers(); ok {
		t.Error("a record of tomorrow's is believed")
	}
}

// A request that fails, in each way, leaves no wrong conclusion, and nothing that the next probe does not
// remove.
func TestProbeBatchesInTrouble(t *testing.T) {
	for _, outcome := range []buckettest.Outcome{buckettest.NotStored, buckettest.Stored, buckettest.Throttled, buckettest.Denied} {
		for n := range 5 {
			store := &buckettest.Memory{}
			w := newWriter(store)
			c := w.open(t)
			if _, err := c.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen := 0
			store.Fault = func(buckettest.Op, string) buckettest.Outcome {
				if seen++; seen == n+1 {
					return outcome
				}
				return buckettest.OK
			}
			got := c.ProbeBatches(t.Context())
			if unlisted := outcome == buckettest.Denied && n == 4; (got == BatchesHeed) != unlisted || got == BatchesIgnore {
				t.Errorf("request %d, outcome %v: %v", n+1, outcome, got)
			}
			store.Fault = nil
			if got := w.open(t).ProbeBatches(t.Context()); got != BatchesHeed || len(store.Objects()) > 0 {
				t.Errorf("and then: %v, %d objects", got, len(store.Objects()))
			}
		}
	}
}
