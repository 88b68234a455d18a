package headers

import (
	"encoding/json"
	"fmt"
	"strings"
)

// ParseMetadata reads what aws takes after --metadata: a map in JSON, {"name":"value"}, or aws's
// shorthand, name=value,name=value. In the shorthand a value may stand in quotes of either kind,
// in which \" (or \') and \\ mean the quote and the backslash; without quotes, \, means a comma,
// and spaces around names and values are dropped.
//
// Names are returned in lower case, as S3 stores them. It is an error if a name comes twice, in
// whatever case, is empty or cannot be part of the name of a header; or if a value is a list, is
// not ASCII or has control characters. The "@=" of the shorthand, which reads a value from a
// file, is not known. No metadata are nil.
func ParseMetadata(text string) (map[string]string, error) {
	parse := parseShorthand
	if s := strings.TrimSpace(text); strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		parse = parseJSON
	}
	var s Set
	err := parse(text, func(name, value string) error {
		name = strings.ToLower(name)
		if _, twice := s.Metadata[name]; twice {
			return fmt.Errorf("the name %q comes twice", name)
		}
		if s.Metadata == nil {
			s.Metadata = make(map[string]string)
		}
		s.Metadata[name] = strings.Trim(value, " \t") // what no header keeps
		return nil
	})
	if err == nil {
		err = s.Valid()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the metadata %q: %w", text, err)
	}
	return s.Metadata, nil
}

func parseJSON(text string, put func(name, value string) error) error {
	var m map[string]*string
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
	for name, value := range m {
		if value == nil {
			return fmt.Errorf("the value of %q is null", name)
		}
		if err := put(name, *value); err != nil {
			return err
		}
	}
	return nil
}

func parseShorthand(rest string, put func(name, value string) error) error {
	for {
		name, after := cutName(rest)
		after, found := strings.CutPrefix(after, "=")
		if !found {
			return fmt.Errorf(`there is no "=" after %q; a value with a comma in it needs quotes`, name)
		}
		value, after, err := cutValue(trimLeft(after))
		if err != nil {
			return err
		}
		if err := put(name, value); err != nil {
			return err
		}
		after = trimLeft(after)
		if after == "" {
			return nil
		}
		if rest, found = strings.CutPrefix(after, ","); !found {
			return fmt.Errorf("after the value of %q a comma must come, not %q", name, after[:1])
		}
		rest = trimLeft(rest)
		if twice, ok := strings.CutPrefix(rest, ","); ok { // aws overlooks that one
			rest = trimLeft(twice)
		}
	}
}

// space is what is dropped around names and values.
const space = " \t\n\r\v\f"

func trimLeft(s string) string { return strings.TrimLeft(s, space) }

// cutName cuts the longest name off s, and the space that follows.
func cutName(s string) (name, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("-_.#/:", r)
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], trimLeft(s[end:])
}

func cutValue(s string) (value, rest string, err error) {
	if s == "" {
		return "", "", nil
	}
	switch s[0] {
	case '\'', '"':
		return cutQuoted(s)
	case '[', '{':
		return "", "", fmt.Errorf("a value that begins with %q needs quotes", s[:1])
	}
	value, rest = cutBare(s)
	return value, rest, nil
}

// cutBare cuts a value without quotes off s. It cannot begin with "=", nor go on with "]" or "}".
func cutBare(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		stop := `"',]}`
		if i == 0 {
			stop = `"',=`
		}
		switch {
		case strings.HasPrefix(s[i:], `\,`):
			b.WriteByte(',')
			i++
		case strings.IndexByte(stop, s[i]) >= 0:
			return strings.TrimRight(b.String(), space), s[i:]
		default:
			b.WriteByte(s[i])
		}
	}
	return strings.TrimRight(b.String(), space), ""
}

// cutQuoted cuts a quoted value off s. It ends at the first quote without a backslash before it,
// or if there is none, at the last quote: so a value may end in a backslash.
func cutQuoted(s string) (value, rest string, err error) {
	quote, end := s[:1], 0
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			continue
		}
		end = i
		if i == 1 || s[i-1] != '\\' {
			break
		}
	}
	if end == 0 {
		return "", "", fmt.Errorf("the quote that begins %s is not closed", s)
	}
	value = strings.ReplaceAll(s[1:end], `\`+quote, quote)
	return strings.ReplaceAll(value, `\\`, `\`), s[end+1:], nil
}
