package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
)

// open reads the root, settles what runs that did not finish have left, and takes over a
// prefix that has no manifest yet. After it the manifest is true.
func (r *run) open(ctx context.Context) error {
	if err := r.openScan(); err != nil {
		return err
	}
	o := catalog.Options{
		Prefix: r.o.Prefix, Place: r.o.Place, Pages: r.o.Pages, State: r.o.State,
		Identity: r.o.Identity, Rebuild: r.o.Rebuild,
	}
	if r.o.DryRun {
		draft, err := catalog.NewDraft(r.o.Store)
		if err != nil {
			return err
		}
		r.dropDraft()
		r.store, r.draft, o.State = draft, draft, nil
	}
	c, err := catalog.Open(ctx, r.store, o)
	if err != nil {
		return err
	}
	r.catalog, r.intent, r.doubt, r.powers = c, nil, nil, nil
	for _, i := range c.Foreign() {
		r.note("another run is writing here, or died without a trace; what it may be writing is not deleted before %s",
			time.Unix(0, i.Until).Format(time.TimeOnly))
	}
	if c.Exists() {
		return r.settle(ctx)
	}
	return r.takeOver(ctx, &manifest.Range{}, nil, nil)
}

func (r *run) openScan() error {
	o := r.o.Scan
	o.Select, o.Descend = r.o.Filters.Select, r.o.Filters.Descend
	o.MaxKey = manifest.MaxKey - len(r.o.Prefix)
	s, err := hashing.New(r.o.Dir, o)
	if err != nil {
		return err
	}
	r.scan, r.policy.unknown, r.local = s, unknown{}, manifest.Root{}
	r.sum.Problems = 0
	r.sent.failed.Store(0)
	r.sent.unexpected.Store(0)
	r.o.Meter.reset()
	r.doomed.close()
	r.doomed = spool{}
	return nil
}

// settle finishes what runs left that did not come to their end.
func (r *run) settle(ctx context.Context) error {
	left, err := r.catalog.Abandoned(ctx)
	if err != nil {
		return err
	}
	for _, a := range left {
		r.note("an earlier run did not finish; looking at what it left")
		if err := r.takeOver(ctx, a.Intent.Range, a.Doomed, []manifest.ID{a.Intent.Run}); err != nil {
			return err
		}
	}
	return nil
}

// takeOver makes the manifest true where it may not be: it deletes what is doomed, and looks at
// what the bucket holds in a range of keys, if any. Before that it makes both the intent of this run,
// in place of those of the settled runs, so that other runs keep out of the way.
func (r *run) takeOver(ctx context.Context, keys *manifest.Range, doomed []manifest.Entry, settled []manifest.ID) error {
	if err := r.ready(ctx); err != nil {
		return err
	}
	edit := catalog.Edit{Range: hull(r.doubt, keys), Doomed: doomed, Settled: settled}
	if _, err := r.catalog.Commit(ctx, edit); err != nil { // what it yields to another run is that one's business
		return err
	}
	r.intent, r.o.Rebuild = edit.Range, false
	back, err := r.finishDeletes(ctx)
	if err != nil {
		return err
	}
	if keys == nil || len(back) > 0 {
		_, err = r.commit(ctx, catalog.Edit{Changes: back, Range: hull(r.doubt, keys)})
	}
	if keys == nil || err != nil {
		return err
	}
	return r.survey(ctx, *keys)
}

// finishDeletes removes the objects on this run's list, which an earlier run has not come to.
// It returns the changes that name again those that cannot be removed.
func (r *run) finishDeletes(ctx context.Context) ([]manifest.Change, error) {
	doomed, err := r.catalog.Doomed(ctx)
	if err != nil || len(doomed) == 0 {
		return nil, err
	}
	if r.o.DryRun {
		for i := range doomed {
			r.report(Event{Done: &Action{Verb: Delete, Key: doomed[i].Key, Old: &doomed[i]}})
		}
		return nil, nil
	}
	back := r.deleteAll(ctx, doomed)
	return back, ctx.Err()
}

// ready finds out, once and before the first write, what the server can do.
func (r *run) ready(ctx context.Context) error {
	if r.powers != nil {
		return nil
	}
	if r.o.DryRun {
		r.powers = &catalog.Powers{PutConditions: true, DeleteConditions: true, Checksums: true}
		return nil
	}
	p, err := r.catalog.Probe(ctx)
	if err != nil {
		return err
	}
	r.powers = &p
	if !p.PutConditions {
		r.note("this server ignores conditions on writes: do not let two runs write here at once")
	} else if !p.DeleteConditions {
		r.note("this server ignores conditions on deletes: objects are looked at before they are deleted")
	}
	if !p.Checksums {
		r.note("this server takes no CRC-64/NVME checksums: what is sent is not verified by the server")
	}
	return nil
}

// survey makes the manifest say what the bucket really holds in a range of keys, by listing
// them. An object that the manifest does not know goes in as unproven: then the run compares
// its content with the file's, and sends nothing that is equal. The intent shrinks as the
// listing goes on; if nothing is found to be changed it stays, for what the run may do next.
func (r *run) survey(ctx context.Context, keys manifest.Range) error {
	var batch []manifest.Change
	adopted := 0
	for c, err := range surveyed(ctx, r.store, r.o.Prefix, r.catalog.Tree(ctx), keys) {
		if err != nil {
			return fmt.Errorf("list %s: %w", r.o.Prefix, err)
		}
		if c.New != nil {
			adopted++
		}
		if batch = append(batch, c); len(batch) == batchFiles {
			if err := r.commitSurvey(ctx, batch, &manifest.Range{First: c.Key, Last: keys.Last}); err != nil {
				return err
			}
			batch = nil
		}
	}
	if adopted > 0 {
		r.note("%d objects were found that the manifest did not know; comparing their content", adopted)
	}
	if len(batch) == 0 {
		return nil
	}
	return r.commitSurvey(ctx, batch, nil)
}

// commitSurvey commits what was found, but for what another run is just deleting, and goes on
// with the rest of the range as intent.
func (r *run) commitSurvey(ctx context.Context, found []manifest.Change, rest *manifest.Range) error {
	keys := make([]string, len(found))
	for i := range found {
		keys[i] = found[i].Key
	}
	deleting, err := r.catalog.Deleting(ctx, keys)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(c manifest.Change) bool { return deleting[c.Key] })
	_, err = r.commit(ctx, catalog.Edit{Changes: found, Range: hull(r.doubt, rest)})
	return err
}

// deleteObject removes the object that e tells of, and no other. An error that is
// [bucket.ErrUncertain] leaves open whether it is gone.
func (r *run) deleteObject(ctx context.Context, e *manifest.Entry) error {
	if e.Evidence.ETag == "" {
		return errNoETag
	}
	key := r.o.Prefix + e.Key
	var doubt error
	for range maxLooks {
		err := r.deleteOnce(ctx, key, e.Evidence.ETag)
		if !errors.Is(err, bucket.ErrUncertain) {
			if err == nil || errors.Is(err, errForeign) {
				return err
			}
			return both(doubt, err)
		}
		doubt = err
	}
	return doubt
}

// deleteOnce deletes the object under a key if it has the ETag. A missing one is success.
func (r *run) deleteOnce(ctx context.Context, key, etag string) error {
	cond := bucket.Condition{IfMatch: etag}
	if !r.powers.DeleteConditions {
		err := r.check(ctx, key, cond)
		if errors.Is(err, bucket.ErrChanged) {
			return r.changed(ctx, key, etag)
		}
		if err != nil {
			return err
		}
		cond = bucket.Condition{}
	}
	err := r.store.Delete(ctx, key, cond)
	if errors.Is(err, bucket.ErrChanged) {
		return r.changed(ctx, key, etag)
	}
	return err
}

// changed says what became of an object that was not as it should be: nothing is left to do if
// it is gone.
func (r *run) changed(ctx context.Context, key, etag string) error {
	obj, err := r.store.Head(ctx, key, bucket.HeadOptions{})
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return nil
	case err != nil:
		return err
	case obj.ETag == etag:
		return bucket.ErrUncertain // it is as it should be after all
	}
	return errForeign
}
