package manifest

import "fmt"

// An Update makes a new tree out of an old one and changes, taking over as they are the pages
// that no change touches.
type Update struct {
	Base Tree
	// Carry is asked for each page that could be taken over. It returns where the page is in
	// the new tree, or false if the page has to be taken apart. Nil takes all over.
	Carry func(Ref) (Location, bool, error)
	// Dropped is told of each page of the old tree that is not part of the new one. May be nil.
	Dropped func(Ref)
}

// Apply adds to b the entries of the base with the changes made: a change with New puts that
// entry, whatever was there; one without removes the key. Keys must ascend, or nothing is done. Old is
// not looked at. The caller finishes b.
func (u Update) Apply(b *Builder, changes []Change) error {
	for i := range changes {
		if i > 0 && changes[i].Key <= changes[i-1].Key {
			return fmt.Errorf("key %q is changed after %q", changes[i].Key, changes[i-1].Key)
		}
	}
	c := newTreeCursor(u.Base)
	for {
		s, err := c.peek()
		if err != nil {
			return err
		}
		switch {
		case s == nil && len(changes) == 0:
			return nil
		case s != nil && s.page != nil:
			if err := u.pass(b, c, s, changes); err != nil {
				return err
			}
		case s == nil || len(changes) > 0 && changes[0].Key <= s.entry.Key:
			if s != nil && changes[0].Key == s.entry.Key {
				c.next()
			}
			if e := changes[0].New; e != nil {
				if err := b.Add(*e); err != nil {
					return err
				}
			}
			changes = changes[1:]
		default:
			c.next()
			if err := b.Add(*s.entry); err != nil {
				return err
			}
		}
	}
}

// pass takes over the page under the cursor, or opens it.
func (u Update) pass(b *Builder, c cursor, s *span, changes []Change) error {
	last := s.end == ""
	touched := len(changes) > 0 && (last || changes[0].Key < s.end)
	if !touched && b.Aligned(s.page.Level) {
		at, ok, err := s.page.At, true, error(nil)
		if u.Carry != nil {
			at, ok, err = u.Carry(*s.page)
		}
		if err != nil {
			return fmt.Errorf("carry over page at %q: %w", s.page.First, err)
		}
		if ok {
			r := *s.page
			r.At = at
			c.next()
			return b.AddPage(r)
		}
	}
	if u.Dropped != nil {
		u.Dropped(*s.page)
	}
	return c.expand()
}
