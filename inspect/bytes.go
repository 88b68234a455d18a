package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
)

// partSize is how much of an object one request reads.
const partSize = 8 << 20

// triesOfPart is how often a part is asked for whose body breaks off.
const triesOfPart = 4

// A hasher reads objects and hashes them, several parts at once. It holds one part for each request.
type hasher struct {
	store    bucket.Store
	prefix   string
	customer *bucket.CustomerKey
	slots    chan []byte // as many as there may be requests
	read     atomic.Int64
}

func newHasher(store bucket.Store, prefix string, customer *bucket.CustomerKey, width int) *hasher {
	h := &hasher{store: store, prefix: prefix, customer: customer, slots: make(chan []byte, width)}
	for range width {
		h.slots <- nil // the buffer is made when it is needed
	}
	return h
}

// digest is that of the bytes of an object, which has to have the ETag if one is given.
// Errors: those of the store; bucket.ErrChanged too if the object has another size.
func (h *hasher) digest(ctx context.Context, key string, size int64, etag string) (manifest.Digest, error) {
	sum := hashing.NewParts(size, partSize)
	if size == 0 {
		return sum.Sum(), h.part(ctx, sum, 0, key, etag) // also the empty object is asked for
	}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(cap(h.slots))
	for i := range sum.Len() {
		group.Go(func() error { return h.part(within, sum, i, key, etag) })
	}
	if err := group.Wait(); err != nil {
		return manifest.Digest{}, err
	}
	return sum.Sum(), nil
}

// part reads and hashes one part.
func (h *hasher) part(ctx context.Context, sum *hashing.Parts, i int, key, etag string) error {
	var buf []byte
	select {
	case buf = <-h.slots:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { h.slots <- buf }()
	offset, n := int64(0), int64(0)
	if sum.Len() > 0 {
		offset, n = sum.Bounds(i)
	}
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	o := bucket.GetOptions{IfMatch: etag, Customer: h.customer}
	if sum.Len() > 1 {
		o.Offset, o.Length = offset, n
	}
	var err error
	for range triesOfPart {
		if err = h.fill(ctx, key, sum.Size(), o, buf[:n]); !errors.Is(err, errBroken) {
			break
		}
	}
	if err == nil && n > 0 {
		sum.Part(i, buf[:n])
		h.read.Add(n)
	}
	return err
}

// errBroken says that a body ended early or broke off.
var errBroken = errors.New("body broke off")

// fill reads the bytes that o asks for, which are as many as b takes.
func (h *hasher) fill(ctx context.Context, key string, size int64, o bucket.GetOptions, b []byte) error {
	body, obj, err := h.store.Get(ctx, h.prefix+key, o)
	if err != nil {
		return err
	}
	defer body.Close()
	if obj.Size != size {
		return fmt.Errorf("read %q: %w", key, bucket.ErrChanged)
	}
	if _, err := io.ReadFull(body, b); err != nil && ctx.Err() == nil {
		return fmt.Errorf("read %q: %w: %w", key, errBroken, err)
	}
	return ctx.Err()
}

// unreadable reports whether an object, though it is there, cannot be read by who asks.
func unreadable(err error) bool {
	var e *bucket.Error
	return errors.Is(err, bucket.ErrArchived) || errors.As(err, &e) && (e.Status == http.StatusForbidden || e.Status == http.StatusBadRequest)
}
