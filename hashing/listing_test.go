package hashing

import (
	"bytes"
	"fmt"
	"testing"
)

func TestListing(t *testing.T) {
	var l listing
	for _, n := range []struct {
		text string
		kind kind
	}{{"a0", regular}, {"a", linked}, {"a-b", directory}, {"c", unclear}, {"a0", regular}, {"c.", special}, {"b", regular}} {
		if err := l.add([]byte(n.text), n.kind); err != nil {
			t.Fatal(err)
		}
	}
	l.sort()
	var got []string
	for i := range l.names {
		got = append(got, string(l.at(i)))
	}
	expect(t, got, "a-b/", "a/", "a0", "b", "c", "c.", "c/")
}

func TestSliceCuts(t *testing.T) {
	var l listing
	for i := range 20_000 {
		if err := l.add(fmt.Append(nil, "name-", i), regular); err != nil {
			t.Fatal(err)
		}
	}
	l.sort()
	firsts := func() map[string]bool {
		m := make(map[string]bool)
		last := 0
		for _, cut := range l.slices() {
			if n := cut - last; n < sliceLeast || n > sliceMost {
				t.Errorf("a slice of %d names", n)
			}
			m[string(l.at(cut))] = true
			last = cut
		}
		return m
	}
	before := firsts()
	if len(before) < 20 {
		t.Fatalf("%d cuts", len(before))
	}
	// One name more at the very beginning, where every cut by count would move.
	if err := l.add([]byte("a"), regular); err != nil {
		t.Fatal(err)
	}
	l.sort()
	moved := 0
	for first := range firsts() {
		if !before[first] {
			moved++
		}
	}
	if moved > 4 {
		t.Errorf("%d of %d cuts moved", moved, len(before))
	}
	l.reset()
	for i := range 2000 {
		if err := l.add(append(bytes.Repeat([]byte("x"), 1000), fmt.Sprint(i)...), regular); err != nil {
			t.Fatal(err)
		}
	}
	for i, last := 0, 0; i < len(l.slices()); i++ {
		cut := l.slices()[i]
		if (cut-last)*1004 > sliceText {
			t.Errorf("a slice of %d names of 1,004 bytes", cut-last)
		}
		last = cut
	}
}
