package manifest

import (
	"iter"
	"strings"
)

// A Fetch returns the stored bytes of a page. What it returns is checked against the ref.
type Fetch func(Ref) ([]byte, error)

// A Tree is a root and the means to get at the pages below it.
type Tree struct {
	Root  Root
	Fetch Fetch
}

func (t Tree) page(r Ref) (*Page, error) {
	frame, err := t.Fetch(r)
	if err != nil {
		return nil, err
	}
	return DecodeFrame(frame, r)
}

// Entries yields the entries of the tree whose keys are at least from, in key order.
// It fetches only the pages that can hold them.
func (t Tree) Entries(from string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := newTreeCursor(t)
		for {
			s, err := c.peek()
			switch {
			case err != nil:
				yield(Entry{}, err)
				return
			case s == nil:
				return
			case s.end != "" && s.end <= from || s.page == nil && s.entry.Key < from:
				c.next()
			case s.page != nil:
				if err := c.expand(); err != nil {
					yield(Entry{}, err)
					return
				}
			default:
				c.next()
				if !yield(*s.entry, nil) {
					return
				}
			}
		}
	}
}

// Get returns the entry under a key, if there is one.
func (t Tree) Get(key string) (Entry, bool, error) {
	for e, err := range t.Find([]string{key}) {
		return e, err == nil, err
	}
	return Entry{}, false, nil
}

// Find yields the entries under those of the ascending keys that are in the tree. It fetches
// each page that can hold one of them once.
func (t Tree) Find(keys []string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := newTreeCursor(t)
		for len(keys) > 0 {
			s, err := c.peek()
			switch {
			case err != nil:
				yield(Entry{}, err)
				return
			case s == nil:
				return
			case keys[0] < s.first():
				keys = keys[1:]
			case s.page != nil && s.end != "" && s.end <= keys[0]:
				c.next()
			case s.page != nil:
				if err := c.expand(); err != nil {
					yield(Entry{}, err)
					return
				}
			default:
				c.next()
				if s.entry.Key == keys[0] && !yield(*s.entry, nil) {
					return
				}
			}
		}
	}
}

// Pick yields the entries at some positions, which ascend and count from 0 in key order. It fetches
// only the pages that hold one of them.
func (t Tree) Pick(positions []uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := newTreeCursor(t)
		for before := uint64(0); len(positions) > 0; {
			s, err := c.peek()
			switch {
			case err != nil:
				yield(Entry{}, err)
				return
			case s == nil:
				return
			case s.page != nil && before+s.page.Files <= positions[0]:
				before += s.page.Files
				c.next()
			case s.page != nil:
				if err := c.expand(); err != nil {
					yield(Entry{}, err)
					return
				}
			default:
				wanted := before == positions[0]
				before++
				c.next()
				if !wanted {
					continue
				}
				if positions = positions[1:]; !yield(*s.entry, nil) {
					return
				}
			}
		}
	}
}

// Leaves yields the leaves of the tree in key order, without fetching any of them.
func (t Tree) Leaves() iter.Seq2[Ref, error] { return t.LeavesFrom("") }

// LeavesFrom yields the leaves from the one on that may hold the key from.
func (t Tree) LeavesFrom(from string) iter.Seq2[Ref, error] {
	return func(yield func(Ref, error) bool) {
		c := newTreeCursor(t)
		for {
			s, err := c.peek()
			switch {
			case err != nil:
				yield(Ref{}, err)
				return
			case s == nil:
				return
			case s.end != "" && s.end <= from:
				c.next()
			case s.page.Level == 0:
				c.next()
				if !yield(*s.page, nil) {
					return
				}
			default:
				if err := c.expand(); err != nil {
					yield(Ref{}, err)
					return
				}
			}
		}
	}
}

// Subtree folds the entries below prefix as if prefix were the root of a tree of its own, so
// that equal directories have equal roots wherever they lie. It reads manifest pages only.
func (t Tree) Subtree(prefix string) (Root, error) {
	b := NewBuilder(nil)
	for e, err := range t.Entries(prefix) {
		if err != nil {
			return Root{}, err
		}
		rest, below := strings.CutPrefix(e.Key, prefix)
		if !below {
			break
		}
		if rest == "" || strings.HasPrefix(rest, Reserved) {
			continue // the marker of the directory itself, and what would be reserved there
		}
		e.Key = rest
		if err := b.Add(e); err != nil {
			return Root{}, err
		}
	}
	return b.Finish()
}

// A span is a stretch of a tree that a cursor stands before: one entry, or one page with all
// that is below it.
type span struct {
	entry *Entry // nil for a page
	page  *Ref   // nil for an entry
	end   string // no key below the page is as great; "" if the page is the last of its level
}

func (s *span) first() string {
	if s.page != nil {
		return s.page.First
	}
	return s.entry.Key
}

// depth orders spans by how much they cover: -1 for an entry, else the level of the page.
func (s *span) depth() int {
	if s.page != nil {
		return int(s.page.Level)
	}
	return -1
}

// A cursor walks a tree in key order and descends only where it is told to.
type cursor interface {
	peek() (*span, error) // nil at the end
	next()                // step over what peek returned
	expand() error        // replace the page that peek returned by what is in it
}

// A treeCursor walks a stored tree.
type treeCursor struct {
	tree  Tree
	stack [][]span // per level, what is left of the page being walked
}

func newTreeCursor(t Tree) *treeCursor {
	c := &treeCursor{tree: t}
	if t.Root.Top.Files > 0 {
		c.stack = append(c.stack, []span{{page: &t.Root.Top}})
	}
	return c
}

func (c *treeCursor) peek() (*span, error) {
	for len(c.stack) > 0 {
		if top := c.stack[len(c.stack)-1]; len(top) > 0 {
			return &top[0], nil
		}
		c.stack = c.stack[:len(c.stack)-1]
	}
	return nil, nil
}

func (c *treeCursor) next() {
	top := &c.stack[len(c.stack)-1]
	*top = (*top)[1:]
}

func (c *treeCursor) expand() error {
	s, _ := c.peek()
	p, err := c.tree.page(*s.page)
	if err != nil {
		return err
	}
	spans, err := spansOf(p, s.end)
	if err != nil {
		return err
	}
	c.next()
	c.stack = append(c.stack, spans)
	return nil
}

// spansOf lists what is in a page whose parent says that its keys are smaller than end. A page
// that reaches further would let keys appear twice.
func spansOf(p *Page, end string) ([]span, error) {
	spans := make([]span, 0, p.count())
	for i := range p.Entries {
		spans = append(spans, span{entry: &p.Entries[i]})
	}
	for i := range p.Children {
		spans = append(spans, span{page: &p.Children[i], end: end})
		if i > 0 {
			spans[i-1].end = p.Children[i].First
		}
	}
	if n := len(spans); n > 0 && end != "" && spans[n-1].first() >= end {
		return nil, corrupt("page at %q reaches into the next one at %q", spans[0].first(), end)
	}
	return spans, nil
}
