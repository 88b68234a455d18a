package flat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var o order
	model := make(map[string]bool)
	for step := range 40_000 {
		key := fmt.Sprint(rng.IntN(8000))
		// It grows over several blocks, and shrinks to none.
		if grow := step < 25_000; model[key] && (!grow || rng.IntN(8) == 0) {
			o.remove(key)
			delete(model, key)
		} else if !model[key] && grow {
			o.insert(key)
			model[key] = true
		}
		if step%4000 == 0 {
			checkOrder(t, &o, model, key)
		}
	}
	for key := range model {
		o.remove(key)
	}
	checkOrder(t, &o, nil, "")
	if len(o.blocks) > 0 {
		t.Errorf("%d blocks are left", len(o.blocks))
	}
}

func checkOrder(t *testing.T, o *order, model map[string]bool, first string) {
	t.Helper()
	var want []string
	for key := range model {
		if key >= first {
			want = append(want, key)
		}
	}
	slices.Sort(want)
	if got := slices.Collect(o.from(first)); !slices.Equal(got, want) {
		t.Fatalf("from %q: %d keys; want %d", first, len(got), len(want))
	}
	for _, b := range o.blocks {
		if len(b) == 0 || len(b) > maxBlock {
			t.Fatalf("a block of %d keys", len(b))
		}
	}
}

// TestList compares pages of every size with what a listing is by definition.
func TestList(t *testing.T) {
	b := newBucket(New().now())
	var keys []string
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var key strings.Builder
		for range 1 + rng.IntN(5) {
			key.WriteString([]string{"a", "b", "/", "//", "é", "-"}[rng.IntN(6)])
		}
		if b.objects[key.String()] == nil {
			keys = append(keys, key.String())
			b.put(key.String(), &Object{})
		}
	}
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "a/", "/", "none", "é"} {
		for _, delimiter := range []string{"", "/", "//", "b"} {
			for _, first := range []string{"", "a/", "b"} {
				want := listed(keys, prefix, delimiter, first)
				for limit := 1; limit < 40; limit += 3 {
					if got := paged(t, b, query{prefix, delimiter, first, limit}); !slices.Equal(got, want) {
						t.Fatalf("prefix %q, delimiter %q, first %q, pages of %d:\n%q; want\n%q", prefix, delimiter, first, limit, got, want)
					}
				}
			}
		}
	}
}

// listed is what a listing holds.
func listed(keys []string, prefix, delimiter, first string) []string {
	var items []string
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || key < first {
			continue
		}
		if head, _, found := strings.Cut(rest, delimiter); delimiter != "" && found {
			key = prefix + head + delimiter
		}
		if !slices.Contains(items, key) {
			items = append(items, key)
		}
	}
	return items
}

// paged lists page by page.
func paged(t *testing.T, b *bucket, q query) []string {
	t.Helper()
	var items []string
	for {
		p := b.list(q)
		for _, i := range p.items {
			items = append(items, i.key)
		}
		if p.next == "" {
			return items
		}
		if len(p.items) != q.limit {
			t.Fatalf("a page of %d", len(p.items))
		}
		q.first = p.next
	}
}

func TestSpan(t *testing.T) {
	tests := []struct {
		header        string
		first, length int64
		partial       bool
		fails         bool
	}{
		{"", 0, 10, false, false}, {"bytes=0-0", 0, 1, true, false}, {"bytes=3-5", 3, 3, true, false}, {"bytes=3-", 3, 7, true, false},
		{"bytes=-3", 7, 3, true, false}, {"bytes=-99", 0, 10, true, false}, {"bytes=9-99", 9, 1, true, false}, {"bytes=0-9", 0, 10, true, false},
		{"bytes=10-", 0, 0, false, true}, {"bytes=10-11", 0, 0, false, true}, {"bytes=-0", 0, 0, false, true},
		{"bytes=5-3", 0, 10, false, false}, {"bytes=a-b", 0, 10, false, false}, {"lines=1-2", 0, 10, false, false},
		{"bytes=-", 0, 10, false, false}, {"bytes=0-1,3-4", 0, 10, false, false},
	}
	for _, test := range tests {
		first, length, partial, err := span(test.header, 10)
		if first != test.first || length != test.length || partial != test.partial || (err != nil) != test.fails {
			t.Errorf("%q: %d, %d, %v, %v", test.header, first, length, partial, err)
		}
	}
	for _, header := range []string{"bytes=0-", "bytes=-1", "bytes=0-0"} {
		if _, _, _, err := span(header, 0); err != invalidRange {
			t.Errorf("%q of nothing: %v", header, err)
		}
	}
}
