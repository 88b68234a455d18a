package audit

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// An Entry is one path of a tree.
type Entry struct {
	Key      string
	Kind     byte
	Unproven bool
	Size     uint64
	Digest   [32]byte
	Target   string // of a link
	ETag     string
}

// A child is a page as its parent states it.
type child struct {
	first        string
	ident        [32]byte
	files, bytes uint64
	at           Location
}

// leaf decodes the bytes of a leaf.
func leaf(b []byte) ([]Entry, error) {
	d := &decoder{b: b}
	if level := d.u8(); d.err == nil && level != 0 {
		d.fail("level %d where a leaf should be", level)
	}
	n := d.count(maxEntries)
	columns := d.uvarint()
	entries := make([]Entry, n)
	for i, key := range d.keys(n) {
		entries[i].Key = key
	}
	sums := make([]bool, n)
	for i := range entries {
		flags := d.u8()
		entries[i].Kind, entries[i].Unproven, sums[i] = flags&3, flags&4 != 0, flags&8 != 0
		if flags > 15 || flags&3 == 3 {
			d.fail("flags %d", flags)
		}
	}
	for i := range entries {
		if entries[i].Size = d.uvarint(); entries[i].Size >= 1<<63 {
			d.fail("size %d", entries[i].Size)
		}
	}
	for i := range entries {
		entries[i].Digest = d.digest()
	}
	if d.columns(columns, entries, sums); columns > 255 {
		d.fail("columns %d", columns)
	}
	return entries, d.end()
}

// columns reads what may be there or not.
func (d *decoder) columns(bits uint64, entries []Entry, sums []bool) {
	n := len(entries)
	for i := range entries {
		if entries[i].Kind == 1 && bits&1 != 0 {
			entries[i].Target = d.text(4096)
		}
	}
	if bits&2 != 0 {
		d.runs(n, d.uvarint) // modes
	}
	if bits&4 != 0 {
		for range n {
			d.zigzag()
			if ns := d.uvarint(); ns > 999_999_999 {
				d.fail("%d nanoseconds", ns)
			}
		}
	}
	if bits&8 != 0 {
		for range n {
			d.zigzag() // LastModified
		}
	}
	if bits&16 != 0 {
		for i := range entries {
			entries[i].ETag = d.etag()
		}
	}
	if bits&32 != 0 {
		for i := range entries {
			if sums[i] {
				d.u64()
			}
		}
	}
	if bits&64 != 0 {
		for range n {
			d.text(1024) // version
		}
	}
	if bits&128 != 0 {
		d.runs(n, d.u64) // headers
	}
}

func (d *decoder) etag() string {
	switch form := d.u8(); form {
	case 0:
		return ""
	case 1:
		return hex.EncodeToString(d.take(16))
	case 2:
		sum := d.take(16)
		return hex.EncodeToString(sum) + "-" + strconv.FormatUint(d.uvarint(), 10)
	case 3:
		return d.text(1024)
	default:
		d.fail("ETag in form %d", form)
		return ""
	}
}

const maxEntries = 4096

// index decodes the bytes of an index page that lies in a pack.
func index(b []byte, level byte, pack [16]byte) ([]child, error) {
	d := &decoder{b: b}
	if found := d.u8(); d.err == nil && found != level {
		d.fail("level %d where %d should be", found, level)
	}
	n := d.count(maxEntries)
	packs := [][16]byte{pack}
	for range d.count(uint64(n)) {
		packs = append(packs, d.id())
	}
	children := make([]child, n)
	for i, key := range d.keys(n) {
		children[i].first = key
	}
	for i := range children {
		children[i].ident = d.digest()
	}
	for i := range children {
		children[i].files, children[i].bytes = d.uvarint(), d.uvarint()
	}
	next := 1 // the pack that may be named for the first time
	for i := range children {
		p := d.count(uint64(min(next, len(packs)-1)))
		if p == next {
			next++
		}
		children[i].at = Location{packs[p], d.uvarint(), d.uvarint(), d.id()}
	}
	if d.err == nil && next != len(packs) {
		d.fail("a pack that is named for nothing")
	}
	return children, d.end()
}

// check says what is wrong with an entry by itself.
func (e Entry) check() error {
	switch {
	case e.Key == ".merkur" || strings.HasPrefix(e.Key, ".merkur/"):
		return fmt.Errorf("%q is reserved", e.Key)
	case e.Kind == 1 && (e.Target == "" || len(e.Target) > 4096):
		return fmt.Errorf("link %q to a path of %d bytes", e.Key, len(e.Target))
	case (e.Kind == 2) != strings.HasSuffix(e.Key, "/"):
		return fmt.Errorf("%q is of kind %d", e.Key, e.Kind)
	case e.Unproven && e.Digest != unproven(e.ETag, e.Size):
		return fmt.Errorf("%q is unproven and has another digest than its ETag says", e.Key)
	}
	return nil
}
