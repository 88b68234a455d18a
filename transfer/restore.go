package transfer

import (
	"context"
	"errors"
	"fmt"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/history"
)

// restore copies an old object back to its place: with the headers, tags, class and encryption that
// it has where it is kept.
func (r *run) restore(ctx context.Context, a Action) (manifest.Entry, error) {
	e := a.From.Entry
	if err := r.replaceable(a.Old); err != nil {
		return e, err
	}
	copier, ok := r.store.(bucket.Copier)
	if !ok {
		return e, bucket.ErrUnsupported
	}
	src, kept, err := r.kept(ctx, e)
	if errors.Is(err, bucket.ErrNotFound) && (r.unreached(a) || errors.Is(r.check(ctx, r.o.To.Prefix+a.Key, a.condition()), bucket.ErrChanged)) {
		return e, errForeign // who has put another object there had done so before it could be kept
	}
	if err != nil {
		return e, fmt.Errorf("look at what is kept of it: %w", err)
	}
	a.From.Evidence.ETag = kept.ETag // of the copy of it, by which that is known where its answer is lost
	if kept.HasCRC64 {
		a.From.Evidence.CRC64, a.From.Evidence.HasCRC64 = kept.CRC64, true
	}
	o := bucket.CopyOptions{}
	o.Terms, o.WebsiteRedirect, o.Condition = r.termsLike(kept), kept.WebsiteRedirect, a.condition()
	obj, err := r.copyUnder(ctx, copier, a, src, o)
	if err != nil {
		return e, err
	}
	r.done(a, e.Size)
	e.Evidence.ETag, e.Evidence.Version, e.Evidence.Modified = obj.ETag, obj.Version, 0
	if !obj.Modified.IsZero() {
		e.Evidence.Modified = obj.Modified.Unix()
	}
	e.Unproven = e.Unproven || r.o.Key != nil // records are not sealed: anybody could have made this one
	if e.Unproven {
		e.Digest = manifest.UnprovenDigest(e.Evidence.ETag, e.Size)
	}
	return e, nil
}

// unreached reports whether the run that is undone surely did not replace an object of which no copy is kept, since
// it dies before it makes one: what only looks like what it was to store is somebody else's.
func (r *run) unreached(a Action) bool {
	return a.Guessed && a.Old != nil && r.past.shelf.kept == history.Backup
}

// errNotKept says that what is kept of an object is something else.
var errNotKept = errors.New("it is not what was to be kept")

// kept finds what is kept of an object that a run replaced.
func (r *run) kept(ctx context.Context, old manifest.Entry) (src bucket.Source, obj bucket.Object, err error) {
	side := r.past.Source()
	src = bucket.Source{Bucket: side.Bucket, Key: side.Prefix + old.Key, Customer: r.o.To.Customer}
	if side.Bucket == r.o.To.Bucket {
		src.Bucket = ""
	}
	if r.past.shelf.kept == history.Versions {
		if src.Version = old.Evidence.Version; src.Version == "" {
			return src, obj, bucket.ErrNotFound
		}
	}
	obj, err = side.Store.Head(ctx, src.Key, bucket.HeadOptions{Customer: r.o.To.Customer, Version: src.Version})
	if err != nil {
		return src, obj, err
	}
	src.IfMatch, src.Size = obj.ETag, obj.Size
	other := src.Version != "" && obj.ETag != old.Evidence.ETag
	if known := old.Evidence.HasCRC64 && obj.HasCRC64; other || obj.Size != old.Size || known && obj.CRC64 != old.Evidence.CRC64 {
		err = errNotKept
	}
	return src, obj, err
}
