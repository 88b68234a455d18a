package buckettest

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"merkur/store/bucket"
)

// find looks for the source of a copy, in this bucket or another.
func (m *Memory) find(src bucket.Source) (*object, error) {
	from := m
	if src.Bucket != "" && src.Bucket != m.Name {
		if from = m.Others[src.Bucket]; from == nil {
			return nil, bucket.ErrNoBucket
		}
	}
	from.mu.Lock()
	o, ok := from.version(src.Key, src.Version)
	from.mu.Unlock()
	switch {
	case !ok:
		return nil, bucket.ErrNotFound
	case src.IfMatch != "" && o.ETag != src.IfMatch && !m.Heedless[Copy]:
		return nil, bucket.ErrChanged
	case o.archived():
		return nil, bucket.ErrArchived
	}
	return o, o.unlock(Copy, src.Customer)
}

// doFrom makes one request that copies from src.
func (m *Memory) doFrom(ctx context.Context, op Op, key string, src bucket.Source, apply func(from *object) error) error {
	var from *object
	var missing error
	return m.doAfter(ctx, op, key, func() { from, missing = m.find(src) }, func() error {
		if missing != nil {
			return missing
		}
		return apply(from)
	})
}

// Copy implements [bucket.Copier].
func (m *Memory) Copy(ctx context.Context, src bucket.Source, dst string, o bucket.CopyOptions) (bucket.Object, error) {
	if o.PartSize > 0 {
		return m.copyInParts(ctx, src, dst, o)
	}
	var stored bucket.Object
	err := m.doFrom(ctx, Copy, dst, src, func(from *object) error {
		err := m.check(Copy, dst, o.Condition)
		if _, exists := m.objects[dst]; err != nil && m.Curt && !exists {
			return bucket.ErrNotFound
		}
		if err != nil {
			return err
		}
		put := o.PutOptions
		if o.MetadataDirective != "REPLACE" {
			put.Headers = from.Headers
			put.WebsiteRedirect = o.WebsiteRedirect // is never copied
		}
		if o.TaggingDirective != "REPLACE" {
			put.Tags = from.tags
		}
		stored = m.store(dst, from.body, put, nil).describe()
		return nil
	})
	if err != nil {
		return bucket.Object{}, err
	}
	return stored, nil
}

// copyInParts makes the requests of a copy in parts.
func (m *Memory) copyInParts(ctx context.Context, src bucket.Source, dst string, o bucket.CopyOptions) (bucket.Object, error) {
	if src.IfMatch == "" || src.Size <= 0 {
		err := m.doFrom(ctx, Head, src.Key, src, func(from *object) error {
			src.IfMatch, src.Size = from.ETag, from.Size
			return nil
		})
		if err != nil {
			return bucket.Object{}, err
		}
	}
	o.HasCRC64 = false
	u, err := m.begin(ctx, dst, o.PutOptions, false)
	if err != nil {
		return bucket.Object{}, err
	}
	stored, err := u.copyFrom(ctx, src, o.PartSize)
	if err != nil && !errors.Is(err, bucket.ErrUncertain) {
		err = errors.Join(err, u.Abort(context.WithoutCancel(ctx)))
	}
	return stored, err
}

func (u *upload) copyFrom(ctx context.Context, src bucket.Source, size int64) (bucket.Object, error) {
	for n, first := 1, int64(0); first < max(src.Size, 1); n, first = n+1, first+size {
		err := u.memory.doFrom(ctx, PartCopy, u.key, src, func(from *object) error {
			if u.parts == nil {
				return noSuchUpload(PartCopy)
			}
			u.parts[n] = from.body[min(first, from.Size):min(first+size, from.Size)]
			return nil
		})
		if err != nil {
			return bucket.Object{}, err
		}
	}
	return u.Complete(ctx)
}

// Tags implements [bucket.Tagger].
func (m *Memory) Tags(ctx context.Context, key string) (tags string, err error) {
	err = m.do(ctx, GetTags, key, func() error {
		o, ok := m.objects[key]
		if !ok {
			return bucket.ErrNotFound
		}
		tags = o.tags
		return nil
	})
	return tags, err
}

// SetTags implements [bucket.Tagger]. It takes ten tags at most, as S3 does.
func (m *Memory) SetTags(ctx context.Context, key, tags string) error {
	return m.do(ctx, SetTags, key, func() error {
		old, ok := m.objects[key]
		if !ok {
			return bucket.ErrNotFound
		}
		if _, err := url.ParseQuery(tags); err != nil || strings.Count(tags, "&") >= 10 {
			return &bucket.Error{Op: string(SetTags), Code: "InvalidTag", Status: 400, Message: "The tags are not valid."}
		}
		o := *old
		o.tags = tags
		m.objects[key] = &o
		if i := slices.Index(m.past[key], old); i >= 0 {
			m.past[key][i] = &o
		}
		return nil
	})
}
