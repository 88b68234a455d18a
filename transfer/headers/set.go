package headers

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Set is the set of headers that an object is stored with. The zero value is none. A map that
// is in a set is shared with others and never changed.
type Set struct {
	ContentType        string
	ContentEncoding    string
	ContentLanguage    string
	ContentDisposition string
	CacheControl       string
	Expires            string // an HTTP date, as ParseExpires returns it
	WebsiteRedirect    string
	Metadata           map[string]string // by name in lower case, without x-amz-meta-; a value may be empty
}

// A field is a header that has a place of its own in a set.
type field struct {
	name string // in lower case
	in   func(*Set) *string
}

// fields are sorted by name. The prefix of metadata sorts before the last of them.
var fields = []field{
	{"cache-control", func(s *Set) *string { return &s.CacheControl }},
	{"content-disposition", func(s *Set) *string { return &s.ContentDisposition }},
	{"content-encoding", func(s *Set) *string { return &s.ContentEncoding }},
	{"content-language", func(s *Set) *string { return &s.ContentLanguage }},
	{"content-type", func(s *Set) *string { return &s.ContentType }},
	{"expires", func(s *Set) *string { return &s.Expires }},
	{"x-amz-website-redirect-location", func(s *Set) *string { return &s.WebsiteRedirect }},
}

const metaPrefix = "x-amz-meta-"

// Over returns the headers of s, and those of t that s does not say. Each name of the metadata is
// a header for itself: the metadata are merged, and a name that both have is that of s, even if
// its value is empty.
func (s Set) Over(t Set) Set {
	for _, f := range fields {
		if v := f.in(&s); *v == "" {
			*v = *f.in(&t)
		}
	}
	switch {
	case len(s.Metadata) == 0:
		s.Metadata = t.Metadata
	case len(t.Metadata) > 0:
		merged := maps.Clone(t.Metadata)
		maps.Copy(merged, s.Metadata)
		s.Metadata = merged
	}
	return s
}

// Tag identifies the set: equal sets have equal tags, and different ones different tags but for
// an accident of one in 2^64. The zero Set has tag 0. Tags are stored, and are the same for ever:
//
// The headers of the set are written one after the other, sorted by the bytes of their names.
// A header is the length of its name, its name, the length of its value and its value. Names are
// those on the wire in lower case, as "content-type" and "x-amz-meta-team"; lengths are in bytes,
// as 4 bytes with the highest first. A header without a value is left out, but not metadata, whose
// value may be empty. The tag is the first 8 bytes of the SHA-256 of all that, highest first. If
// that is 0, the tag is 1; if there is no header, it is 0.
func (s Set) Tag() uint64 {
	var b []byte
	for name, value := range s.headers() {
		b = appendString(appendString(b, name), value)
	}
	if len(b) == 0 {
		return 0
	}
	sum := sha256.Sum256(b)
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// headers are the headers of the set by their names on the wire in lower case, sorted.
func (s Set) headers() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		last := len(fields) - 1
		for _, f := range fields[:last] {
			if v := *f.in(&s); v != "" && !yield(f.name, v) {
				return
			}
		}
		for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
			if !yield(metaPrefix+key, s.Metadata[key]) {
				return
			}
		}
		if v := s.WebsiteRedirect; v != "" {
			yield(fields[last].name, v)
		}
	}
}

// Valid reports what keeps the set from being sent, or from being stored by S3: control
// characters and what is not UTF-8; metadata whose name is no name of a header, is not in lower
// case or whose value is not ASCII; a date that is not in the form that ParseExpires returns; a
// redirect that is neither a key nor a URL.
func (s Set) Valid() error {
	for name, value := range s.headers() {
		key, meta := strings.CutPrefix(name, metaPrefix)
		switch {
		case !printable(value):
			return fmt.Errorf("%s: %q has characters that a header cannot hold", name, value)
		case meta && !token(key):
			return fmt.Errorf("%q cannot be the name of metadata", key)
		case meta && !ascii(value):
			return fmt.Errorf("%s: %q is not ASCII, as metadata must be", name, value)
		}
	}
	if at, err := ParseExpires(s.Expires); err != nil || at != s.Expires {
		return fmt.Errorf("expires: %q is not an HTTP date", s.Expires)
	}
	if to := s.WebsiteRedirect; to != "" && !redirect(to) {
		return fmt.Errorf("x-amz-website-redirect-location: %q begins with neither / nor http:// nor https://", to)
	}
	return nil
}

func redirect(to string) bool {
	return strings.HasPrefix(to, "/") || strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://")
}

// printable reports whether a header can have the value.
func printable(value string) bool {
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	return utf8.ValidString(value) && !strings.ContainsFunc(value, control)
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// token reports whether s can be (part of) the name of a header, in lower case.
func token(s string) bool {
	no := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	return s != "" && !strings.ContainsFunc(s, no)
}
