package bucket

import (
	"bytes"
	"unicode/utf8"
)

// scanListing reads a listing as the servers write them, at a tenth of the cost of encoding/xml:
// of a bucket with a million objects, seconds instead of a good part of a minute. Its items are
// appended to those it is given, and are parts of the body. It reports false for whatever is not plainly a listing, such as comments.
func scanListing(body []byte, items []listed) (l listing, ok bool) {
	l.Contents = items
	if !utf8.Valid(body) || bytes.IndexByte(body, '\r') >= 0 {
		return l, false
	}
	s := scanner{rest: body}
	s.declaration()
	name, empty := s.open()
	if string(name) != "ListBucketResult" || empty {
		return l, false
	}
	for s.inside(name) {
		child, empty := s.open()
		switch {
		case s.failed:
			return l, false
		case empty:
		case string(child) == "Contents":
			l.Contents = append(l.Contents, s.item(child))
		default:
			s.leaf(child, l.field(child))
		}
	}
	return l, !s.failed && len(bytes.TrimSpace(s.rest)) == 0
}

// field returns where the text of an element of a listing belongs, nil for nowhere.
func (l *listing) field(name []byte) *string {
	switch string(name) {
	case "IsTruncated":
		return &l.IsTruncated
	case "NextContinuationToken":
		return &l.Next
	case "EncodingType":
		return &l.EncodingType
	}
	return nil
}

// field returns where the text of an element of an item belongs, nil for nowhere.
func (i *listed) field(name []byte) *[]byte {
	switch string(name) {
	case "Key":
		return &i.Key
	case "Size":
		return &i.Size
	case "ETag":
		return &i.ETag
	case "LastModified":
		return &i.LastModified
	case "StorageClass":
		return &i.StorageClass
	}
	return nil
}

// A scanner goes through the elements of simple XML. Once failed, it stays so.
type scanner struct {
	rest   []byte
	plain  []byte // text that had entities in it
	failed bool
}

// item reads the elements of an item up to its end.
func (s *scanner) item(name []byte) (i listed) {
	for s.inside(name) {
		child, empty := s.open()
		if empty {
			continue
		}
		to := i.field(child)
		if text := s.leafBytes(child, to != nil); to != nil {
			*to = text
		}
	}
	return i
}

// declaration skips the one of XML, if there is one.
func (s *scanner) declaration() {
	s.rest = bytes.TrimSpace(s.rest)
	if bytes.HasPrefix(s.rest, []byte(`<?xml version="1.0" encoding="UTF-8"?>`)) {
		_, s.rest, _ = bytes.Cut(s.rest, []byte("?>"))
	}
}

// space skips white space.
func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t' || s.rest[0] == '\n') {
		s.rest = s.rest[1:]
	}
}

// inside reports whether more elements come before the end of the one named, and skips that.
func (s *scanner) inside(name []byte) bool {
	s.space()
	if s.failed || !bytes.HasPrefix(s.rest, []byte("</")) {
		return !s.failed
	}
	s.close(name)
	return false
}

// close skips the end of the element named.
func (s *scanner) close(name []byte) {
	after, ok := bytes.CutPrefix(s.rest, []byte("</"))
	after, ok2 := bytes.CutPrefix(after, name)
	after, ok3 := bytes.CutPrefix(after, []byte(">"))
	s.failed = s.failed || !ok || !ok2 || !ok3
	s.rest = after
}

// open reads the beginning of an element. Attributes are skipped, and an empty element has its
// end with it.
func (s *scanner) open() (name []byte, empty bool) {
	s.space()
	tag, after, ok := bytes.Cut(s.rest, []byte(">"))
	if !ok || len(tag) < 2 || tag[0] != '<' {
		s.failed = true
		return nil, false
	}
	s.rest = after
	tag, empty = bytes.CutSuffix(tag[1:], []byte("/"))
	name, attributes, _ := bytes.Cut(tag, []byte(" "))
	s.failed = s.failed || !plainName(name) || !plainAttributes(attributes)
	return name, empty
}

// plainName reports whether a name has only letters, and digits after them.
func plainName(b []byte) bool {
	for i, c := range b {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return len(b) > 0
}

// plainAttributes reports whether there are none but a name space.
func plainAttributes(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	value, ok := bytes.CutPrefix(b, []byte(`xmlns="`))
	value, ok2 := bytes.CutSuffix(value, []byte(`"`))
	odd := func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '<' || c == '&' }
	return ok && ok2 && bytes.IndexFunc(value, odd) < 0
}

// leaf reads an element without its beginning and puts its text where to points; nil is nowhere.
func (s *scanner) leaf(name []byte, to *string) {
	if text := s.leafBytes(name, to != nil); to != nil && !s.failed {
		*to = string(text)
	}
}

// leafBytes reads an element without its beginning and returns its text. Where nobody wants that, the
// element may have others in it, but these no further ones.
func (s *scanner) leafBytes(name []byte, wanted bool) []byte {
	text := s.text()
	if wanted || s.failed || bytes.HasPrefix(s.rest, []byte("</")) {
		s.close(name)
		return text
	}
	for s.inside(name) {
		if child, empty := s.open(); !empty {
			s.text()
			s.close(child)
		}
	}
	return nil
}

// forbidden are the bytes that text cannot plainly hold. Of 0xEF begin, among others, the two
// characters that XML forbids.
var forbidden = func() (odd [256]bool) {
	for c := range 0x20 {
		odd[c] = c != '\t' && c != '\n'
	}
	odd[']'], odd[0xEF] = true, true
	return odd
}()

// text reads up to the next tag. It knows the entities that servers write. What it returns is part
// of the answer, if there is none in it.
func (s *scanner) text() []byte {
	end := bytes.IndexByte(s.rest, '<')
	if s.failed || end < 0 {
		s.failed = true
		return nil
	}
	b := s.rest[:end]
	s.rest = s.rest[end:]
	for _, c := range b {
		if forbidden[c] {
			s.failed = true
		}
	}
	if bytes.IndexByte(b, '&') < 0 {
		return b
	}
	start := len(s.plain)
	for {
		before, after, found := bytes.Cut(b, []byte("&"))
		s.plain = append(s.plain, before...)
		if !found {
			return s.plain[start:len(s.plain):len(s.plain)]
		}
		name, after, ended := bytes.Cut(after, []byte(";"))
		c, known := entity(name)
		if !ended || !known {
			s.failed = true
			return nil
		}
		s.plain = append(s.plain, c)
		b = after
	}
}

// entity is the character that an entity stands for.
func entity(name []byte) (byte, bool) {
	switch string(name) {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot", "#34":
		return '"', true
	case "apos", "#39":
		return '\'', true
	}
	return 0, false
}
