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
	"golang.org/x/sync/errgroup"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
)

const (
	partsAhead = 8 // of one object at once
	maxLooks   = 4 // tries at a write whose outcome has to be looked up
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
		err = fmt.Errorf("%s %w", f.Name(), err)
	}
	if err == nil {
		e.Headers = r.asked(a.Key).Tag()
	}
	switch {
	case err != nil:
	case stored:
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
	n, err := io.ReadFull(f, buf)
	switch {
	case err == nil:
		return e, false, errUnsettled // there is more than its size
	case err != io.ErrUnexpectedEOF && err != io.EOF:
		return e, false, err
	case int64(n) != info.Size():
		return e, false, errUnsettled
	}
	body := buf[:n]
	e = described(a.From.Entry, info)
	if r.catalog != nil {
		e.Digest = hashing.Sum(body)
	}
	return r.place(ctx, a, r.headers(a.Key), r.inMemory(ctx, a, e, body))
}

// inMemory is the placing of an object whose bytes are all there.
func (r *run) inMemory(ctx context.Context, a Action, e manifest.Entry, body []byte) placing {
	crc := crc64nvme.Checksum(body)
	return placing{
		entry: func() manifest.Entry { return e },
		crc:   func() uint64 { return crc },
		etag:  func() string { return fmt.Sprintf("%x", md5.Sum(body)) },
		put: func(o bucket.PutOptions, _ func() error) (obj bucket.Object, err error) {
			err = r.pass(ctx, a, e.Size, func() error {
				obj, err = r.store.Put(ctx, r.o.To.Prefix+a.Key, bytes.NewReader(body), e.Size, o)
				return err
			})
			return obj, err
		},
	}
}

// sendLarge sends in one request a file that is too large for a buffer. It is read twice: the
// checksum of the first pass keeps the server from taking anything else in the second.
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
	return r.place(ctx, a, r.headers(a.Key), placing{
		entry: func() manifest.Entry { return e },
		crc:   func() uint64 { return crc },
		etag:  func() string { return "" },
		put: func(o bucket.PutOptions, _ func() error) (obj bucket.Object, err error) {
			err = r.pass(ctx, a, e.Size, func() error {
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
	return r.place(ctx, a, r.headers(a.Key), placing{
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
	up, err := r.store.(bucket.Uploader).Upload(ctx, key, o)
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
	g, inGroup := errgroup.WithContext(ctx)
	g.SetLimit(min(partsAhead, max(r.gate.Limit(), 1)))
	for i := range l.len() {
		_, n := l.bounds(i)
		buf, release, err := r.memory.take(inGroup, l.buffer(n))
		if err != nil {
			break // the group has failed, or the run is interrupted
		}
		g.Go(func() error {
			defer release()
			body, sum, err := l.read(f, digest, i, buf)
			if err != nil {
				return err
			}
			crcs[i] = sum
			return r.pass(inGroup, a, n, func() error { return up.Part(inGroup, i+1, body, n, sum) })
		})
	}
	err := g.Wait()
	if err == nil {
		err = ctx.Err()
	}
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

// A placing is an object to be stored: how, and how to recognise it.
type placing struct {
	// put stores it; one that takes long calls check right before it makes it visible.
	put   func(o bucket.PutOptions, check func() error) (bucket.Object, error)
	entry func() manifest.Entry // of what put sends
	crc   func() uint64         // of what put sends
	etag  func() string         // that a single put gives it; empty: not known
}

// place stores an object if the bucket still holds what the action expects. Where the server's
// answer leaves open what happened, it looks. It reports false if the object was there already,
// by somebody else's hand or by a put whose answer was lost.
func (r *run) place(ctx context.Context, a Action, h bucket.Headers, p placing) (manifest.Entry, bool, error) {
	key := r.o.To.Prefix + a.Key
	o := bucket.PutOptions{Headers: h, Terms: r.o.Terms}
	if r.catalog != nil {
		o.Condition = a.condition()
	}
	var doubt error // of a put that may have been carried out
	for range maxLooks {
		obj, err := r.putUnder(ctx, key, o, p)
		if err == nil {
			return witnessed(p.entry(), obj, p.crc()), true, nil
		}
		if errors.Is(err, bucket.ErrUncertain) {
			doubt = err
		} else if !errors.Is(err, bucket.ErrChanged) {
			return p.entry(), false, both(doubt, err)
		}
		now, err := r.store.Head(ctx, key, bucket.HeadOptions{Customer: r.o.To.Customer})
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			o.Condition = bucket.Condition{IfNone: r.catalog != nil} // somebody removed it: put it back
		case err != nil:
			return p.entry(), false, both(doubt, err)
		case holds(now, p):
			return witnessed(p.entry(), now, p.crc()), doubt != nil, nil
		case r.catalog != nil && now.ETag != o.IfMatch:
			return p.entry(), false, both(doubt, errForeign)
		}
	}
	return p.entry(), false, both(doubt, bucket.ErrChanged)
}

// both returns an error that is also the doubt left by an earlier try, if there is one: then it
// is not known what the bucket holds, whatever was answered later.
func both(doubt, err error) error {
	if doubt == nil {
		return err
	}
	return fmt.Errorf("%w; then: %w", doubt, err)
}

// putUnder puts under the condition, which it checks itself where the server does not heed it.
// Where there is no manifest there are no conditions, and no probe has told whether the server
// takes checksums.
func (r *run) putUnder(ctx context.Context, key string, o bucket.PutOptions, p placing) (bucket.Object, error) {
	cond := o.Condition
	check := func() error { return r.check(ctx, key, cond) }
	o.CRC64, o.HasCRC64 = p.crc(), true
	switch {
	case r.powers == nil:
		check = func() error { return nil }
	case !r.powers.PutConditions:
		if err := check(); err != nil {
			return bucket.Object{}, err
		}
		o.Condition = bucket.Condition{}
	}
	if r.powers != nil {
		o.HasCRC64 = r.powers.Checksums
	}
	obj, err := p.put(o, check)
	if l, ok := r.store.(bucket.Lenient); ok && r.powers == nil && errors.Is(err, bucket.ErrUnsupported) {
		l.SendNoChecksums()
		obj, err = p.put(o, check)
	}
	return obj, err
}

// check returns ErrChanged unless the condition holds now. It narrows the gap for another
// writer where a server does not close it.
func (r *run) check(ctx context.Context, key string, c bucket.Condition) error {
	now, err := r.store.Head(ctx, key, bucket.HeadOptions{Customer: r.o.To.Customer})
	switch {
	case err != nil && !errors.Is(err, bucket.ErrNotFound):
		return err
	case c.IfNone && err == nil, c.IfMatch != "" && (err != nil || now.ETag != c.IfMatch):
		return bucket.ErrChanged
	}
	return nil
}

// holds reports whether an object surely has the content that is being placed.
func holds(o bucket.Object, p placing) bool {
	if o.Size != p.entry().Size {
		return false
	}
	if o.HasCRC64 {
		return o.CRC64 == p.crc()
	}
	return o.ETag != "" && o.ETag == p.etag()
}

// witnessed is the entry with what the bucket said about its object.
func witnessed(e manifest.Entry, o bucket.Object, crc uint64) manifest.Entry {
	e.Evidence = manifest.Evidence{ETag: o.ETag, CRC64: crc, HasCRC64: true, Version: o.Version}
	if !o.Modified.IsZero() {
		e.Evidence.Modified = o.Modified.Unix()
	}
	return e
}
