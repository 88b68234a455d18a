package headers

import (
	"errors"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// glob stands for the matcher of the program: "*" alone is a wildcard, and matches "/" too.
func glob(pattern string) func(string) bool {
	parts := strings.Split(pattern, "*")
	return func(key string) bool {
		first, last := parts[0], parts[len(parts)-1]
		if len(parts) == 1 {
			return key == pattern
		}
		if len(key) < len(first)+len(last) || !strings.HasPrefix(key, first) || !strings.HasSuffix(key, last) {
			return false
		}
		key = key[len(first) : len(key)-len(last)]
		for _, part := range parts[1 : len(parts)-1] {
			i := strings.Index(key, part)
			if i < 0 {
				return false
			}
			key = key[i+len(part):]
		}
		return true
	}
}

// example is the static site of the package comment.
func example(t testing.TB) string {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "//\t# A static site")
	var b strings.Builder
	for line := range strings.Lines("//\t# A static site" + rest) {
		code, ok := strings.CutPrefix(line, "//\t")
		if !ok {
			break
		}
		b.WriteString(code)
	}
	return b.String()
}

func TestExample(t *testing.T) {
	rules, err := ParseRules(strings.NewReader(example(t)), "site", glob)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]Set{
		"logo.png":           {CacheControl: "public, max-age=3600"},
		"index.html":         {CacheControl: "no-cache", ContentType: "text/html; charset=utf-8"},
		"blog/1/index.html":  {CacheControl: "no-cache", ContentType: "text/html; charset=utf-8"},
		"assets/app.1f.js":   {CacheControl: "public, max-age=31536000, immutable"},
		"assets/x.html":      {CacheControl: "public, max-age=31536000, immutable", ContentType: "text/html; charset=utf-8"},
		"assets/app.map":     {},
		"downloads/a.tar.gz": {CacheControl: "public, max-age=3600", ContentDisposition: "attachment", Metadata: map[string]string{"team": "web"}},
		"old.html":           {CacheControl: "no-cache", ContentType: "text/html; charset=utf-8", WebsiteRedirect: "/new.html"},
	} {
		if got := rules.For(key); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", key, got, want)
		}
	}
}

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		text, key string
		want      Set
	}{
		"empty":                    {"", "a", Set{}},
		"comments only":            {"# a\n  # b\n\n \t\r\n", "a", Set{}},
		"no newline at the end":    {"a\n Cache-Control: x", "a", Set{CacheControl: "x"}},
		"lines of Windows":         {"\ufeff/a\r\n\tCache-Control:  x \r\n", "a", Set{CacheControl: "x"}},
		"names in any case":        {"a\n CACHE-control :x", "a", Set{CacheControl: "x"}},
		"value with colons":        {"a\n x-amz-website-redirect-location: https://b/", "a", Set{WebsiteRedirect: "https://b/"}},
		"date in any form":         {"a\n Expires: 2030-01-01", "a", Set{Expires: "Tue, 01 Jan 2030 00:00:00 GMT"}},
		"date of the past":         {"a\n Expires: 0", "a", Set{Expires: "Thu, 01 Jan 1970 00:00:00 GMT"}},
		"date taken back":          {"a\n Expires: 0\n*\n Expires:", "a", Set{}},
		"key like a comment":       {"/#a\n Cache-Control: x", "#a", Set{CacheControl: "x"}},
		"one slash is ignored":     {"//a\n Cache-Control: x", "/a", Set{CacheControl: "x"}},
		"key with spaces":          {"/a b\n Cache-Control: x", "a b", Set{CacheControl: "x"}},
		"key with a colon":         {"a: b\n Cache-Control: x", "a: b", Set{CacheControl: "x"}},
		"key like a header":        {"/expires: b\n Cache-Control: x", "expires: b", Set{CacheControl: "x"}},
		"another key":              {"a\n Cache-Control: x", "b", Set{}},
		"metadata of two rules":    {"*\n X-Amz-Meta-A: 1\n x-amz-meta-b: 2\na\n x-amz-meta-b: 3", "a", Set{Metadata: map[string]string{"a": "1", "b": "3"}}},
		"metadata taken back":      {"*\n x-amz-meta-a: 1\n x-amz-meta-b: 2\na\n x-amz-meta-b:", "a", Set{Metadata: map[string]string{"a": "1"}}},
		"taken back before said":   {"a\n Cache-Control:\n x-amz-meta-a:\n*\n Cache-Control: x", "a", Set{CacheControl: "x"}},
		"comment between headers":  {"a\n Cache-Control: x\n# b\n Content-Language: de", "a", Set{CacheControl: "x", ContentLanguage: "de"}},
		"number sign in the value": {"a\n Cache-Control: x # y", "a", Set{CacheControl: "x # y"}},
	} {
		rules, err := ParseRules(strings.NewReader(c.text), "f", glob)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := rules.For(c.key); got.Tag() != c.want.Tag() {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := (*Rules)(nil).For("a"); got.Tag() != 0 {
		t.Errorf("nil rules say %+v", got)
	}
}

func TestBadRules(t *testing.T) {
	for text, want := range map[string]string{
		" Cache-Control: x":                               "f:1: there is no pattern above",
		"a\n\n Set-Cookie: x":                             `f:3: an object cannot have the header "Set-Cookie"; allowed are Cache-Control,`,
		"a\n x-amz-meta-: x":                              `f:2: an object cannot have the header "x-amz-meta-"`,
		"a\n x-amz-meta-a b: x":                           `f:2: an object cannot have the header "x-amz-meta-a b"`,
		"a\n x-amz-acl: public-read":                      "f:2: an object cannot have",
		"a\n : x":                                         "f:2: an object cannot have",
		"a\n Cache-Control":                               `f:2: "Cache-Control" is not a header`,
		"a\n ! Cache-Control":                             `f:2: "! Cache-Control" is not a header`,
		"a\n Cache-Control: x\n cache-control: y":         "f:3: the rule has the header cache-control twice",
		"a\n Cache-Control: x\nContent-Type: text/html\n": "f:3: the header Content-Type is not indented",
		"Cache-Control:":                                  "f:1: the header Cache-Control is not indented",
		"a\nb\n Cache-Control: x":                         `f:1: there is no header below the pattern "a"`,
		"a\n Cache-Control: x\n\nb":                       `f:4: there is no header below the pattern "b"`,
		"/\n Cache-Control: x":                            "f:1: no key is matched by /",
		"a\n Expires: soon":                               `f:2: expires: "soon" is not a time`,
		"a\n x-amz-meta-a: é":                             "f:2: x-amz-meta-a:",
		"a\n Cache-Control: \x01":                         "f:2: cache-control:",
		"a\n x-amz-website-redirect-location: b":          "f:2: x-amz-website-redirect-location:",
		"a\xff\n Cache-Control: x":                        "f:1: the line is not UTF-8",
		"# \xff":                                          "f:1: the line is not UTF-8",
		strings.Repeat("a\n Expires: 0\n", maxRules+1):    "f:20001: a file has at most 10000 rules",
		strings.Repeat("#", maxRulesFile+1):               "f: a file of rules has at most 1048576 bytes",
	} {
		rules, err := ParseRules(strings.NewReader(text), "f", glob)
		if err == nil || rules != nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: %v; want %s", text, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := ParseRules(iotest.ErrReader(broken), "f", glob); !errors.Is(err, broken) {
		t.Errorf("a reader that breaks: %v", err)
	}
}

func TestBoundsOfRules(t *testing.T) {
	for name, text := range map[string]string{
		"rules": strings.Repeat("a\n Expires: 0\n", maxRules),
		"bytes": strings.Repeat("#", maxRulesFile),
	} {
		if _, err := ParseRules(strings.NewReader(text), "f", glob); err != nil {
			t.Errorf("as many %s as may be: %v", name, err)
		}
	}
}

// The patterns reach the matcher as they are written, but for the first slash.
func TestPatternsAreInjected(t *testing.T) {
	var patterns []string
	compile := func(pattern string) func(string) bool {
		patterns = append(patterns, pattern)
		return func(key string) bool { ok, _ := path.Match(pattern, key); return ok }
	}
	rules, err := ParseRules(strings.NewReader("/a/[b-c]?\n Cache-Control: x\n*\n Cache-Control: y"), "f", compile)
	if err != nil || !reflect.DeepEqual(patterns, []string{"a/[b-c]?", "*"}) {
		t.Fatal(patterns, err)
	}
	if got := rules.For("a/bz").CacheControl; got != "x" {
		t.Errorf("a/bz: %q", got)
	}
}
