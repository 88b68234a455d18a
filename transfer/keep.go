package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
)

// keep copies to the backup prefix what an action is about to replace or delete, if there is such a
// prefix: just the object that is known, with its headers and tags. It reports whether there was
// none. If anything else is in the way, the object must not be touched.
func (r *run) keep(ctx context.Context, a Action) (gone bool, err error) {
	if r.o.Backup == nil || a.Old == nil {
		return false, nil
	}
	copier, ok := r.o.Backup.Store.(bucket.Copier)
	if !ok {
		return false, bucket.ErrUnsupported
	}
	src := bucket.Source{
		Bucket: r.o.To.Bucket, Key: r.o.To.Prefix + a.Key, IfMatch: a.Old.Evidence.ETag, Size: a.Old.Size, Customer: r.o.To.Customer,
	}
	if r.o.Backup.Bucket == r.o.To.Bucket {
		src.Bucket = ""
	}
	o := bucket.CopyOptions{}
	o.Terms = r.ownTerms()
	o.Terms.Customer = r.o.To.Customer
	dst := r.o.Backup.Prefix + r.ledger.name + "/" + a.Key
	r.tellKeep(a, r.ledger.name)
	for range maxLooks { // nobody else writes there, so that it may be done again
		err = r.pass(ctx, a, 0, func(ctx context.Context) error {
			_, err := copier.Copy(ctx, src, dst, o)
			return err
		})
		if !isUncertain(err) {
			break
		}
	}
	switch {
	case err == nil:
		return false, nil
	case isMissing(err):
		return true, nil
	case errors.Is(err, bucket.ErrChanged):
		return false, errForeign
	case isUncertain(err), errors.Is(err, bucket.ErrArchived):
		return false, fmt.Errorf("keep a copy of it first: %v", err) // the object itself is not in doubt, nor the source in an archive
	}
	return false, fmt.Errorf("keep a copy of it first: %w", err)
}

// tellKeep says which copy is kept, to who wants to know why things are done.
func (r *run) tellKeep(a Action, name string) {
	if r.o.Explain && r.o.Backup != nil && a.Old != nil {
		r.report(Event{Why: fmt.Sprintf("keeping: %s -> %s", r.name(r.o.To, a.Key), r.name(*r.o.Backup, name+"/"+a.Key))})
	}
}

// keepAll keeps what is about to be deleted. It returns of what no copy could be made, which has been
// told; an error says why it did not come to its end. An object that somebody else has changed is left to
// the delete, whose condition it does not meet.
func (r *run) keepAll(outer context.Context, leaf []manifest.Entry) (failed map[string]bool, err error) {
	failed = map[string]bool{}
	if r.o.Backup == nil {
		return failed, outer.Err()
	}
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	errs := make([]error, len(leaf))
	var g errgroup.Group
	g.SetLimit(min(deletesAtOnce, r.gate.Most()))
	for i := range leaf {
		g.Go(func() error {
			if _, errs[i] = r.keep(ctx, deleting(&leaf[i])); ctx.Err() == nil && hopeless(errs[i]) != nil {
				end(hopeless(errs[i]))
			}
			return nil
		})
	}
	g.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i, err := range errs {
		if err != nil && !(r.catalog != nil && errors.Is(err, errForeign)) {
			failed[leaf[i].Key] = true
			r.fail(deleting(&leaf[i]), err)
		}
	}
	return failed, nil
}

// deleting is the action that deletes an object.
func deleting(e *manifest.Entry) Action { return Action{Verb: Delete, Key: e.Key, Old: e} }

// deletings are the actions that delete objects.
func deletings(leaf []manifest.Entry) []Action {
	actions := make([]Action, len(leaf))
	for i := range leaf {
		actions[i] = deleting(&leaf[i])
	}
	return actions
}

// olds are the objects that actions find.
func olds(actions []Action) []manifest.Entry {
	leaf := make([]manifest.Entry, len(actions))
	for i := range actions {
		leaf[i] = *actions[i].Old
	}
	return leaf
}

// only leaves of a list what keep says.
func only(leaf []manifest.Entry, keep func(key string) bool) []manifest.Entry {
	return slices.DeleteFunc(leaf, func(e manifest.Entry) bool { return !keep(e.Key) })
}

// without leaves of a list what is not kept.
func without(actions []Action, kept map[string]bool) []Action {
	return slices.DeleteFunc(slices.Clone(actions), func(a Action) bool { return kept[a.Key] })
}

func isUncertain(err error) bool { return errors.Is(err, bucket.ErrUncertain) }

func isMissing(err error) bool { return errors.Is(err, bucket.ErrNotFound) }
