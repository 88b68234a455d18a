package inspect

import (
	"context"
	"errors"
	"fmt"

	"merkur/manifest"
	"merkur/store/bucket"
)

// mostUntold is how many findings are kept until the root object is asked for again.
const mostUntold = 1000

// roundsOfSettling is how often findings are looked at anew while the root object keeps moving.
const roundsOfSettling = 5

// put takes a finding in. It is told when it is certain.
func (a *audit) put(ctx context.Context, f Finding) error {
	if f.read {
		a.tally.ReadFiles++
	}
	if f.Class == "" {
		return nil
	}
	if a.batch = append(a.batch, f); len(a.batch) < mostUntold {
		return nil
	}
	return a.settle(ctx)
}

// settle tells the findings that are kept. What a run may have brought about is told only if the root
// object is still the one under which it was found: no run writes an object without a word in it. What
// was found by the manifest that the audit began with is looked at anew once the root object has moved, also
// if it has not moved since the findings before.
func (a *audit) settle(ctx context.Context) error {
	stale := a.c != a.begun
	for range roundsOfSettling {
		a.dropInProgress()
		if !a.doubtful() {
			return a.tellAll()
		}
		c, err := readCommitted(ctx, a.Store, a.Prefix, a.Seal, a.c.etag)
		if err != nil {
			return err
		}
		if c == nil && !stale {
			return a.tellAll()
		}
		if c != nil {
			if a.doomed, _, err = c.doomed(ctx); err != nil {
				return err
			}
			a.c = c
		}
		if err := a.anew(ctx); err != nil {
			return err
		}
		stale = false
	}
	a.dropInProgress()
	for i := range a.batch {
		if doubtful(a.batch[i].Class) {
			a.batch[i].Class = ""
			a.tally.InProgress++
		}
	}
	return a.tellAll()
}

// doubtful reports whether a run that began meanwhile may have brought about what was found.
func doubtful(c Class) bool { return c == Missing || c == ForeignNew || c == ForeignChanged }

func (a *audit) doubtful() bool {
	for i := range a.batch {
		if doubtful(a.batch[i].Class) {
			return true
		}
	}
	return false
}

// dropInProgress drops what is found under keys that a run is writing or deleting.
func (a *audit) dropInProgress() {
	for i := range a.batch {
		f := &a.batch[i]
		if f.Class == "" || f.Class == Damaged || f.Class == Garbage {
			continue
		}
		if a.doomed[f.Key] || covered(a.c.m.Intents, f.Key) {
			f.Class = ""
			a.tally.InProgress++
		}
	}
}

func covered(intents []manifest.Intent, key string) bool {
	for _, i := range intents {
		if i.Range != nil && i.Range.Contains(key) {
			return true
		}
	}
	return false
}

// anew looks at the doubtful findings again, by the manifest as it is now.
func (a *audit) anew(ctx context.Context) error {
	var keys []string
	for i := range a.batch {
		if doubtful(a.batch[i].Class) {
			keys = append(keys, a.batch[i].Key)
		}
	}
	entries := map[string]*manifest.Entry{}
	for e, err := range a.c.tree(ctx).Find(keys) {
		if err != nil {
			return err
		}
		entries[e.Key] = &e
	}
	for i := range a.batch {
		f := &a.batch[i]
		if !doubtful(f.Class) {
			continue
		}
		obj, err := a.Store.Head(ctx, a.Prefix+f.Key, bucket.HeadOptions{Customer: a.Customer})
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			f.Object = nil
		case err != nil && !unreadable(err):
			return fmt.Errorf("look at %q: %w", f.Key, err)
		case err == nil:
			f.Object = &obj
		}
		f.Entry = entries[f.Key]
		if f.Class = classify(f.Entry, f.Object); f.Class == ForeignChanged && sameBytes(f.Entry, f.Object) {
			f.Class = Restamped
		}
	}
	return nil
}

// tellAll tells what is left of the findings, in their order.
func (a *audit) tellAll() error {
	for _, f := range a.batch {
		if f.Class == "" {
			continue
		}
		if err := a.tellNow(f); err != nil {
			return err
		}
	}
	a.batch = a.batch[:0]
	return nil
}

func (a *audit) tellNow(f Finding) error {
	a.tally.Found[f.Class]++
	return a.found(f)
}
