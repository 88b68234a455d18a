package transfer

import (
	"context"
	"errors"
	"io"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/headers"
)

// relay copies an object through this machine. So its content becomes known, whatever was known
// of it before; if it is not what the source's manifest says, nothing is stored.
func (r *run) relay(ctx context.Context, a Action) (manifest.Entry, error) {
	from := target{r.o.From.Store, r.o.From, a.From.Entry, a.Key}
	asked := r.asked(a.Key)
	switch r.o.Props {
	case PropsNone:
	case DirectiveReplace:
		asked = headers.Set(r.headers(a.Key))
	default:
		obj, err := from.head(ctx, 0)
		if err != nil {
			return a.From.Entry, r.gone(ctx, err)
		}
		asked = over(asked, headers.Set(obj.Headers))
	}
	tags, err := "", error(nil)
	if r.o.Props == PropsDefault || r.o.Props == PropsAll {
		if tags, err = r.tagsOf(ctx, a); err != nil {
			return a.From.Entry, err
		}
	}
	later := ""
	if len(tags) > maxTagging {
		tags, later = "", tags
	}
	relay := r.relayWhole
	if _, ok := r.store.(bucket.Uploader); ok && a.From.Size >= r.o.Parts.Threshold {
		relay = r.relayParts
	}
	e, stored, err := relay(ctx, a, bucket.PutOptions{Headers: bucket.Headers(asked), Terms: r.o.Terms, Tags: tags})
	if err == nil && later != "" {
		if err = r.setTags(ctx, a, e.Evidence.ETag, later); err != nil {
			a.becomes(unsure)
		}
	}
	switch {
	case err != nil:
		return e, err
	case stored:
		r.done(a, e.Size)
	default:
		r.sent.proved.Add(1)
	}
	e.Headers = r.asked(a.Key).Tag()
	return e, nil
}

// relayed is the entry of an object whose content has been seen.
func (r *run) relayed(a Action, d manifest.Digest) (manifest.Entry, error) {
	e := a.From.Entry
	if !e.Unproven && e.Digest != d {
		return e, errContent
	}
	e.Unproven, e.Digest, e.Evidence = false, d, manifest.Evidence{}
	return e, nil
}

func (r *run) relayWhole(ctx context.Context, a Action, o bucket.PutOptions) (e manifest.Entry, stored bool, err error) {
	if a.From.Size > mostBuffer && a.From.Size < r.o.Parts.Threshold {
		// One request, as it was asked for, but no more than this machine bears.
		return r.relayParts(ctx, a, o)
	}
	buf, release, err := r.memory.take(ctx, a.From.Size)
	if err != nil {
		return e, false, err
	}
	defer release()
	v := newReceiver(a.From.Entry, r.o.From.Customer != nil)
	defer v.end()
	var obj bucket.Object
	err = r.pass(ctx, a, 0, func(ctx context.Context) error {
		obj, err = r.receive(ctx, a, 0, a.From.Size, &sink{buf: buf, to: v, keep: true})
		return err
	})
	if err != nil {
		return e, false, r.gone(ctx, err)
	}
	d, err := v.check(obj)
	if err == nil {
		e, err = r.relayed(a, d)
	}
	if err != nil {
		return e, false, err
	}
	return r.place(ctx, a, o, r.inMemory(ctx, a, e, buf))
}

func (r *run) relayParts(ctx context.Context, a Action, o bucket.PutOptions) (manifest.Entry, bool, error) {
	e := a.From.Entry
	var crc uint64
	return r.place(ctx, a, o, placing{
		entry: func() manifest.Entry { return e },
		crc:   func() uint64 { return crc },
		etag:  func() string { return "" },
		put: func(o bucket.PutOptions, check func() error) (bucket.Object, error) {
			return r.inParts(ctx, r.o.To.Prefix+a.Key, o, func(up bucket.Upload) error {
				from := &remote{r: r, ctx: ctx, a: a}
				d, sum, err := r.uploadParts(ctx, a, up, from, a.From.Size)
				if err == nil {
					err = r.matches(ctx, a, sum)
				}
				if err == nil {
					e, err = r.relayed(a, d)
				}
				if crc = sum; err != nil {
					return r.gone(ctx, err)
				}
				return check()
			})
		},
	})
}

// A remote reads an object of the source like a file.
type remote struct {
	r   *run
	ctx context.Context
	a   Action
}

// ReadAt reads len(b) bytes from an offset on. The object is known to have them.
func (f *remote) ReadAt(b []byte, offset int64) (int, error) {
	to := &sink{buf: b, keep: true}
	_, err := f.r.receive(f.ctx, f.a, offset, int64(len(b)), to)
	return to.kept, err
}

// section reads a stretch of the object in one request, and in another one after each Seek.
func (f *remote) section(offset, length int64) io.ReadSeeker {
	return &stretch{remote: f, offset: offset, length: length}
}

type stretch struct {
	*remote
	offset, length int64
	at             int64
	body           io.ReadCloser // nil: not open
}

func (s *stretch) Read(b []byte) (int, error) {
	if s.at == s.length {
		return 0, io.EOF
	}
	if s.body == nil {
		from := s.r.o.From
		o := bucket.GetOptions{Offset: s.offset + s.at, Length: s.length - s.at, IfMatch: s.a.From.Evidence.ETag, Customer: from.Customer}
		body, _, err := from.Store.Get(s.ctx, from.Prefix+s.a.Key, o)
		if err != nil {
			return 0, err
		}
		s.body = body
	}
	n, err := s.body.Read(b)
	if s.at += int64(n); s.at == s.length || err != nil {
		s.body.Close()
		s.body = nil
	}
	if err == io.EOF && s.at < s.length {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close ends the request that is under way, if there is one.
func (s *stretch) Close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}

func (s *stretch) Seek(offset int64, whence int) (int64, error) {
	s.Close()
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.length
	}
	if offset < 0 || offset > s.length {
		return s.at, errors.New("seek out of range")
	}
	s.at = offset
	return offset, nil
}
