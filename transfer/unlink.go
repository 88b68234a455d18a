package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/transfer/local"
)

// unlinksAtOnce is how many files are deleted at once: as many as file systems have a use for. Each gets
// some that follow each other, since those of one directory wait for each other.
const (
	unlinksAtOnce = 8
	unlinksInRow  = 64
)

// unlinkAll deletes files, and tells of them in their order. What another run of this program or anybody else
// has put in their place stays.
func (r *run) unlinkAll(ctx context.Context, leaf []manifest.Entry) ([]manifest.Change, error) {
	for part := range slices.Chunk(leaf, unlinksAtOnce*unlinksInRow) {
		for i, err := range r.unlink(ctx, part) {
			a := deleting(&part[i])
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
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, nil
}

// errUntouched says that it did not come to a delete any more.
var errUntouched = errors.New("interrupted before it was deleted")

// unlink deletes files, several at once, and returns how each delete ended.
func (r *run) unlink(ctx context.Context, files []manifest.Entry) []error {
	ends := make([]error, len(files))
	var g errgroup.Group
	for first := 0; first < len(files); first += unlinksInRow {
		g.Go(func() error {
			for i := first; i < min(first+unlinksInRow, len(files)); i++ {
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
