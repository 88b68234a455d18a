package catalog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
)

// Where a server does not keep two writers apart by its conditions, a lease does: an object beside
// the manifest that says who may commit, and until when. It is advice, since such a server
// keeps nobody from ignoring it, and it is sure only if what is written can be read a second
// later. Whoever wants it writes it and looks, after a pause, whether it is still his own: of two
// that have written it at once, the later one has it. The owner looks at it again before each
// commit.
//
//	lease = "merkur lease 1\n" | "writer " hex[32] "\n" | "run " hex[32] "\n" | "until " decimal "\n"

// ErrLeased says that another run may commit, and this one may not.
var ErrLeased = errors.New("another run is writing here")

const (
	leaseName  = manifest.Reserved + "lease"
	leaseHead  = "merkur lease 1\n"
	leaseBytes = 256 // at most
	// leasePause is how long a lease has to stand before it is believed: longer than it takes
	// another run from its look at the lease to the end of its put.
	leasePause = time.Second
)

// A lease is what the object says.
type lease struct {
	writer, run manifest.ID
	until       int64 // nanoseconds since 1970
}

func (l lease) encode() []byte {
	return fmt.Appendf(nil, "%swriter %x\nrun %x\nuntil %d\n", leaseHead, l.writer[:], l.run[:], l.until)
}

// parseLease is the inverse of encode, and takes nothing else.
func parseLease(b []byte) (l lease, ok bool) {
	lines := strings.Split(string(b), "\n")
	if len(b) > leaseBytes || len(lines) != 5 {
		return l, false
	}
	for i, id := range []*manifest.ID{&l.writer, &l.run} {
		_, digits, _ := strings.Cut(lines[1+i], " ")
		if n, err := hex.Decode(id[:], []byte(digits[:min(len(digits), 2*len(id))])); err != nil || n != len(id) {
			return l, false
		}
	}
	_, digits, _ := strings.Cut(lines[3], " ")
	var err error
	l.until, err = strconv.ParseInt(digits, 10, 64)
	return l, err == nil && string(l.encode()) == string(b)
}

// Lease takes the lease for this run, if the server needs one; Probe has found that out. An
// [ErrLeased] says who has it. It is renewed by the commits that this run makes.
func (c *Catalog) Lease(ctx context.Context) error {
	if c.powers.Safe() {
		return nil
	}
	begun := c.o.Now()
	held, etag, err := c.readLease(ctx)
	if err == nil {
		err = c.mayTake(held)
	}
	if err == nil {
		err = c.writeLease(ctx, etag)
	}
	if err == nil {
		c.leased = true // so that it is given up, whatever comes
		err = c.o.Wait(ctx, max(leasePause, 4*c.o.Now().Sub(begun)))
	}
	if err != nil {
		return fmt.Errorf("take the lease %s%s: %w", c.o.Prefix, leaseName, err)
	}
	return c.keepLease(ctx)
}

// mayTake returns an error if the lease is another run's. That of an earlier run of the same
// writer, or of a process of this machine that is no more, is nobody's any more, and so is one that ends later
// than any lease does.
func (c *Catalog) mayTake(held *lease) error {
	if held == nil || !c.ahead(held.until) || c.o.Identity.past(held.writer) {
		return nil
	}
	return fmt.Errorf("%w; its lease runs out at %s unless it is renewed", ErrLeased, time.Unix(0, held.until).Format(time.TimeOnly))
}

// ahead reports whether an instant up to which something is respected has yet to come. One that
// is more than a day further away than it can be is not respected at all: no clock that a server
// takes signatures from is so wrong.
func (c *Catalog) ahead(until int64) bool {
	now := c.o.Now()
	return until >= now.UnixNano() && until <= now.Add(Lease+24*time.Hour).UnixNano()
}

// keepLease makes sure that the lease is still this run's, and renews it in time.
func (c *Catalog) keepLease(ctx context.Context) error {
	if !c.leased {
		return nil
	}
	held, etag, err := c.readLease(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look at the lease: %w", err)
	case held == nil || held.run != c.run:
		return fmt.Errorf("%w; it has taken the lease from this one", ErrLeased)
	case held.until > c.o.Now().Add(Lease*2/3).UnixNano():
		return nil
	}
	return c.writeLease(ctx, etag)
}

// Release gives the lease up, if this run has it.
func (c *Catalog) Release(ctx context.Context) error {
	if !c.leased {
		return nil
	}
	c.leased = false
	held, etag, err := c.readLease(ctx)
	if err != nil || held == nil || held.run != c.run {
		return err
	}
	return c.store.Delete(ctx, c.o.Prefix+leaseName, c.heeded(bucket.Condition{IfMatch: etag}, c.powers.DeleteConditions))
}

// readLease returns what the lease says, nil if there is none or none that can be read, and the ETag of the
// object, empty if there is none.
func (c *Catalog) readLease(ctx context.Context) (*lease, string, error) {
	body, obj, err := c.store.Get(ctx, c.o.Prefix+leaseName, bucket.GetOptions{})
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, leaseBytes+1)) // whoever may write here may write anything
	if err != nil {
		return nil, "", err
	}
	if l, ok := parseLease(b); ok {
		return &l, obj.ETag, nil
	}
	return nil, obj.ETag, nil
}

// writeLease stores the lease of this run in place of the object that has the ETag, or of none.
func (c *Catalog) writeLease(ctx context.Context, etag string) error {
	l := lease{writer: c.o.Identity.Writer, run: c.run, until: c.o.Now().Add(Lease).UnixNano()}
	cond := bucket.Condition{IfMatch: etag, IfNone: etag == ""}
	_, err := c.putBytes(ctx, c.o.Prefix+leaseName, l.encode(), bucket.PutOptions{Condition: c.heeded(cond, c.powers.PutConditions)})
	if errors.Is(err, bucket.ErrChanged) {
		return fmt.Errorf("%w; it has just taken the lease", ErrLeased)
	}
	if errors.Is(err, bucket.ErrUncertain) {
		return nil // whoever goes on reads it first
	}
	return err
}

// heeded is a condition where the server heeds it, else none.
func (c *Catalog) heeded(cond bucket.Condition, heeds bool) bucket.Condition {
	if heeds {
		return cond
	}
	return bucket.Condition{}
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
