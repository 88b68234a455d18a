package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"merkur/store/bucket"
)

// Powers is what a server does with what it is asked.
type Powers struct {
	PutConditions    bool // a put heeds If-Match and If-None-Match
	DeleteConditions bool // a delete heeds If-Match
	CopyConditions   bool // a copy heeds If-Match and If-None-Match of its destination, if that was asked
	Checksums        bool // CRC-64/NVME is taken and verified
	Atomic           bool // of several puts at once under one condition, one is carried out
	Batches          Batches
}

// Safe reports whether commits alone keep two writers from losing each other's work.
func (p Powers) Safe() bool { return p.PutConditions && p.Atomic }

// keepPowers is how long the outcome of a probe is believed.
const keepPowers = 7 * 24 * time.Hour

// Probe finds out what the server does, by trying it on an object of its own below the
// reserved prefix. The outcome is remembered for a week. A store that can do without checksums
// is told to where the server refuses them.
func (c *Catalog) Probe(ctx context.Context) (p Powers, err error) {
	defer func() {
		c.careful = err == nil && !p.PutConditions
		c.powers = p
		if l, ok := c.store.(bucket.Lenient); ok && err == nil && !p.Checksums {
			l.SendNoChecksums()
		}
	}()
	if p, ok := c.recallPowers(); ok {
		return p, nil
	}
	key := c.probeKey()
	p, sure, err := c.tryPowers(ctx, key)
	if derr := c.store.Delete(ctx, key, bucket.Condition{}); err == nil && !denied(derr) {
		err = derr
	}
	if err != nil {
		return p, fmt.Errorf("probe what the server can do: %w", err)
	}
	if sure {
		c.probed = c.o.Now()
		c.rememberPowers(p)
	}
	return p, nil
}

// probeKey is where a probe puts its object. There is one name a writer: where deletes are not allowed, one
// object at most is left behind.
func (c *Catalog) probeKey() string {
	return fmt.Sprintf("%s%s%x", c.o.Prefix, probes, c.o.Identity.Writer[:])
}

// noETag is one that no object has.
const noETag = "00000000000000000000000000000000"

// tryPowers is sure unless something passing may have kept it from the truth.
func (c *Catalog) tryPowers(ctx context.Context, key string) (p Powers, sure bool, err error) {
	body, begun := []byte("probe\n"), time.Now()
	first, err := c.put(ctx, key, body, bucket.PutOptions{})
	if err == nil {
		p.Checksums = true
	} else if errors.Is(err, bucket.ErrUnsupported) {
		first, err = c.putBytes(ctx, key, body, bucket.PutOptions{})
	}
	if err != nil {
		return p, false, err
	}
	took := time.Since(begun)
	// The conditions below do not hold. A server that heeds them refuses.
	_, exists := c.putBytes(ctx, key, body, bucket.PutOptions{Condition: bucket.Condition{IfNone: true}})
	_, differs := c.putBytes(ctx, key, body, bucket.PutOptions{Condition: bucket.Condition{IfMatch: noETag}})
	p.PutConditions = refused(exists) && refused(differs)
	raced := true
	if p.PutConditions {
		p.Atomic, raced = c.race(ctx, key, first.ETag, took)
	}
	copied := error(nil)
	if c.o.Copies {
		copied = c.copyOnto(ctx, key)
	}
	deleted := c.store.Delete(ctx, key, bucket.Condition{IfMatch: noETag})
	if denied(deleted) {
		deleted = nil // who may not delete may still upload
	}
	for _, err := range []error{exists, differs, deleted} {
		if err != nil && !refused(err) && !errors.Is(err, bucket.ErrUnsupported) {
			return p, false, err
		}
	}
	p.DeleteConditions, p.CopyConditions = refused(deleted), refused(copied)
	looked := copied == nil || p.CopyConditions || errors.Is(copied, bucket.ErrUnsupported) || denied(copied)
	return p, raced && looked, nil
}

// refused reports whether the server heeded a condition that does not hold. Its last answer tells that, also
// where the one to an earlier try was lost.
func refused(err error) bool {
	var e *bucket.Error
	return errors.Is(err, bucket.ErrChanged) || errors.As(err, &e) && (e.Status == http.StatusPreconditionFailed || e.Code == "PreconditionFailed")
}

// copyOnto copies the object of a probe to itself, under the condition that there is none. A
// store that cannot, or may not, copy heeds no conditions.
func (c *Catalog) copyOnto(ctx context.Context, key string) error {
	copier, ok := c.store.(bucket.Copier)
	if !ok {
		return nil
	}
	o := bucket.CopyOptions{MetadataDirective: "REPLACE"}
	o.Terms, o.Headers.Metadata, o.IfNone = c.o.Terms, map[string]string{"probe": "copy"}, true
	_, err := copier.Copy(ctx, bucket.Source{Key: key}, key, o)
	return err
}

// denied reports whether the server does not allow what was asked.
func denied(err error) bool {
	var e *bucket.Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden
}

// powersRecord is the name of what is remembered: a probe that asked for more has one of its own.
func (c *Catalog) powersRecord() []byte {
	if c.o.Copies {
		return []byte("powers with copies " + c.o.Place)
	}
	return []byte("powers " + c.o.Place)
}

// rememberPowers remembers what was found, and when the probe was.
func (c *Catalog) rememberPowers(p Powers) {
	if c.o.State != nil && !c.probed.IsZero() {
		c.o.State.Remember(c.powersRecord(), p.encode(c.probed))
	}
}

func (p Powers) encode(now time.Time) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(now.UnixNano()))
	for _, power := range []bool{p.PutConditions, p.DeleteConditions, p.CopyConditions, p.Checksums, p.Atomic} {
		if power {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return append(b, byte(p.Batches))
}

// recallPowers returns what was found before. Older versions of this program asked nothing about batches.
func (c *Catalog) recallPowers() (p Powers, ok bool) {
	if c.o.State == nil {
		return p, false
	}
	b := c.o.State.Recall(c.powersRecord())
	switch {
	case len(b) == 13:
	case len(b) == 14 && Batches(b[13]) <= BatchesIgnore:
		p.Batches = Batches(b[13])
	default:
		return p, false
	}
	then := time.Unix(0, int64(binary.LittleEndian.Uint64(b)))
	p.PutConditions, p.DeleteConditions, p.CopyConditions, p.Checksums, p.Atomic = b[8] == 1, b[9] == 1, b[10] == 1, b[11] == 1, b[12] == 1
	age := c.o.Now().Sub(then)
	if age < 0 || age >= keepPowers {
		return Powers{}, false
	}
	c.probed = then
	return p, true
}
