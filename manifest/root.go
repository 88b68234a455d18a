package manifest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// Format is the version of the format that this package writes, and the newest it reads.
const Format = 1

// Reserved is the prefix, below the mirrored prefix, under which the program keeps its own
// objects. No entry lies there, on either side.
const Reserved = ".merkur/"

const (
	splitterID    = 1
	skippableHead = 0x184D2A50 // zstd frames that every zstd reader skips
	skippableFoot = 0x184D2A5D
	headMagic     = "MKRMAN1\n"
	footMagic     = "MKREND1\n"
	frameHead     = 8 // magic and length of a skippable frame
	trailerSize   = 4 + len(footMagic)

	// HeadSize is the length of what stands before the first page in a root object or a pack.
	HeadSize = frameHead + len(headMagic) + len(ID{})

	// MaxPacks and MaxIntents bound the lists of a manifest.
	MaxPacks   = 1 << 18
	MaxIntents = 256

	maxFooter = 16 << 20
)

// An ID is a random number that names a writer, a run or a manifest.
type ID [16]byte

// A Manifest is the root object but for its pages: which tree is committed, where its pages
// are, and what may be changing in the bucket right now.
type Manifest struct {
	Head       ID     // the random bytes at the head of this root object
	UUID       ID     // of this manifest, for its whole life
	Generation uint64 // 1 for the first, one more each time the root object is written
	Writer     ID     // who wrote this generation
	Time       int64  // when, in nanoseconds since 1970, by the writer's clock; for people only
	Root       Root
	Packs      []Pack    // that hold pages of the tree, by name
	Retired    []Retired // that held some before, by name
	Intents    []Intent  // by run
}

// A Pack is an immutable object of pages.
type Pack struct {
	Name PackName
	Size uint64 // bytes
	Live uint64 // bytes in frames of the present tree
}

// A Retired pack holds no page of the present tree. It is kept for readers of older roots.
type Retired struct {
	Name  PackName
	Since int64 // nanoseconds since 1970
}

// An Intent says that a run may be changing the bucket right now. What the manifest says of
// keys in its range, and of those doomed, may not be so until the intent is gone.
type Intent struct {
	Run    ID
	Writer ID
	Until  int64  // nanoseconds since 1970: another writer may take over after this
	Range  *Range // keys that may be written; nil: none
	Doomed *Ref   // a leaf of objects that are being deleted and that the tree no longer has; nil: none
	// Meant is where in the root object it is stated what may be stored in the range: a frame of
	// [AppendMeant]. Nil: whatever is found there may be the run's.
	Meant *Location
}

// A Range is a stretch of keys: from First to Last, both included. No Last means no end.
type Range struct{ First, Last string }

// Contains reports whether the key lies in the range.
func (r Range) Contains(key string) bool {
	return key >= r.First && (r.Last == "" || key <= r.Last)
}

// AppendHead begins a root object or a pack: pages follow, each as a frame. The id is a random
// number, so that no two packs ever have the same bytes and thus the same name.
func AppendHead(dst []byte, id ID) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, skippableHead)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(HeadSize-frameHead))
	dst = append(dst, headMagic...)
	return append(dst, id[:]...)
}

// CheckHead returns an error unless a root object or a pack begins as [AppendHead] begins it.
func CheckHead(b []byte) error {
	fixed := AppendHead(nil, ID{})[:frameHead+len(headMagic)]
	if len(b) < HeadSize || !bytes.HasPrefix(b, fixed) {
		return corrupt("object does not begin as a manifest does")
	}
	return nil
}

// AppendFooter ends a root object that is not sealed.
func (m *Manifest) AppendFooter(dst []byte) []byte { return (*Seal)(nil).AppendFooter(dst, m) }

// FooterSize returns the length of the footer of a root object that ends in the given bytes.
func FooterSize(end []byte) (int, error) {
	if len(end) < trailerSize || string(end[len(end)-len(footMagic):]) != footMagic {
		return 0, corrupt("object does not end as a manifest does")
	}
	n := binary.LittleEndian.Uint32(end[len(end)-trailerSize:])
	if n < uint32(frameHead+len(Digest{})+trailerSize) || n > maxFooter {
		return 0, corrupt("footer of %d bytes", n)
	}
	return int(n), nil
}

// DecodeFooter is the inverse of [Manifest.AppendFooter]: [Seal.DecodeFooter] without a seal.
func DecodeFooter(b []byte) (*Manifest, error) { return (*Seal)(nil).DecodeFooter(b) }

func (m *Manifest) encodeFooter(s *Seal) []byte {
	b := binary.LittleEndian.AppendUint16(nil, Format)
	b = append(b, splitterID)
	b = s.append(binary.LittleEndian.AppendUint64(b, Profile))
	b = append(b, m.Head[:]...)
	b = append(b, m.UUID[:]...)
	b = binary.LittleEndian.AppendUint64(b, m.Generation)
	b = append(b, m.Writer[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Time))
	b = append(b, m.Root.Digest[:]...)
	b = appendRef(b, m.Root.Top)
	b = binary.AppendUvarint(b, uint64(len(m.Packs)))
	for _, p := range m.Packs {
		b = append(b, p.Name[:]...)
		b = binary.AppendUvarint(b, p.Size)
		b = binary.AppendUvarint(b, p.Live)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Retired)))
	for _, p := range m.Retired {
		b = append(b, p.Name[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(p.Since))
	}
	b = binary.AppendUvarint(b, uint64(len(m.Intents)))
	for i := range m.Intents {
		b = appendIntent(b, &m.Intents[i])
	}
	return b
}

func decodeFooter(r *reader) (*Manifest, error) {
	if v := r.u16(); v != Format {
		r.fail("format %d", v)
	}
	if s := r.u8(); s != splitterID {
		r.fail("unknown splitter %d", s)
	}
	if p := r.u64(); p != Profile {
		r.fail("unknown profile %d", p)
	}
	readSeal(r)
	m := &Manifest{Head: r.id(), UUID: r.id(), Generation: r.u64(), Writer: r.id(), Time: int64(r.u64())}
	copy(m.Root.Digest[:], r.bytes(len(Digest{})))
	m.Root.Top = readRef(r)
	if r.err == nil && rootDigest(m.Root.Top) != m.Root.Digest {
		r.fail("root digest is not that of the top page")
	}
	for n := r.count(MaxPacks, "packs"); n > 0 && r.err == nil; n-- {
		m.Packs = append(m.Packs, Pack{Name: PackName(r.id()), Size: r.uvarint(), Live: r.uvarint()})
	}
	for n := r.count(MaxPacks, "retired packs"); n > 0 && r.err == nil; n-- {
		m.Retired = append(m.Retired, Retired{Name: PackName(r.id()), Since: int64(r.u64())})
	}
	for n := r.count(MaxIntents, "intents"); n > 0 && r.err == nil; n-- {
		m.Intents = append(m.Intents, readIntent(r))
	}
	switch {
	case r.err != nil:
	case !m.sorted():
		r.fail("packs or intents are not in order")
	case !m.sound():
		r.fail("packs are in use and retired, or hold more than they have")
	case m.Generation == 0 || m.Generation >= 1<<63:
		r.fail("generation %d", m.Generation)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return m, nil
}

func (r *reader) id() (id ID) {
	copy(id[:], r.bytes(len(id)))
	return id
}

// sorted reports whether all lists are strictly ascending, as the format wants them.
func (m *Manifest) sorted() bool {
	return ascending(m.Packs, func(p Pack) ID { return ID(p.Name) }) &&
		ascending(m.Retired, func(p Retired) ID { return ID(p.Name) }) &&
		ascending(m.Intents, func(i Intent) ID { return i.Run })
}

// sound reports whether no pack is both in use and retired, which would have it removed, and none
// has more bytes in use than it has.
func (m *Manifest) sound() bool {
	retired := m.Retired
	for _, p := range m.Packs {
		for len(retired) > 0 && bytes.Compare(retired[0].Name[:], p.Name[:]) < 0 {
			retired = retired[1:]
		}
		if p.Live > p.Size || len(retired) > 0 && retired[0].Name == p.Name {
			return false
		}
	}
	return true
}

func ascending[T any](list []T, id func(T) ID) bool {
	for i := 1; i < len(list); i++ {
		if a, b := id(list[i-1]), id(list[i]); bytes.Compare(a[:], b[:]) >= 0 {
			return false
		}
	}
	return true
}

// Sort puts packs and intents into the order of the format.
func (m *Manifest) Sort() {
	slices.SortFunc(m.Packs, func(a, b Pack) int { return bytes.Compare(a.Name[:], b.Name[:]) })
	slices.SortFunc(m.Retired, func(a, b Retired) int { return bytes.Compare(a.Name[:], b.Name[:]) })
	slices.SortFunc(m.Intents, func(a, b Intent) int { return bytes.Compare(a.Run[:], b.Run[:]) })
}

// appendRef stores a ref that no parent page names.
func appendRef(b []byte, r Ref) []byte {
	b = append(b, r.Level)
	b = appendText(b, r.First)
	b = append(b, r.Ident[:]...)
	b = binary.AppendUvarint(b, r.Files)
	b = binary.AppendUvarint(b, r.Bytes)
	b = append(b, r.At.Pack[:]...)
	return appendPlace(b, r.At)
}

func readRef(r *reader) (ref Ref) {
	if ref.Level = r.u8(); ref.Level > maxLevel {
		r.fail("tree of %d levels", ref.Level)
	}
	ref.First = r.text(MaxKey, "a key")
	copy(ref.Ident[:], r.bytes(len(ref.Ident)))
	ref.Files, ref.Bytes = uint64(r.size()), uint64(r.size())
	pack := PackName(r.id())
	ref.At = readPlace(r)
	ref.At.Pack = pack
	return ref
}

const (
	intentRange  = 1
	intentDoomed = 2
	intentMeant  = 4
)

func appendIntent(b []byte, i *Intent) []byte {
	b = append(b, i.Run[:]...)
	b = append(b, i.Writer[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(i.Until))
	var has byte
	if i.Range != nil {
		has |= intentRange
	}
	if i.Doomed != nil {
		has |= intentDoomed
	}
	if i.Meant != nil {
		has |= intentMeant
	}
	b = append(b, has)
	if i.Range != nil {
		b = appendText(appendText(b, i.Range.First), i.Range.Last)
	}
	if i.Doomed != nil {
		b = appendRef(b, *i.Doomed)
	}
	if i.Meant != nil {
		b = appendPlace(b, *i.Meant)
	}
	return b
}

func readIntent(r *reader) Intent {
	i := Intent{Run: r.id(), Writer: r.id(), Until: int64(r.u64())}
	has := r.u8()
	if has&^(intentRange|intentDoomed|intentMeant) != 0 || has&(intentRange|intentMeant) == intentMeant {
		r.fail("unknown kind of intent %#x", has)
	}
	if has&intentRange != 0 {
		i.Range = &Range{First: r.text(MaxKey, "a key"), Last: r.text(MaxKey, "a key")}
		if i.Range.Last != "" && strings.Compare(i.Range.First, i.Range.Last) > 0 {
			r.fail("range of an intent ends before it begins")
		}
	}
	if has&intentDoomed != 0 {
		ref := readRef(r)
		if ref.Level != 0 {
			r.fail("doomed objects are not listed in a leaf")
		}
		i.Doomed = &ref
	}
	if has&intentMeant != 0 {
		at := readPlace(r)
		i.Meant = &at
	}
	return i
}

// Open reads a whole root object that is not sealed: [Seal.Open] without a seal.
func Open(object []byte) (*Manifest, error) { return (*Seal)(nil).Open(object) }

// IsReserved reports whether a key is one of the program's own: below [Reserved], here or in a
// mirror further down.
func IsReserved(key string) bool {
	return strings.HasPrefix(key, Reserved) || strings.Contains(key, "/"+Reserved)
}
