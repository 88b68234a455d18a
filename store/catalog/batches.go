package catalog

import (
	"context"
	"errors"

	"merkur/store/bucket"
)

// Batches is what a server does with the ETags that a request to delete many objects has for each of them.
type Batches byte

// What it may do.
const (
	BatchesUnknown Batches = iota // that was not asked, or not found out
	BatchesHeed                   // an object with another ETag stays
	BatchesIgnore                 // it goes too, or nothing goes
)

// ProbeBatches finds out, after [Catalog.Probe], what the server does with conditions in batches. That takes
// three to five requests, so that it is for who deletes many. The outcome is remembered with that of the probe, and
// asked for anew with it. Trouble leaves it unknown, which keeps nobody from deleting one by one.
func (c *Catalog) ProbeBatches(ctx context.Context) Batches {
	deleter, ok := c.store.(bucket.BatchDeleter)
	if !ok || c.powers.Batches != BatchesUnknown {
		return c.powers.Batches
	}
	key := c.probeKey()
	c.powers.Batches = c.tryBatches(ctx, deleter, key)
	if c.powers.Batches != BatchesHeed {
		c.store.Delete(ctx, key, bucket.Condition{}) // if it stays, the next probe has the same key
	}
	if c.powers.Batches != BatchesUnknown {
		c.rememberPowers(c.powers)
	}
	return c.powers.Batches
}

// tryBatches deletes an object of its own: under an ETag that it does not have it has to stay, under its own
// it has to go, and both times the answer has to say so.
func (c *Catalog) tryBatches(ctx context.Context, deleter bucket.BatchDeleter, key string) Batches {
	obj, err := c.putBytes(ctx, key, []byte("probe\n"), bucket.PutOptions{})
	if err != nil || obj.ETag == "" {
		return BatchesUnknown
	}
	deleted := func(etag string) error {
		return deleter.DeleteAll(ctx, []bucket.Deletion{{Key: key, IfMatch: etag}})[key]
	}
	there := func() error {
		_, err := c.store.Head(ctx, key, bucket.HeadOptions{})
		return err
	}
	switch err := deleted(noETag); {
	case err == nil, errors.Is(err, bucket.ErrUnsupported):
		return BatchesIgnore
	case !refused(err):
		return BatchesUnknown
	}
	switch err := there(); {
	case errors.Is(err, bucket.ErrNotFound):
		return BatchesIgnore
	case err != nil:
		return BatchesUnknown
	}
	switch err := deleted(obj.ETag); {
	case refused(err) && !errors.Is(err, bucket.ErrUncertain):
		return BatchesIgnore
	case err != nil:
		return BatchesUnknown
	}
	switch err := there(); {
	case errors.Is(err, bucket.ErrNotFound), denied(err): // who may not list is not told what is missing
		return BatchesHeed
	case err == nil:
		return BatchesIgnore
	}
	return BatchesUnknown
}
