package transfer

import (
	"context"
	"errors"
	"fmt"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/headers"
)

// Props say which properties of an object a copy takes over from its source.
type Props uint8

// The properties, by the words of --copy-props and --metadata-directive.
const (
	PropsDefault           Props = iota // headers, metadata and tags
	PropsAll                            // and annotations
	PropsMetadataDirective              // headers and metadata, no tags
	PropsNone                           // nothing
	DirectiveCopy                       // the server is told COPY, and asked for nothing else
	DirectiveReplace                    // the server is told REPLACE
)

// maxTagging is how many bytes of tags, as a URL query, the beginning of a copy in parts takes.
const maxTagging = 2048

// A recipe says how an object is copied: what has to be asked first, and what the server is told.
type recipe struct {
	inParts  bool
	askHead  bool // for the source's headers
	askTags  bool // for the source's tags
	metadata string
	tagging  string
	noNotes  bool // annotations stay behind
	guess    bool // a type, since the copy does not get that of the source
}

// recipe is what aws v2 does about properties. given says that the copy is to have headers of its
// own.
func (p Props) recipe(inParts, given bool) recipe {
	c := recipe{inParts: inParts, noNotes: p != PropsAll}
	switch p {
	case DirectiveCopy, DirectiveReplace:
		c.guess = inParts || p == DirectiveReplace // as version 1 does; in place of no type at all
		if c.noNotes = false; !inParts {
			c.metadata = "COPY"
			if p == DirectiveReplace {
				c.metadata = "REPLACE"
			}
		}
	case PropsNone:
		if !inParts {
			c.metadata, c.tagging = "REPLACE", "REPLACE"
		}
	case PropsMetadataDirective:
		c.askHead = inParts || given
		if !inParts {
			c.tagging = "REPLACE"
		}
	default:
		c.askHead, c.askTags = inParts || given, inParts
	}
	if c.askHead && !inParts {
		c.metadata = "REPLACE"
	}
	return c
}

// copy makes the destination's server copy an object, or copies it through this machine where the
// two servers cannot. If the source is another object than the one that is known, nothing
// happens.
func (r *run) copy(ctx context.Context, a Action) (manifest.Entry, error) {
	if err := r.replaceable(a.Old); err != nil {
		return a.From.Entry, err
	}
	copier, ok := r.store.(bucket.Copier)
	if r.o.Relay || !ok {
		return r.relay(ctx, a)
	}
	o, err := r.copyOptions(ctx, a)
	if err != nil {
		return a.From.Entry, r.gone(ctx, err)
	}
	src := bucket.Source{
		Bucket: r.o.From.Bucket, Key: r.o.From.Prefix + a.Key, IfMatch: r.pin(a), Size: a.From.Size, Customer: r.o.From.Customer,
	}
	if r.o.From.Bucket == r.o.To.Bucket {
		src.Bucket = ""
	}
	tags := o.Tags
	if o.PartSize > 0 && len(tags) > maxTagging {
		o.Tags = ""
	}
	obj, err := r.copyUnder(ctx, copier, a, src, o)
	if err != nil {
		return a.From.Entry, r.gone(ctx, err)
	}
	if o.Tags != tags {
		if err := r.setTags(ctx, a, obj.ETag, tags); err != nil {
			a.becomes(unsure)
			return a.From.Entry, err
		}
	}
	r.done(a, a.From.Size)
	return r.copied(a, obj), nil
}

// pin is the ETag that the source must have: where a manifest tells what is in it, and for parts,
// which must be of one object.
func (r *run) pin(a Action) string {
	if r.source != nil || a.From.Size >= r.o.Parts.Threshold || r.catalog != nil {
		return a.From.Evidence.ETag
	}
	return ""
}

// copyOptions finds out what the server is to be told.
func (r *run) copyOptions(ctx context.Context, a Action) (o bucket.CopyOptions, err error) {
	asked := r.asked(a.Key)
	described := asked // what takes a REPLACE: a redirect does not
	described.WebsiteRedirect = ""
	given := described.Tag() != 0
	c := r.o.Props.recipe(a.From.Size >= r.o.Parts.Threshold, given)
	o.Terms, o.NoAnnotations = r.o.Terms, c.noNotes
	o.MetadataDirective, o.TaggingDirective = c.metadata, c.tagging
	if c.inParts {
		o.PartSize = r.o.Parts.of(a.From.Size)
	}
	if c.askHead {
		from := target{r.o.From.Store, r.o.From, a.From.Entry, a.Key}
		obj, err := from.head(ctx, 0)
		if err != nil {
			return o, err
		}
		asked = over(asked, headers.Set(obj.Headers))
	}
	if c.askTags {
		if o.Tags, err = r.tagsOf(ctx, a); err != nil {
			return o, err
		}
	}
	if o.Headers = bucket.Headers(asked); c.guess {
		o.Headers = r.headers(a.Key)
	}
	if r.catalog != nil {
		o.Condition = a.condition()
	}
	return o, nil
}

// tagsOf are the tags of the source. A server without tags has none.
func (r *run) tagsOf(ctx context.Context, a Action) (string, error) {
	tagger, ok := r.o.From.Store.(bucket.Tagger)
	if !ok {
		return "", nil
	}
	tags, err := tagger.Tags(ctx, r.o.From.Prefix+a.Key)
	if errors.Is(err, bucket.ErrUnsupported) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read its tags: %w", err)
	}
	return tags, nil
}

// over is what a copy has: the headers that were asked for, and those of the source where
// nothing was. User metadata count as one header, as they do for aws. Where a web server sends
// its visitors is not taken over.
func over(asked, source headers.Set) headers.Set {
	if asked.Metadata != nil {
		source.Metadata = nil
	}
	source.WebsiteRedirect = ""
	return asked.Over(source)
}

// copyUnder copies under the condition. Where the answer leaves open what happened, it looks.
func (r *run) copyUnder(ctx context.Context, copier bucket.Copier, a Action, src bucket.Source, o bucket.CopyOptions) (bucket.Object, error) {
	dst := r.o.To.Prefix + a.Key
	conditional := r.catalog != nil || r.past != nil
	var doubt error // of a copy that may have been made
	for range maxLooks {
		obj, err := r.copyOnce(ctx, copier, a, src, o)
		// S3 says of a destination that is missing, and should not be, what it says of a missing source.
		refused := errors.Is(err, bucket.ErrChanged) || o.Condition.IfMatch != "" && errors.Is(err, bucket.ErrNotFound)
		switch {
		case err == nil:
			return obj, nil
		case doubt != nil && errors.Is(err, bucket.ErrUncertain):
			return obj, err // the server has had its tries, twice
		case errors.Is(err, bucket.ErrUncertain):
			doubt = err
		case doubt == nil && refused:
			return obj, r.blame(ctx, dst, o.Condition, err)
		case !refused:
			return obj, both(doubt, err)
		}
		now, err := r.store.Head(ctx, dst, bucket.HeadOptions{Customer: r.o.To.Customer})
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			o.Condition = bucket.Condition{IfNone: conditional}
		case err != nil:
			return obj, both(doubt, err)
		case !conditional, now.ETag == o.IfMatch: // as it was
		case !r.isCopy(a.From.Entry, now):
			return obj, both(doubt, errForeign)
		default:
			return now, nil
		}
	}
	return bucket.Object{}, both(doubt, bucket.ErrChanged)
}

// blame finds out, after a copy was refused, whether the destination is not as it should be, or
// else the source.
func (r *run) blame(ctx context.Context, dst string, cond bucket.Condition, refused error) error {
	if err := r.check(ctx, dst, cond); err != nil {
		return r.overtaken(ctx, err)
	}
	return refused
}

// isCopy reports whether an object surely has the content of the source.
func (r *run) isCopy(source manifest.Entry, o bucket.Object) bool {
	if o.Size != source.Size {
		return false
	}
	if o.HasCRC64 && source.Evidence.HasCRC64 && r.o.Key == nil {
		return o.CRC64 == source.Evidence.CRC64
	}
	return o.ETag != "" && o.ETag == source.Evidence.ETag
}

// copyOnce copies under the condition, which it checks itself where the server does not heed it.
func (r *run) copyOnce(ctx context.Context, copier bucket.Copier, a Action, src bucket.Source, o bucket.CopyOptions) (obj bucket.Object, err error) {
	dst := r.o.To.Prefix + a.Key
	if r.powers != nil && !r.powers.CopyConditions {
		if err := r.check(ctx, dst, o.Condition); err != nil {
			return obj, r.overtaken(ctx, err)
		}
		if o.PartSize == 0 || !r.powers.PutConditions {
			o.Condition = bucket.Condition{}
		}
	}
	if o.PartSize > 0 {
		o.Each = func(n int64, request func() error) error {
			return r.pass(ctx, a, n, func(context.Context) error { return request() })
		}
		return copier.Copy(ctx, src, dst, o)
	}
	err = r.pass(ctx, a, a.Size(), func(ctx context.Context) (err error) {
		obj, err = copier.Copy(ctx, src, dst, o)
		return err
	})
	return obj, err
}

// overtaken says that the destination is not as it was.
func (r *run) overtaken(ctx context.Context, err error) error {
	if errors.Is(err, bucket.ErrChanged) && ctx.Err() == nil {
		return errForeign
	}
	return err
}

// setTags gives tags to a copy that were too long for the request that began it. A copy without
// its tags is none: it is removed, and the next run looks at what is there.
func (r *run) setTags(ctx context.Context, a Action, etag, tags string) error {
	tagger, ok := r.store.(bucket.Tagger)
	if !ok {
		return bucket.ErrUnsupported
	}
	key := r.o.To.Prefix + a.Key
	err := tagger.SetTags(ctx, key, tags)
	if err == nil {
		return nil
	}
	r.doubtful(a.Key, manifest.Touches(a.Key))
	err = fmt.Errorf("write its tags: %w", err)
	switch {
	case r.powers == nil:
		return errors.Join(err, r.store.Delete(ctx, key, bucket.Condition{}))
	case r.catalog != nil: // that it may be gone is not what was stated
		if serr := r.say(ctx, a, manifest.Touches(a.Key)); serr != nil {
			return errors.Join(err, serr)
		}
	}
	return errors.Join(err, r.deleteOnce(ctx, key, etag))
}

// copied is what the destination has after a copy. The content is that of the source, as far as
// anybody knows it.
func (r *run) copied(a Action, obj bucket.Object) manifest.Entry {
	e := a.From.Entry
	e.Evidence.ETag, e.Evidence.Version, e.Evidence.Modified = obj.ETag, obj.Version, 0
	if !obj.Modified.IsZero() {
		e.Evidence.Modified = obj.Modified.Unix()
	}
	if obj.HasCRC64 && !e.Evidence.HasCRC64 { // some servers put that of a copy in parts together wrongly
		e.Evidence.CRC64, e.Evidence.HasCRC64 = obj.CRC64, true
	}
	if e.Headers = r.asked(a.Key).Tag(); e.Unproven {
		e.Digest = manifest.UnprovenDigest(e.Evidence.ETag, e.Size)
	}
	from := target{r.o.From.Store, r.o.From, a.From.Entry, a.Key}
	r.rememberCopy(from, target{r.store, r.o.To, e, a.Key})
	return e
}
