package transfer

import (
	"context"
	"errors"
	"fmt"
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
	r.catalog, r.intent, r.doubt = c, nil, nil
	for _, i := range c.Foreign() {
		r.note("another run is writing here, since before %s", time.Unix(0, i.Until).Add(-catalog.Lease).Format(time.TimeOnly))
	}
	if !c.Exists() {
		return r.survey(ctx, manifest.Range{}, nil)
	}
	return r.settle(ctx)
}

func (r *run) openScan() error {
	o := r.o.Scan
	o.Select, o.Descend = r.o.Filters.Select, r.o.Filters.Descend
	s, err := hashing.New(r.o.Dir, o)
	if err != nil {
		return err
	}
	r.scan, r.policy.unknown, r.local = s, unknown{}, manifest.Root{}
	r.o.Meter.Scanned.Store(0)
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
		if err := r.finishDeletes(ctx, a.Doomed); err != nil {
			return err
		}
		run := []manifest.ID{a.Intent.Run}
		if a.Intent.Range == nil {
			_, err = r.catalog.Commit(ctx, catalog.Edit{Settled: run})
		} else {
			err = r.survey(ctx, *a.Intent.Range, run)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finishDeletes removes the objects that an earlier run was about to remove, where they are
// still the ones it meant and nobody has put them into the tree again.
func (r *run) finishDeletes(ctx context.Context, doomed []manifest.Entry) error {
	if len(doomed) == 0 {
		return nil
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	keys := make([]string, len(doomed))
	for i := range doomed {
		keys[i] = doomed[i].Key
	}
	again := map[string]bool{}
	for e, err := range r.catalog.Tree(ctx).Find(keys) {
		if err != nil {
			return err
		}
		again[e.Key] = true
	}
	for i := range doomed {
		if again[doomed[i].Key] || r.o.DryRun {
			continue
		}
		if err := r.deleteObject(ctx, &doomed[i]); err != nil && !errors.Is(err, errForeign) {
			return fmt.Errorf("finish the delete of %s: %w", doomed[i].Key, err)
		}
	}
	return nil
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

// deleteObject removes the object that e tells of, and no other.
func (r *run) deleteObject(ctx context.Context, e *manifest.Entry) error {
	key, cond := r.o.Prefix+e.Key, bucket.Condition{IfMatch: e.Evidence.ETag}
	for range maxLooks {
		if !r.powers.DeleteConditions {
			obj, err := r.store.Head(ctx, key, bucket.HeadOptions{})
			switch {
			case errors.Is(err, bucket.ErrNotFound):
				return nil
			case err != nil:
				return err
			case obj.ETag != e.Evidence.ETag:
				return errForeign
			}
			cond = bucket.Condition{}
		}
		err := r.store.Delete(ctx, key, cond)
		switch {
		case errors.Is(err, bucket.ErrChanged):
			if _, err := r.store.Head(ctx, key, bucket.HeadOptions{}); errors.Is(err, bucket.ErrNotFound) {
				return nil
			}
			return errForeign
		case !errors.Is(err, bucket.ErrUncertain):
			return err
		}
	}
	return fmt.Errorf("delete %s: %w", key, bucket.ErrUncertain)
}
