package catalog

import (
	"slices"
	"sync"

	"merkur/manifest"
)

// The pages of a tree that is read in key order lie one behind the other in their packs, as a rule. Where
// that is seen, more is asked for than the page that is wanted: a cold read of a large tree then takes a
// request for each MiB, not one for each page.
const (
	aheadFirst  = 128 << 10 // bytes asked for when a page follows the last one; then twice as many each time
	aheadMost   = 1 << 20
	aheadGap    = 64 << 10 // what may lie between two pages: an index page, pages of older trees
	streamsMost = 8        // of a tree whose leaves lie in several packs, or of two trees
)

// A stream is a pack that is being read from one place on.
type stream struct {
	pack   manifest.PackName
	end    uint64 // of the page that was wanted last
	window uint64 // bytes asked for last
	off    uint64 // where have begins
	have   []byte
}

// An ahead has what was read of packs beyond what was asked for. Its zero value has nothing.
type ahead struct {
	mu      sync.Mutex
	streams []*stream // the last used first
}

// find returns the bytes of a page in a pack. Where it has not got them, it says how many should be
// asked for from the page on, at least those of the page.
func (a *ahead) find(at manifest.Location) (frame []byte, want uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from, to := at.Off, at.Off+uint64(at.Len)
	for i, s := range a.streams {
		read := from >= s.off && to <= s.off+uint64(len(s.have))
		if s.pack != at.Pack || !read && (from < s.end || from-s.end > aheadGap) {
			continue
		}
		a.streams = slices.Insert(slices.Delete(a.streams, i, i+1), 0, s)
		s.end = to
		if read {
			return s.have[from-s.off : to-s.off : to-s.off], 0
		}
		s.window = min(max(2*s.window, aheadFirst), aheadMost)
		return nil, max(s.window, to-from)
	}
	a.streams = slices.Insert(a.streams, 0, &stream{pack: at.Pack, end: to})
	a.streams = a.streams[:min(len(a.streams), streamsMost)]
	return nil, to - from
}

// keep keeps what was read from a page on, for the pages that follow.
func (a *ahead) keep(at manifest.Location, b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.streams {
		if s.pack == at.Pack && s.end == at.Off+uint64(at.Len) {
			s.off, s.have = at.Off, b
			return
		}
	}
}
