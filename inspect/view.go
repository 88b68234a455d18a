package inspect

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"iter"
	"strings"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/listing"
)

// A View is a tree that can be looked at. Its keys are below Sub, and without it.
type View struct {
	Name   string // for people: a path or an s3:// URL
	Listed bool   // no digest is known of any entry

	// entries yields the entries in key order. Those of which no digest is known are unproven, or
	// have none.
	entries func(context.Context) iter.Seq2[manifest.Entry, error]
	// tree is the whole as pages that can be fetched; nil: there is none.
	tree *manifest.Tree
	// leaves yields the whole as leaves that are just being folded; nil: it cannot.
	leaves func(context.Context) iter.Seq2[*manifest.Page, error]
	// look finds out more about the content of an entry: see facts.
	look func(context.Context, manifest.Entry, need) (facts, error)
	// unknown reports whether nothing can be said about a key that the view does not yield; nil:
	// all that is there is yielded.
	unknown func(key string) bool
}

// Entries yields the entries of a view in key order.
func (v *View) Entries(ctx context.Context) iter.Seq2[manifest.Entry, error] { return v.entries(ctx) }

// Root returns the root of a view. That of a manifest is the one that it states; any other is folded.
func (v *View) Root(ctx context.Context) (manifest.Root, error) {
	if v.tree != nil {
		return v.tree.Root, nil
	}
	b := manifest.NewBuilder(nil)
	for e, err := range v.entries(ctx) {
		if err != nil {
			return manifest.Root{}, err
		}
		if err := b.Add(e); err != nil {
			return manifest.Root{}, err
		}
	}
	return b.Finish()
}

// A Bucket is where objects are looked at.
type Bucket struct {
	Store    bucket.Store
	Prefix   string              // of the keys: empty, or ending in "/"
	Customer *bucket.CustomerKey // that the objects are encrypted with; nil: none
}

// Of views the tree of a manifest, whose objects are in b; of its directory sub if that is not empty.
// A nil b is that of a saved manifest, which has no objects to look at.
func Of(name string, t manifest.Tree, b *Bucket, sub string) *View {
	v := &View{Name: name, tree: &t}
	v.entries = func(context.Context) iter.Seq2[manifest.Entry, error] { return Below(t.Entries(sub), sub) }
	if sub != "" {
		v.tree = nil
	}
	if b != nil {
		at := *b
		at.Prefix += sub
		v.look = at.look
	}
	return v
}

// Yielded views entries that come from elsewhere, in key order, each time that they are asked for; their
// objects, if b is not nil, are there.
func Yielded(name string, entries func(context.Context) iter.Seq2[manifest.Entry, error], b *Bucket) *View {
	v := &View{Name: name, entries: entries}
	if b != nil {
		v.look = b.look
	}
	return v
}

// Below yields the entries that are below a directory, under their keys there.
func Below(entries iter.Seq2[manifest.Entry, error], sub string) iter.Seq2[manifest.Entry, error] {
	return func(yield func(manifest.Entry, error) bool) {
		for e, err := range entries {
			rest, below := strings.CutPrefix(e.Key, sub)
			switch {
			case err != nil:
				yield(e, err)
				return
			case !below:
				return
			case rest == "" || strings.HasPrefix(rest, manifest.Reserved):
				continue // the marker of the directory itself, and what would be reserved there
			}
			e.Key = rest
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Listed views the objects of a prefix as they are listed.
func Listed(name string, b Bucket) *View {
	v := &View{Name: name, look: b.look, Listed: true}
	v.entries = func(ctx context.Context) iter.Seq2[manifest.Entry, error] {
		return func(yield func(manifest.Entry, error) bool) {
			for listed, err := range listing.Objects(ctx, b.Store, listing.Options{Prefix: b.Prefix}) {
				if err != nil {
					yield(manifest.Entry{}, fmt.Errorf("list %s: %w", name, err))
					return
				}
				o := listed.Object()
				key := strings.TrimPrefix(o.Key, b.Prefix)
				if key == "" || manifest.IsReserved(key) || unseen(&o) {
					continue
				}
				if !yield(unproven(o, key), nil) {
					return
				}
			}
		}
	}
	return v
}

// unproven is the entry of an object of which only the bucket's word is known.
func unproven(o bucket.Object, key string) manifest.Entry {
	e := manifest.Entry{
		Key: key, Size: o.Size, Digest: manifest.UnprovenDigest(o.ETag, o.Size), Unproven: true,
		Evidence: manifest.Evidence{ETag: o.ETag, Version: o.Version},
	}
	if !o.Modified.IsZero() {
		e.Evidence.Modified = o.Modified.Unix()
	}
	return e
}

// A need is what has to be known of a file so that it can be compared with an object.
type need struct {
	part int64 // size of the parts that the object was stored in; 0: at once
}

// Facts are what is known of some bytes without their digest, and maybe that.
type facts struct {
	digest   manifest.Digest // zero: not known
	etag     string
	crc      uint64
	hasCRC   bool
	partSize int64 // of an object that was stored in parts
	// isMD5 says that the ETag is the MD5 of the bytes, or that of the MD5s of parts of partSize.
	isMD5 bool
}

// factsOf are those that an entry states.
func factsOf(e *manifest.Entry) facts {
	f := facts{etag: e.Evidence.ETag, crc: e.Evidence.CRC64, hasCRC: e.Evidence.HasCRC64}
	if !e.Unproven {
		f.digest = e.Digest
	}
	return f
}

// look asks the bucket about the object of an entry. If that is another one now, nothing is known.
func (b Bucket) look(ctx context.Context, e manifest.Entry, _ need) (facts, error) {
	o, err := b.Store.Head(ctx, b.Prefix+e.Key, bucket.HeadOptions{Customer: b.Customer})
	if gone(err) || unreadable(err) {
		return factsOf(&e), nil
	}
	if err != nil {
		return facts{}, fmt.Errorf("look at %q: %w", e.Key, err)
	}
	f := factsOf(&e)
	if o.ETag != e.Evidence.ETag || o.Size != e.Size {
		return f, nil
	}
	f.crc, f.hasCRC = o.CRC64, o.HasCRC64
	f.isMD5 = len(o.ETag) == 2*md5.Size && b.Customer == nil && (o.Encryption == "" || o.Encryption == "AES256")
	if !f.hasCRC && inParts(o.ETag) {
		first, err := b.Store.Head(ctx, b.Prefix+e.Key, bucket.HeadOptions{Customer: b.Customer, Part: 1})
		if err == nil {
			f.partSize = first.Size
		} else if !errors.Is(err, bucket.ErrNotFound) && !unreadable(err) && !errors.Is(err, bucket.ErrUnsupported) {
			return facts{}, fmt.Errorf("look at %q: %w", e.Key, err)
		}
	}
	return f, nil
}

// inParts reports whether an ETag is that of an object that was stored in parts.
func inParts(etag string) bool { return strings.Contains(etag, "-") }
