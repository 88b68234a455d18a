package manifest

import (
	"encoding/binary"
	"strings"
)

// maxOffset bounds offsets, so that sums with lengths stay in range.
const maxOffset = 1 << 62

// maxLevel bounds the height of a tree: three levels of index pages carry a billion entries.
const maxLevel = 8

// decodePage is the inverse of [Page.encode]: it accepts only bytes that encode would write.
func decodePage(b []byte) (*Page, error) {
	r := &reader{rest: b}
	var p *Page
	switch level := r.u8(); {
	case level == 0:
		p = decodeLeaf(r)
	case level <= maxLevel:
		p = decodeIndex(r, level)
	default:
		r.fail("page of level %d", level)
	}
	return p, r.end()
}

// encodeIndex returns an index page before compression. Packs are named once, in the order of
// their first use; number 0 is the object in which the page itself lies.
func (p *Page) encodeIndex() []byte {
	cs := p.Children
	b := make([]byte, 0, 112*len(cs)+16)
	b = append(b, p.Level)
	b = binary.AppendUvarint(b, uint64(len(cs)))
	packs, number := packTable(cs)
	b = binary.AppendUvarint(b, uint64(len(packs)))
	for _, name := range packs {
		b = append(b, name[:]...)
	}
	b = appendKeys(b, len(cs), func(i int) string { return cs[i].First })
	for i := range cs {
		b = append(b, cs[i].Ident[:]...)
	}
	for i := range cs {
		b = binary.AppendUvarint(b, cs[i].Files)
		b = binary.AppendUvarint(b, cs[i].Bytes)
	}
	for i := range cs {
		b = binary.AppendUvarint(b, number[cs[i].At.Pack])
		b = appendPlace(b, cs[i].At)
	}
	return b
}

func packTable(cs []Ref) ([]PackName, map[PackName]uint64) {
	var packs []PackName
	number := map[PackName]uint64{{}: 0}
	for i := range cs {
		name := cs[i].At.Pack
		if _, known := number[name]; !known {
			packs = append(packs, name)
			number[name] = uint64(len(packs))
		}
	}
	return packs, number
}

func decodeIndex(r *reader, level uint8) *Page {
	n := r.count(MaxPage, "children")
	if n == 0 {
		r.fail("index page without children")
	}
	packs := make([]PackName, 1+r.count(uint64(n), "packs"))
	for i := 1; i < len(packs); i++ {
		copy(packs[i][:], r.bytes(len(packs[i])))
	}
	cs := make([]Ref, n)
	readKeys(r, n, func(i int, k string) { cs[i].First, cs[i].Level = k, level-1 })
	for i := range cs {
		copy(cs[i].Ident[:], r.bytes(len(cs[i].Ident)))
	}
	for i := range cs {
		cs[i].Files, cs[i].Bytes = uint64(r.size()), uint64(r.size())
	}
	for i := range cs {
		number := r.count(uint64(len(packs)-1), "as the number of a pack")
		if r.err != nil {
			return nil
		}
		cs[i].At = readPlace(r)
		cs[i].At.Pack = packs[number]
	}
	if r.err == nil && !firstUse(cs, packs[1:]) {
		r.fail("packs are not named once, in the order of their first use")
	}
	return &Page{Level: level, Children: cs}
}

// firstUse reports whether packs is the table that encodeIndex would write.
func firstUse(cs []Ref, packs []PackName) bool {
	want, _ := packTable(cs)
	if len(want) != len(packs) {
		return false
	}
	for i := range want {
		if want[i] != packs[i] {
			return false
		}
	}
	return true
}

// appendPlace appends a location but for its pack.
func appendPlace(b []byte, at Location) []byte {
	b = binary.AppendUvarint(b, at.Off)
	b = binary.AppendUvarint(b, uint64(at.Len))
	return append(b, at.Tag[:]...)
}

func readPlace(r *reader) (at Location) {
	if at.Off = r.uvarint(); at.Off >= maxOffset {
		r.fail("offset %d is out of range", at.Off)
	}
	at.Len = uint32(r.count(maxPageBytes, "bytes in a frame"))
	copy(at.Tag[:], r.bytes(len(at.Tag)))
	return at
}

// appendKeys stores ascending keys, each as what it shares with the one before and the rest.
func appendKeys(b []byte, n int, key func(int) string) []byte {
	last := ""
	for i := range n {
		k := key(i)
		same := shared(last, k)
		b = binary.AppendUvarint(b, uint64(same))
		b = appendText(b, k[same:])
		last = k
	}
	return b
}

// readKeys hands on n keys that are strictly ascending and between 1 and MaxKey bytes long.
func readKeys(r *reader, n int, set func(int, string)) {
	last := ""
	for i := range n {
		same := r.count(uint64(len(last)), "shared bytes of a key")
		k := last[:same] + r.text(uint64(MaxKey-same), "a key")
		if r.err != nil {
			return
		}
		if strings.Compare(k, last) <= 0 || shared(last, k) != same {
			r.fail("key %.40q is empty, out of order or not in its shortest form", k)
			return
		}
		set(i, k)
		last = k
	}
}

// shared returns how many leading bytes two keys have in common.
func shared(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
