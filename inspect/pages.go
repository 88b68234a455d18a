package inspect

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"merkur/manifest"
)

// A stretch is a leaf of a tree, or a page of it that cannot be read and what would be below it.
type stretch struct {
	ref manifest.Ref
	end string // no key in it is as great; empty: there is none behind it
	bad error  // why an index page cannot be read; nil: it is a leaf
}

func (s stretch) holds(key string) bool {
	return key >= s.ref.First && (s.end == "" || key < s.end)
}

// A survey is what the index pages of a tree say.
type survey struct {
	stretches []stretch
	live      map[manifest.PackName]uint64 // bytes in frames of the tree, by pack
}

// survey reads the index pages of the tree, each once, and lists what is below them.
func (c *committed) survey(ctx context.Context) (*survey, error) {
	s := &survey{live: map[manifest.PackName]uint64{}}
	return s, c.below(ctx, c.m.Root.Top, "", s)
}

func (c *committed) below(ctx context.Context, r manifest.Ref, end string, s *survey) error {
	s.live[r.At.Pack] += uint64(r.At.Len)
	if r.Level == 0 {
		s.stretches = append(s.stretches, stretch{ref: r, end: end})
		return nil
	}
	p, err := c.page(ctx, r)
	if err == nil {
		if n := len(p.Children); n == 0 || end != "" && p.Children[n-1].First >= end {
			err = fmt.Errorf("%w: index page at %q reaches into the next one at %q", manifest.ErrCorrupt, r.First, end)
		}
	}
	switch {
	case errors.Is(err, manifest.ErrCorrupt):
		s.stretches = append(s.stretches, stretch{ref: r, end: end, bad: err})
		return nil
	case err != nil:
		return err
	}
	for i, child := range p.Children {
		next := end
		if i+1 < len(p.Children) {
			next = p.Children[i+1].First
		}
		if err := c.below(ctx, child, next, s); err != nil {
			return err
		}
	}
	return nil
}

// A told is what the manifest tells next: an entry, or a stretch of keys of which it tells nothing any
// more because its page is damaged.
type told struct {
	entry manifest.Entry
	gap   *stretch // nil: it is an entry
}

func (t *told) key() string {
	if t.gap != nil {
		return t.gap.ref.First
	}
	return t.entry.Key
}

// pagesAhead is how many leaves are read at once.
const pagesAhead = 8

// tell yields all that the manifest tells, in key order.
func (c *committed) tell(ctx context.Context, s *survey) iter.Seq2[told, error] {
	type leaf struct {
		stretch
		page *manifest.Page
	}
	stretches := func(yield func(stretch, error) bool) {
		for _, st := range s.stretches {
			if !yield(st, nil) {
				return
			}
		}
	}
	read := func(ctx context.Context, st stretch) (l leaf, err error) {
		l.stretch = st
		if l.bad == nil {
			l.page, err = c.page(ctx, st.ref)
		}
		if err == nil && l.page != nil {
			if n := len(l.page.Entries); n > 0 && st.end != "" && l.page.Entries[n-1].Key >= st.end {
				err = fmt.Errorf("%w: page at %q reaches into the next one at %q", manifest.ErrCorrupt, st.ref.First, st.end)
			}
		}
		if errors.Is(err, manifest.ErrCorrupt) {
			l.bad, err = err, nil
		}
		return l, err
	}
	return func(yield func(told, error) bool) {
		for l, err := range inOrder(ctx, pagesAhead, stretches, read) {
			switch {
			case err != nil:
				yield(told{}, err)
				return
			case l.bad != nil:
				if !yield(told{gap: &l.stretch}, nil) {
					return
				}
				continue
			}
			for i := range l.page.Entries {
				if !yield(told{entry: l.page.Entries[i]}, nil) {
					return
				}
			}
		}
	}
}
