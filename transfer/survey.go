package transfer

import (
	"context"
	"errors"
	"iter"
	"strings"

	"merkur/manifest"
	"merkur/store/bucket"
)

// surveyed lists a range of keys and yields how the tree has to change to say what is there.
func surveyed(ctx context.Context, s bucket.Store, prefix string, tree manifest.Tree, keys manifest.Range) iter.Seq2[manifest.Change, error] {
	return func(yield func(manifest.Change, error) bool) {
		next, stop := iter.Pull2(tree.Entries(keys.First))
		defer stop()
		old, err := pull(next, keys)
		for obj, lerr := range listed(ctx, s, prefix, keys) {
			if err = errors.Join(err, lerr); err != nil {
				yield(manifest.Change{}, err)
				return
			}
			found := unproven(obj, strings.TrimPrefix(obj.Key, prefix))
			for old != nil && err == nil && old.Key < found.Key {
				if !yield(manifest.Change{Key: old.Key, Old: old}, nil) {
					return
				}
				old, err = pull(next, keys)
			}
			c := manifest.Change{Key: found.Key, New: &found}
			if old != nil && old.Key == found.Key {
				c.Old = old
				old, err = pull(next, keys)
			}
			if c.Old != nil && obj.ETag != "" && c.Old.Evidence.ETag == obj.ETag && c.Old.Size == obj.Size {
				continue
			}
			if !yield(c, nil) {
				return
			}
		}
		for ; old != nil && err == nil; old, err = pull(next, keys) {
			if !yield(manifest.Change{Key: old.Key, Old: old}, nil) {
				return
			}
		}
		if err != nil {
			yield(manifest.Change{}, err)
		}
	}
}

// pull returns the next entry in the range, or nil.
func pull(next func() (manifest.Entry, error, bool), keys manifest.Range) (*manifest.Entry, error) {
	e, err, ok := next()
	if !ok || err != nil || !keys.Contains(e.Key) {
		return nil, err
	}
	return &e, nil
}

// listed yields the objects in a range that can be entries: no reserved ones, no folder
// markers. A listing begins behind a key, so the first of the range is asked for by itself.
func listed(ctx context.Context, s bucket.Store, prefix string, keys manifest.Range) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		start := ""
		if keys.First != "" {
			start = prefix + keys.First
			obj, err := s.Head(ctx, start, bucket.HeadOptions{})
			obj.Key = start
			if !errors.Is(err, bucket.ErrNotFound) && !yield(obj, err) {
				return
			}
		}
		for obj, err := range s.List(ctx, prefix, start) {
			key := strings.TrimPrefix(obj.Key, prefix)
			switch {
			case err == nil && (strings.HasPrefix(key, manifest.Reserved) || key == "" || strings.HasSuffix(key, "/") && obj.Size == 0):
				continue
			case err == nil && !keys.Contains(key):
				return
			case !yield(obj, err) || err != nil:
				return
			}
		}
	}
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
