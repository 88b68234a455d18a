package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"merkur/manifest"
	"merkur/store/bucket"
)

// tailSize is how much of the end of a root object is asked for at first: the footer, and
// as a rule the top page, are in it.
const tailSize = 64 << 10

// A snapshot is one generation of the root object, as far as it has been read.
type snapshot struct {
	m      *manifest.Manifest
	etag   string
	footer []byte
	size   int64
	sealed []manifest.PackName // packs stored for this generation
	// The bytes of the object from off on. A range of them that is not here is fetched; a commit
	// may extend them while a tree of this snapshot is being read.
	mu   sync.Mutex
	have []byte
	off  int64
}

// loadSeen is load, and compares what it finds with what was seen before.
func (c *Catalog) loadSeen(ctx context.Context) (*snapshot, error) {
	if c.o.Rebuild {
		return c.load(ctx)
	}
	old, err := c.lastSeen()
	if err != nil {
		return nil, err
	}
	cur, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	return cur, c.recognise(old, cur)
}

// load reads the root object's footer, or finds that the cached one still holds. It returns
// nil if there is no root object.
func (c *Catalog) load(ctx context.Context) (*snapshot, error) {
	cached := c.recall()
	o := bucket.GetOptions{Offset: -tailSize}
	if cached != nil {
		o.IfNoneMatch = cached.etag
	}
	tail, obj, err := c.get(ctx, rootName, o)
	switch {
	case errors.Is(err, bucket.ErrNotModified) && cached != nil:
		return cached, nil
	case errors.Is(err, bucket.ErrNotFound):
		return nil, nil
	case err != nil && (errors.Is(err, bucket.ErrNoBucket) || errors.Is(err, bucket.ErrNoCredentials) || silent(err) || ctx.Err() != nil):
		return nil, err
	case err != nil:
		return nil, c.explain(ctx, err)
	}
	c.noteVersion(obj.Version)
	s := &snapshot{etag: obj.ETag, size: obj.Size, have: tail, off: obj.Size - int64(len(tail))}
	if err := c.readFooter(ctx, s); err != nil {
		return nil, err
	}
	c.remember(s)
	return s, nil
}

// silent reports whether there was no answer that says anything about an object. The tries of
// such a request took long enough.
func silent(err error) bool {
	var e *bucket.Error
	return errors.As(err, &e) && (e.Status == 0 || e.Status >= http.StatusInternalServerError)
}

// explain finds out whether a root object cannot be read because it is empty: servers answer a
// request for its end in different ways.
func (c *Catalog) explain(ctx context.Context, err error) error {
	obj, herr := c.store.Head(ctx, c.o.Prefix+rootName, bucket.HeadOptions{})
	if herr == nil && obj.Size == 0 {
		return fmt.Errorf("%w: object is empty", manifest.ErrCorrupt)
	}
	return err
}

// readFooter decodes the footer at the end of what there is, after fetching the rest of it
// where it is longer than that.
func (c *Catalog) readFooter(ctx context.Context, s *snapshot) error {
	n, err := manifest.FooterSize(s.have)
	if err != nil {
		return err
	}
	if int64(n) > s.size-int64(manifest.HeadSize) {
		return fmt.Errorf("%w: footer is longer than its object", manifest.ErrCorrupt)
	}
	if n > len(s.have) {
		if err := c.extend(ctx, s, s.size-int64(n)); err != nil {
			return err
		}
	}
	s.footer = s.have[len(s.have)-n:]
	s.m, err = c.o.Seal.DecodeFooter(s.footer)
	return err
}

// extend fetches the bytes of the root object from off up to those that are there.
func (c *Catalog) extend(ctx context.Context, s *snapshot, off int64) error {
	if off >= s.off {
		return nil
	}
	b, _, err := c.get(ctx, rootName, bucket.GetOptions{Offset: off, Length: s.off - off, IfMatch: s.etag})
	if err != nil {
		return moved(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have, s.off = append(b, s.have...), off
	return nil
}

// moved says what it means that a root object, asked for by its ETag, is not there any more.
func moved(err error) error {
	if errors.Is(err, bucket.ErrChanged) || errors.Is(err, bucket.ErrNotFound) {
		return ErrMoved
	}
	return err
}

// disregard looks at the root object without reading it: it is to be replaced, whatever is in
// it. It returns nil if there is none.
func (c *Catalog) disregard(ctx context.Context) (*snapshot, error) {
	obj, err := c.store.Head(ctx, c.o.Prefix+rootName, bucket.HeadOptions{})
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &snapshot{etag: obj.ETag, m: &manifest.Manifest{Root: emptyRoot()}}, nil
}

func (c *Catalog) tree(ctx context.Context, s *snapshot) manifest.Tree {
	return manifest.Tree{Root: s.m.Root, Fetch: func(r manifest.Ref) ([]byte, error) {
		return c.fetch(ctx, s, r)
	}}
}

// fetch returns the frame of a page: from what has been read of the root object, from the
// cache, or from the bucket.
func (c *Catalog) fetch(ctx context.Context, s *snapshot, r manifest.Ref) ([]byte, error) {
	at := r.At
	if at.Pack == (manifest.PackName{}) {
		if frame := s.inline(at); frame != nil {
			return frame, nil
		}
	}
	if c.o.Pages != nil {
		if frame := c.o.Pages.Recall(at.Tag[:]); manifest.TagOf(frame) == at.Tag {
			return frame, nil
		}
	}
	if at.Pack != (manifest.PackName{}) {
		if frame := c.readAhead(ctx, s, at); frame != nil {
			c.keep(at.Tag, frame)
			return frame, nil
		}
	}
	key, o := packKey(at.Pack), bucket.GetOptions{Offset: int64(at.Off), Length: int64(at.Len)}
	if at.Pack == (manifest.PackName{}) {
		if s.size == 0 || int64(at.Off)+int64(at.Len) > s.size {
			return nil, fmt.Errorf("%w: page at %q lies outside its object", manifest.ErrCorrupt, r.First)
		}
		key, o.IfMatch = rootName, s.etag
	}
	frame, _, err := c.get(ctx, key, o)
	if err == nil && manifest.TagOf(frame) != at.Tag {
		frame, _, err = c.get(ctx, key, o) // what happens on the way may pass
	}
	if errors.Is(err, bucket.ErrNotFound) && key != rootName {
		return nil, fmt.Errorf("%w: pack %s is missing", manifest.ErrCorrupt, key)
	}
	if err != nil {
		return nil, fmt.Errorf("read page at %q: %w", r.First, moved(err))
	}
	c.keep(at.Tag, frame)
	return frame, nil
}

// readAhead returns the frame of a page in a pack, which has been read already or is read with what follows
// it. It returns nil where there is no reason for that, or where it fails: then the page is read by itself.
func (c *Catalog) readAhead(ctx context.Context, s *snapshot, at manifest.Location) []byte {
	frame, want := c.packed.find(at)
	if frame == nil {
		i := slices.IndexFunc(s.m.Packs, func(p manifest.Pack) bool { return p.Name == at.Pack })
		if want == uint64(at.Len) || i < 0 || s.m.Packs[i].Size < at.Off+uint64(at.Len) {
			return nil
		}
		want = min(want, s.m.Packs[i].Size-at.Off)
		b, _, err := c.get(ctx, packKey(at.Pack), bucket.GetOptions{Offset: int64(at.Off), Length: int64(want)})
		if err != nil || len(b) < int(at.Len) {
			return nil
		}
		c.packed.keep(at, b)
		frame = b[:at.Len:at.Len]
	}
	if manifest.TagOf(frame) != at.Tag {
		return nil
	}
	return frame
}

// inline returns the bytes at a location in the root object, or nil if they have not been read.
func (s *snapshot) inline(at manifest.Location) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to := int64(at.Off)-s.off, int64(at.Off)-s.off+int64(at.Len)
	if from < 0 || to > int64(len(s.have)) {
		return nil
	}
	return s.have[from:to:to]
}

func (c *Catalog) keep(tag manifest.Tag, frame []byte) {
	if c.o.Pages != nil {
		c.o.Pages.Remember(tag[:], frame)
	}
}

// get reads the range of an object that o asks for: one of known length.
func (c *Catalog) get(ctx context.Context, name string, o bucket.GetOptions) ([]byte, bucket.Object, error) {
	body, obj, err := c.store.Get(ctx, c.o.Prefix+name, o)
	if err != nil {
		return nil, obj, err
	}
	defer body.Close()
	want := o.Length
	if o.Offset < 0 {
		want = -o.Offset
	}
	b, err := io.ReadAll(io.LimitReader(body, want+1))
	if err == nil && int64(len(b)) > want {
		err = fmt.Errorf("%w: more bytes than were asked for", manifest.ErrCorrupt)
	}
	return b, obj, err
}

func packKey(name manifest.PackName) string { return packs + fmt.Sprintf("%x", name[:]) }

func (c *Catalog) rootRecord() []byte { return []byte("root " + c.o.Place) }

// recall returns the last root that this cache has seen, without its pages, or nil.
func (c *Catalog) recall() *snapshot {
	if c.o.State == nil {
		return nil
	}
	b := c.o.State.Recall(c.rootRecord())
	if len(b) < 9 || len(b) < 9+int(b[8]) {
		return nil
	}
	etag, footer := b[9:9+int(b[8])], b[9+int(b[8]):]
	s := &snapshot{size: int64(binary.LittleEndian.Uint64(b)), etag: string(etag), footer: footer}
	s.have, s.off = s.footer, s.size-int64(len(s.footer))
	m, err := c.o.Seal.DecodeFooter(s.footer) // who may write to the cache cannot seal either
	if err != nil {
		return nil
	}
	s.m = m
	return s
}

// remember keeps the root for recall: its size, its ETag and its footer.
func (c *Catalog) remember(s *snapshot) {
	if c.o.State == nil || len(s.etag) > 255 {
		return
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(s.size))
	b = append(b, byte(len(s.etag)))
	b = append(b, s.etag...)
	c.o.State.Remember(c.rootRecord(), append(b, s.footer...))
}
