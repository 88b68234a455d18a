package listing

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"merkur/store/bucket"
)

func scaleOf(keys ...string) *scale {
	s := new(scale)
	for _, key := range keys {
		s.see(key)
	}
	return s
}

// TestExtrapolation cuts behind a first page where it should be.
func TestExtrapolation(t *testing.T) {
	tests := []struct {
		name, prefix string
		key          func(i int) string
	}{
		{"numbers", "", func(i int) string { return fmt.Sprintf("part-%06d", i) }},
		{"numbers that begin with nines", "", func(i int) string { return fmt.Sprintf("part-%06d", 99_300+i) }},
		{"under a prefix", "a/b/", func(i int) string { return fmt.Sprintf("a/b/%08d.jpg", i) }},
		{"hexadecimal", "", func(i int) string { return fmt.Sprintf("%08x/x", i*977) }},
		{"upper case", "", func(i int) string { return fmt.Sprintf("%08X", i*977+0x9f00000) }},
		{"across hexadecimal digits", "", func(i int) string { return fmt.Sprintf("f%08x", 0x19fff000+i) }},
		{"directories", "", func(i int) string { return fmt.Sprintf("dir%04d/file%02d.txt", i/100, i%100) }},
	}
	for _, test := range tests {
		pl := newPlan(Options{Prefix: test.prefix})
		p := pl.begin(pl.pieces[0])
		for page := range 2 {
			objects := make([]bucket.Listed, pageSize)
			for i := range objects {
				objects[i].Key = test.key(page*pageSize + i)
			}
			pl.deliver(p, objects, false, nil)
			pl.begin(p)
		}
		pl.deliver(p, nil, false, nil)
		q := pl.cut(p, pieceSize)
		if q == nil {
			t.Errorf("%s: not cut", test.name)
			continue
		}
		if lo, hi := test.key(5000), test.key(7500); q.start < lo || q.start > hi {
			t.Errorf("%s: cut at %q; want one between %q and %q", test.name, q.start, lo, hi)
		}
	}
}

func TestComplete(t *testing.T) {
	tests := []struct {
		keys  []string
		place int
		want  string
	}{
		{[]string{"a1", "a2", "a4"}, 1, "0123456789"},
		{[]string{"a1", "a2", "a4"}, 0, "abcdefghijklmnopqrstuvwxyz"},
		{[]string{"0a", "0b", "04"}, 0, "0123456789abcdef"},
		{[]string{"0A", "0B", "04"}, 1, "0123456789ABCDEF"},
		{[]string{"1-x", "2-x", "3-x"}, 2, "x"},
		{[]string{"1-x", "2-x", "3-x"}, 1, "-"},
	}
	for _, test := range tests {
		var got []rune
		for _, r := range scaleOf(test.keys...).columns()[test.place] {
			if r != keyEnd {
				got = append(got, r)
			}
		}
		if string(got) != test.want {
			t.Errorf("place %d of %q may hold %q; want %q", test.place, test.keys, string(got), test.want)
		}
	}
}

func TestLogarithm(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 1000, 1 << 40} {
		if got := exp2(log2(big.NewInt(n)) + 1e-9); got.Int64() < n || got.Int64() > n+n/1000 {
			t.Errorf("%d becomes %v", n, got)
		}
	}
}

// FuzzScale: a key lies where its number is, whatever the keys; and what lies between two keys
// does so in truth and can be sent.
func FuzzScale(f *testing.F) {
	f.Add("part-001", "part-002", "part-999", int64(7))
	f.Add("", "a", "", int64(0))
	f.Add("\xff\xfe", "é/ü", "\U0010ffff", int64(1)<<40)
	f.Add(strings.Repeat("z", 1025), strings.Repeat("z", 1026), "", int64(1))
	f.Add("a\ud7ffb", "a\ue000", "a\x00", int64(3))
	f.Fuzz(func(t *testing.T, a, b, c string, step int64) {
		s := scaleOf(a, b, c)
		for _, key := range []string{a, b, c} {
			n := s.number(key)
			if n.Cmp(s.size()) >= 0 {
				t.Fatalf("%q lies outside", key)
			}
			if got := s.key(n); utf8.ValidString(key) && got != key {
				t.Fatalf("%q becomes %q", key, got)
			}
		}
		if utf8.ValidString(a) && utf8.ValidString(b) && a < b && s.number(a).Cmp(s.number(b)) >= 0 {
			t.Fatalf("%q and %q are out of order", a, b)
		}
		place := s.number(a)
		place.Add(place, new(big.Int).Abs(big.NewInt(step)))
		key, ok := s.between(a, place, b)
		if ok && (key <= a || b != "" && key >= b || !utf8.ValidString(key) || len(key) > maxKey) {
			t.Fatalf("%q between %q and %q", key, a, b)
		}
		if ok && strings.IndexFunc(a, unprintable) < 0 && strings.IndexFunc(key, unprintable) >= 0 {
			t.Fatalf("%q behind %q", key, a)
		}
	})
}

func FuzzBefore(f *testing.F) {
	for _, key := range []string{"a", "foo/bar", "a\x00", "a b", " ", "\ue000", "\xff", "a\xc3", "é", "\U0010ffff", "\ufffd", strings.Repeat("k", 1024)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" {
			return
		}
		got := before(key)
		if got >= key || !utf8.ValidString(got) || len(got) > max(maxKey, len(key)+4) {
			t.Fatalf("%q comes before %q", got, key)
		}
	})
}

func TestBefore(t *testing.T) {
	for key, want := range map[string]string{
		"foo/bar":                 "foo/baq\U0010ffff",
		"a\x00":                   "a",
		"a b ":                    "a b",
		"\ue000":                  "\ud7ff\U0010ffff",
		"a\xffb":                  "a~\U0010ffff",
		strings.Repeat("k", 1024): strings.Repeat("k", 1023) + "j",
	} {
		if got := before(key); got != want {
			t.Errorf("%q comes before %q; want %q", got, key, want)
		}
	}
}
