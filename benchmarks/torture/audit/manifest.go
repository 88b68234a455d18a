package audit

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// A Manifest is one that has been read to its end.
type Manifest struct {
	Generation uint64
	Root       [32]byte
	Entries    []Entry
	Intents    []Intent
	Doomed     map[string]Entry // that some intent lists
	Packs      []string         // names of those that it needs or keeps, in hexadecimal
	Retired    []string
}

// reserved is where a mirror keeps what is its own.
const reserved = ".merkur/"

// Read reads the manifest of a prefix, which is empty or ends in "/". It returns nil if there is
// none. Whatever is not as the specification says is an error.
func Read(objects Objects, prefix string) (*Manifest, error) {
	file, ok := objects[prefix+reserved+"manifest"]
	if !ok {
		return nil, nil
	}
	object, err := file.bytes()
	if err != nil {
		return nil, err
	}
	r := &reading{objects: objects, prefix: prefix, live: map[[16]byte]uint64{}}
	m, f, err := r.read(object)
	if err == nil {
		err = r.checkPacks(f)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// read reads a root object and all that it refers to.
func (r *reading) read(object []byte) (*Manifest, *footer, error) {
	f, body, err := footerOf(object)
	if err != nil {
		return nil, nil, fmt.Errorf("footer: %w", err)
	}
	random, err := headOf(object)
	if err != nil || random != f.head {
		return nil, nil, fmt.Errorf("head of another root object (%v)", err)
	}
	r.packs = map[[16]byte][]byte{{}: object[:body]}
	m := &Manifest{Generation: f.generation, Root: f.root, Intents: f.intents, Doomed: map[string]Entry{}}
	if m.Entries, err = r.tree(f.top, ""); err != nil {
		return nil, nil, err
	}
	for name := range f.packs {
		m.Packs = append(m.Packs, fmt.Sprintf("%x", name))
	}
	for name := range f.retired {
		m.Retired = append(m.Retired, fmt.Sprintf("%x", name))
	}
	switch {
	case rootDigest(f.top.Level, node{ident: f.top.Ident, files: f.top.Files, bytes: f.top.Bytes}) != f.root:
		return nil, nil, fmt.Errorf("the root is not that of the top page")
	case Root(m.Entries) != f.root:
		return nil, nil, fmt.Errorf("the root is not that of the %d entries", len(m.Entries))
	}
	if err := r.readMeant(m); err != nil {
		return nil, nil, fmt.Errorf("what an intent states: %w", err)
	}
	return m, f, r.readDoomed(m)
}

// A reading is a manifest that is being read.
type reading struct {
	objects Objects
	prefix  string
	packs   map[[16]byte][]byte
	live    map[[16]byte]uint64 // bytes of the frames of the tree
}

// frame fetches what lies at a location.
func (r *reading) frame(at Location) ([]byte, error) {
	b, ok := r.packs[at.Pack]
	if !ok {
		file, there := r.objects[fmt.Sprintf("%s%sp/%x", r.prefix, reserved, at.Pack)]
		if !there {
			return nil, fmt.Errorf("pack %x is missing", at.Pack)
		}
		var err error
		if b, err = file.bytes(); err != nil {
			return nil, err
		}
		if _, err := headOf(b); err != nil || tagOf(b) != at.Pack {
			return nil, fmt.Errorf("pack %x is not what its name says (%v)", at.Pack, err)
		}
		r.packs[at.Pack] = b
	}
	if at.Off > uint64(len(b)) || at.Len > uint64(len(b))-at.Off {
		return nil, fmt.Errorf("a page lies outside of pack %x", at.Pack)
	}
	frame := b[at.Off : at.Off+at.Len]
	if tagOf(frame) != at.Tag {
		return nil, fmt.Errorf("a page in pack %x does not match its tag", at.Pack)
	}
	return unpack(frame)
}

// tree returns the entries below a page, all of which come before the key next, if there is one.
func (r *reading) tree(ref Ref, next string) ([]Entry, error) {
	if ref.Level > 8 {
		return nil, fmt.Errorf("page of level %d", ref.Level)
	}
	b, err := r.frame(ref.At)
	if err != nil {
		return nil, fmt.Errorf("page at %q: %w", ref.First, err)
	}
	r.live[ref.At.Pack] += ref.At.Len
	if ref.Level == 0 {
		return r.leaf(b, ref, next)
	}
	children, err := index(b, ref.Level, ref.At.Pack)
	if err != nil {
		return nil, fmt.Errorf("page at %q: %w", ref.First, err)
	}
	var nodes []node
	for _, c := range children {
		nodes = append(nodes, node{c.first, c.ident, c.files, c.bytes})
	}
	if n := indexNode(ref.Level, nodes); n != (node{ref.First, ref.Ident, ref.Files, ref.Bytes}) {
		return nil, fmt.Errorf("index page at %q is not what its parent says", ref.First)
	}
	var entries []Entry
	for i, c := range children {
		end := next
		if i+1 < len(children) {
			end = children[i+1].first
		}
		below, err := r.tree(Ref{ref.Level - 1, c.first, c.ident, c.files, c.bytes, c.at}, end)
		if err != nil {
			return nil, err
		}
		entries = append(entries, below...)
	}
	return entries, nil
}

func (r *reading) leaf(b []byte, ref Ref, next string) ([]Entry, error) {
	entries, err := leaf(b)
	if err != nil {
		return nil, fmt.Errorf("leaf at %q: %w", ref.First, err)
	}
	if n := leafNode(entries); n != (node{ref.First, ref.Ident, ref.Files, ref.Bytes}) {
		return nil, fmt.Errorf("leaf at %q is not what its parent says", ref.First)
	}
	for _, e := range entries {
		if err := e.check(); err != nil {
			return nil, err
		}
		if next != "" && e.Key >= next {
			return nil, fmt.Errorf("key %q reaches into the next page, %q", e.Key, next)
		}
	}
	return entries, nil
}

// checkPacks compares the list of packs with what the tree uses of them.
func (r *reading) checkPacks(f *footer) error {
	delete(r.live, [16]byte{})
	for name, live := range r.live {
		if p := f.packs[name]; p.live != live || p.size != uint64(len(r.packs[name])) {
			return fmt.Errorf("pack %x: %d of %d bytes are in use, and listed are %d of %d", name, live, len(r.packs[name]), p.live, p.size)
		}
	}
	for name := range f.packs {
		if r.live[name] == 0 {
			return fmt.Errorf("pack %x is listed, and nothing in it is used", name)
		}
		if _, both := f.retired[name]; both {
			return fmt.Errorf("pack %x is in use and retired", name)
		}
	}
	return nil
}

// readDoomed reads what the intents list.
func (r *reading) readDoomed(m *Manifest) error {
	for _, i := range m.Intents {
		if i.Doomed == nil {
			continue
		}
		b, err := r.frame(i.Doomed.At)
		if err != nil {
			return fmt.Errorf("list of an intent: %w", err)
		}
		entries, err := leaf(b)
		if err != nil {
			return fmt.Errorf("list of an intent: %w", err)
		}
		for _, e := range entries {
			m.Doomed[e.Key] = e
		}
	}
	return nil
}

// readMeant reads what the intents state.
func (r *reading) readMeant(m *Manifest) error {
	for i := range m.Intents {
		intent := &m.Intents[i]
		if intent.MeantAt == nil {
			continue
		}
		b, err := r.frame(*intent.MeantAt)
		if err != nil {
			return err
		}
		if len(b)%8 != 0 || len(b) > 8<<17 {
			return fmt.Errorf("%d bytes", len(b))
		}
		intent.Meant = map[[2]uint32]bool{}
		for last := uint64(0); len(b) > 0; b = b[8:] {
			name, content := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
			at := uint64(name)<<32 | uint64(content)
			if len(intent.Meant) > 0 && at <= last {
				return fmt.Errorf("statements that are not sorted")
			}
			last = at
			intent.Meant[[2]uint32{name, content}] = true
		}
	}
	return nil
}

// own reports whether an object is the mirror's own and no data.
func own(key, prefix string) bool { return strings.HasPrefix(key, prefix+reserved) }
