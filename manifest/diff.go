package manifest

import (
	"cmp"
	"iter"
)

// A Change is a key at which two trees differ. At least one of Old and New is set; both are,
// and unequal, where the key is in both trees.
type Change struct {
	Key string
	Old *Entry // nil: the key is new
	New *Entry // nil: the key is gone
}

// Diff yields the changes that lead from old to new, in key order. It fetches only pages whose
// idents differ, so that its cost goes with the number of changes and not with the trees.
func Diff(old, new Tree) iter.Seq2[Change, error] {
	return diff(newTreeCursor(old), newTreeCursor(new))
}

// DiffPages is Diff for a new tree that is just being folded: pages are its leaves, in key
// order, as a Sink gets them. It takes a page only when it has come to its keys, keeps nothing of the one
// before by then, and stops taking when the caller stops.
func DiffPages(old Tree, pages iter.Seq2[*Page, error]) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		next, stop := iter.Pull2(pages)
		defer stop()
		diff(newTreeCursor(old), &leafCursor{pull: next})(yield)
	}
}

func diff(old, new cursor) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for {
			c, done, err := step(old, new)
			switch {
			case err != nil:
				yield(Change{}, err)
				return
			case done:
				return
			case c.Key != "" && !yield(c, nil):
				return
			}
		}
	}
}

// step moves one or both cursors on. It returns the change it came upon, if it did.
func step(old, new cursor) (c Change, done bool, err error) {
	a, err := old.peek()
	if err != nil {
		return c, false, err
	}
	b, err := new.peek()
	if err != nil {
		return c, false, err
	}
	switch {
	case a == nil && b == nil:
		return c, true, nil
	case a != nil && b != nil && samePage(a, b):
		old.next()
		new.next()
	case descendFirst(a, b):
		return c, false, old.expand()
	case descendFirst(b, a):
		return c, false, new.expand()
	default:
		c = change(a, b)
		if a != nil && a.entry.Key == c.Key {
			old.next()
		}
		if b != nil && b.entry.Key == c.Key {
			new.next()
		}
		if c.Old != nil && c.New != nil && c.Old.Equal(*c.New) {
			c = Change{}
		}
	}
	return c, false, nil
}

func samePage(a, b *span) bool {
	return a.page != nil && b.page != nil && a.page.Level == b.page.Level &&
		a.page.First == b.page.First && a.page.Ident == b.page.Ident
}

// descendFirst reports whether a is a page to be opened now: it is the higher one, or the one
// that begins first of two that are equally high. Unequal pages that begin together are opened
// one after the other.
func descendFirst(a, b *span) bool {
	if a == nil || a.page == nil {
		return false
	}
	if b == nil {
		return true
	}
	if c := cmp.Compare(a.depth(), b.depth()); c != 0 {
		return c > 0
	}
	return a.first() <= b.first()
}

// change says how the entries two cursors stand before differ: the smaller key is in one tree
// only. It copies the entries, since a change kept for long should not keep whole pages.
func change(a, b *span) Change {
	switch {
	case b == nil || a != nil && a.entry.Key < b.entry.Key:
		old := *a.entry
		return Change{Key: old.Key, Old: &old}
	case a == nil || b.entry.Key < a.entry.Key:
		new := *b.entry
		return Change{Key: new.Key, New: &new}
	}
	old, new := *a.entry, *b.entry
	return Change{Key: old.Key, Old: &old, New: &new}
}

// A leafCursor walks leaves that come one after the other and of which no index is known.
type leafCursor struct {
	pull func() (*Page, error, bool)
	page *Page // the leaf that ref stands for, until it is expanded
	at   []span
	err  error
}

func (c *leafCursor) peek() (*span, error) {
	for len(c.at) == 0 && c.err == nil {
		p, err, ok := c.pull()
		if !ok {
			return nil, nil
		}
		c.page, c.err = p, err
		if err == nil && p.count() > 0 {
			r := p.Ref()
			c.at = []span{{page: &r}}
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	return &c.at[0], nil
}

func (c *leafCursor) next() { c.at = c.at[1:] }

func (c *leafCursor) expand() error {
	c.at, c.err = spansOf(c.page, "")
	return c.err
}
