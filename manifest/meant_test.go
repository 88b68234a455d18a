package manifest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// someMeant has a statement of each kind, made by the rules of the format.
func someMeant() Meant {
	return NewMeant([]Statement{
		Stores("a/file", 10, contentDigest("0123456789")), Stores("empty", 0, contentDigest("")),
		StoresSize("size", 1<<40), Touches("a/file"), Touches("gone"), StoresSize("size", 1<<40),
	})
}

func TestMeant(t *testing.T) {
	m := someMeant()
	if len(m) != 5 || !slices.IsSorted(m) {
		t.Fatalf("%x", m)
	}
	for _, row := range []struct {
		key  string
		size int64
		sent bool // something of that size is meant
	}{{"a/file", 10, true}, {"a/file", 9, false}, {"empty", 0, true}, {"empty", 1, false}, {"size", 1 << 40, true}, {"gone", 0, false}, {"other", 10, false}} {
		if got := m.HasSize(row.key, row.size); got != row.sent {
			t.Errorf("%s of %d bytes: %v", row.key, row.size, got)
		}
	}
	d := contentDigest("0123456789")
	switch {
	case !m.Has(Stores("a/file", 10, d)), !m.Has(Touches("gone")), !m.Has(StoresSize("size", 1<<40)):
		t.Error("what was stated is not there")
	case m.Has(Stores("a/file", 10, contentDigest("9876543210"))), m.Has(StoresSize("a/file", 10)), m.Has(Touches("size")), m.Has(Stores("b/file", 10, d)):
		t.Error("what was not stated is there")
	}
}

// Frames come back as they were, and no other bytes do.
func TestMeantFrames(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 100, MaxMeant} {
		list := make([]Statement, n)
		for i := range list {
			list[i] = Statement(rng.Uint64())
		}
		m := NewMeant(list)
		b, at := AppendMeant([]byte("before"), m)
		got, err := DecodeMeant(b[at.Off:], at)
		if err != nil || !slices.Equal(got, m) {
			t.Errorf("%d statements: %v", n, err)
		}
		if size := len(b) - 6; size > 8*n+20+n/100 {
			t.Errorf("%d statements take %d bytes", n, size)
		}
		b[len(b)-1] ^= 1
		if _, err := DecodeMeant(b[at.Off:], at); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d statements, one bit wrong: %v", n, err)
		}
	}
	for name, m := range map[string]Meant{"twice": {5, 5}, "backwards": {6, 5}, "too many": make(Meant, MaxMeant+1)} {
		if _, err := decodeMeant(m.encode()); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decodeMeant(someMeant().encode()[:9]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("half a statement: %v", err)
	}
}

// The sets are those of the obvious way.
func TestMeantSets(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		some := func() Meant {
			list := make([]Statement, rng.IntN(6))
			for i := range list {
				list[i] = Statement(rng.IntN(8))
			}
			return NewMeant(list)
		}
		a, b := some(), some()
		all, both := true, slices.Concat(a, b)
		for _, s := range b {
			all = all && slices.Contains(a, s)
		}
		slices.Sort(both)
		if got, want := a.And(b), slices.Compact(both); !slices.Equal(got, want) {
			t.Fatalf("%v and %v: %v", a, b, got)
		}
		if a.HasAll(b) != all {
			t.Fatalf("%v has all of %v: %v", a, b, !all)
		}
	}
}

// Among as many statements as a batch makes, hardly any foreign object is taken for one that was meant.
func TestMeantOfStrangers(t *testing.T) {
	var list []Statement
	for i := range 16_384 {
		key := fmt.Sprintf("dir/%06d", i)
		list = append(list, Stores(key, int64(i), contentDigest(key)))
	}
	m, taken := NewMeant(list), 0
	for i := range 100_000 {
		if m.HasSize(fmt.Sprintf("dir/%06d", 16_384+i), int64(i)) {
			taken++
		}
	}
	if taken > 6 { // 0.4 are to be expected, and their content tells
		t.Errorf("%d of 100000", taken)
	}
}
