package transfer

import (
	"context"
	"sync"

	"merkur/store/listing"
)

// splits are keys at which the listing of a side may be cut into ranges: where the leaves of its
// manifest begin, if it has one, or else what the scan of the other side comes to.
func (r *run) splits(ctx context.Context, s Side) func() (listing.Split, bool) {
	c := r.catalog
	if s.Place == r.o.From.Place {
		c = r.source
	}
	switch {
	case c != nil && c.Exists():
		var splits []listing.Split
		before := 0
		for leaf, err := range c.Tree(ctx).Leaves() {
			if err != nil {
				return nil // that they cannot be read is not the listing's business
			}
			splits = append(splits, listing.Split{Key: s.Prefix + leaf.First, Count: before})
			before = int(leaf.Files)
		}
		return listing.SplitsOf(splits)
	case r.lead != nil:
		return func() (listing.Split, bool) {
			split, more := r.lead.next()
			if split.Key != "" {
				split.Key = s.Prefix + split.Key
			}
			return split, more
		}
	}
	return nil
}

// maxLead is how many places a lead remembers: more than a scan is ahead of who reads it, so those
// that are forgotten lie behind.
const maxLead = 256

// A lead is where a scan is, which is ahead of the comparison: the places that it came to, for a
// listing of the other side.
type lead struct {
	mu     sync.Mutex
	places []listing.Split
	ended  bool
}

// tell says that the scan has come to a key, so many names behind the last one.
func (l *lead) tell(key string, names int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.places) == maxLead {
		l.places = l.places[1:]
	}
	l.places = append(l.places, listing.Split{Key: key, Count: names})
}

// end says that nothing more will be told.
func (l *lead) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// next returns the next place, without a key if there is none yet; more is false if there will be
// none.
func (l *lead) next() (s listing.Split, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.places) == 0 {
		return s, !l.ended
	}
	s, l.places = l.places[0], l.places[1:]
	return s, true
}
