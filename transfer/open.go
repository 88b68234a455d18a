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
		r.note("another run is writing here, since before %s", time.Unix(0, i.Until).Add(-catalog.Lease).Format(time.TimeOnly))
	}
	if c.Exists() {
		return r.settle(ctx)
	}
	if err := r.survey(ctx, manifest.Range{}, nil); err != nil || !r.o.Rebuild || c.Exists() {
		return err
	}
	_, err = r.commit(ctx, catalog.Edit{}) // nothing was found: what stood there has to go all the same
	return err
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

// settle finishes what runs left that did not come to their end: the deletes that they had
// begun, and a look at the keys that they may have written.
func (r *run) settle(ctx context.Context) error {
	left, err := r.catalog.Abandoned(ctx)
	if err != nil {
		return err
	}
	for _, a := range left {
		r.note("an earlier run did not finish; looking at what it left")
		back, err := r.finishDeletes(ctx, a.Doomed)
		if err != nil {
			return err
		}
		run := []manifest.ID{a.Intent.Run}
		if a.Intent.Range == nil {
			if _, err := r.commit(ctx, catalog.Edit{Changes: back, Settled: run}); err != nil {
				return err
			}
			continue
		}
		if len(back) > 0 {
			if _, err := r.commit(ctx, catalog.Edit{Changes: back}); err != nil {
				return err
			}
		}
		if err := r.survey(ctx, *a.Intent.Range, run); err != nil {
			return err
		}
	}
	return nil
}

// finishDeletes removes the objects that an earlier run was about to remove, where they are
// still the ones it meant and nobody has put them into the tree again. It returns the changes
// that name again those that cannot be removed.
func (r *run) finishDeletes(ctx context.Context, doomed []manifest.Entry) ([]manifest.Change, error) {
	if len(doomed) == 0 {
		return nil, nil
	}
	if err := r.ready(ctx); err != nil {
		return nil, err
	}
	keys := make([]string, len(doomed))
	for i := range doomed {
		keys[i] = doomed[i].Key
	}
	again := map[string]bool{}
	for e, err := range r.catalog.Tree(ctx).Find(keys) {
		if err != nil {
			return nil, err
		}
		again[e.Key] = true
	}
	left := slices.DeleteFunc(doomed, func(e manifest.Entry) bool { return again[e.Key] })
	if r.o.DryRun {
		return nil, nil
	}
	back := r.deleteAll(ctx, left)
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
// its content with the file's, and sends nothing that is equal.
func (r *run) survey(ctx context.Context, keys manifest.Range, settled []manifest.ID) error {
	var batch []manifest.Change
	adopted := 0
	flush := func(rest *manifest.Range, settled []manifest.ID) error {
		if len(batch) == 0 && len(settled) == 0 && r.intent == nil {
			return nil
		}
		if err := r.ready(ctx); err != nil {
			return err
		}
		_, err := r.catalog.Commit(ctx, catalog.Edit{Changes: batch, Range: rest, Settled: settled})
		batch, r.intent = nil, rest
		return err
	}
	for c, err := range surveyed(ctx, r.store, r.o.Prefix, r.catalog.Tree(ctx), keys) {
		if err != nil {
			return fmt.Errorf("list %s: %w", r.o.Prefix, err)
		}
		if c.New != nil {
			adopted++
		}
		if batch = append(batch, c); len(batch) == batchFiles {
			if err := flush(&manifest.Range{First: c.Key, Last: keys.Last}, nil); err != nil {
				return err
			}
		}
	}
	if adopted > 0 {
		r.note("%d objects were found that the manifest did not know; comparing their content", adopted)
	}
	return flush(nil, settled)
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
