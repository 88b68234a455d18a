package catalog

import (
	"context"
	"strings"
	"testing"

	"merkur/store/bucket/buckettest"
)

func TestProbe(t *testing.T) {
	heedless := func(ops ...buckettest.Op) *buckettest.Memory {
		m := &buckettest.Memory{Heedless: map[buckettest.Op]bool{}}
		for _, op := range ops {
			m.Heedless[op] = true
		}
		return m
	}
	for name, c := range map[string]struct {
		store *buckettest.Memory
		want  Powers
	}{
		"all":                  {&buckettest.Memory{}, Powers{true, true, true, true, true, BatchesUnknown}},
		"no conditions":        {heedless(buckettest.Put, buckettest.Delete), Powers{false, false, true, true, false, BatchesUnknown}},
		"no delete conditions": {heedless(buckettest.Delete), Powers{true, false, true, true, true, BatchesUnknown}},
		"racy":                 {&buckettest.Memory{Racy: true}, Powers{true, true, true, true, false, BatchesUnknown}},
		"no checksums":         {&buckettest.Memory{NoChecksum: true}, Powers{true, true, true, false, true, BatchesUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter(c.store)
			w.o.Copies = true
			got, err := w.open(t).Probe(context.Background())
			if err != nil || got != c.want {
				t.Fatalf("%+v, %v, want %+v", got, err, c.want)
			}
			for key := range c.store.Objects() {
				if strings.Contains(key, "probe") {
					t.Errorf("%s is left behind", key)
				}
			}
			before := len(c.store.Calls())
			again := w.open(t)
			if got, err := again.Probe(context.Background()); err != nil || got != c.want {
				t.Errorf("second time: %+v, %v", got, err)
			}
			if n := len(c.store.Calls()) - before; n != 1 {
				t.Errorf("a probe that is remembered takes %d requests", n-1)
			}
		})
	}
}

// Who may not delete may still upload.
func TestProbeWithoutPermissionToDelete(t *testing.T) {
	store := &buckettest.Memory{Fault: func(op buckettest.Op, _ string) buckettest.Outcome {
		if op == buckettest.Delete {
			return buckettest.Denied
		}
		return buckettest.OK
	}}
	w := newWriter(store)
	for range 2 {
		w.o.State = nil
		if got, err := w.open(t).Probe(context.Background()); err != nil || !got.PutConditions || got.DeleteConditions {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if n := len(store.Objects()); n != 1 {
		t.Errorf("%d objects are left behind", n)
	}
}
