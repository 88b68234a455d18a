package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"github.com/zeebo/blake3"

	"merkur/store/bucket"
)

// A disk is a bucket for a manifest: the objects are files of a directory. It counts.
type disk struct {
	dir string

	mu    sync.Mutex
	etags map[string]string
	sizes map[string]int64
	usage
}

// usage is what was asked of a bucket.
type usage struct {
	Puts, Gets int
	Sent, Read int64 // bytes of bodies
}

func newDisk(dir string) *disk {
	return &disk{dir: dir, etags: map[string]string{}, sizes: map[string]int64{}}
}

// stored is how many bytes the bucket has.
func (d *disk) stored() (n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, size := range d.sizes {
		n += size
	}
	return n
}

func (d *disk) file(key string) string { return filepath.Join(d.dir, hex.EncodeToString([]byte(key))) }

func (d *disk) object(key string) bucket.Object {
	return bucket.Object{Key: key, Size: d.sizes[key], ETag: d.etags[key]}
}

// Get is part of [bucket.Store].
func (d *disk) Get(_ context.Context, key string, o bucket.GetOptions) (io.ReadCloser, bucket.Object, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Gets++
	obj := d.object(key)
	switch {
	case obj.ETag == "":
		return nil, obj, bucket.ErrNotFound
	case o.IfNoneMatch == obj.ETag:
		return nil, obj, bucket.ErrNotModified
	case o.IfMatch != "" && o.IfMatch != obj.ETag:
		return nil, obj, bucket.ErrChanged
	}
	from, n := o.Offset, o.Length
	if from < 0 {
		from = max(0, obj.Size+from)
	}
	if n == 0 {
		n = obj.Size - from
	}
	f, err := os.Open(d.file(key))
	if err != nil {
		return nil, obj, err
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, from); err != nil {
		return nil, obj, err
	}
	d.Read += n
	return io.NopCloser(bytes.NewReader(b)), obj, nil
}

// Head is part of [bucket.Store].
func (d *disk) Head(_ context.Context, key string, _ bucket.HeadOptions) (bucket.Object, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Gets++
	if obj := d.object(key); obj.ETag != "" {
		return obj, nil
	}
	return bucket.Object{}, bucket.ErrNotFound
}

// Put is part of [bucket.Store].
func (d *disk) Put(_ context.Context, key string, body io.ReadSeeker, size int64, o bucket.PutOptions) (bucket.Object, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Puts++
	if now := d.etags[key]; o.IfNone && now != "" || o.IfMatch != "" && now != o.IfMatch {
		return bucket.Object{}, bucket.ErrChanged
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return bucket.Object{}, err
	}
	if int64(len(b)) != size {
		return bucket.Object{}, fmt.Errorf("put %s: %d bytes, %d were said", key, len(b), size)
	}
	if err := os.WriteFile(d.file(key), b, 0o600); err != nil {
		return bucket.Object{}, err
	}
	sum := blake3.Sum256(b)
	d.etags[key], d.sizes[key] = hex.EncodeToString(sum[:16]), size
	d.Sent += size
	return d.object(key), nil
}

// Delete is part of [bucket.Store]. It costs nothing.
func (d *disk) Delete(_ context.Context, key string, _ bucket.Condition) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.etags, key)
	delete(d.sizes, key)
	if err := os.Remove(d.file(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// List is part of [bucket.Store]. A catalog that does not sweep never lists.
func (d *disk) List(context.Context, string, string) iter.Seq2[bucket.Listed, error] {
	return func(yield func(bucket.Listed, error) bool) {
		yield(bucket.Listed{}, fmt.Errorf("list: %w", errors.ErrUnsupported))
	}
}
