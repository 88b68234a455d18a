// Package filter decides which keys the filters of the command line select: --exclude and
// --include, in their order, as aws reads them.
//
// The last filter that matches a path decides, and a path that none matches is selected.
// Patterns mean what they mean to Python's fnmatch, and are matched against the whole path of
// either side: below the local root, and below the bucket's prefix. "*" and "?" match "/" too,
// and an absolute pattern stands for itself.
//
// Where aws can lose data this departs from it: a path that the filters deselect on either side
// is left alone on both. So a pattern that matches only local paths hides files from the
// upload, and does not turn their copies into objects without a file.
package filter

import (
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// A Filter is one --exclude or --include of the command line.
type Filter struct {
	Include bool
	Pattern string
}

// Filters are the filters of a run in the order of the command line. Nil ones select all.
type Filters struct {
	roots [2]string // of the two sides: what a key is put behind
	rules []rule
}

type rule struct {
	given   Filter
	include bool
	match   []*regexp.Regexp
	literal []string // per match: what it begins with, as far as that is fixed
}

// New roots filters at the two sides: an absolute directory with "/" between names, or a bucket
// and prefix. If one of them is a directory it is the first: Descend is asked about it.
func New(filters []Filter, first, second string) *Filters {
	f := &Filters{roots: [2]string{strings.TrimSuffix(first, "/") + "/", strings.TrimSuffix(second, "/") + "/"}}
	for _, given := range filters {
		r := rule{given: given, include: given.Include}
		for _, root := range f.roots {
			pattern := root + given.Pattern
			if strings.HasPrefix(given.Pattern, "/") {
				pattern = given.Pattern
			}
			r.match = append(r.match, Match(pattern))
			r.literal = append(r.literal, fixed(pattern))
		}
		f.rules = append(f.rules, r)
	}
	return f
}

// Some reports whether there is a filter at all.
func (f *Filters) Some() bool { return f != nil && len(f.rules) > 0 }

// Select reports whether the filters select the key on both sides.
func (f *Filters) Select(key string) bool {
	if !f.Some() {
		return true
	}
	for _, root := range f.roots {
		if !f.selects(root + key) {
			return false
		}
	}
	return true
}

// Deciding returns the filter that decides about a key, as Select reads them; false if none matches.
func (f *Filters) Deciding(key string) (decides Filter, some bool) {
	if !f.Some() {
		return decides, false
	}
	for _, root := range f.roots {
		for _, r := range slices.Backward(f.rules) {
			if !r.matches(root + key) {
				continue
			}
			if decides, some = r.given, true; !r.include {
				return decides, true // one side is enough to leave a key alone
			}
			break
		}
	}
	return decides, some
}

func (f *Filters) selects(path string) bool {
	selected := true
	for _, r := range f.rules {
		if r.include != selected && r.matches(path) {
			selected = r.include
		}
	}
	return selected
}

func (r rule) matches(path string) bool {
	return r.match[0].MatchString(path) || r.match[1].MatchString(path)
}

// Descend reports whether the filters can select anything below the directory, whose key ends
// in "/". It may say yes where nothing is selected in the end, never the other way round.
func (f *Filters) Descend(dir string) bool {
	if !f.Some() {
		return true
	}
	path := f.roots[0] + dir
	selected := true
	for _, r := range f.rules {
		switch {
		case r.include && !selected:
			selected = r.reaches(path)
		case !r.include && selected:
			selected = !r.covers(path)
		}
	}
	return selected
}

// covers reports whether the rule surely matches all that is below the directory: it ends in
// "*" and matches what is before.
func (r rule) covers(dir string) bool {
	for _, m := range r.match {
		if strings.HasSuffix(m.String(), `.*\z`) && m.MatchString(dir) {
			return true
		}
	}
	return false
}

// reaches reports whether the rule may match something below the directory.
func (r rule) reaches(dir string) bool {
	for _, begin := range r.literal {
		if strings.HasPrefix(begin, dir) || strings.HasPrefix(dir, begin) {
			return true
		}
	}
	return false
}

// fixed returns the part of a pattern that stands for itself alone: what is before its first wildcard, or
// its first byte that is not UTF-8.
func fixed(pattern string) string {
	for i, c := range pattern {
		if strings.ContainsRune("*?[\uFFFD", c) {
			return pattern[:i]
		}
	}
	return pattern
}

// fold has upper and lower case be alike where they are alike in the names of files, as for
// Python.
var fold = map[bool]string{true: "i"}[runtime.GOOS == "windows"]

// Match translates a pattern of Python's fnmatch to a regular expression over the whole name. There is no escape: a wildcard that means
// itself is written as a set of one, "[*]".
func Match(pattern string) *regexp.Regexp {
	var re strings.Builder
	re.WriteString(`(?s` + fold + `)\A`)
	pattern = string([]rune(pattern)) // a byte that is not UTF-8 stands for any such byte
	for rest := pattern; rest != ""; {
		switch rest[0] {
		case '*':
			rest = strings.TrimLeft(rest, "*")
			re.WriteString(`.*`)
		case '?':
			rest = rest[1:]
			re.WriteString(`.`)
		case '[':
			set, after := cutSet(rest)
			re.WriteString(set)
			rest = after
		default:
			n := strings.IndexAny(rest, "*?[")
			if n < 0 {
				n = len(rest)
			}
			re.WriteString(regexp.QuoteMeta(rest[:n]))
			rest = rest[n:]
		}
	}
	re.WriteString(`\z`)
	return regexp.MustCompile(re.String())
}

// cutSet translates the set at the front of a pattern, "[abc]", "[a-z]" or "[!abc]", and
// returns what follows. A "[" that nothing closes means itself; a "]" that comes first belongs
// to the set.
func cutSet(pattern string) (re, after string) {
	body := pattern[1:]
	negated := strings.HasPrefix(body, "!")
	if negated {
		body = body[1:]
	}
	first := 0
	if strings.HasPrefix(body, "]") {
		first = 1
	}
	end := strings.IndexByte(body[min(first, len(body)):], ']')
	if end < 0 {
		return `\[`, pattern[1:]
	}
	end += first
	return class([]rune(body[:end]), negated), body[end+1:]
}

// class writes the members of a set as a class of Go's regular expressions. A range that runs
// backwards has no members, and a "!" after nothing but such ranges negates, as in Python.
func class(set []rune, negated bool) string {
	begin := set
	for len(set) > 2 && set[1] == '-' && set[0] > set[2] {
		set = set[3:]
	}
	if !negated && len(set) < len(begin) && len(set) > 0 && set[0] == '!' {
		set, negated = set[1:], true
	}
	var members strings.Builder
	for i := 0; i < len(set); i++ {
		lo, hi := set[i], set[i]
		if i+2 < len(set) && set[i+1] == '-' {
			hi = set[i+2]
			i += 2
		}
		if lo <= hi {
			members.WriteString(quoteRune(lo) + "-" + quoteRune(hi))
		}
	}
	switch {
	case members.Len() == 0 && negated:
		return `.`
	case members.Len() == 0:
		return `[^\x{0}-\x{10FFFF}]`
	case negated:
		return `[^` + members.String() + `]`
	}
	return `[` + members.String() + `]`
}

func quoteRune(r rune) string {
	if strings.ContainsRune(`\]^-[`, r) {
		return `\` + string(r)
	}
	return string(r)
}
