package transfer

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/transfer/local"
)

// unlinksAtOnce is how many files are deleted at once.
const unlinksAtOnce = 8

// unlinkAll deletes files, and tells of them in their order. What another run of this program or anybody else
// has put in their place stays.
func (r *run) unlinkAll(ctx context.Context, leaf []manifest.Entry) ([]manifest.Change, error) {
	for i, err := range r.unlink(ctx, leaf) {
		a := deleting(&leaf[i])
		switch {
		case err == errUntouched:
		case errors.Is(err, local.ErrThroughLink):
			r.behindLink(a)
		case err != nil:
			r.fail(a, err)
		default:
			r.sum.Deleted++
			r.report(Event{Done: &a})
		}
	}
	return nil, ctx.Err()
}

// errUntouched says that it did not come to a delete any more.
var errUntouched = errors.New("interrupted before it was deleted")

// unlink deletes files, several at once, and returns how each delete ended. Those that follow each other are
// deleted one after the other: they lie in one directory, which has a lock.
func (r *run) unlink(ctx context.Context, files []manifest.Entry) []error {
	ends := make([]error, len(files))
	row := (len(files) + unlinksAtOnce - 1) / unlinksAtOnce
	var g errgroup.Group
	for first := 0; first < len(files); first += row {
		g.Go(func() error {
			for i := first; i < min(first+row, len(files)); i++ {
				if ends[i] = errUntouched; ctx.Err() == nil {
					ends[i] = r.tree.Remove(&files[i])
				}
			}
			return nil
		})
	}
	g.Wait()
	return ends
}

// behindLink tells of a file that is not deleted, since it may lie somewhere else than it seems.
func (r *run) behindLink(a Action) {
	r.warn(Warning{Key: a.Key, Text: fmt.Sprintf("Skipping file %s. It lies behind a symbolic link.", r.path(a.Key))})
}
