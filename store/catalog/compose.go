package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/minio/crc64nvme"

	"merkur/manifest"
	"merkur/store/bucket"
)

// How pages are spread over objects. While a tree fits, all of it is in the root object; a
// larger one is in packs, and only what changed lately, up to some size, is in the root: since a run sends that
// twice, to announce and to commit, a run that changes one page sends less than 300 kB.
const (
	packSize    = 8 << 20
	manyFiles   = 8 << 20 // from here on packs are four times as large: the root names all of them
	inlineLimit = 112 << 10
	manyChanges = 256
	// mergeAbove is how many packs of which less than a quarter is in use there may be. When there are
	// more, what is in use of them is put together anew. So a tree has at most so many packs more than
	// four times what it needs, and each byte of its pages is copied that way a few times at most.
	mergeAbove = 64
	// rootLimit is the most that is read of a root object, or written to one. Somebody else may have put a
	// larger one there.
	rootLimit = 64 << 20
	// removals is how many retired packs a commit removes at most.
	removals = 1000
	// keepRetired is how long a pack stays after the last root that named it, for its readers.
	keepRetired = 24 * time.Hour
)

// A composer puts the next root object together: pages of the present tree that stay, new
// pages, and packs where the object would become too large.
type composer struct {
	c     *Catalog
	ctx   context.Context
	base  *snapshot // nil: there is none
	body  []byte
	head  manifest.ID
	live  uint64 // bytes of frames in body
	packs map[manifest.PackName]manifest.Pack
	merge map[manifest.PackName]bool // packs of which nothing is to stay where it is
	new   []manifest.PackName        // sealed so far
	b     *manifest.Builder
	last  *manifest.Page // that was stored: at the end, the top
}

// compose builds the object that commits an edit to the present root, and stores the packs
// that it needs.
func (c *Catalog) compose(ctx context.Context, e Edit) (*snapshot, error) {
	w := &composer{c: c, ctx: ctx, base: c.cur, packs: map[manifest.PackName]manifest.Pack{}}
	w.begin()
	w.b = manifest.NewBuilder(w.store)
	u := manifest.Update{Base: c.Tree(ctx), Carry: w.carry, Dropped: w.dropped}
	if w.base != nil {
		for _, p := range w.base.m.Packs {
			w.packs[p.Name] = p
		}
	}
	w.chooseMerge()
	if err := u.Apply(w.b, e.Changes); err != nil {
		return nil, err
	}
	root, err := w.b.Finish()
	if err != nil {
		return nil, err
	}
	if len(w.body) > w.inlineLimit(len(e.Changes)) {
		name, err := w.seal()
		if err != nil {
			return nil, err
		}
		if root.Top.At.Pack == (manifest.PackName{}) {
			root.Top.At.Pack = name
			if err := w.bringTop(&root); err != nil {
				return nil, err
			}
		}
	}
	return w.finish(root, e)
}

// bringTop brings the index page at the top out of the pack where it was just stored into the root object, so
// that whoever reads the root has both.
func (w *composer) bringTop(root *manifest.Root) error {
	if root.Top.Level == 0 {
		return nil
	}
	w.dropped(root.Top)
	top := &manifest.Page{Level: w.last.Level, Children: slices.Clone(w.last.Children)}
	for i := range top.Children {
		if at := &top.Children[i].At; at.Pack == (manifest.PackName{}) {
			at.Pack = root.Top.At.Pack
		}
	}
	at, err := w.store(top)
	root.Top.At = at
	return err
}

// packSize is how many bytes a pack has before a new one is begun.
func (w *composer) packSize() int {
	if w.base != nil && w.base.m.Root.Top.Files >= manyFiles {
		return 4 * w.c.packSize
	}
	return w.c.packSize
}

// inlineLimit is how much may stay in the root object after so many changes. Where there are packs, a large
// commit leaves the small ones that come after it little to carry.
func (w *composer) inlineLimit(changes int) int {
	if len(w.packs) > 0 && changes >= manyChanges {
		return inlineLimit / 8
	}
	return inlineLimit
}

// chooseMerge chooses the packs that are to be put together, if there are too many small ones.
func (w *composer) chooseMerge() {
	small := map[manifest.PackName]bool{}
	for name, p := range w.packs {
		if p.Live < uint64(w.packSize())/4 {
			small[name] = true
		}
	}
	if len(small) > w.c.mergeAbove {
		w.merge = small
	}
}

// begin starts an empty body.
func (w *composer) begin() {
	w.head, w.live = newID(), 0
	w.body = manifest.AppendHead(make([]byte, 0, 64<<10), w.head)
}

// store is the sink of the builder.
func (w *composer) store(p *manifest.Page) (at manifest.Location, err error) {
	if len(w.body) > w.packSize() {
		if _, err := w.seal(); err != nil {
			return at, err
		}
	}
	w.body, at = manifest.AppendFrame(w.body, p)
	w.live += uint64(at.Len)
	w.last = p
	w.c.keep(at.Tag, w.body[at.Off:])
	return at, nil
}

// carry says where a page of the present tree that stays is in the next one. Pages in packs
// stay where they are. Leaves in the root object, and in packs that are merged, move along; index
// pages there are taken apart, since they say where in the object their children are, and all of
// them are when packs are merged: their children may be moving.
func (w *composer) carry(r manifest.Ref) (manifest.Location, bool, error) {
	inline := r.At.Pack == (manifest.PackName{})
	switch {
	case r.Level > 0 && (inline || w.merge != nil):
		return manifest.Location{}, false, nil
	case !inline && !w.merge[r.At.Pack]:
		return r.At, true, nil
	}
	frame, err := w.inline(r)
	if err != nil {
		return manifest.Location{}, false, err
	}
	w.dropped(r)
	if len(w.body) > w.packSize() {
		if _, err := w.seal(); err != nil {
			return manifest.Location{}, false, err
		}
	}
	at := r.At
	at.Pack, at.Off = manifest.PackName{}, uint64(len(w.body))
	w.body = append(w.body, frame...)
	w.live += uint64(at.Len)
	return at, true, nil
}

// inline returns a frame of the present root object, or of a pack. The first that is not at hand brings in
// the rest of the object with one request, unless that is larger than it should be.
func (w *composer) inline(r manifest.Ref) ([]byte, error) {
	if r.At.Pack == (manifest.PackName{}) && w.base.size <= rootLimit && w.base.inline(r.At) == nil && (w.c.o.Pages == nil || w.c.o.Pages.Recall(r.At.Tag[:]) == nil) {
		if err := w.c.extend(w.ctx, w.base, int64(manifest.HeadSize)); err != nil {
			return nil, err
		}
	}
	frame, err := w.c.fetch(w.ctx, w.base, r)
	if err != nil {
		return nil, err
	}
	if uint64(len(frame)) != uint64(r.At.Len) || manifest.TagOf(frame) != r.At.Tag {
		return nil, fmt.Errorf("%w: page at %q does not match its tag", manifest.ErrCorrupt, r.First)
	}
	return frame, nil
}

// dropped notes that a page of the present tree is not in the next one.
func (w *composer) dropped(r manifest.Ref) {
	if p, ok := w.packs[r.At.Pack]; ok {
		p.Live -= min(p.Live, uint64(r.At.Len))
		w.packs[r.At.Pack] = p
	}
}

// seal stores the body as a pack and begins a new one.
func (w *composer) seal() (manifest.PackName, error) {
	name := manifest.PackName(manifest.TagOf(w.body))
	w.b.Sealed(name)
	w.packs[name] = manifest.Pack{Name: name, Size: uint64(len(w.body)), Live: w.live}
	key := w.c.o.Prefix + packKey(name)
	if _, err := w.c.put(w.ctx, key, w.body, bucket.PutOptions{}); err != nil {
		return name, fmt.Errorf("store pack %s: %w", key, err)
	}
	w.new = append(w.new, name)
	w.begin()
	return name, nil
}

// finish ends the root object.
func (w *composer) finish(root manifest.Root, e Edit) (*snapshot, error) {
	now := w.c.o.Now()
	m := &manifest.Manifest{
		Head: w.head, UUID: newID(), Generation: 1, Writer: w.c.o.Identity.Writer, Time: now.UnixNano(), Root: root,
	}
	if w.base != nil && w.base.m.Generation > 0 {
		m.UUID, m.Generation = w.base.m.UUID, w.base.m.Generation+1
	}
	if w.listPacks(m, now); max(len(m.Packs), len(m.Retired)) > manifest.MaxPacks {
		return nil, fmt.Errorf("manifest of more than %d packs", manifest.MaxPacks)
	}
	if err := w.listIntents(m, e, now); err != nil {
		return nil, err
	}
	m.Sort()
	s := &snapshot{m: m, sealed: w.new}
	body := len(w.body)
	s.have = w.c.o.Seal.AppendFooter(w.body, m)
	s.footer, s.size = s.have[body:], int64(len(s.have))
	return s, nil
}

// listPacks sorts the packs into those that are in use, those that are kept for readers of
// older roots, and those that may go.
func (w *composer) listPacks(m *manifest.Manifest, now time.Time) {
	for _, p := range w.packs {
		if p.Live > 0 {
			m.Packs = append(m.Packs, p)
		} else {
			m.Retired = append(m.Retired, manifest.Retired{Name: p.Name, Since: now.UnixNano()})
		}
	}
	if w.base == nil {
		return
	}
	tries := 0
	for _, r := range w.base.m.Retired {
		// Removed before the root forgets it: a crash between the two leaves nothing behind.
		// A failure is no harm either, the next commit tries again.
		old := time.Unix(0, r.Since).Before(now.Add(-keepRetired)) && tries < removals
		if old {
			tries++
		}
		if !old || w.c.store.Delete(w.ctx, w.c.o.Prefix+packKey(r.Name), bucket.Condition{}) != nil {
			m.Retired = append(m.Retired, r)
		}
	}
}

// listIntents takes over the intents of other runs, but for those that are settled, and adds
// this run's.
func (w *composer) listIntents(m *manifest.Manifest, e Edit, now time.Time) error {
	if w.base != nil {
		for _, i := range w.base.m.Intents {
			if i.Run == w.c.run || e.settles(i.Run) {
				continue
			}
			if err := w.takeAlong(&i); err != nil {
				return err
			}
			m.Intents = append(m.Intents, i)
		}
	}
	if e.Range == nil && len(e.Doomed) == 0 {
		return nil
	}
	if len(e.Doomed) > manifest.MaxPage {
		panic("catalog: too many objects are to be deleted at once")
	}
	if len(m.Intents) >= manifest.MaxIntents {
		return fmt.Errorf("%d other runs are under way", len(m.Intents))
	}
	mine := manifest.Intent{
		Run: w.c.run, Writer: w.c.o.Identity.Writer, Until: now.Add(Lease).UnixNano(), Range: e.Range,
	}
	if len(e.Doomed) > 0 {
		p := &manifest.Page{Entries: e.Doomed}
		var at manifest.Location
		w.body, at = manifest.AppendFrame(w.body, p)
		ref := p.Ref()
		ref.At = at
		mine.Doomed = &ref
	}
	if e.Range != nil && e.Meant != nil && len(*e.Meant) <= manifest.MaxMeant {
		var at manifest.Location
		w.body, at = manifest.AppendMeant(w.body, *e.Meant)
		mine.Meant = &at
	}
	m.Intents = append(m.Intents, mine)
	return nil
}

// takeAlong brings what another run's intent refers to from the present root object into the next one.
func (w *composer) takeAlong(i *manifest.Intent) error {
	if i.Doomed != nil {
		moved := *i.Doomed // the present root goes on to name the old place
		if err := w.move(&moved); err != nil {
			return err
		}
		i.Doomed = &moved
	}
	if i.Meant != nil {
		moved := manifest.Ref{At: *i.Meant}
		if err := w.move(&moved); err != nil {
			return err
		}
		i.Meant = &moved.At
	}
	return nil
}

// move brings a frame from the present root object into the next one.
func (w *composer) move(r *manifest.Ref) error {
	frame, err := w.inline(*r)
	if err != nil {
		return err
	}
	if len(w.body)+len(frame) > rootLimit {
		return fmt.Errorf("%w: intents of more than %d bytes", manifest.ErrCorrupt, rootLimit)
	}
	r.At.Off = uint64(len(w.body))
	w.body = append(w.body, frame...)
	return nil
}

// put stores bytes with a checksum for the server to verify.
func (c *Catalog) put(ctx context.Context, key string, b []byte, o bucket.PutOptions) (bucket.Object, error) {
	o.ContentType = "application/zstd"
	o.CRC64, o.HasCRC64 = crc64nvme.Checksum(b), true
	return c.putBytes(ctx, key, b, o)
}
