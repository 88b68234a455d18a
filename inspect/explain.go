package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
)

// A Local is one path of a tree as a scan of the tree sees it.
type Local struct {
	Kind    string             // file, directory, link, special, missing, unknown
	Target  string             // of a link
	Entry   *manifest.Entry    // nil: a scan yields none
	Problem *hashing.Problem   // nil: none
	Account *hashing.Account   // nil: the scan did not come to look at a file
	Up      []*hashing.Problem // problems of directories above it
}

// LookAt looks at the path of a key as a scan of the directory does, and at nothing beside it. Select and Descend of the
// scan are not asked: what is deselected is looked at too.
func LookAt(ctx context.Context, dir, key string, o hashing.Options) (l Local, err error) {
	l.Kind, l.Target = kindOf(filepath.Join(dir, filepath.FromSlash(key)))
	o.Select = func(k string) bool { return k == key || k == key+"/" }
	o.Descend = func(k string) bool { return strings.HasPrefix(key, k) }
	o.Tell = func(k string, a hashing.Account) {
		if k == key {
			l.Account = &a
		}
	}
	if o.Cache != nil {
		o.Cache = recalling{o.Cache}
	}
	scan, err := hashing.New(dir, o)
	if err != nil {
		return l, err
	}
	for item, err := range scan.Items(ctx) {
		switch {
		case err != nil:
			return l, err
		case item.Problem != nil && (item.Problem.Key == key || item.Problem.Key == key+"/"):
			l.Problem = item.Problem
		case item.Problem != nil && strings.HasPrefix(key, item.Problem.Key):
			l.Up = append(l.Up, item.Problem)
		case item.Problem == nil && item.Entry.Key == key:
			e := item.Entry
			l.Entry = &e
		}
	}
	return l, nil
}

// A recalling is a cache that learns nothing: who asks twice is to get the same answer.
type recalling struct{ hashing.Cache }

// Remember does nothing.
func (recalling) Remember(_, _ []byte) {}

// kindOf is what a path is, itself and not what it points to.
func kindOf(path string) (kind, target string) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "missing", ""
	case err != nil:
		return "unknown", ""
	case info.Mode().IsRegular():
		return "file", ""
	case info.IsDir():
		return "directory", ""
	case info.Mode()&fs.ModeSymlink != 0:
		target, _ = os.Readlink(path)
		return "link", target
	}
	return "special", ""
}

// A Remote is one key of a bucket as it is now, and how that fits with what a manifest says.
type Remote struct {
	Object *bucket.Object // nil: there is none, or it cannot be looked at
	Err    error          // why it cannot be looked at; nil: it can
	Class  Class          // empty: it is what the manifest says
}

// Ask looks at the object of a key that a manifest has as e, which is nil if it has none.
func (b Bucket) Ask(ctx context.Context, key string, e *manifest.Entry) (r Remote, err error) {
	obj, err := b.Store.Head(ctx, b.Prefix+key, bucket.HeadOptions{Customer: b.Customer})
	switch {
	case errors.Is(err, bucket.ErrNotFound):
	case unreadable(err):
		return Remote{Err: err}, nil
	case err != nil:
		return Remote{}, fmt.Errorf("look at %q: %w", key, err)
	default:
		r.Object = &obj
	}
	r.Class = classify(e, r.Object)
	if r.Class == ForeignChanged && sameBytes(e, r.Object) {
		r.Class = Restamped
	}
	return r, nil
}

// Covering are the intents of runs that may be changing a key.
func Covering(intents []manifest.Intent, key string) []manifest.Intent {
	return slices.DeleteFunc(slices.Clone(intents), func(i manifest.Intent) bool {
		return i.Range == nil || !i.Range.Contains(key)
	})
}
