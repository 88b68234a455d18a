package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/crc64nvme"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/local"
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

// fetch downloads an object, makes sure of its content and puts it in its place. If the bucket holds
// another object than the one that is known, nothing happens.
func (r *run) fetch(ctx context.Context, a Action) error {
	name, ok := local.Place(a.Key)
	if !ok {
		return errNoPlace
	}
	size := a.From.Size
	if size < min(r.o.Buffer, r.o.Parts.Threshold) && a.Old == nil && !a.Unseen {
		return r.fetchNew(ctx, a, name)
	}
	return r.fetchBeside(ctx, a, name, func(f *local.Draft) (modified time.Time, err error) {
		if size >= r.o.Parts.Threshold {
			modified, err = r.fetchParts(ctx, a, f)
		} else {
			modified, err = r.fetchStream(ctx, a, f)
		}
		return modified, r.gone(ctx, err)
	})
}

// fetchNew downloads an object that a buffer holds to where nothing is, as most are: such a file is made at
// once, where the system lets it be.
func (r *run) fetchNew(ctx context.Context, a Action, name string) error {
	if err := r.tree.Room(name); err != nil {
		return err
	}
	buf, release, err := r.memory.take(ctx, a.From.Size)
	if err != nil {
		return err
	}
	defer release()
	modified, err := r.fetchWhole(ctx, a, buf, nil)
	if err != nil {
		return r.gone(ctx, err)
	}
	done, err := r.tree.Whole(name, buf, modified.Truncate(time.Second))
	if done && err == nil {
		r.done(a, a.From.Size)
	}
	if done {
		return err
	}
	return r.fetchBeside(ctx, a, name, func(f *local.Draft) (time.Time, error) {
		_, err := f.Write(buf)
		return modified, err
	})
}

// fetchBeside has fill write a file beside its place, and puts it there if that is as it was.
func (r *run) fetchBeside(ctx context.Context, a Action, name string, fill func(*local.Draft) (time.Time, error)) error {
	f, err := r.tree.Create(name)
	if err != nil {
		return err
	}
	modified, err := fill(f)
	if err == nil && name == a.Key && !a.Unseen {
		err = f.StillAs(a.Old)
	}
	if err != nil {
		f.Drop()
		return err
	}
	err = f.Publish(modified.Truncate(time.Second))
	if times := (local.TimesError{}); errors.As(err, &times) {
		r.warn(Warning{Key: a.Key, Text: fmt.Sprintf("Skipping file %s. Successfully Downloaded %s but was unable to update the last modified time. %v",
			r.path(name), r.path(name), times.Err)})
		err = nil
	}
	if err == nil {
		r.done(a, a.From.Size)
	}
	return err
}

// What is wrong with an object that is not the one it should be: its manifest is not true any
// more, or it was listed and is another one now.
var (
	errSource   = errors.New("somebody else has changed or removed the object since the manifest of the source was written")
	errReplaced = errors.New("the object was replaced or removed meanwhile")
)

// gone explains why an object of the source could not be read. To a put under a condition, the
// error is none of its own.
func (r *run) gone(ctx context.Context, err error) error {
	changed := errors.Is(err, bucket.ErrChanged) || errors.Is(err, bucket.ErrNotFound)
	switch {
	case !changed || ctx.Err() != nil || errors.Is(err, errForeign):
		return err
	case r.source != nil:
		return fmt.Errorf("%w (%v)", errSource, err)
	}
	return fmt.Errorf("%w (%v)", errReplaced, err)
}

// fetchStream downloads an object in one stream.
func (r *run) fetchStream(ctx context.Context, a Action, f io.Writer) (modified time.Time, err error) {
	buf, release, err := r.memory.take(ctx, min(r.o.Buffer, max(a.From.Size, 1)))
	if err != nil {
		return modified, err
	}
	defer release()
	return r.fetchWhole(ctx, a, buf, f)
}

// fetchWhole downloads an object in one stream, which goes on where it breaks off, to f, or into buf if there
// is no f.
func (r *run) fetchWhole(ctx context.Context, a Action, buf []byte, f io.Writer) (modified time.Time, err error) {
	v := newReceiver(a.From.Entry, r.o.From.Customer != nil)
	defer v.end()
	to := &sink{buf: buf, to: v, keep: f == nil}
	if f != nil {
		to.to = io.MultiWriter(f, v)
	}
	var obj bucket.Object
	err = r.pass(ctx, a, a.From.Size, func(ctx context.Context) error {
		obj, err = r.receive(ctx, a, 0, a.From.Size, to)
		return err
	})
	if err != nil {
		return modified, err
	}
	d, err := v.check(obj)
	if err == nil && v.crc != nil {
		r.received(a, obj, d, v.crc.Sum64())
	}
	return obj.Modified, err
}

// receive takes n bytes of the object of an action, from an offset on. A body that breaks off is
// asked for again from there on, as long as each try brings something. All of it is of one
// object: the one that is known, or else the one that answered first.
func (r *run) receive(ctx context.Context, a Action, offset, n int64, to *sink) (first bucket.Object, err error) {
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
		m, err := drain(body, to, n-got)
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

// drain takes n bytes of a body, and reads on to its end, where a checksum is verified.
func drain(body io.ReadCloser, to *sink, n int64) (done int64, err error) {
	defer body.Close()
	for done < n && err == nil {
		var m int
		m, err = to.take(body, n-done)
		done += int64(m)
	}
	if err == nil {
		_, err = body.Read(make([]byte, 1))
	}
	switch {
	case err == io.EOF && done < n:
		return done, io.ErrUnexpectedEOF
	case err == io.EOF:
		return done, nil
	}
	return done, err
}

// fetchParts downloads a large object in ranges, several at once.
func (r *run) fetchParts(ctx context.Context, a Action, f io.WriterAt) (modified time.Time, err error) {
	l := r.o.Parts.layout(a.From.Size)
	digest, crcs := l.digest(), make([]uint64, l.len())
	objs := make([]bucket.Object, l.len())
	err = r.eachPart(ctx, l, l.window, func(ctx context.Context, i int, buf []byte) error {
		offset, n := l.bounds(i)
		return r.pass(ctx, a, n, func(ctx context.Context) (err error) {
			w := &partWriter{layout: l, digest: digest, part: i, to: f, crc: crc64nvme.New()}
			to := &sink{buf: buf, to: w, gather: true}
			if objs[i], err = r.receive(ctx, a, offset, n, to); err == nil {
				err = to.flush()
			}
			crcs[i] = w.crc.Sum64()
			return err
		})
	})
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
	if err := r.matches(ctx, a, crc); err != nil {
		return err
	}
	r.received(a, obj, d, crc)
	return nil
}

// matches returns an error if the checksum of what came of an unproven object is not the one that
// the bucket has, if it has one.
func (r *run) matches(ctx context.Context, a Action, crc uint64) error {
	if !a.From.Unproven {
		return nil
	}
	now, err := r.o.From.Store.Head(ctx, r.o.From.Prefix+a.Key, bucket.HeadOptions{Customer: r.o.From.Customer})
	if err == nil && now.HasCRC64 && now.CRC64 != crc && now.ETag == a.From.Evidence.ETag {
		err = errChecksum
	}
	return err
}

// received remembers the content of an object of which only the bucket's word was known.
func (r *run) received(a Action, obj bucket.Object, d manifest.Digest, crc uint64) {
	ev := a.From.Evidence
	if a.From.Unproven && obj.ETag == ev.ETag {
		ev.HasCRC64, ev.CRC64 = true, crc
		r.rememberProof(target{r.o.From.Store, r.o.From, a.From.Entry, a.Key}, ev, d)
	}
}
