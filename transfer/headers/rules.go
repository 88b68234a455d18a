package headers

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of a file of rules.
const (
	maxRulesFile = 1 << 20
	maxRules     = 10_000
)

const allowed = "allowed are Cache-Control, Content-Type, Content-Encoding, Content-Language, Content-Disposition, " +
	"Expires, x-amz-website-redirect-location and x-amz-meta-NAME"

// Rules say by pattern what headers objects get. They may be asked by several goroutines at
// once, if what compile returned may.
type Rules struct {
	rules []rule
}

type rule struct {
	line    int // of its pattern
	pattern string
	matches func(key string) bool
	says    []header
}

// A header is one line of a rule. An empty value takes the header back.
type header struct {
	name  string // in lower case
	value string
}

// ParseRules reads a file of rules, whose format is that of the package comment, and compiles
// its patterns with compile. A pattern is given to it as UTF-8 and without the "/" in front.
// Errors begin with the name of the file and the number of the line.
func ParseRules(r io.Reader, name string, compile func(pattern string) func(key string) bool) (*Rules, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxRulesFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the rules in %s: %w", name, err)
	}
	if len(text) > maxRulesFile {
		return nil, fmt.Errorf("%s: a file of rules has at most %d bytes", name, maxRulesFile)
	}
	parsed, n := new(Rules), 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		n++
		if err := parsed.add(line, n); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	for i := range parsed.rules {
		r := &parsed.rules[i]
		if len(r.says) == 0 {
			return nil, fmt.Errorf("%s:%d: there is no header below the pattern %q", name, r.line, r.pattern)
		}
		r.matches = compile(r.pattern)
	}
	return parsed, nil
}

// add takes in the line with number n.
func (r *Rules) add(line string, n int) error {
	text := strings.Trim(line, " \t\r\n")
	switch {
	case !utf8.ValidString(text):
		return errors.New("the line is not UTF-8")
	case text == "" || text[0] == '#':
		return nil
	case line[0] == ' ' || line[0] == '\t':
		return r.addHeader(text)
	}
	return r.addPattern(text, n)
}

func (r *Rules) addPattern(text string, n int) error {
	if name, value, found := strings.Cut(text, ":"); found && known(strings.ToLower(name)) && (value == "" || value[0] == ' ') {
		return fmt.Errorf("the header %s is not indented", name)
	}
	pattern := strings.TrimPrefix(text, "/")
	switch {
	case pattern == "":
		return errors.New("no key is matched by /; the front page is /index.html, and all keys are /*")
	case len(r.rules) == maxRules:
		return fmt.Errorf("a file has at most %d rules", maxRules)
	}
	r.rules = append(r.rules, rule{line: n, pattern: pattern})
	return nil
}

// addHeader adds a header to the last rule.
func (r *Rules) addHeader(text string) error {
	name, value, found := strings.Cut(text, ":")
	h := header{name: strings.ToLower(strings.TrimSpace(name)), value: strings.TrimSpace(value)}
	switch {
	case !found:
		return fmt.Errorf("%q is not a header, as in Name: value", text)
	case len(r.rules) == 0:
		return errors.New("there is no pattern above this header")
	case !known(h.name):
		return fmt.Errorf("an object cannot have the header %q; %s", strings.TrimSpace(name), allowed)
	}
	last := &r.rules[len(r.rules)-1]
	if slices.ContainsFunc(last.says, func(other header) bool { return other.name == h.name }) {
		return fmt.Errorf("the rule has the header %s twice", name)
	}
	if h.name == "expires" {
		at, err := ParseExpires(h.value)
		if err != nil {
			return fmt.Errorf("expires: %w", err)
		}
		h.value = at
	}
	var alone Set
	h.apply(&alone)
	last.says = append(last.says, h)
	return alone.Valid()
}

// known reports whether a rule may have the header, whose name is in lower case.
func known(name string) bool {
	key, meta := strings.CutPrefix(name, metaPrefix)
	return meta && token(key) || slices.ContainsFunc(fields, func(f field) bool { return f.name == name })
}

// For returns what the rules say for a key. Nil rules say nothing.
func (r *Rules) For(key string) Set {
	var s Set
	if r == nil {
		return s
	}
	for _, rule := range r.rules {
		if !rule.matches(key) {
			continue
		}
		for _, h := range rule.says {
			h.apply(&s)
		}
	}
	return s
}

// apply makes the header part of a set that is not shared yet, or takes it out.
func (h header) apply(s *Set) {
	key, meta := strings.CutPrefix(h.name, metaPrefix)
	switch {
	case meta && h.value == "":
		delete(s.Metadata, key)
	case meta:
		if s.Metadata == nil {
			s.Metadata = make(map[string]string)
		}
		s.Metadata[key] = h.value
	default:
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == h.name })
		*fields[i].in(s) = h.value
	}
}
