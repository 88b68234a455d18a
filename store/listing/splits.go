package listing

import (
	"strings"
	"unicode/utf8"
)

// splitSize is how many objects a piece between two splits has at least, unless these are farther
// apart. As many as a few more fill four pages.
const splitSize = pieceSize - pageSize/2

// splits are the hints where to cut, dense or sparse, brought down to those worth a cut.
type splits struct {
	next   func() (Split, bool) // nil: there are no more
	passed int                  // objects since the last cut, or since the first key in question
}

// in returns the next split that lies behind the key after and before the end, if there is one, with
// the prefix, and how many objects are expected between. Without a key, more says whether one may
// be known later; if not, count is how many are expected to the end. Those before it are of no use
// any more.
func (s *splits) in(after, end, prefix string) (key string, count int, more bool) {
	for s.next != nil {
		split, more := s.next()
		switch key := split.Key; {
		case !more || end != "" && key >= end:
			s.next = nil
		case key == "":
			return "", 0, true
		case key <= after:
			s.passed = 0
		default:
			s.passed += max(split.Count, 0)
			if s.passed >= splitSize && strings.HasPrefix(key, prefix) && utf8.ValidString(key) {
				count, s.passed = s.passed, 0
				return key, count, true
			}
		}
	}
	return "", s.passed, false
}
