package transfer

import "fmt"

// A Limit bounds how many files or objects a run may delete.
type Limit struct {
	Count   uint64 // objects, if Percent is 0
	Percent uint64 // of those that the destination has
	Given   bool   // said by the user; else the limit below holds
}

// Without a limit of the user's, a run may delete half of the objects, and always as many as
// fewObjects.
const (
	usualPercent = 50
	fewObjects   = 100
)

// ErrTooManyDeletes and ErrEmptySource stop a run before it deletes anything.
var (
	ErrTooManyDeletes = fmt.Errorf("too many deletes")
	ErrEmptySource    = fmt.Errorf("the source is empty")
)

// guard decides whether deletes may go ahead, of which there are n where the destination has
// total, and whether the source is empty.
func guard(n, total uint64, empty bool, limit Limit, allowEmpty bool) error {
	if n == 0 {
		return nil
	}
	if empty && !allowEmpty {
		return fmt.Errorf("%w: %d of %d would be deleted", ErrEmptySource, n, total)
	}
	most := limit.Count
	switch {
	case !limit.Given && empty:
		most = n // allowed by name
	case !limit.Given:
		most = max(fewObjects, total*usualPercent/100)
	case limit.Percent > 0:
		most = total * limit.Percent / 100
	}
	if n > most {
		return fmt.Errorf("%w: %d of %d would be deleted, at most %d may be", ErrTooManyDeletes, n, total, most)
	}
	return nil
}
