package transfer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/compare"
	"merkur/transfer/local"
)

// atSource reports whether the source has something under a key, or may have, and what, if that
// can be taken as it is.
func (r *run) atSource(ctx context.Context, key string) (*Found, bool, error) {
	if r.way == compare.Up {
		f, there := r.fileAt(key)
		return f, there, nil
	}
	var e manifest.Entry
	named := false
	if r.source != nil {
		var err error
		if e, named, err = r.source.Tree(ctx).Get(key); err != nil {
			return nil, false, err
		}
	}
	obj, err := target{r.o.From.Store, r.o.From, manifest.Entry{}, key}.head(ctx, 0)
	switch {
	case errors.Is(err, bucket.ErrNotFound):
		return nil, false, nil
	case unanswered(err):
		return inTree(found(e, named)), named || r.source == nil, nil
	case err != nil:
		return nil, false, err
	case named && e.Evidence.ETag == obj.ETag:
		return inTree(&e), true, nil
	case r.source != nil: // the manifest does not tell of what is there
		return nil, true, nil
	}
	return inHead(obj, key), true, nil
}

func found(e manifest.Entry, there bool) *manifest.Entry {
	if !there {
		return nil
	}
	return &e
}

// fileAt is what the local source has under a key: nothing, a file, or something that cannot be told
// or sent, which protects the object.
func (r *run) fileAt(key string) (*Found, bool) {
	if !local.Plain(key) {
		return nil, false
	}
	path := r.path(key)
	if !r.o.Scan.Follow && r.namesLink(key) {
		return nil, false
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir(), errors.Is(err, syscall.ENOTDIR):
		return nil, false
	case errors.Is(err, fs.ErrNotExist):
		_, err := os.Lstat(path) // a broken link is no file that is gone
		return nil, err == nil
	case err != nil || !info.Mode().IsRegular():
		return nil, true
	}
	e := described(manifest.Entry{Key: key}, info)
	return inDir(&e), true
}

// namesLink reports whether a key names a symbolic link, or what lies behind one.
func (r *run) namesLink(key string) bool {
	path := r.dir()
	for name := range strings.SplitSeq(key, "/") {
		path = filepath.Join(path, name)
		if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err == nil
		}
	}
	return false
}
