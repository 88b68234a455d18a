package transfer

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/minio/crc64nvme"
	"github.com/zeebo/blake3"
	"golang.org/x/sync/errgroup"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
)

const (
	usualBuffer = 256 << 10
	maxResumes  = 5 // times that a body which breaks off is asked for from there on
)

// What is wrong with bytes that came.
var (
	errContent  = errors.New("the content that was received is not what the manifest says")
	errChecksum = errors.New("the content that was received does not match the object's checksum")
)

// fetch downloads an object beside its place, makes sure of its content and puts it in its
// place. If the bucket holds another object than the one that is known, nothing happens.
func (r *run) fetch(ctx context.Context, a Action) error {
	name, ok := placeOf(a.Key)
	if !ok {
		return fmt.Errorf("%q is no path of a file", a.Key)
	}
	f, err := r.tree.create(name)
	if err != nil {
		return err
	}
	var modified time.Time
	if a.From.Size >= r.o.Parts.Threshold {
		modified, err = r.fetchParts(ctx, a, f)
	} else {
		modified, err = r.fetchWhole(ctx, a, f)
	}
	if err != nil {
		f.drop()
		return r.gone(ctx, a, err)
	}
	err = f.publish(modified.Truncate(time.Second))
	if times := (timesError{}); errors.As(err, &times) {
		r.warn(Warning{Key: a.Key, Text: fmt.Sprintf("Skipping file %s. Successfully Downloaded %s but was unable to update the last modified time. %v",
			r.path(name), r.path(name), times.error)})
		err = nil
	}
	if err == nil {
		r.done(a, a.From.Size)
	}
	return err
}

// gone explains why an object could not be read.
func (r *run) gone(ctx context.Context, a Action, err error) error {
	changed := errors.Is(err, bucket.ErrChanged) || errors.Is(err, bucket.ErrNotFound)
	if changed && r.source != nil && ctx.Err() == nil {
		return fmt.Errorf("%w (%v)", errForeign, err)
	}
	return err
}

// A receiver takes the bytes of an object as they come and knows in the end whether they are
// what they should be.
type receiver struct {
	want   manifest.Entry
	digest *blake3.Hasher
	crc    hash.Hash64 // where only the bucket's word is known; else nil
	md5    hash.Hash   // where the ETag may tell; else nil
}

// newReceiver expects what is known of an object. The ETag of one with a key of its own, also of
// the customer's, is not made of its content.
func newReceiver(want manifest.Entry, keyed bool) *receiver {
	v := &receiver{want: want, digest: blake3.New()}
	if want.Unproven {
		v.crc = crc64nvme.New()
		if len(want.Evidence.ETag) == 2*md5.Size && !keyed {
			v.md5 = md5.New()
		}
	}
	return v
}

func (v *receiver) Write(b []byte) (int, error) {
	v.digest.Write(b)
	if v.crc != nil {
		v.crc.Write(b)
	}
	if v.md5 != nil {
		v.md5.Write(b)
	}
	return len(b), nil
}

// check returns the digest of what came, or an error if it is not what was wanted.
func (v *receiver) check(obj bucket.Object) (d manifest.Digest, err error) {
	v.digest.Sum(d[:0])
	switch {
	case !v.want.Unproven && d != v.want.Digest:
		return d, errContent
	case v.crc != nil && obj.HasCRC64:
		if v.crc.Sum64() != obj.CRC64 {
			return d, errChecksum
		}
	case v.md5 != nil && plainETag(obj) && fmt.Sprintf("%x", v.md5.Sum(nil)) != obj.ETag:
		return d, errChecksum
	}
	return d, nil
}

// plainETag reports whether the ETag of an object stored at once is the MD5 of its bytes. That of
// one that is encrypted with a key of its own is not.
func plainETag(o bucket.Object) bool {
	return (o.Encryption == "" || o.Encryption == "AES256") && len(o.ETag) == 2*md5.Size
}

// fetchWhole downloads an object in one stream, which goes on where it breaks off.
func (r *run) fetchWhole(ctx context.Context, a Action, f io.Writer) (modified time.Time, err error) {
	buf, release, err := r.memory.take(ctx, min(r.o.Buffer, a.From.Size+1))
	if err != nil {
		return modified, err
	}
	defer release()
	v := newReceiver(a.From.Entry, r.o.From.Customer != nil)
	var obj bucket.Object
	err = r.pass(ctx, a, a.From.Size, func() error {
		obj, err = r.receive(ctx, a, 0, a.From.Size, buf, io.MultiWriter(f, v))
		return err
	})
	if err != nil {
		return modified, err
	}
	d, err := v.check(obj)
	if err == nil && v.crc != nil && r.o.From.Customer == nil {
		r.received(a, obj, d, v.crc.Sum64())
	}
	return obj.Modified, err
}

// receive writes n bytes of the object of an action, from an offset on. A body that breaks off is
// asked for again from there on, as long as each try brings something. All of it is of one
// object: the one that is known, or else the one that answered first.
func (r *run) receive(ctx context.Context, a Action, offset, n int64, buf []byte, w io.Writer) (first bucket.Object, err error) {
	to := &sink{Writer: w}
	etag := a.From.Evidence.ETag
	for got, idle := int64(0), 0; ; {
		o := bucket.GetOptions{IfMatch: etag, Customer: r.o.From.Customer}
		if n < a.From.Size || got > 0 {
			o.Offset, o.Length = offset+got, n-got
		}
		body, obj, err := r.o.From.Store.Get(ctx, r.o.From.Prefix+a.Key, o)
		if err != nil {
			return first, err
		}
		if first.ETag == "" {
			first, etag = obj, obj.ETag
		}
		m, err := drain(body, to, n-got, buf)
		switch got += m; {
		case obj.Size != a.From.Size:
			return first, bucket.ErrChanged
		case err == nil:
			return first, nil
		case to.err != nil || ctx.Err() != nil || got == n:
			return first, err
		case m > 0:
			idle = 0
		}
		if idle++; idle > maxResumes {
			return first, err
		}
	}
}

// drain writes n bytes of a body, and reads on to its end, where a checksum is verified.
func drain(body io.ReadCloser, w io.Writer, n int64, buf []byte) (int64, error) {
	defer body.Close()
	m, err := io.CopyBuffer(w, struct{ io.Reader }{io.LimitReader(body, n)}, buf)
	if err == nil && m < n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return m, err
	}
	if _, err = body.Read(buf[:1]); err == io.EOF {
		err = nil
	}
	return m, err
}

// A sink remembers that it could not be written to, which no other try would mend.
type sink struct {
	io.Writer
	err error
}

func (s *sink) Write(b []byte) (int, error) {
	n, err := s.Writer.Write(b)
	if err != nil {
		s.err = err
	}
	return n, err
}

// fetchParts downloads a large object in ranges, several at once.
func (r *run) fetchParts(ctx context.Context, a Action, f io.WriterAt) (modified time.Time, err error) {
	l := r.o.Parts.layout(a.From.Size)
	digest, crcs := l.digest(), make([]uint64, l.len())
	objs := make([]bucket.Object, l.len())
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
			return r.pass(inGroup, a, n, func() (err error) {
				w := &partWriter{layout: l, digest: digest, part: i, to: f, buf: buf[:0:len(buf)], crc: crc64nvme.New()}
				offset, _ := l.bounds(i)
				objs[i], err = r.receive(inGroup, a, offset, n, make([]byte, min(r.o.Buffer, n)), w)
				crcs[i] = w.crc.Sum64()
				return errors.Join(err, w.flush())
			})
		})
	}
	err = g.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return modified, err
	}
	return objs[0].Modified, r.checkParts(ctx, a, objs, digest.Sum(), l.checksum(crcs))
}

// checkParts makes sure that the parts are of one object, and that it is the right one.
func (r *run) checkParts(ctx context.Context, a Action, objs []bucket.Object, d manifest.Digest, crc uint64) error {
	for i := range objs {
		if objs[i].ETag != objs[0].ETag {
			return bucket.ErrChanged
		}
	}
	obj := objs[0]
	if !a.From.Unproven {
		if d != a.From.Digest {
			return errContent
		}
		return nil
	}
	now, err := r.o.From.Store.Head(ctx, r.o.From.Prefix+a.Key, bucket.HeadOptions{Customer: r.o.From.Customer})
	if err != nil {
		return err
	}
	if now.ETag == obj.ETag && now.HasCRC64 && now.CRC64 != crc {
		return errChecksum
	}
	r.received(a, obj, d, crc)
	return nil
}

// received remembers the content of an object of which only the bucket's word was known.
func (r *run) received(a Action, obj bucket.Object, d manifest.Digest, crc uint64) {
	ev := a.From.Evidence
	if a.From.Unproven && obj.ETag == ev.ETag {
		ev.HasCRC64, ev.CRC64 = true, crc
		r.rememberProof(target{r.o.From.Store, r.o.From, a.From.Entry, a.Key}, ev, d)
	}
}

// A partWriter writes one part of a download to its place, unit by unit, and hashes it.
type partWriter struct {
	layout layout
	digest *hashing.Parts
	part   int
	to     io.WriterAt
	crc    hash.Hash64
	buf    []byte // what has come of the units at hand
	done   int64  // bytes of the part before those
}

func (w *partWriter) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		m := min(len(b), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, b[:m]...)
		b, n = b[m:], n+m
		if len(w.buf) == cap(w.buf) {
			err = w.flush()
		}
	}
	return n, err
}

// flush writes what has come.
func (w *partWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	offset, length := w.layout.bounds(w.part)
	if int64(len(w.buf)) == min(int64(cap(w.buf)), length-w.done) {
		w.layout.add(w.digest, w.part, w.done, w.buf)
	}
	w.crc.Write(w.buf)
	_, err := w.to.WriteAt(w.buf, offset+w.done)
	w.done += int64(len(w.buf))
	w.buf = w.buf[:0]
	return err
}
