package inspect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/listing"
)

// An Audit says which bucket is compared with its manifest, and how much of it is read.
type Audit struct {
	Store    bucket.Store
	Prefix   string              // of the mirrored keys: empty, or ending in "/"
	Customer *bucket.CustomerKey // that the objects are encrypted with; nil: none
	Seal     *manifest.Seal      // that the manifest has to have; nil: none
	Share    float64             // part of the objects whose bytes are read, 0 to 1
	Seed     uint64              // picks that part
	Width    int                 // objects looked at, and requests for bytes, at once; 0: 8
}

const defaultWidth = 8

// A Tally is what an audit has seen.
type Tally struct {
	Manifest   *manifest.Manifest // that the audit began with
	Files      int64              // entries
	Bytes      int64              // of their sizes
	Unproven   int64              // of Files: those that have no digest
	Objects    int64              // that were listed, without the program's own
	InProgress int64              // keys that were not as the manifest says, and that a run is writing or deleting
	Hidden     int64              // listed objects of which a damaged page may tell
	ReadFiles  int64              // objects whose bytes were read, and had the digest of their entry
	ReadBytes  int64              // that were read
	Found      map[Class]int64
}

// Differs reports whether something is not as the manifest says.
func (t Tally) Differs() bool {
	for class, n := range t.Found {
		if n > 0 && !class.Minor() {
			return true
		}
	}
	return false
}

// An audit is an Audit under way.
type audit struct {
	Audit
	begun  *committed // the manifest that the objects are held against
	c      *committed // the newest that was read
	doomed map[string]bool
	hash   *hasher
	tally  Tally
	found  func(Finding) error
	fold   *manifest.Builder // of all entries; nil once it can tell nothing any more
	ours   map[string]int64  // sizes of the objects below the reserved prefix
	hidden atomic.Int64
	batch  []Finding // not told yet; see settle.go
}

// Run carries out the audit and hands over what it finds, in key order but for what is wrong with the
// manifest as a whole, which comes first and last. Errors: ErrNoManifest, manifest.ErrVersion, manifest.ErrCorrupt if not even
// the root can be read, those of the store, and what found returns.
func (o Audit) Run(ctx context.Context, found func(Finding) error) (Tally, error) {
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	a := &audit{
		Audit: o, found: found, hash: newHasher(o.Store, o.Prefix, o.Customer, o.Width),
		fold: manifest.NewBuilder(nil), ours: map[string]int64{}, tally: Tally{Found: map[Class]int64{}},
	}
	err := a.run(ctx)
	a.tally.ReadBytes, a.tally.Hidden = a.hash.read.Load(), a.hidden.Load()
	return a.tally, err
}

func (a *audit) run(ctx context.Context) (err error) {
	if a.c, err = readCommitted(ctx, a.Store, a.Prefix, a.Seal, ""); err != nil {
		return err
	}
	a.begun = a.c
	a.tally.Manifest = a.c.m
	var damage []Finding
	if a.doomed, damage, err = a.c.doomed(ctx); err != nil {
		return err
	}
	more, err := a.c.stated(ctx)
	if err != nil {
		return err
	}
	for _, f := range append(damage, more...) {
		if err := a.tellNow(f); err != nil {
			return err
		}
	}
	s, err := a.c.survey(ctx)
	if err != nil {
		return err
	}
	matters := judge(a.counted(a.c.tell(ctx, s)), a.listed(ctx, s), a.Prefix)
	for f, err := range inOrder(ctx, a.Width, a.open(matters), a.look) {
		if err != nil {
			return err
		}
		if err := a.put(ctx, f); err != nil {
			return err
		}
	}
	if err := a.settle(ctx); err != nil {
		return err
	}
	return a.whole(ctx, s)
}

// counted counts and folds what the manifest tells.
func (a *audit) counted(tells iter.Seq2[told, error]) iter.Seq2[told, error] {
	return func(yield func(told, error) bool) {
		for t, err := range tells {
			switch {
			case err != nil:
			case t.gap != nil:
				a.fold = nil
			default:
				a.tally.Files++
				a.tally.Bytes += t.entry.Size
				if t.entry.Unproven {
					a.tally.Unproven++
				}
				if a.fold != nil && a.fold.Add(t.entry) != nil {
					a.fold = nil // pages that overlap are told of as damaged
				}
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// listed lists the prefix. What is below the reserved prefix is only remembered.
func (a *audit) listed(ctx context.Context, s *survey) iter.Seq2[bucket.Object, error] {
	var splits []listing.Split
	before := 0
	for _, st := range s.stretches {
		splits = append(splits, listing.Split{Key: a.Prefix + st.ref.First, Count: before})
		before = int(st.ref.Files)
	}
	return func(yield func(bucket.Object, error) bool) {
		for o, err := range listing.Objects(ctx, a.Store, listing.Options{Prefix: a.Prefix, Splits: listing.SplitsOf(splits)}) {
			if err != nil {
				yield(bucket.Object{}, fmt.Errorf("list s3 prefix %q: %w", a.Prefix, err))
				return
			}
			if key := strings.TrimPrefix(o.Key, a.Prefix); strings.HasPrefix(key, manifest.Reserved) {
				a.ours[key] = o.Size
				continue
			}
			a.tally.Objects++
			if !yield(o.Object(), nil) {
				return
			}
		}
	}
}

// open are the matters that have to be looked into: those with something wrong, and those whose bytes
// are to be read.
func (a *audit) open(matters iter.Seq2[matter, error]) iter.Seq2[matter, error] {
	return func(yield func(matter, error) bool) {
		for m, err := range matters {
			if m.hidden {
				a.hidden.Add(1)
				continue
			}
			if err == nil && m.gap == nil && m.class == "" && !a.reads(m.entry) {
				continue
			}
			if !yield(m.kept(), err) || err != nil {
				return
			}
		}
	}
}

// reads reports whether the bytes of an entry are to be read.
func (a *audit) reads(e *manifest.Entry) bool {
	return e != nil && !e.Unproven && hashing.Drawn(e.Key, a.Seed, a.Share)
}

// look looks into a matter. The finding has no class if nothing is wrong.
func (a *audit) look(ctx context.Context, m matter) (Finding, error) {
	f := Finding{Class: m.class, Key: m.key, Entry: m.entry, Object: m.object}
	switch {
	case m.gap != nil:
		return a.gap(m.gap), nil
	case m.class == ForeignChanged:
		return a.again(ctx, f)
	case m.class == "" && m.object != nil && a.reads(m.entry):
		return a.readBytes(ctx, f)
	}
	return f, nil
}

// gap is the finding of a page that cannot be read.
func (a *audit) gap(s *stretch) Finding {
	f := Finding{Class: Damaged, Key: s.ref.First}
	what := "leaf"
	if s.ref.Level > 0 {
		what = "index page"
	}
	place := "the root object"
	if s.ref.At.Pack != (manifest.PackName{}) {
		place = packs + packHex(s.ref.At.Pack)
	}
	f.Detail = fmt.Sprintf("%s of %d files, bytes %d to %d of %s", what, s.ref.Files, s.ref.At.Off, s.ref.At.Off+uint64(s.ref.At.Len), place)
	if s.bad != nil {
		f.Detail += ": " + plain(s.bad)
	}
	return f
}

// again looks at an object that seems to have been changed: only its evidence may be stale.
func (a *audit) again(ctx context.Context, f Finding) (Finding, error) {
	obj, err := a.Store.Head(ctx, a.Prefix+f.Key, bucket.HeadOptions{Customer: a.Customer})
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		f.Class, f.Object = Missing, nil
		return f, nil
	case unreadable(err):
		f.Detail = "it cannot be looked at: " + err.Error()
		return f, nil
	case err != nil:
		return f, fmt.Errorf("look at %q: %w", f.Key, err)
	}
	f.Object = &obj
	switch f.Class = classify(f.Entry, &obj); {
	case f.Class != ForeignChanged:
	case sameBytes(f.Entry, &obj):
		f.Class, f.Detail = Restamped, "size and CRC-64/NVME are those of the entry"
	case obj.Size == f.Entry.Size && a.reads(f.Entry):
		d, err := a.hash.digest(ctx, f.Key, obj.Size, obj.ETag)
		if err == nil && d == f.Entry.Digest {
			f.Class, f.Detail = Restamped, "its bytes are those of the entry"
		} else if err != nil && !gone(err) && !unreadable(err) && !errors.Is(err, errBroken) {
			return f, err
		}
	}
	return f, nil
}

func gone(err error) bool {
	return errors.Is(err, bucket.ErrNotFound) || errors.Is(err, bucket.ErrChanged)
}

// readBytes compares the bytes of an object with the digest of its entry.
func (a *audit) readBytes(ctx context.Context, f Finding) (Finding, error) {
	d, err := a.hash.digest(ctx, f.Key, f.Entry.Size, f.Object.ETag)
	switch {
	case err == nil && d == f.Entry.Digest:
		f.read = true
	case err == nil:
		f.Class, f.Detail = Corrupt, fmt.Sprintf("its bytes have the digest %s, not %s", d, f.Entry.Digest)
	case gone(err):
		return a.again(ctx, f)
	case unreadable(err), errors.Is(err, errBroken):
		f.Class, f.Detail = Unread, err.Error()
	default:
		return f, err
	}
	return f, nil
}
