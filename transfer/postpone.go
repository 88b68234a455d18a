package transfer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"syscall"

	"merkur/manifest"
	"merkur/store/bucket"
)

// Where a file has become a directory, or a directory a file, the old one is in the way of the
// new one in a tree, and in a bucket that is kept as a tree. Deletes come last, so such transfers
// are tried again after them.

// inTheWay reports whether err says that a transfer may be possible after the deletes. A
// directory in the place of a file stays there.
func (r *run) inTheWay(err error) bool {
	return r.o.Delete && r.o.Order != PagesLast && (errors.Is(err, syscall.ENOTDIR) || errors.Is(err, bucket.ErrInTheWay))
}

// postpone keeps a transfer that failed for the time after the deletes, if that may help. It keeps
// as many as a batch of deletes.
func (r *run) postpone(a Action, err error) bool {
	if !r.inTheWay(err) {
		return false
	}
	r.events <- struct{}{}
	defer func() { <-r.events }()
	if r.blocked.closed || len(r.blocked.actions) == manifest.MaxPage {
		return false
	}
	r.blocked.actions = append(r.blocked.actions, a)
	return true
}

// transferPostponed carries out what was postponed, as a batch of its own.
func (r *run) transferPostponed(ctx context.Context) error {
	actions := r.blocked.actions
	r.blocked.actions, r.blocked.closed = nil, true
	if len(actions) == 0 {
		return nil
	}
	slices.SortFunc(actions, func(a, b Action) int { return cmp.Compare(a.Key, b.Key) })
	return r.carryOutAlone(ctx, actions)
}
