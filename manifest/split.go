package manifest

import "github.com/cespare/xxhash/v2"

// MaxPage is the most entries of a leaf, or children of an index page.
const MaxPage = 4096

// A page ends before its minimum only where its level ends, and from then on at one key in as many: so the
// mean page has twice the minimum. That makes a leaf of some 40 kB and an index page of 10, of which a commit
// writes one a level for each change.
const (
	minLeaf  = 256
	minIndex = 64
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
	least := minLeaf
	if level > 0 {
		least = minIndex
	}
	if n < least {
		return false
	}
	s.hash.ResetWithSeed(uint64(level))
	s.hash.WriteString(key)
	return s.hash.Sum64()%uint64(least) == 0
}
