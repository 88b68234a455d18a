package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"merkur/manifest"
	"merkur/store/bucket"
)

// Names below the reserved prefix.
const (
	rootName = manifest.Reserved + "manifest"
	packs    = manifest.Reserved + "p/"
	probes   = manifest.Reserved + "probe/"
)

// maxRoot bounds a root object: a writer puts pages of 8 MiB into one, and a footer of 16.
const maxRoot = 64 << 20

// ErrNoManifest says that a prefix has no committed manifest.
var ErrNoManifest = errors.New("there is no manifest")

// A committed is the manifest of a prefix, its root object read whole. Unlike package catalog it uses
// no cache, and it goes on being readable when the root object is replaced.
type committed struct {
	store  bucket.Store
	prefix string
	m      *manifest.Manifest
	object []byte
	etag   string
}

// readCommitted reads the root object of a prefix. It returns nil if that has not moved since the one
// whose ETag is given. Errors: ErrNoManifest, and those of [manifest.Seal.Open].
func readCommitted(ctx context.Context, store bucket.Store, prefix string, seal *manifest.Seal, unless string) (*committed, error) {
	body, obj, err := store.Get(ctx, prefix+rootName, bucket.GetOptions{IfNoneMatch: unless})
	switch {
	case errors.Is(err, bucket.ErrNotModified) && unless != "":
		return nil, nil
	case errors.Is(err, bucket.ErrNotFound):
		return nil, ErrNoManifest
	case err != nil:
		return nil, fmt.Errorf("read manifest %s%s: %w", prefix, rootName, err)
	}
	defer body.Close()
	c := &committed{store: store, prefix: prefix, etag: obj.ETag}
	if c.object, err = io.ReadAll(io.LimitReader(body, maxRoot+1)); err == nil && len(c.object) > maxRoot {
		err = fmt.Errorf("%w: object has more than %d bytes", manifest.ErrCorrupt, maxRoot)
	}
	if err == nil {
		c.m, err = seal.Open(c.object)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest %s%s: %w", prefix, rootName, err)
	}
	return c, nil
}

// page reads one page. An error is manifest.ErrCorrupt if the page is gone or not what its parent
// says; any other says nothing about it.
func (c *committed) page(ctx context.Context, r manifest.Ref) (*manifest.Page, error) {
	frame, err := c.frame(ctx, r)
	if err != nil {
		return nil, err
	}
	return manifest.DecodeFrame(frame, r)
}

func (c *committed) frame(ctx context.Context, r manifest.Ref) ([]byte, error) {
	at := r.At
	if at.Pack == (manifest.PackName{}) {
		if at.Off > uint64(len(c.object)) || uint64(at.Len) > uint64(len(c.object))-at.Off {
			return nil, fmt.Errorf("%w: page at %q lies outside of the root object", manifest.ErrCorrupt, r.First)
		}
		return c.object[at.Off : at.Off+uint64(at.Len)], nil
	}
	if at.Len == 0 { // a request for no bytes would ask for all
		return nil, fmt.Errorf("%w: page at %q has no bytes", manifest.ErrCorrupt, r.First)
	}
	key := packs + packHex(at.Pack)
	body, _, err := c.store.Get(ctx, c.prefix+key, bucket.GetOptions{Offset: int64(at.Off), Length: int64(at.Len)})
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return nil, fmt.Errorf("%w: pack %s is missing", manifest.ErrCorrupt, key)
	case outside(err):
		return nil, fmt.Errorf("%w: pack %s ends before the page at %q", manifest.ErrCorrupt, key, r.First)
	case err != nil:
		return nil, fmt.Errorf("read page at %q: %w", r.First, err)
	}
	defer body.Close()
	frame, err := io.ReadAll(io.LimitReader(body, int64(at.Len)+1))
	if err != nil {
		return nil, fmt.Errorf("read page at %q: %w", r.First, err)
	}
	return frame, nil
}

// outside reports whether a request for a range found that the object ends before it.
func outside(err error) bool {
	var e *bucket.Error
	return errors.As(err, &e) && e.Status == http.StatusRequestedRangeNotSatisfiable
}

func packHex(name manifest.PackName) string { return fmt.Sprintf("%x", name[:]) }

// stated tells of lists of what runs mean to store that cannot be read.
func (c *committed) stated(ctx context.Context) (damage []Finding, err error) {
	for _, i := range c.m.Intents {
		if i.Meant == nil {
			continue
		}
		frame, err := c.frame(ctx, manifest.Ref{At: *i.Meant})
		if err == nil {
			_, err = manifest.DecodeMeant(frame, *i.Meant)
		}
		if errors.Is(err, manifest.ErrCorrupt) {
			damage = append(damage, Finding{Class: Damaged, Detail: "the list of what a run means to store: " + plain(err)})
			err = nil
		}
		if err != nil {
			return nil, err
		}
	}
	return damage, nil
}

// doomed are the keys whose objects runs are deleting. A list that cannot be read is left out, and told.
func (c *committed) doomed(ctx context.Context) (keys map[string]bool, damage []Finding, err error) {
	keys = map[string]bool{}
	for _, i := range c.m.Intents {
		if i.Doomed == nil {
			continue
		}
		p, err := c.page(ctx, *i.Doomed)
		if errors.Is(err, manifest.ErrCorrupt) {
			damage = append(damage, Finding{Class: Damaged, Detail: "the list of objects that a run is deleting: " + plain(err)})
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for j := range p.Entries {
			keys[p.Entries[j].Key] = true
		}
	}
	return keys, damage, nil
}

// plain is what is wrong with a manifest, without saying again that it is corrupt.
func plain(err error) string {
	return strings.Replace(err.Error(), manifest.ErrCorrupt.Error()+": ", "", 1)
}

func (c *committed) tree(ctx context.Context) manifest.Tree {
	return manifest.Tree{Root: c.m.Root, Fetch: func(r manifest.Ref) ([]byte, error) { return c.frame(ctx, r) }}
}
