package manifest

import (
	"encoding/binary"
	"sync"

	"github.com/zeebo/blake3"
)

// Profile names the rules by which trees are folded. It is hashed into every ident, so that
// trees folded by other rules never look equal to these.
const Profile = 1

// The contexts of BLAKE3's key derivation, one a kind of node.
const (
	contextLeaf     = "merkur leaf page v1"
	contextIndex    = "merkur index page v1"
	contextRoot     = "merkur root v1"
	contextFooter   = "merkur footer v1"
	contextUnproven = "merkur unproven object v1"
)

// What hashes each kind of node.
var (
	leaves    = newDeriver(contextLeaf)
	indexes   = newDeriver(contextIndex)
	roots     = newDeriver(contextRoot)
	strangers = newDeriver(contextUnproven)
)

// A deriver is BLAKE3 in its key derivation mode with one context. It keeps the hashers, of 10 kB each, that
// have the context worked in.
type deriver struct{ hashers sync.Pool }

func newDeriver(context string) *deriver {
	return &deriver{sync.Pool{New: func() any { return blake3.NewDeriveKey(context) }}}
}

func (d *deriver) derive(b []byte) Digest {
	h := d.hashers.Get().(*blake3.Hasher)
	h.Reset()
	h.Write(b)
	sum := digestOf(h)
	d.hashers.Put(h)
	return sum
}

// A Page is a run of consecutive entries, or of consecutive pages of the level below.
type Page struct {
	Level    uint8
	Entries  []Entry // of a leaf: level 0
	Children []Ref   // of an index page: level 1 and up

	known *Ref // what Ref returned; a page does not change once it has been asked for
}

// A Ref is a page as its parent knows it.
type Ref struct {
	First string // first key below; empty only in the empty tree
	Level uint8
	Ident Digest // over everything that makes two pages equal
	Files uint64 // entries below
	Bytes uint64 // sum of their sizes
	At    Location
}

// A Location says where the stored bytes of a page are, and what they hash to.
type Location struct {
	Pack PackName // the zero name means the root object itself
	Off  uint64   // of the page's frame, from the start of the object
	Len  uint32   // of the frame
	Tag  Tag      // over the frame: integrity, not equality
}

// A Tag is the first half of the BLAKE3 digest of stored bytes.
type Tag [16]byte

// TagOf returns the tag of stored bytes.
func TagOf(b []byte) Tag {
	sum := blake3.Sum256(b)
	return Tag(sum[:16])
}

// A PackName names an immutable object of pages by the tag of its bytes.
type PackName Tag

// Ref describes the page as a parent does, but for its location. The page must not be changed
// afterwards.
func (p *Page) Ref() Ref {
	if p.known != nil {
		return *p.known
	}
	r := Ref{Level: p.Level, Ident: p.ident()}
	for i := range p.Entries {
		r.Files++
		r.Bytes += uint64(p.Entries[i].Size)
	}
	for i := range p.Children {
		r.Files += p.Children[i].Files
		r.Bytes += p.Children[i].Bytes
	}
	r.First = p.first()
	p.known = &r
	return r
}

func (p *Page) first() string {
	switch {
	case len(p.Entries) > 0:
		return p.Entries[0].Key
	case len(p.Children) > 0:
		return p.Children[0].First
	}
	return ""
}

// ident hashes what makes two pages equal, keys in full: how a page is stored does not matter.
func (p *Page) ident() Digest {
	if p.Level == 0 {
		return p.leafIdent()
	}
	b := binary.LittleEndian.AppendUint64(nil, Profile)
	b = append(b, p.Level)
	b = binary.AppendUvarint(b, uint64(len(p.Children)))
	for i := range p.Children {
		c := &p.Children[i]
		b = appendText(b, c.First)
		b = append(b, c.Ident[:]...)
		b = binary.LittleEndian.AppendUint64(b, c.Files)
		b = binary.LittleEndian.AppendUint64(b, c.Bytes)
	}
	return indexes.derive(b)
}

func (p *Page) leafIdent() Digest {
	room := rooms.Get().(*[]byte)
	b := binary.LittleEndian.AppendUint64((*room)[:0], Profile)
	b = binary.AppendUvarint(b, uint64(len(p.Entries)))
	for i := range p.Entries {
		e := &p.Entries[i]
		b = appendText(b, e.Key)
		b = append(b, byte(e.Kind))
		b = binary.AppendUvarint(b, uint64(e.Size))
		b = append(b, e.Digest[:]...)
		if e.Kind == Link {
			b = appendText(b, e.Target)
		}
	}
	d := leaves.derive(b)
	*room = b
	rooms.Put(room)
	return d
}

// rooms are where leaves are written down to be hashed.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// rootDigest hashes the top page into the digest of the whole tree.
func rootDigest(top Ref) Digest {
	b := binary.LittleEndian.AppendUint64(nil, Profile)
	b = append(b, top.Level)
	b = append(b, top.Ident[:]...)
	b = binary.LittleEndian.AppendUint64(b, top.Files)
	b = binary.LittleEndian.AppendUint64(b, top.Bytes)
	return roots.derive(b)
}

// UnprovenDigest returns the stand-in for the digest of an object of which only the bucket's
// own word is known. It equals no digest of content and no stand-in of another object.
func UnprovenDigest(etag string, size int64) Digest {
	var room [64]byte
	return strangers.derive(binary.AppendUvarint(appendText(room[:0], etag), uint64(size)))
}

func contentDigest(s string) Digest { return Digest(blake3.Sum256([]byte(s))) }

func digestOf(h *blake3.Hasher) Digest {
	var d Digest
	h.Sum(d[:0])
	return d
}
