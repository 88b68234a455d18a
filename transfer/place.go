package transfer

import (
	"context"
	"errors"
	"fmt"

	"merkur/manifest"
	"merkur/store/bucket"
)

// A placing is an object to be stored: how, and how to recognise it.
type placing struct {
	// put stores it; one that takes long calls check right before it makes it visible.
	put   func(o bucket.PutOptions, check func() error) (bucket.Object, error)
	entry func() manifest.Entry // of what put sends
	crc   func() uint64         // of what put sends
	etag  func() string         // that a single put gives it; empty: not known
}

// place stores an object if the bucket still holds what the action expects. Where the server's
// answer leaves open what happened, it looks. It reports false if the object was there already,
// by somebody else's hand or by a put whose answer was lost.
func (r *run) place(ctx context.Context, a Action, o bucket.PutOptions, p placing) (manifest.Entry, bool, error) {
	key := r.o.To.Prefix + a.Key
	if r.catalog != nil {
		o.Condition = a.condition()
	}
	if err := r.state(ctx, a, p.entry()); err != nil {
		return p.entry(), false, err
	}
	var doubt error // of a put that may have been carried out
	for range maxLooks {
		obj, err := r.putUnder(ctx, key, o, p)
		if err == nil {
			return witnessed(p.entry(), obj, p.crc()), true, nil
		}
		if errors.Is(err, bucket.ErrUncertain) {
			if doubt != nil {
				return p.entry(), false, err // the server has had its tries, twice
			}
			doubt = err
		} else if !errors.Is(err, bucket.ErrChanged) {
			return p.entry(), false, both(doubt, err)
		}
		now, err := r.store.Head(ctx, key, bucket.HeadOptions{Customer: r.o.To.Customer})
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			if doubt == nil && o.IfMatch != "" {
				r.meet(encounter{a: a, again: true})
			}
			o.Condition = bucket.Condition{IfNone: r.catalog != nil} // somebody removed it: put it back
		case err != nil:
			return p.entry(), false, both(doubt, err)
		case a.Old != nil && now.ETag == a.Old.Evidence.ETag && doubt != nil:
			// As it was: of a put of the same bytes, nothing shows whether its headers and time have arrived.
		case r.holds(now, p):
			return witnessed(p.entry(), now, p.crc()), doubt != nil, nil
		case r.catalog != nil && now.ETag != o.IfMatch:
			return p.entry(), false, both(doubt, errForeign)
		}
	}
	return p.entry(), false, both(doubt, bucket.ErrChanged)
}

// both returns an error that is also the doubt left by an earlier try, if there is one: then it
// is not known what the bucket holds, whatever was answered later.
func both(doubt, err error) error {
	if doubt == nil {
		return err
	}
	return fmt.Errorf("%w; then: %w", doubt, err)
}

// putUnder puts under the condition, which it checks itself where the server does not heed it.
// Where there is no manifest there are no conditions, and no probe has told whether the server
// takes checksums.
func (r *run) putUnder(ctx context.Context, key string, o bucket.PutOptions, p placing) (bucket.Object, error) {
	cond := o.Condition
	check := func() error { return r.check(ctx, key, cond) }
	o.CRC64, o.HasCRC64 = p.crc(), true
	switch {
	case r.powers == nil:
		check = func() error { return nil }
	case !r.powers.PutConditions:
		if err := check(); err != nil {
			return bucket.Object{}, err
		}
		o.Condition = bucket.Condition{}
	}
	if r.powers != nil {
		o.HasCRC64 = r.powers.Checksums
	}
	obj, err := p.put(o, check)
	if l, ok := r.store.(bucket.Lenient); ok && r.powers == nil && errors.Is(err, bucket.ErrUnsupported) {
		l.SendNoChecksums()
		obj, err = p.put(o, check)
	}
	return obj, err
}

// check returns ErrChanged unless the condition holds now. It narrows the gap for another
// writer where a server does not close it.
func (r *run) check(ctx context.Context, key string, c bucket.Condition) error {
	now, err := r.store.Head(ctx, key, bucket.HeadOptions{Customer: r.o.To.Customer})
	switch {
	case err != nil && !errors.Is(err, bucket.ErrNotFound):
		return err
	case c.IfNone && err == nil, c.IfMatch != "" && (err != nil || now.ETag != c.IfMatch):
		return bucket.ErrChanged
	}
	return nil
}

// holds reports whether an object surely has the content that is being placed. With a key, a checksum
// does not count: anybody can make bytes that have it.
func (r *run) holds(o bucket.Object, p placing) bool {
	if o.Size != p.entry().Size {
		return false
	}
	if o.HasCRC64 && r.o.Key == nil {
		return o.CRC64 == p.crc()
	}
	return o.ETag != "" && o.ETag == p.etag()
}

// witnessed is the entry with what the bucket said about its object.
func witnessed(e manifest.Entry, o bucket.Object, crc uint64) manifest.Entry {
	e.Evidence = manifest.Evidence{ETag: o.ETag, CRC64: crc, HasCRC64: true, Version: o.Version}
	if !o.Modified.IsZero() {
		e.Evidence.Modified = o.Modified.Unix()
	}
	return e
}
