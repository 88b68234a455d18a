package transfer

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/minio/crc64nvme"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
)

const (
	maxLooks = 4 // tries at a write whose outcome has to be looked up
)

// send makes the bucket hold what the file holds, and returns the entry that says so.
func (r *run) send(ctx context.Context, a Action) (manifest.Entry, error) {
	if err := r.replaceable(a.Old); err != nil {
		return a.From.Entry, err
	}
	f, info, err := openRegular(r.path(a.Key))
	if err != nil {
		return a.From.Entry, err
	}
	defer f.Close()
	send := r.sendWhole
	if _, ok := r.store.(bucket.Uploader); ok && info.Size() >= r.o.Parts.Threshold {
		send = r.sendParts
	} else if info.Size() > mostBuffer {
		send = r.sendLarge
	}
	e, stored, err := send(ctx, a, f, info)
	if errors.Is(err, errUnsettled) {
		err = fmt.Errorf("send %s: %w", f.Name(), err)
	}
	e.Headers = 0 // of one that was there already, nobody knows what headers it has
	switch {
	case err != nil:
	case stored:
		e.Headers = r.asked(a.Key).Tag()
		r.done(a, e.Size)
	default:
		r.sent.proved.Add(1) // it was there already
	}
	return e, err
}

// replaceable returns an error if an object cannot be replaced in such a way that nobody else's
// work is lost.
func (r *run) replaceable(old *manifest.Entry) error {
	if r.catalog != nil && old != nil && old.Evidence.ETag == "" {
		return errNoETag
	}
	return nil
}

// openRegular opens a file. What has become something else since the scan, such as a FIFO, is
// refused and never waited for.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file any more", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func (r *run) path(key string) string { return filepath.Join(r.dir(), filepath.FromSlash(key)) }

// sendWhole reads a file into one buffer, hashes that and sends it. So what is stored is what
// is recorded, even if the file has changed since the scan.
func (r *run) sendWhole(ctx context.Context, a Action, f *os.File, info fs.FileInfo) (e manifest.Entry, stored bool, err error) {
	buf, release, err := r.memory.take(ctx, info.Size()+1)
	if err != nil {
		return e, false, err
	}
	defer release()
	// A read that could have brought more and did not has come to the end.
	n, err := io.ReadAtLeast(f, buf, max(len(buf)-1, 1))
	switch {
	case err != nil && err != io.ErrUnexpectedEOF && err != io.EOF:
		return e, false, err
	case int64(n) != info.Size():
		return e, false, errUnsettled
	}
	body := buf[:n]
	e = described(a.From.Entry, info)
	if r.catalog != nil {
		e.Digest = hashing.Sum(body)
	}
	return r.place(ctx, a, r.putOptions(a.Key), r.inMemory(ctx, a, e, body))
}

// inMemory is the placing of an object whose bytes are all there.
func (r *run) inMemory(ctx context.Context, a Action, e manifest.Entry, body []byte) placing {
	crc := crc64nvme.Checksum(body)
	return placing{
		entry: func() manifest.Entry { return e },
		crc:   func() uint64 { return crc },
		etag:  func() string { return fmt.Sprintf("%x", md5.Sum(body)) },
		put: func(o bucket.PutOptions, _ func() error) (obj bucket.Object, err error) {
			err = r.pass(ctx, a, e.Size, func(ctx context.Context) error {
				obj, err = r.store.Put(ctx, r.o.To.Prefix+a.Key, bytes.NewReader(body), e.Size, o)
				return err
			})
			return obj, err
		},
	}
}

// sendLarge sends in one request a file that is too large for a buffer. It is read twice, and has to
// be the same both times.
func (r *run) sendLarge(ctx context.Context, a Action, f *os.File, info fs.FileInfo) (e manifest.Entry, stored bool, err error) {
	e = described(a.From.Entry, info)
	l := layout{size: e.Size, part: roundUp(e.Size), perPart: int(roundUp(e.Size) / wholePart)}
	buf, release, err := r.memory.take(ctx, l.unit())
	if err != nil {
		return e, false, err
	}
	defer release()
	digest := l.digest()
	body, crc, err := l.read(f, digest, 0, buf)
	if err != nil {
		return e, false, err
	}
	if err := unchanged(f, info, true); err != nil {
		return e, false, err
	}
	e.Digest = digest.Sum()
	return r.place(ctx, a, r.putOptions(a.Key), placing{
		entry: func() manifest.Entry { return e },
		crc:   func() uint64 { return crc },
		etag:  func() string { return "" },
		put: func(o bucket.PutOptions, _ func() error) (obj bucket.Object, err error) {
			err = r.pass(ctx, a, e.Size, func(ctx context.Context) error {
				obj, err = r.store.Put(ctx, r.o.To.Prefix+a.Key, body, e.Size, o)
				return err
			})
			return obj, err
		},
	})
}

// sendParts sends a file in parts, each hashed from what is sent. If they do not add up to the
// digest that the scan found, if it looked, nothing becomes visible.
func (r *run) sendParts(ctx context.Context, a Action, f *os.File, info fs.FileInfo) (manifest.Entry, bool, error) {
	e := described(a.From.Entry, info)
	var crc uint64
	return r.place(ctx, a, r.putOptions(a.Key), placing{
		entry: func() manifest.Entry { return e },
		crc:   func() uint64 { return crc },
		etag:  func() string { return "" },
		put: func(o bucket.PutOptions, check func() error) (bucket.Object, error) {
			return r.inParts(ctx, r.o.To.Prefix+a.Key, o, func(up bucket.Upload) error {
				digest, sum, err := r.uploadParts(ctx, a, up, f, e.Size)
				if err != nil {
					return err
				}
				scanned := a.From.Digest != manifest.Digest{}
				if err := unchanged(f, info, !scanned || digest == a.From.Digest); err != nil {
					return err
				}
				if crc = sum; !scanned {
					e.Digest = digest
				}
				return check() // some servers heed conditions on a put and ignore them here
			})
		},
	})
}

// inParts stores an object by an upload in parts that fill makes. If that fails, nothing of it
// stays.
func (r *run) inParts(ctx context.Context, key string, o bucket.PutOptions, fill func(bucket.Upload) error) (bucket.Object, error) {
	o.HasCRC64 = false // not known before the last part
	up, err := r.upload(ctx, key, o)
	if err != nil {
		return bucket.Object{}, err
	}
	var obj bucket.Object
	if err = fill(up); err == nil {
		obj, err = up.Complete(ctx)
	}
	if err != nil && !errors.Is(err, bucket.ErrUncertain) {
		safe, cancel := graceful(ctx)
		defer cancel()
		err = errors.Join(err, up.Abort(safe))
	}
	return obj, err
}

// uploadParts sends the parts of a file and returns digest and checksum of what was sent.
func (r *run) uploadParts(ctx context.Context, a Action, up bucket.Upload, f io.ReaderAt, size int64) (manifest.Digest, uint64, error) {
	l := r.o.Parts.layout(size)
	digest, crcs := l.digest(), make([]uint64, l.len())
	err := r.eachPart(ctx, l, l.buffer, func(ctx context.Context, i int, buf []byte) error {
		body, sum, err := l.read(f, digest, i, buf)
		if err != nil {
			return err
		}
		if c, ok := body.(io.Closer); ok {
			defer c.Close()
		}
		crcs[i] = sum
		_, n := l.bounds(i)
		if there, err := r.stored(up, a, i+1, body, n, sum); there || err != nil {
			return err
		}
		return r.pass(ctx, a, n, func(ctx context.Context) error { return up.Part(ctx, i+1, body, n, sum) })
	})
	if err != nil {
		return manifest.Digest{}, 0, err
	}
	return digest.Sum(), l.checksum(crcs), nil
}

// unchanged returns an error if a file is not as it was, or is not what the scan read.
func unchanged(f *os.File, before fs.FileInfo, equal bool) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if !equal || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) {
		return errUnsettled
	}
	return nil
}

// described is the entry of a file with what its handle says of it now.
func described(e manifest.Entry, info fs.FileInfo) manifest.Entry {
	t := info.ModTime()
	e.Size, e.Mode, e.MTime = info.Size(), uint32(info.Mode().Perm()), manifest.Time(t.Unix(), int64(t.Nanosecond()))
	return e
}
