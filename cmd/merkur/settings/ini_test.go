package settings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// plain is a document without the names of files: a value is its text, or its nested lines.
func plain(d document) string {
	var b strings.Builder
	for _, header := range d.headers {
		fmt.Fprintf(&b, "[%s]", header)
		s := d.sections[header]
		for _, key := range slices.Sorted(maps.Keys(s)) {
			if v := s[key]; v.nested != nil {
				fmt.Fprintf(&b, " %s=%v", key, v.nested)
			} else {
				fmt.Fprintf(&b, " %s=%q", key, v.text())
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"comments", "[p]\ns3 =\n  # c\n  a = 1\n# c\n  ; c\n  b = 2\n", "[p] s3=map[a:1 b:2]\n"},
		{"empty lines", "[p]\ns3 =\n\n  a = 1\n   \n\n  b = 2\n\nx=1\n", "[p] s3=map[a:1 b:2] x=\"1\"\n"},
		{"no comment behind a value", "[p] # c\ns3 =\n  a = 1 # c\nx = 2 ; c", "[p] s3=map[a:1 # c] x=\"2 ; c\"\n"},
		{"tabs", "[p]\ns3 =\n\ta = 1\n    b = 2\nx=1\n", "[p] s3=map[a:1 b:2] x=\"1\"\n"},
		{"CRLF", "[p]\r\ns3 =\r\n  a = 1\r\nx = 1\r\n", "[p] s3=map[a:1] x=\"1\"\n"},
		{"CR", "[p]\rs3 =\r  a = 1\r", "[p] s3=map[a:1]\n"},
		{"colon and case", "[P]\nS3:\n  A = b:c=d\nx: 1\n", "[P] s3=map[A:b:c=d] x=\"1\"\n"},
		{"deeper and deeper", "[p]\ns3 =\n  a = 1\n     b = 2\n   c = 3\nx = 1", "[p] s3=map[a:1 b:2 c:3] x=\"1\"\n"},
		{"all indented", "  [p]\n  dynamodb =\n    x = 1\n  s3 =\n    a = 1\n  y = 2", "[p] dynamodb=map[x:1] s3=map[a:1] y=\"2\"\n"},
		{"nested twice", "[p]\ns3 =\n  a = 1\n  a = 2", "[p] s3=map[a:2]\n"},
		{"nested header", "[p]\ns3 =\n  [x] = 1\n", "[p] s3=map[[x]:1]\n"},
		{"text goes on", "[p]\ns3 = a = 1\n  b = 2\n", "[p] s3=\"a = 1\\nb = 2\"\n"},
		{"nothing nested", "[p]\ns3 =\nx = 1", "[p] s3=\"\" x=\"1\"\n"},
		{"quotes are literal", "[p]\nx = \"\"\"a\ny = `b\nz = \\\ns3 =\n  a = \"1\"\n", "[p] s3=map[a:\"1\"] x=\"\\\"\\\"\\\"a\" y=\"`b\" z=\"\\\\\"\n"},
		{"DEFAULT", "[DEFAULT]\ns3 =\n  a = 1\nx = 1\n[p]\nx = 2\n[DEFAULT]\ny = 3", "[DEFAULT] s3=map[a:1] x=\"1\" y=\"3\"\n[p] s3=map[a:1] x=\"2\" y=\"3\"\n"},
		{"bracket in a header", "[a]]", "[a]]\n"},
	} {
		d, err := parse(c.text, "file")
		if got := plain(d); err != nil || got != c.want {
			t.Errorf("%s: %v\n%swant\n%s", c.name, err, got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"x = 1":                       "line 1: no section begins before it",
		"\ufeff[p]":                   "line 1: no section begins before it",
		"[]\n":                        "line 1: no section begins before it",
		"[p]\nsecret":                 "line 2: neither a section nor a key",
		"[p]\n= secret":               "line 2: neither a section nor a key",
		"[p]\nx = 1\nX = 2":           "line 3: key x already exists",
		"[p]\n[q]\n[p]":               "line 3: section p already exists",
		"[p]\ns3 =\n  secret":         `line 3: a nested line without "="`,
		"[p]\ns3 =\n  a : secret":     `line 3: a nested line without "="`,
		"[p]\ns3 =\n  a = 1\n  [q]\n": `line 4: a nested line without "="`,
	} {
		if _, err := parse(text, "file"); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                          nil,
		"profile  a ":               {"profile", "a"},
		"profile a b":               {"profile", "a", "b"},
		`profile "a b"`:             {"profile", "a b"},
		`profile 'it'"'"'s it'`:     {"profile", "it's it"},
		`profile a\ b`:              {"profile", "a b"},
		`profile "a\"b\\c\d" 'a\b'`: {"profile", `a"b\c\d`, `a\b`},
		`profile ""`:                {"profile", ""},
		`profile "a`:                nil,
		`profile a\`:                nil,
	} {
		if got := words(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[default]\nregion = a\ns3 =\n    a = 1\n  # c\n\n  b=2\n[profile 'x y']\n  s3:\n\ta = 1\r\n  x = 1\n")
	f.Add("[DEFAULT]\nx =\n  a = 1\n[p]\ny = 1\n  more\n  [q]\n")
	f.Add("[p\nx=]\n[]]\n\r[y")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parse(text, "file")
		if err != nil {
			return
		}
		for _, header := range d.headers {
			words(header)
		}
		// What was read reads the same again when it is written down plainly.
		again, err := parse(written(d), "file")
		if err != nil || plain(again) != plain(d) {
			t.Errorf("%v\n%s\nbecomes\n%s", err, plain(d), plain(again))
		}
	})
}

// written is a file that says what d says.
func written(d document) string {
	var b strings.Builder
	for _, header := range d.headers {
		fmt.Fprintf(&b, "[%s]\n", header)
		for key, v := range d.sections[header] {
			fmt.Fprintf(&b, "%s = %s\n", key, strings.Join(v.lines, "\n  "))
			for name, text := range v.nested {
				fmt.Fprintf(&b, "  %s = %s\n", name, text)
			}
		}
	}
	return b.String()
}
