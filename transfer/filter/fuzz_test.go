package filter

import (
	"path"
	"strings"
	"testing"
	"time"
)

// FuzzMatch takes any text for a pattern, matches it in bounded time, and means by it what [path.Match] does
// where both mean the same: without sets, and with names that have no "/".
func FuzzMatch(f *testing.F) {
	for _, pattern := range []string{"", "*", "a*b?c", "[", "[]", "[!]", "[]]", "[!]a-", "[z-a]", "[a-\x00]", "\xff", "[\xff-\xfe]", "a\xffb*",
		`\E\z(?i).*+{1000}`, strings.Repeat("*a", 200), strings.Repeat("?*", 200), strings.Repeat("[a-z]*", 100)} {
		f.Add(pattern, "abc")
		f.Add(pattern, strings.Repeat("a", 300))
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 1024 || len(name) > 1024 {
			return
		}
		begun := time.Now()
		got := Match(pattern).MatchString(name)
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%q takes %v", pattern, took)
		}
		if strings.ContainsAny(pattern, `[\/`) || strings.Contains(name, "/") || strings.ToValidUTF8(pattern+name, "") != pattern+name {
			return
		}
		if want, err := path.Match(pattern, name); err == nil && got != want && fold == "" {
			t.Errorf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}

// TestNamesThatAreNotUTF8 has a root and a pattern whose bytes are no text.
func TestNamesThatAreNotUTF8(t *testing.T) {
	set := New([]Filter{{Pattern: "a\xff*"}}, "/r\xfe", "b/p")
	for key, want := range map[string]bool{"a\xffb": false, "ab": true, "b": true} {
		if set.Select(key) != want {
			t.Errorf("%q is selected: %v", key, !want)
		}
	}
}
