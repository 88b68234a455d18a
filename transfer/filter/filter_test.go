package filter

import (
	"math/rand/v2"
	"slices"

	"testing"
)

func filters(args ...string) []Filter {
	var fs []Filter
	for _, a := range args {
		fs = append(fs, Filter{Include: a[0] == '+', Pattern: a[1:]})
	}
	return fs
}

// What aws does, as far as this does the same. "-" is --exclude, "+" is --include.
func TestFiltersSelectAsAWS(t *testing.T) {
	for _, c := range []struct {
		filters  []Filter
		selected string // of a.txt b.py sub/c.txt mysub/d .git/x, by first letter of the last name
	}{
		{filters(), "abcdx"},
		{filters("-*", "+*.txt"), "ac"},
		{filters("+*.txt", "-*"), ""},
		{filters("-sub"), "abcdx"},
		{filters("-sub/"), "abcdx"},
		{filters("-sub/*"), "abdx"},
		{filters("-./sub/*"), "abcdx"},
		{filters("-*/sub/*"), "abcdx"},
		{filters("-*sub/*"), "abx"},
		{filters("-sub?c.txt"), "abdx"},
		{filters("-[!ab]*"), "ab"},
		{filters("-*.TXT"), "abcdx"},
		{filters("-bk/*"), "abcdx"},
		{filters("-.git/*"), "abcd"},
		{filters("-*", "+sub/*", "-*.txt"), ""},
		{filters("-*", "+[a-b].*"), "ab"},
		{filters("-[]x"), "abcdx"},
		{filters("-/*"), ""},               // all local paths; aws would still see the objects
		{filters("-/tmp/l/sub/*"), "abdx"}, // absolute
	} {
		f := New(c.filters, "/tmp/l", "bk/p/")
		got := ""
		for key, name := range map[string]string{"a.txt": "a", "b.py": "b", "sub/c.txt": "c", "mysub/d": "d", ".git/x": "x"} {
			if f.Select(key) {
				got += name
			}
		}
		if sorted(got) != c.selected {
			t.Errorf("%v selects %q, want %q", c.filters, sorted(got), c.selected)
		}
	}
}

func sorted(s string) string {
	out := ""
	for _, r := range "abcdx" {
		for _, have := range s {
			if have == r {
				out += string(r)
			}
		}
	}
	return out
}

func TestFnmatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a*c", "a/b/c", true}, {"a?c", "a/c", true}, {"a?c", "ac", false}, {"*", "", true}, {"*", "x\ny", true},
		{"[abc]", "b", true}, {"[!abc]", "b", false}, {"[!abc]", "d", true}, {"[a-c]x", "bx", true}, {"[c-a]", "b", false},
		{"[]x]", "]", true}, {"[!]x]", "]", false}, {"[!]x]", "a", true}, {"[", "[", true}, {"a[b", "a[b", true}, {"[^a]", "^", true},
		{"[*]", "*", true}, {"[*]", "x", false}, {`\*`, `\x`, true}, {`a\`, `a\`, true}, {"a.b", "axb", false}, {"é?", "éé", true},
		{"[a-]", "-", true}, {"[--0]", ".", true}, {`[\]`, `\`, true}, {"{a,b}", "a", false}, {"a+", "a+", true}, {"**", "a/b", true},
		{"[!c-a]", "x", true}, {"[c-a!b]", "b", false}, {"[c-a!b]", "x", true}, {"[c-a!]", "x", true}, {"[!c-a!b]", "b", false}, {"[bc-a!]", "!", true},
	} {
		if got := Match(c.pattern).MatchString(c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

// A directory is not walked only if nothing below it can be selected.
func TestFiltersDescend(t *testing.T) {
	for _, c := range []struct {
		filters []Filter
		dir     string
		want    bool
	}{
		{filters(), "d/", true},
		{filters("-d/*"), "d/", false}, {filters("-d/*"), "d/e/", false}, {filters("-d/*"), "dd/", true}, {filters("-d"), "d/", true},
		{filters("-*"), "d/", false}, {filters("-*", "+*.html"), "d/", true}, {filters("-*", "+2026/02/*"), "2026/", true},
		{filters("-*", "+2026/02/*"), "2026/02/", true}, {filters("-*", "+2026/02/*"), "2026/02/x/", true},
		{filters("-*", "+2026/02/*"), "2026/03/", false}, {filters("-*", "+2026/02/*"), "2025/", false},
		{filters("-*", "+a*"), "b/", false}, {filters("-*", "+a*"), "ab/", true}, {filters("-*", "+a*", "-ab/*"), "ab/", false},
		{filters("-*.log"), "d/", true}, {filters("-.git/*"), ".git/", false}, {filters("-*/node_modules/*"), "a/node_modules/", false},
	} {
		if got := New(c.filters, "/tmp/l", "bk/p/").Descend(c.dir); got != c.want {
			t.Errorf("%v descends into %s: %v, want %v", c.filters, c.dir, got, c.want)
		}
	}
}

// Whatever the filters, a directory that is not walked holds nothing that is selected.
func FuzzDescend(f *testing.F) {
	f.Add("-*", "+a/b*", "a/b", "/c")
	f.Add("-d/*", "+*", "d", "/e")
	f.Add("-[!x]*", "+?/*", "x", "/y")
	f.Fuzz(func(t *testing.T, first, second, dir, below string) {
		var fs []Filter
		for _, s := range []string{first, second} {
			if s == "" {
				return
			}
			fs = append(fs, filters(s)...)
		}
		set := New(fs, "/r", "bk/p")
		if key := dir + "/" + below; set.Select(key) && !set.Descend(dir+"/") {
			t.Errorf("%+v select %q but do not descend into %q", fs, key, dir+"/")
		}
	})
}

// TestDeciding names the filter whose word Select follows.
func TestDeciding(t *testing.T) {
	patterns := []string{"*", "a*", "*/b", "a/b", "/root/a/*", "bucket/p/*", "c"}
	for range 2000 {
		var given []Filter
		for range rand.IntN(5) {
			given = append(given, Filter{rand.IntN(2) == 0, patterns[rand.IntN(len(patterns))]})
		}
		f := New(given, "/root", "bucket/p/")
		for _, key := range []string{"a", "a/b", "c", "d/b"} {
			by, some := f.Deciding(key)
			if selected := !some || by.Include; selected != f.Select(key) {
				t.Fatalf("%v: %s is selected: %v, but %+v (%v) decides", given, key, f.Select(key), by, some)
			}
			if some && !slices.Contains(given, by) {
				t.Fatalf("%v: %+v is none of them", given, by)
			}
		}
	}
	if _, some := (*Filters)(nil).Deciding("a"); some {
		t.Error("no filter decides")
	}
}
