package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
)

// hopeless returns why there is no point in going on after an error, or nil.
func hopeless(err error) error {
	var e *bucket.Error
	switch {
	case unreachable(err):
		return fmt.Errorf("the server cannot be reached any more: %w", err)
	case errors.As(err, &e) && e.Refused():
		return e
	}
	return nil
}

// unreachable reports whether no connection to the server could be made.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// salvage writes down what was stored before the run had to end, if that is possible at all. If not,
// the intent stays, and the next run looks.
func (r *run) salvage(ctx context.Context, changes []manifest.Change, ended error) {
	if len(changes) == 0 || unreachable(ended) {
		return
	}
	safe, cancel := graceful(ctx)
	defer cancel()
	r.commit(safe, r.doubt.of(catalog.Edit{Changes: changes}))
}
