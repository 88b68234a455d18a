package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer/compare"
)

// survey makes the manifest say what the bucket really holds under claimed keys, by listing
// them. What was stored under the claim goes into the manifest, as unproven where nobody knows its
// content: then the run compares that with the file's, and sends nothing that is equal. What
// somebody else has done there is drift like any other. The intent shrinks as the listing goes on; if
// nothing is found to be changed it stays, for what the run may do next.
func (r *run) survey(ctx context.Context, c claim) error {
	var batch []suspect
	adopted, seen := 0, 0
	take := func(rest claim) error {
		changes, err := r.attribute(ctx, batch, c)
		if batch = nil; err != nil || len(changes) == 0 {
			return err
		}
		for i := range changes {
			if changes[i].New != nil {
				adopted++
			}
		}
		return r.commitSurvey(ctx, changes, rest)
	}
	for s, err := range r.surveyed(ctx, *c.keys) {
		if err != nil {
			return err
		}
		seen++
		if batch = append(batch, s); len(batch) == batchFiles {
			if err := take(claim{keys: &manifest.Range{First: s.key, Last: c.keys.Last}, meant: c.meant, any: c.any}); err != nil {
				return err
			}
		}
	}
	if err := take(claim{}); err != nil {
		return err
	}
	if c.proves && seen > 0 {
		r.note("what has the content of the source is taken over, and nothing else is touched; --rebuild-manifest makes a new manifest of all")
	}
	if adopted > 0 {
		r.note("%d objects were found that the manifest did not know; comparing their content", adopted)
	}
	return nil
}

// commitSurvey commits what was found, but for what another run is just deleting, and goes on
// with the rest of the claim as intent.
func (r *run) commitSurvey(ctx context.Context, found []manifest.Change, rest claim) error {
	keys := make([]string, len(found))
	for i := range found {
		keys[i] = found[i].Key
	}
	deleting, err := r.catalog.Deleting(ctx, keys)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(c manifest.Change) bool { return deleting[c.Key] })
	_, err = r.commit(ctx, r.doubt.and(rest).of(catalog.Edit{Changes: found}))
	return err
}

// surveyed lists a range of the destination's keys and yields where its tree does not say what is
// there.
func (r *run) surveyed(ctx context.Context, keys manifest.Range) iter.Seq2[suspect, error] {
	to := r.o.To
	to.Store = r.store
	return func(yield func(suspect, error) bool) {
		for p, err := range join(r.listed(ctx, to, keys), part(r.catalog.Tree(ctx), keys)) {
			if err == nil && p.from != nil && p.to != nil && known(p) {
				continue
			}
			if !yield(newSuspect(p), err) || err != nil {
				return
			}
		}
	}
}

// attribute finds out whose doing it is that a bucket does not hold what its manifest says, and
// returns, in key order, how the manifest has to change.
func (r *run) attribute(ctx context.Context, found []suspect, c claim) (changes []manifest.Change, err error) {
	var rest []suspect
	for _, s := range found {
		if s.owner = c.whose(s.key, s.seen); s.owner == ours {
			changes = append(changes, manifest.Change{Key: s.key, Old: s.known, New: s.seen})
		} else {
			rest = append(rest, s)
		}
	}
	if len(rest) == 0 {
		return changes, nil
	}
	w := &watch{r: r, side: r.o.To, catalog: r.catalog, mends: true, asks: r.past == nil}
	if err := w.settle(ctx, rest, false); err != nil {
		return nil, err
	}
	for i := range rest {
		rest[i].owner = c.whose(rest[i].key, rest[i].seen) // which may have been looked at again
	}
	if err := r.readUnclear(ctx, rest, c); err != nil {
		return nil, err
	}
	for i := range rest {
		change, err := r.attributed(ctx, &rest[i])
		if err != nil {
			return nil, err
		}
		if change != nil {
			changes = append(changes, *change)
		}
	}
	slices.SortFunc(changes, func(a, b manifest.Change) int { return strings.Compare(a.Key, b.Key) })
	return changes, nil
}

// attributed is how the manifest has to change at a key of which it is known who has changed it.
func (r *run) attributed(ctx context.Context, s *suspect) (*manifest.Change, error) {
	switch {
	case s.found == asKnown:
		return nil, nil
	case s.found == sameBytes:
		e := refreshed(*s.known, *s.seen)
		return &manifest.Change{Key: s.key, Old: s.known, New: &e}, nil
	case s.owner == ours:
		return &manifest.Change{Key: s.key, Old: s.known, New: s.seen}, nil
	case s.owner == unclear, s.found == elsewhose:
		return nil, nil
	case r.o.Compare != compare.Content || !r.policy.selects(s.key) || hashing.IsDraft(s.key):
		if s.seen == nil {
			return &manifest.Change{Key: s.key, Old: s.known}, nil
		}
		return nil, nil // a run that looks there tells of it
	}
	change, _, err := r.treat(ctx, s)
	return change, err
}

// readUnclear finds out whose objects are that have the size of what was to be stored.
func (r *run) readUnclear(ctx context.Context, list []suspect, c claim) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(filesAtOnce, r.gate.Most()))
	for i := range list {
		if s := &list[i]; s.owner == unclear && (s.found == drifted || s.found == elsewhose) {
			g.Go(func() error {
				if err := r.readOne(ctx, s, c); err != nil {
					return fmt.Errorf("see who has stored %s: %w", r.name(r.o.To, s.key), err)
				}
				return nil
			})
		}
	}
	return g.Wait()
}

// readOne finds out whose an object is. If it has what the source has, that need not be known; else it is
// read, and its content tells. One that nobody can read is left alone, and one that is another one
// by now is left to who meets it.
func (r *run) readOne(ctx context.Context, s *suspect, c claim) error {
	if s.from != nil && s.from.Size == s.seen.Size {
		e, equal, err := r.prove(ctx, Action{Verb: Prove, Key: s.key, From: *s.from, Old: s.seen})
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err == nil && equal {
			r.sent.proved.Add(1)
			s.seen, s.owner = &e, ours
			return nil
		}
	}
	if len(c.meant) == 0 {
		s.owner = foreign
		return nil
	}
	var failed error
	for range 2 { // what happens on the way may pass
		read, err := r.readObject(ctx, *s.seen)
		switch {
		case isMissing(err), errors.Is(err, bucket.ErrChanged):
			return nil
		case unanswered(err), errors.Is(err, bucket.ErrArchived):
			s.owner = foreign
			return nil
		case err != nil:
			failed = err
			continue
		case c.meant.Has(manifest.Stores(s.key, s.seen.Size, read.digest)):
			if s.owner = ours; r.o.Key == nil { // anybody can make bytes of which so little is stated
				own := *s.seen
				own.Digest, own.Unproven = read.digest, false
				own.Evidence.CRC64, own.Evidence.HasCRC64 = read.crc, true
				s.seen = &own
			}
			return nil
		}
		s.owner = foreign
	}
	if s.owner == foreign {
		return nil
	}
	return failed
}

// readObject reads an object of the destination, if it is still the one that was seen.
func (r *run) readObject(ctx context.Context, seen manifest.Entry) (sums, error) {
	o := bucket.GetOptions{IfMatch: seen.Evidence.ETag, Customer: r.o.To.Customer}
	body, _, err := r.o.To.Store.Get(ctx, r.o.To.Prefix+seen.Key, o)
	if err != nil {
		return sums{}, err
	}
	defer body.Close()
	return sumsOf(ctx, body, make([]byte, min(r.o.Buffer, seen.Size+1)), 0)
}

// known reports whether a listed object is the one that the tree tells of.
func known(p pair) bool {
	etag := p.from.Evidence.ETag
	return etag != "" && etag == p.to.Evidence.ETag && p.from.Size == p.to.Size
}

// part are the entries of a tree in a range of keys, as a stream.
func part(t manifest.Tree, keys manifest.Range) stream {
	return func(yield func(*Found, error) bool) {
		for e, err := range t.Entries(keys.First) {
			if err == nil && !keys.Contains(e.Key) {
				return
			}
			if !yield(inTree(&e), err) || err != nil {
				return
			}
		}
	}
}
