package transfer

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/compare"
	"merkur/transfer/local"
)

// Keys are any text, and most of them are paths. Those that are not, such as "/a", "a//b" and
// "../a", cannot be compared in order with the names of a tree. So they come after all others,
// one by one. So do those behind links that are not followed, which no scan finds.

// errNoPlace says that a key is no path of a file in the tree.
var errNoPlace = errors.New("its key is no path of a file")

// protect keeps what is in the place of a key that is no path from being deleted. Most such keys
// come before their places in key order.
func (r *run) protect(key string) {
	if name, ok := local.Place(key); ok && !strings.HasSuffix(key, "/") {
		r.policy.unknown.add(name)
	}
}

// planOdd plans the downloads of keys that are no paths. One that stands for the same file as
// another object is left out: they would overwrite each other in turn.
func (r *run) planOdd(ctx context.Context, c *cutter) error {
	if r.odd.n == 0 {
		return nil
	}
	err := r.doomed.drop(func(leaf []Action) []bool {
		protected := make([]bool, len(leaf))
		for i := range leaf {
			protected[i] = r.policy.unknown.covers(leaf[i].Key)
		}
		return protected
	})
	if err != nil {
		return err
	}
	taken := map[string]string{}
	return r.odd.each(func(leaf []Action) error {
		for _, a := range leaf {
			if err := ctx.Err(); err != nil {
				return err
			}
			name, ok := local.Place(a.Key)
			if !ok {
				why := "File references a parent directory."
				if hashing.IsDraft(path.Clean(a.Key)) {
					why = "Its name is kept for downloads that are under way."
				}
				r.warn(Warning{Key: a.Key, Text: fmt.Sprintf("Skipping file %s. %s", a.Key, why)})
				continue
			}
			if strings.HasSuffix(a.Key, "/") {
				r.fail(a, errors.New("its key ends in a slash, and no file can be called so"))
				continue
			}
			twin, err := r.twin(ctx, a.Key, name, taken)
			if err != nil {
				return err
			}
			if twin != "" {
				r.warn(Warning{Key: a.Key, Text: fmt.Sprintf("Skipping file %s. The file would be that of %s as well.", a.Key, twin)})
				continue
			}
			taken[name] = a.Key
			same, err := r.sameFile(ctx, a, name)
			if err != nil {
				r.fail(a, err)
			}
			if err != nil || same {
				continue
			}
			r.o.Meter.plan(a)
			if err := c.add(a); err != nil {
				return err
			}
		}
		return nil
	})
}

// twin returns the key of another object that stands for the same file, if there is one.
func (r *run) twin(ctx context.Context, key, name string, taken map[string]string) (string, error) {
	if other, ok := taken[name]; ok || name == key {
		return other, nil
	}
	if has, err := r.sourceHas(ctx, name); !has || err != nil {
		return "", err
	}
	return name, nil
}

// sourceHas reports whether the source has an object under a name.
func (r *run) sourceHas(ctx context.Context, name string) (bool, error) {
	if r.source != nil {
		_, found, err := r.source.Tree(ctx).Get(name)
		return found, err
	}
	_, err := r.o.From.Store.Head(ctx, r.o.From.Prefix+name, bucket.HeadOptions{Customer: r.o.From.Customer})
	if errors.Is(err, bucket.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// sameFile reports whether the file that a download is for is what the strategy takes for equal.
func (r *run) sameFile(ctx context.Context, a Action, name string) (bool, error) {
	info, err := r.tree.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false, nil
	}
	t := info.ModTime()
	file := manifest.Entry{Key: name, Size: info.Size(), MTime: manifest.Time(t.Unix(), int64(t.Nanosecond()))}
	switch r.policy.same(r.way, a.From.facts(), inDir(&file).facts()) {
	case compare.Same:
		return true, nil
	case compare.Differs:
		return false, nil
	}
	if a.From.Unproven {
		at := target{r.o.From.Store, r.o.From, a.From.Entry, a.Key}
		_, _, equal, err := r.proveFile(ctx, file, at)
		return equal, err
	}
	sums, err := r.readSums(ctx, name, 0)
	return err == nil && sums.digest == a.From.Digest, err
}
