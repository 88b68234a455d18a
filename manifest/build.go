package manifest

import "fmt"

// A Sink takes each page as it closes, lowest level first, and says where it put it. A sink
// that only wants to know the root returns the zero location.
type Sink func(*Page) (Location, error)

// A Builder folds entries, added in key order, into pages and these into a root. It holds one
// open page a level, whatever the size of the tree.
type Builder struct {
	sink   Sink
	split  splitter
	levels []level
	last   string // greatest key added so far
	reuse  bool
}

// A level is the open page of one level, and how many pages of that level have closed. Two
// stands for any greater number.
type level struct {
	open   Page
	closed int
}

// NewBuilder returns a builder that hands pages to sink; nil drops them.
func NewBuilder(sink Sink) *Builder {
	if sink == nil {
		sink = func(*Page) (Location, error) { return Location{}, nil }
	}
	return &Builder{sink: sink, split: newSplitter(), levels: []level{{}}}
}

// ReuseLeaves has the builder write each leaf where it wrote the one before: the entries that a sink is given
// are its own only until it returns.
func (b *Builder) ReuseLeaves() { b.reuse = true }

// Add appends an entry, whose key must be greater than all before it.
func (b *Builder) Add(e Entry) error {
	if err := e.Valid(); err != nil {
		return err
	}
	if e.Key <= b.last {
		return fmt.Errorf("key %q is added after %q", e.Key, b.last)
	}
	b.last = e.Key
	open := &b.levels[0].open
	open.Entries = append(open.Entries, e)
	if b.split.ends(0, len(open.Entries), e.Key) {
		return b.close(0)
	}
	return nil
}

// Aligned reports whether a closed page of the level could be carried over with AddPage: every
// page up to that level has just closed.
func (b *Builder) Aligned(lvl uint8) bool {
	for i := range min(int(lvl)+1, len(b.levels)) {
		if b.levels[i].open.count() > 0 {
			return false
		}
	}
	return true
}

// AddPage appends all entries below a page of another tree without looking at them. The
// builder must be aligned for its level, and the page must have been closed by the rule of
// splitting, unless it is the last thing added. The next key must be greater than those below
// the page; that is for the caller to know.
func (b *Builder) AddPage(r Ref) error {
	if !b.Aligned(r.Level) || r.First <= b.last {
		return fmt.Errorf("page at %q does not fit after %q", r.First, b.last)
	}
	b.last = r.First
	for len(b.levels) <= int(r.Level) {
		b.levels = append(b.levels, level{open: Page{Level: uint8(len(b.levels))}})
	}
	for i := range r.Level {
		b.levels[i].closed = 2 // below an index page there are several
	}
	b.levels[r.Level].closed++
	return b.addChild(r)
}

// addChild appends a closed page to the open page of the level above its own.
func (b *Builder) addChild(r Ref) error {
	up := int(r.Level) + 1
	if up > maxLevel {
		return fmt.Errorf("tree of more than %d levels", maxLevel)
	}
	if up == len(b.levels) {
		b.levels = append(b.levels, level{open: Page{Level: uint8(up)}})
	}
	open := &b.levels[up].open
	open.Children = append(open.Children, r)
	if b.split.ends(uint8(up), len(open.Children), r.First) {
		return b.close(up)
	}
	return nil
}

// roomyLeaf is how many entries most leaves have at most.
const roomyLeaf = 3 * minLeaf

// close hands the open page of a level to the sink and its ref to the level above. The page
// stays open meanwhile, so that Sealed, called by the sink, reaches its children too.
func (b *Builder) close(lvl int) error {
	l := &b.levels[lvl]
	page := l.open
	at, err := b.sink(&page)
	if err != nil {
		return err
	}
	ref := page.Ref()
	l.open = Page{Level: uint8(lvl)}
	switch {
	case lvl > 0:
	case b.reuse:
		l.open.Entries = page.Entries[:0]
	default:
		l.open.Entries = make([]Entry, 0, roomyLeaf) // more are likely to come
	}
	l.closed++
	ref.At = at
	return b.addChild(ref)
}

// Finish closes what is open and returns the root. Nothing may be added after it.
func (b *Builder) Finish() (Root, error) {
	for lvl := 0; ; lvl++ {
		l := &b.levels[lvl]
		if l.open.count() > 0 || lvl == 0 && l.closed == 0 {
			if err := b.close(lvl); err != nil {
				return Root{}, err
			}
		}
		if b.levels[lvl].closed == 1 {
			return RootOf(b.levels[lvl+1].open.Children[0]), nil
		}
	}
}

// Sealed tells the builder that the pages handed out so far with the zero pack have been
// stored under a name. A sink may call it before it stores the page it was given.
func (b *Builder) Sealed(name PackName) {
	for i := range b.levels {
		for j := range b.levels[i].open.Children {
			if at := &b.levels[i].open.Children[j].At; at.Pack == (PackName{}) {
				at.Pack = name
			}
		}
	}
}

func (p *Page) count() int { return len(p.Entries) + len(p.Children) }

// A Root is a whole tree: the digest of its content and the page at its top.
type Root struct {
	Digest Digest
	Top    Ref
}

// RootOf returns the root of the tree that has the page at its top.
func RootOf(top Ref) Root { return Root{Digest: rootDigest(top), Top: top} }
