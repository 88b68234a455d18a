package catalog

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
)

// A Draft shows a bucket as it is and takes no write: what a catalog would store below the
// reserved prefix is kept in a directory of its own and read back from there. A dry run goes
// the way of any run with it.
type Draft struct {
	bucket.Store
	dir   string
	lock  *os.File // that this process lives; nil: the directory is somebody else's, and stays
	drawn map[string]bucket.Object
	gets  atomic.Int64 // of what was drawn
}

// Names of what a Draft keeps.
const (
	draftDir  = "merkur-draft-"
	draftLock = "merkur.lock"
	draftKey  = ".key" // ends the name of a file that holds the key of an object
)

// DraftIn returns a draft over a store that keeps what is drawn in a directory of the caller's, which is
// there: another process that opens it so later finds the same.
func DraftIn(s bucket.Store, dir string) (*Draft, error) {
	d := &Draft{Store: s, dir: dir, drawn: map[string]bucket.Object{}}
	names, err := filepath.Glob(filepath.Join(dir, "*"+draftKey))
	for _, name := range names {
		var key, object []byte
		if key, err = os.ReadFile(name); err == nil {
			object, err = os.ReadFile(strings.TrimSuffix(name, draftKey))
		}
		if err != nil {
			break
		}
		d.drawn[string(key)] = bucket.Object{Key: string(key), Size: int64(len(object)), ETag: fmt.Sprintf("%x", md5.Sum(object))}
	}
	if err != nil {
		return nil, fmt.Errorf("read the draft of a manifest in %s: %w", dir, err)
	}
	return d, nil
}

// NewDraft returns a draft over a store. Close removes what it keeps. What drafts of processes that
// have died kept is removed here.
func NewDraft(s bucket.Store) (*Draft, error) {
	sweepDrafts(os.TempDir())
	for {
		dir, err := os.MkdirTemp("", draftDir)
		if err != nil {
			return nil, fmt.Errorf("make a directory for the draft of a manifest: %w", err)
		}
		f, err := os.OpenFile(filepath.Join(dir, draftLock), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			os.RemoveAll(dir)
			return nil, fmt.Errorf("make a directory for the draft of a manifest: %w", err)
		}
		// Another process may have taken it for forsaken before it was locked.
		locked := lock(f)
		if _, err := os.Lstat(f.Name()); err == nil && !errors.Is(locked, errLocked) {
			return &Draft{Store: s, dir: dir, lock: f, drawn: map[string]bucket.Object{}}, nil
		}
		f.Close()
	}
}

// sweepDrafts removes the drafts below dir whose processes are no more. Those of other users it
// cannot open.
func sweepDrafts(dir string) {
	drafts, err := filepath.Glob(filepath.Join(dir, draftDir+"*"))
	if err != nil {
		return
	}
	for _, draft := range drafts {
		if info, err := os.Lstat(draft); err == nil && info.IsDir() && forsaken(draft, info.ModTime()) {
			os.RemoveAll(draft)
		}
	}
}

// forsaken reports whether the process that made a draft is no more.
func forsaken(draft string, made time.Time) bool {
	f, err := os.OpenFile(filepath.Join(draft, draftLock), os.O_RDWR, 0)
	if err != nil {
		return time.Since(made) > 24*time.Hour // it may be about to make its lock
	}
	defer f.Close()
	return lock(f) == nil
}

// Close removes what was drawn, unless that lies in a directory of the caller's.
func (d *Draft) Close() error {
	if d.lock == nil {
		return nil
	}
	d.lock.Close()
	return os.RemoveAll(d.dir)
}

func (d *Draft) file(key string) string {
	tag := manifest.TagOf([]byte(key))
	return filepath.Join(d.dir, fmt.Sprintf("%x", tag[:]))
}

// Drawn is how many gets were answered from what was drawn, and so did not reach the bucket.
func (d *Draft) Drawn() int64 { return d.gets.Load() }

// Get reads what was drawn, else what the bucket holds.
func (d *Draft) Get(ctx context.Context, key string, o bucket.GetOptions) (io.ReadCloser, bucket.Object, error) {
	obj, ok := d.drawn[key]
	if !ok {
		return d.Store.Get(ctx, key, o)
	}
	d.gets.Add(1)
	switch {
	case o.IfNoneMatch == obj.ETag:
		return nil, obj, bucket.ErrNotModified
	case o.IfMatch != "" && o.IfMatch != obj.ETag:
		return nil, obj, bucket.ErrChanged
	}
	f, err := os.Open(d.file(key))
	if err != nil {
		return nil, obj, err
	}
	off, n := o.Offset, o.Length
	if off < 0 {
		off = max(0, obj.Size+off)
	}
	if n == 0 {
		n = obj.Size - off
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, off, n), f}, obj, nil
}

// Head describes what was drawn, else what the bucket holds.
func (d *Draft) Head(ctx context.Context, key string, o bucket.HeadOptions) (bucket.Object, error) {
	if obj, ok := d.drawn[key]; ok {
		return obj, nil
	}
	return d.Store.Head(ctx, key, o)
}

// Put draws an object below the reserved prefix. Any other is refused: a dry run has no
// business with it.
func (d *Draft) Put(_ context.Context, key string, body io.ReadSeeker, size int64, _ bucket.PutOptions) (bucket.Object, error) {
	if !reserved(key) {
		return bucket.Object{}, fmt.Errorf("put %s: a dry run stores nothing", key)
	}
	f, err := os.OpenFile(d.file(key), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return bucket.Object{}, err
	}
	sum := md5.New()
	_, err = io.Copy(io.MultiWriter(f, sum), body)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && d.lock == nil {
		err = os.WriteFile(f.Name()+draftKey, []byte(key), 0o600)
	}
	obj := bucket.Object{Key: key, Size: size, ETag: fmt.Sprintf("%x", sum.Sum(nil))}
	if err == nil {
		d.drawn[key] = obj
	}
	return obj, err
}

// Delete removes nothing.
func (d *Draft) Delete(_ context.Context, key string, _ bucket.Condition) error {
	if !reserved(key) {
		return fmt.Errorf("delete %s: a dry run removes nothing", key)
	}
	return nil
}

// List yields what the bucket holds.
func (d *Draft) List(ctx context.Context, prefix, start string) iter.Seq2[bucket.Listed, error] {
	return d.Store.List(ctx, prefix, start)
}

func reserved(key string) bool { return strings.Contains("/"+key, "/"+manifest.Reserved) }
