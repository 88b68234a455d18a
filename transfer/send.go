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

// Files of wholeLimit bytes and more are sent in parts: the threshold and the part size of aws.
const (
	wholeLimit = 8 << 20
	leastPart  = 8 << 20
	maxParts   = 10_000
	partsAhead = 4 // of one file at once
	maxLooks   = 4 // tries at a write whose outcome has to be looked up
)

// partSize returns the size of the parts of a file: a power of two, so that each is a subtree
// of the file's digest.
func partSize(size int64) int64 {
	part := int64(leastPart)
	for (size+part-1)/part > maxParts {
		part *= 2
	}
	return part
}

// send makes the bucket hold what the file holds, and returns the entry that says so.
func (r *run) send(ctx context.Context, a Action) (manifest.Entry, error) {
	if a.Verb == Prove {
		e, equal, err := r.prove(ctx, a)
		if err != nil {
			return e, err
		}
		if equal {
			r.sent.proved.Add(1)
			return e, nil
		}
		a.Verb = Put
	}
	if a.Old != nil && a.Old.Evidence.ETag == "" {
		return a.File, errNoETag
	}
	f, info, err := openRegular(r.path(a.Key))
	if err != nil {
		return a.File, err
	}
	defer f.Close()
	send := r.sendWhole
	if _, ok := r.store.(bucket.Uploader); ok && info.Size() >= wholeLimit {
		send = r.sendParts
	}
	e, stored, err := send(ctx, a, f, info)
	switch {
	case err != nil:
	case stored:
		r.sent.files.Add(1)
		r.sent.bytes.Add(e.Size)
		r.report(Event{Done: &a})
	default:
		r.sent.proved.Add(1) // it was there already
	}
	return e, err
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

func (r *run) path(key string) string { return filepath.Join(r.o.Dir, filepath.FromSlash(key)) }

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
		return e, false, errUnsettled(f.Name()) // there is more than its size
	case err != io.ErrUnexpectedEOF && err != io.EOF:
		return e, false, err
	case int64(n) != info.Size():
		return e, false, errUnsettled(f.Name())
	}
	body := buf[:n]
	e = described(a.File, info)
	e.Digest = hashing.Sum(body)
	crc := crc64nvme.Checksum(body)
	return r.place(ctx, a, e, placing{
		crc:  func() uint64 { return crc },
		etag: func() string { return fmt.Sprintf("%x", md5.Sum(body)) },
		put: func(o bucket.PutOptions, _ func() error) (bucket.Object, error) {
			return r.store.Put(ctx, r.o.Prefix+a.Key, bytes.NewReader(body), e.Size, o)
		},
	})
}

// sendParts sends a file in parts, each hashed from the buffer that is sent. If they do not
// add up to the digest that the scan found, nothing becomes visible.
func (r *run) sendParts(ctx context.Context, a Action, f *os.File, info fs.FileInfo) (manifest.Entry, bool, error) {
	e := described(a.File, info)
	var crc uint64
	return r.place(ctx, a, e, placing{
		crc:  func() uint64 { return crc },
		etag: func() string { return "" },
		put: func(o bucket.PutOptions, check func() error) (bucket.Object, error) {
			o.HasCRC64 = false // not known before the last part
			up, err := r.store.(bucket.Uploader).Upload(ctx, r.o.Prefix+a.Key, o)
			if err != nil {
				return bucket.Object{}, err
			}
			var digest manifest.Digest
			if digest, crc, err = r.uploadParts(ctx, up, f, e.Size); err == nil {
				err = unchanged(f, info, digest == a.File.Digest)
			}
			var obj bucket.Object
			if err == nil {
				// Some servers heed conditions on a put and ignore them here.
				err = check()
			}
			if err == nil {
				obj, err = up.Complete(ctx)
			}
			if err != nil && !errors.Is(err, bucket.ErrUncertain) {
				safe, cancel := graceful(ctx)
				defer cancel()
				err = errors.Join(err, up.Abort(safe))
			}
			return obj, err
		},
	})
}

// uploadParts sends the parts of a file and returns digest and checksum of what was sent.
func (r *run) uploadParts(ctx context.Context, up bucket.Upload, f *os.File, size int64) (manifest.Digest, uint64, error) {
	parts := hashing.NewParts(size, partSize(size))
	crcs := make([]uint64, parts.Len())
	g, inGroup := errgroup.WithContext(ctx)
	g.SetLimit(partsAhead)
	for i := range parts.Len() {
		off, n := parts.Bounds(i)
		buf, release, err := r.memory.take(inGroup, n)
		if err != nil {
			break // the group has failed, or the run is interrupted
		}
		g.Go(func() error {
			defer release()
			if _, err := f.ReadAt(buf, off); err != nil {
				if err == io.EOF {
					err = errUnsettled(f.Name())
				}
				return err
			}
			parts.Part(i, buf)
			crcs[i] = crc64nvme.Checksum(buf)
			err := up.Part(inGroup, i+1, bytes.NewReader(buf), n, crcs[i])
			if err == nil {
				r.o.Meter.DoneBytes.Add(n)
			}
			return err
		})
	}
	err := g.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return manifest.Digest{}, 0, err
	}
	crc := crcs[0]
	for i := range crcs[1:] {
		_, n := parts.Bounds(i + 1)
		crc = bucket.CombineCRC64(crc, crcs[i+1], n)
	}
	return parts.Sum(), crc, nil
}

// unchanged returns an error if a file is not as it was, or is not what the scan read.
func unchanged(f *os.File, before fs.FileInfo, equal bool) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if !equal || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) {
		return errUnsettled(f.Name())
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
	put  func(o bucket.PutOptions, check func() error) (bucket.Object, error)
	crc  func() uint64 // of what put sends
	etag func() string // that a single put gives it; empty: not known
}

// place stores an object if the bucket still holds what the action expects. Where the server's
// answer leaves open what happened, it looks. It reports false if the object was there already,
// by somebody else's hand or by a put whose answer was lost.
func (r *run) place(ctx context.Context, a Action, e manifest.Entry, p placing) (manifest.Entry, bool, error) {
	key := r.o.Prefix + a.Key
	o := bucket.PutOptions{Condition: a.condition(), ContentType: contentType(a.Key)}
	var doubt error // of a put that may have been carried out
	for range maxLooks {
		obj, err := r.putUnder(ctx, key, o, p)
		if err == nil {
			return witnessed(e, obj, p.crc()), true, nil
		}
		if errors.Is(err, bucket.ErrUncertain) {
			doubt = err
		} else if !errors.Is(err, bucket.ErrChanged) {
			return e, false, both(doubt, err)
		}
		now, err := r.store.Head(ctx, key, bucket.HeadOptions{})
		switch {
		case errors.Is(err, bucket.ErrNotFound):
			o.Condition = bucket.Condition{IfNone: true} // somebody removed it: put it back
		case err != nil:
			return e, false, both(doubt, err)
		case holds(now, e.Size, p):
			return witnessed(e, now, p.crc()), doubt != nil, nil
		case now.ETag != o.IfMatch:
			return e, false, both(doubt, errForeign)
		}
	}
	return e, false, both(doubt, bucket.ErrChanged)
}

// both returns an error that is also the doubt left by an earlier try, if there is one: then it
// is not known what the bucket holds, whatever was answered later.
func both(doubt, err error) error {
	if doubt == nil {
		return err
	}
	return fmt.Errorf("%w; then: %w", doubt, err)
}

// putUnder puts under the condition, which it checks itself where the server does not.
func (r *run) putUnder(ctx context.Context, key string, o bucket.PutOptions, p placing) (bucket.Object, error) {
	cond := o.Condition
	check := func() error { return r.check(ctx, key, cond) }
	if !r.powers.PutConditions {
		if err := check(); err != nil {
			return bucket.Object{}, err
		}
		o.Condition = bucket.Condition{}
	}
	o.CRC64, o.HasCRC64 = p.crc(), r.powers.Checksums
	return p.put(o, check)
}

// check returns ErrChanged unless the condition holds now. It narrows the gap for another
// writer where a server does not close it.
func (r *run) check(ctx context.Context, key string, c bucket.Condition) error {
	now, err := r.store.Head(ctx, key, bucket.HeadOptions{})
	switch {
	case err != nil && !errors.Is(err, bucket.ErrNotFound):
		return err
	case c.IfNone && err == nil, c.IfMatch != "" && (err != nil || now.ETag != c.IfMatch):
		return bucket.ErrChanged
	}
	return nil
}

// holds reports whether an object surely has the content that is being placed.
func holds(o bucket.Object, size int64, p placing) bool {
	if o.Size != size {
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
