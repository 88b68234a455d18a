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
	s := scanner{body: bytes.TrimSpace(body)}
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
	return l, !s.failed && s.at == len(s.body)
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
	body   []byte
	at     int    // what comes before has been read; no slice, since pointers cost more to write
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
	if declared := []byte(`<?xml version="1.0" encoding="UTF-8"?>`); bytes.HasPrefix(s.rest(), declared) {
		s.at += len(declared)
	}
}

// rest is what has not been read.
func (s *scanner) rest() []byte { return s.body[s.at:] }

// space skips white space.
func (s *scanner) space() {
	for s.at < len(s.body) && (s.body[s.at] == ' ' || s.body[s.at] == '\t' || s.body[s.at] == '\n') {
		s.at++
	}
}

// inside reports whether more elements come before the end of the one named, and skips that.
func (s *scanner) inside(name []byte) bool {
	s.space()
	if s.failed || !s.atEnd() {
		return !s.failed
	}
	s.close(name)
	return false
}

// atEnd reports whether the end of an element comes next.
func (s *scanner) atEnd() bool {
	rest := s.rest()
	return len(rest) > 1 && rest[0] == '<' && rest[1] == '/'
}

// close skips the end of the element named.
func (s *scanner) close(name []byte) {
	rest, n := s.rest(), len("</")+len(name)
	if !s.atEnd() || len(rest) <= n || string(rest[2:n]) != string(name) || rest[n] != '>' {
		s.failed = true
		return
	}
	s.at += n + 1
}

// open reads the beginning of an element. Attributes are skipped, and an empty element has its
// end with it.
func (s *scanner) open() (name []byte, empty bool) {
	s.space()
	rest, n := s.rest(), 1
	if len(rest) == 0 || rest[0] != '<' {
		s.failed = true
		return nil, false
	}
	for n < len(rest) && inName(rest[n], n == 1) {
		n++
	}
	if name = rest[1:n]; len(name) > 0 && n < len(rest) && rest[n] == '>' { // nearly all are so
		s.at += n + 1
		return name, false
	}
	more, after, ok := bytes.Cut(rest[n:], []byte(">"))
	s.at = len(s.body) - len(after)
	more, empty = bytes.CutSuffix(more, []byte("/"))
	s.failed = s.failed || !ok || len(name) == 0 || !plainAttributes(more)
	return name, empty
}

// inName reports whether a byte may stand in a plain name: a letter, or a digit if it is not the first.
func inName(c byte, first bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || !first && '0' <= c && c <= '9'
}

// plainAttributes reports whether what follows a name are no attributes but a name space.
func plainAttributes(b []byte) bool {
	if len(b) == 0 || len(b) == 1 && b[0] == ' ' {
		return true
	}
	value, ok := bytes.CutPrefix(b, []byte(` xmlns="`))
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
	if wanted || s.failed || s.atEnd() {
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

// What a byte means for text.
const (
	plainByte = iota
	endByte   // it begins a tag
	codedByte // it begins an entity
	oddByte   // text cannot plainly hold it
)

// meaning says what each byte means for text. Of 0xEF begin, among others, the two characters that XML
// forbids.
var meaning = func() (m [256]uint8) {
	for c := range 0x20 {
		if c != '\t' && c != '\n' {
			m[c] = oddByte
		}
	}
	m[']'], m[0xEF] = oddByte, oddByte
	m['<'], m['&'] = endByte, codedByte
	return m
}()

// plainText returns how many plain bytes come first, and what the one after them means.
func plainText(b []byte) (n int, next uint8) {
	for n, c := range b {
		if meaning[c] != plainByte {
			return n, meaning[c]
		}
	}
	return len(b), oddByte // a tag has to follow
}

// text reads up to the next tag. It knows the entities that servers write. What it returns is part
// of the answer, if there is none in it.
func (s *scanner) text() []byte {
	rest := s.rest()
	n, next := plainText(rest)
	if next == endByte && !s.failed {
		s.at += n
		return rest[:n]
	}
	if s.plain == nil {
		s.plain = make([]byte, 0, len(s.body)/8) // an ETag in quotes for each object
	}
	start := len(s.plain)
	for ; next == codedByte; n, next = plainText(rest) {
		name, after, ended := bytes.Cut(rest[n+1:], []byte(";"))
		c, known := entity(name)
		if !ended || !known {
			break
		}
		s.plain = append(s.plain, rest[:n]...)
		s.plain = append(s.plain, c)
		rest = after
	}
	s.plain = append(s.plain, rest[:n]...)
	s.at = len(s.body) - len(rest) + n
	s.failed = s.failed || next != endByte
	return s.plain[start:len(s.plain):len(s.plain)]
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
