package transfer

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/listing"
	"merkur/transfer/compare"
)

// A Side is one end of a run: a local directory, or a prefix of a bucket.
type Side struct {
	Dir      string              // the local tree; empty: the side is in a bucket
	Store    bucket.Store        // of the bucket
	Bucket   string              // its name
	Prefix   string              // of the keys: empty, or ending in "/"
	Place    string              // names endpoint, bucket and prefix to the cache
	Customer *bucket.CustomerKey // that its objects are encrypted with
}

func (s Side) local() bool { return s.Dir != "" }

// way returns the direction from one side to the other.
func way(from, to Side) compare.Direction {
	switch {
	case from.local():
		return compare.Up
	case to.local():
		return compare.Down
	}
	return compare.Across
}

// Found is what one side has under a key.
type Found struct {
	manifest.Entry
	Time  int64  // last change, as compare wants it; 0 if it is not known
	Class string // storage class of an object that was listed
}

// kept is a copy of what a stream yields, for who keeps it. It is whole: of an object whose content nobody
// knows it has the stand-in for the digest, which a stream leaves out, since most objects are only compared.
func (f *Found) kept() *Found {
	k := *f
	if k.Unproven && k.Digest == (manifest.Digest{}) {
		k.Digest = manifest.UnprovenDigest(k.Evidence.ETag, k.Size)
	}
	return &k
}

func (f *Found) facts() compare.Facts {
	c := compare.Facts{Size: f.Size, Time: f.Time, ETag: f.Evidence.ETag}
	if !f.Unproven {
		c.Digest = f.Digest
	}
	return c
}

// inTree is what a manifest says of an object.
func inTree(e *manifest.Entry) *Found {
	if e == nil {
		return nil
	}
	return &Found{Entry: *e, Time: compare.ObjectTime(time.Unix(e.Evidence.Modified, 0))}
}

// inDir is what a scan says of a file.
func inDir(e *manifest.Entry) *Found {
	if e == nil {
		return nil
	}
	return &Found{Entry: *e, Time: compare.FileTime(e.MTime)}
}

// inBucket is what a listing says of an object, but for the stand-in for its digest: its content is not known.
func inBucket(o *bucket.Listed, key string) Found {
	f := Found{
		Entry: manifest.Entry{Key: key, Size: o.Size, Unproven: true, Evidence: manifest.Evidence{ETag: o.ETag}},
		Time:  compare.ObjectTime(o.Modified), Class: o.Class,
	}
	if !o.Modified.IsZero() {
		f.Evidence.Modified = o.Modified.Unix()
	}
	return f
}

// inHead is what the bucket says of an object that it was asked about by itself.
func inHead(o bucket.Object, key string) *Found {
	l := o.Listed()
	f := inBucket(&l, key)
	f.Evidence.Version = o.Version
	return f.kept()
}

// unproven is the entry of an object of which only the bucket's word is known.
func unproven(o bucket.Object, key string) manifest.Entry {
	return inHead(o, key).Entry
}

// A pair is one key as both sides have it. One of them may be nil.
type pair struct {
	key      string
	from, to *Found
}

// A stream is what one side has, in key order. What it yields is there until it goes on: who keeps it keeps
// a copy, see kept.
type stream = iter.Seq2[*Found, error]

// join pairs two streams.
func join(from, to stream) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		next, stop := iter.Pull2(to)
		defer stop()
		b, err, more := next()
		for a, aerr := range from {
			if aerr != nil {
				yield(pair{}, aerr)
				return
			}
			for more && err == nil && b.Key < a.Key {
				if !yield(pair{b.Key, nil, b}, nil) {
					return
				}
				b, err, more = next()
			}
			if err != nil {
				break
			}
			p := pair{a.Key, a, nil}
			if more && b.Key == a.Key {
				p.to = b
			}
			if !yield(p, nil) {
				return
			}
			if p.to != nil {
				b, err, more = next()
			}
		}
		for ; more && err == nil; b, err, more = next() {
			if !yield(pair{b.Key, nil, b}, nil) {
				return
			}
		}
		if err != nil {
			yield(pair{}, err)
		}
	}
}

// listed are the objects of a side, as a stream.
func (r *run) listed(ctx context.Context, s Side, keys manifest.Range) stream {
	return func(yield func(*Found, error) bool) {
		o := listing.Options{Prefix: s.Prefix}
		if keys.First != "" {
			o.First = s.Prefix + keys.First
		}
		if keys.Last != "" {
			o.Last = s.Prefix + keys.Last
		}
		o.Splits = r.splits(ctx, s)
		var f Found
		for obj, err := range listing.Objects(ctx, s.Store, o) {
			if err != nil {
				yield(nil, fmt.Errorf("list %s: %w", s, err))
				return
			}
			r.listedObjects.Add(1)
			key := strings.TrimPrefix(obj.Key, s.Prefix)
			if hidden(key, obj.Size) {
				continue
			}
			f = inBucket(&obj, key)
			if !yield(&f, nil) {
				return
			}
		}
	}
}

// hidden reports whether an object is none of the tree's: our own, and the markers by which
// some tools make a directory visible.
func hidden(key string, size int64) bool {
	return key == "" || manifest.IsReserved(key) || size == 0 && strings.HasSuffix(key, "/")
}

// String names the side for people.
func (s Side) String() string {
	if s.local() {
		return s.Dir
	}
	return "s3://" + s.Bucket + "/" + s.Prefix
}

// scanned are the files of the local side, as a stream. What cannot be read is told and
// remembered.
func (r *run) scanned(ctx context.Context) stream {
	return func(yield func(*Found, error) bool) {
		var f Found
		for e, err := range r.files(ctx) {
			f = Found{Entry: e, Time: compare.FileTime(e.MTime)}
			if !yield(&f, err) || err != nil {
				return
			}
		}
	}
}

// files are the entries that the scan finds.
func (r *run) files(ctx context.Context) iter.Seq2[manifest.Entry, error] {
	return func(yield func(manifest.Entry, error) bool) {
		defer r.lead.end()
		for item, err := range r.scan.Items(ctx) {
			switch {
			case err != nil:
				yield(manifest.Entry{}, err) // it says of which directory
				return
			case item.Problem != nil:
				r.problem(item.Problem)
				continue
			}
			r.o.Meter.Scanned.Add(1)
			if !yield(item.Entry, nil) {
				return
			}
		}
	}
}

// fold folds what the scan finds, and yields the leaves.
func (r *run) fold(ctx context.Context) iter.Seq2[*manifest.Page, error] {
	return func(yield func(*manifest.Page, error) bool) {
		b := manifest.NewBuilder(func(p *manifest.Page) (manifest.Location, error) {
			if p.Level == 0 && !yield(p, nil) {
				return manifest.Location{}, errStopped
			}
			return manifest.Location{}, nil
		})
		b.ReuseLeaves() // whoever compares them copies what differs
		err := r.addAll(ctx, b)
		if err == nil {
			_, err = b.Finish()
		}
		if err != nil && err != errStopped {
			yield(nil, err)
		}
	}
}

func (r *run) addAll(ctx context.Context, b *manifest.Builder) error {
	for e, err := range r.files(ctx) {
		if err != nil {
			return err
		}
		if err := b.Add(e); err != nil {
			return err
		}
	}
	return nil
}

// problem notes a local path that could not be read. Problems come in key order; one that an
// earlier attempt of this run told of is not told again.
func (r *run) problem(p *hashing.Problem) {
	if r.o.Delete || r.way == compare.Down {
		r.policy.unknown.add(p.Key)
	}
	if p.Twin {
		return
	}
	r.sum.Problems++
	if r.told == "" || p.Key > r.told {
		r.told = p.Key
		r.report(Event{Problem: p})
	}
}
