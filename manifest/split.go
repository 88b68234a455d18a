package manifest

import "github.com/cespare/xxhash/v2"

// The bounds of a page, counted in entries of a leaf or children of an index page.
const (
	MinPage = 512  // a page ends earlier only where its level ends
	MaxPage = 4096 // a page never has more
	maskEnd = 511  // one key in 512 may end a page, so that the mean page has 1,024
)

// A splitter decides where pages end. It looks at keys and counts alone, never at what is
// stored under a key: so the edit of a file moves no boundary, and two builders of the same
// set of keys cut it alike without having met.
type splitter struct{ hash *xxhash.Digest }

func newSplitter() splitter { return splitter{xxhash.New()} }

// ends reports whether a page of the level ends after key, its n-th entry. The key of a child
// of an index page is its first key.
func (s splitter) ends(level uint8, n int, key string) bool {
	if n >= MaxPage {
		return true
	}
	if n < MinPage {
		return false
	}
	s.hash.ResetWithSeed(uint64(level))
	s.hash.WriteString(key)
	return s.hash.Sum64()&maskEnd == 0
}
