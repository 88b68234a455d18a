package settings

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// A document is a file: its sections by header, and the headers as they stand in it.
type document struct {
	headers  []string
	sections map[string]section
}

// A section has the values below a header by their keys, which are in lower case.
type section map[string]*value

// A value is a text of one or more lines, or what is nested below a key that has none.
type value struct {
	file   string
	lines  []string
	nested map[string]string
}

func (v *value) text() string { return strings.Join(v.lines, "\n") }

// inherited is the header whose keys are in every section.
const inherited = "DEFAULT"

// A reader has what was read so far.
type reader struct {
	document
	file   string
	now    section // that the last header began; nil before the first one
	last   *value  // of the last key in it; nil before the first one
	indent int     // of the last header or key
}

var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// parse reads the text of a file, in the syntax of the package comment. The rules of
// indentation are those of Python's configparser. Parsers of INI files for Go take every
// indented line for a nested one, so that in a profile that is indented as a whole they lose
// the keys behind the first nested section, and give quotes a meaning that they do not have
// here.
func parse(text, file string) (document, error) {
	r := reader{document: document{sections: map[string]section{}}, file: file}
	for i, line := range strings.Split(newlines.Replace(text), "\n") {
		if err := r.line(line); err != nil {
			return document{}, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for _, s := range r.sections {
		for key, v := range r.sections[inherited] {
			if s[key] == nil {
				s[key] = v
			}
		}
	}
	return r.document, nil
}

// line takes in the next line. Errors do not show it: it may be a secret.
func (r *reader) line(line string) error {
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '#' || text[0] == ';' {
		return nil
	}
	indent := len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
	if r.last != nil && indent > r.indent {
		return r.last.extend(text)
	}
	r.indent = indent
	if end := strings.LastIndexByte(text, ']'); text[0] == '[' && end > 1 {
		return r.begin(text[1:end])
	}
	return r.assign(text)
}

// begin takes in a header.
func (r *reader) begin(header string) error {
	r.now, r.last = r.sections[header], nil
	if r.now != nil && header != inherited {
		return fmt.Errorf("section %s already exists", header)
	}
	if r.now == nil {
		r.now = section{}
		r.sections[header] = r.now
		r.headers = append(r.headers, header)
	}
	return nil
}

// assign takes in a key and what stands beside it.
func (r *reader) assign(text string) error {
	at := strings.IndexAny(text, "=:")
	switch {
	case r.now == nil:
		return errors.New("no section begins before it")
	case at < 1:
		return errors.New("neither a section nor a key")
	}
	key := strings.ToLower(strings.TrimSpace(text[:at]))
	if r.now[key] != nil {
		return fmt.Errorf("key %s already exists", key)
	}
	r.last = &value{file: r.file}
	if beside := strings.TrimSpace(text[at+1:]); beside != "" {
		r.last.lines = []string{beside}
	}
	r.now[key] = r.last
	return nil
}

// extend takes in a further line of a value.
func (v *value) extend(text string) error {
	if len(v.lines) > 0 {
		v.lines = append(v.lines, text)
		return nil
	}
	name, nested, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New(`a nested line without "="`)
	}
	if v.nested == nil {
		v.nested = map[string]string{}
	}
	v.nested[strings.TrimSpace(name)] = strings.TrimSpace(nested)
	return nil
}

// words splits a text as a shell does. It returns nil if a quote is not closed.
func words(text string) []string {
	var done []string
	var word strings.Builder
	begun, escaped := false, false
	quote := rune(0)
	for _, c := range text {
		switch {
		case escaped:
			if quote != 0 && c != quote && c != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			begun, escaped = true, true
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			begun, quote = true, c
		case quote == 0 && strings.ContainsRune(" \t\r\n", c):
			if begun {
				done = append(done, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(c)
		}
	}
	if quote != 0 || escaped {
		return nil
	}
	if begun {
		done = append(done, word.String())
	}
	return done
}
