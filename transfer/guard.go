package transfer

import (
	"fmt"

	"merkur/transfer/compare"
)

// A Limit bounds how many files or objects a run may delete.
type Limit struct {
	Count   uint64 // objects, if Percent is 0
	Percent uint64 // of those that the destination has
	Given   bool   // said by the user; else the limits below hold
}

// Without a limit of the user's, a run may delete half of the objects, and always as many as
// fewObjects. Where nothing was mirrored before it may delete firstObjects and no more: what is there
// is somebody else's. And what has less than foreignPercent of the keys in common with the destination is
// hardly its source.
const (
	usualPercent   = 50
	fewObjects     = 100
	firstObjects   = 10
	foreignPercent = 10
)

// What stops a run before it deletes anything. The last two are kinds of ErrTooManyDeletes.
var (
	ErrTooManyDeletes = fmt.Errorf("too many deletes")
	ErrEmptySource    = fmt.Errorf("the source is empty")
	ErrFirstRun       = fmt.Errorf("%w for a first run", ErrTooManyDeletes)
	ErrWrongSource    = fmt.Errorf("%w: the source has hardly anything of what the destination holds", ErrTooManyDeletes)
)

// Circumstances are what deletes are judged by, beside their number.
type circumstances struct {
	empty   bool   // the source is
	first   bool   // nothing was mirrored to the destination before
	strange uint64 // deletes of what was only found there, where this machine has not mirrored to it before
}

func (r *run) circumstances() (c circumstances, err error) {
	c = circumstances{empty: r.emptied(), first: (r.new || r.o.Begun) && !r.o.Known}
	// A first run that was refused has put what it found into the manifest, which makes it nobody's. What a
	// listing tells of the source can prove nothing, and so does not tell the one from the other: there the
	// machine has to remember it (Options.Begun).
	if !r.o.Known && r.catalog != nil && r.o.Compare == compare.Content && (r.way == compare.Up || r.source != nil) {
		err = r.doomed.each(func(leaf []Action) error {
			for i := range leaf {
				if leaf[i].Old.Unproven {
					c.strange++
				}
			}
			return nil
		})
	}
	return c, err
}

// guard decides whether deletes may go ahead, of which there are n where the destination has
// total.
func guard(n, total uint64, c circumstances, limit Limit, allowEmpty bool) error {
	if n == 0 {
		return nil
	}
	if c.empty && !allowEmpty {
		return fmt.Errorf("%w: %d of %d would be deleted", ErrEmptySource, n, total)
	}
	most, why := limit.Count, ErrTooManyDeletes
	switch {
	case limit.Given && limit.Percent > 0:
		most = total * limit.Percent / 100
	case limit.Given:
	case c.empty:
		most = n // allowed by name
	case total > fewObjects && (total-min(n, total))*100 < total*foreignPercent:
		most, why = 0, ErrWrongSource
	case c.first, c.strange > firstObjects:
		most, why = firstObjects, ErrFirstRun
	default:
		most = max(fewObjects, total*usualPercent/100)
	}
	switch {
	case n <= most:
		return nil
	case why == ErrWrongSource:
		return fmt.Errorf("%w: %d of %d would be deleted", why, n, total)
	}
	return fmt.Errorf("%w: %d of %d would be deleted, at most %d may be", why, n, total, most)
}
