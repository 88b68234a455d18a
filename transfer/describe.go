package transfer

import (
	"context"
	"errors"

	"merkur/manifest"
	"merkur/store/bucket"
)

// describe gives an object other headers by having the server copy it to itself. Nothing is
// uploaded. The headers, user metadata among them, are then those that an upload would give it.
// Storage class, encryption and tags stay as they are. An ACL does not survive a copy; the one
// of the command line is given again.
func (r *run) describe(ctx context.Context, a Action) (manifest.Entry, error) {
	e := *a.Old
	copier, ok := r.store.(bucket.Copier)
	if !ok {
		return e, bucket.ErrUnsupported
	}
	if err := r.replaceable(a.Old); err != nil {
		return e, err
	}
	at := target{r.store, r.o.To, e, a.Key}
	obj, err := at.head(ctx, 0)
	if errors.Is(err, bucket.ErrNotFound) || err == nil && obj.ETag != e.Evidence.ETag {
		return e, errForeign
	}
	if err != nil {
		return e, err
	}
	o := bucket.CopyOptions{MetadataDirective: "REPLACE"}
	o.Headers, o.Terms, o.Condition = r.headers(a.Key), r.termsLike(obj), a.condition()
	key := r.o.To.Prefix + a.Key
	src := bucket.Source{Key: key, IfMatch: e.Evidence.ETag, Size: e.Size, Customer: r.o.To.Customer}
	now, err := r.copyOnce(ctx, copier, a, src, o) // an answer that is lost leaves the key to the next run
	if err != nil {
		return e, r.overtaken(ctx, err)
	}
	a.becomes(altered)
	r.sent.described.Add(1)
	r.report(Event{Done: &a})
	e.Headers = r.asked(a.Key).Tag()
	e.Evidence.ETag, e.Evidence.Version, e.Evidence.Modified = now.ETag, now.Version, 0
	if !now.Modified.IsZero() {
		e.Evidence.Modified = now.Modified.Unix()
	}
	if e.Unproven {
		e.Digest = manifest.UnprovenDigest(e.Evidence.ETag, e.Size)
	}
	return e, nil
}

// termsLike are the terms of this run, and those of an object where the run has none.
func (r *run) termsLike(obj bucket.Object) bucket.Terms {
	t := r.o.Terms
	if t.Class == "" {
		t.Class = obj.Class
	}
	if t.Encryption == "" && t.Customer == nil {
		t.Encryption, t.KMSKey = obj.Encryption, obj.KMSKey
	}
	if t.Customer == nil {
		t.Customer = r.o.To.Customer
	}
	return t
}
