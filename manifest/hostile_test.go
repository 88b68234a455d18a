package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// bounded runs f, which must return want and allocate no more than limit.
func bounded(t *testing.T, name string, limit uint64, want error, f func() error) {
	t.Helper()
	var err error
	n := allocated(func() { err = f() })
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", name, err, want)
	}
	if n > limit {
		t.Errorf("%s allocates %d bytes, more than %d", name, n, limit)
	}
	t.Logf("%s: %d bytes allocated", name, n)
}

// refTo is a ref that a hostile parent could give a frame.
func refTo(frame []byte) Ref {
	return Ref{At: Location{Len: uint32(len(frame)), Tag: TagOf(frame)}}
}

// A frame costs no more than the largest page, whatever is in it and whatever it says of itself.
func TestBombsCostLittle(t *testing.T) {
	decoder() // its tables are made once
	DecodeFrame(nil, Ref{})
	zeros := compressed(make([]byte, maxPageBytes), nil)
	many := bytes.Repeat(compressed(make([]byte, 1<<20), nil), 1000)
	liar := bytes.Clone(zeros)
	binary.LittleEndian.PutUint32(liar[5:], math.MaxUint32) // the size that a single segment says it has
	for name, frame := range map[string][]byte{"zeros": zeros, "a thousand frames": many, "a size of 4 GiB": liar} {
		bounded(t, name, 3*maxPageBytes, ErrCorrupt, func() error {
			_, err := DecodeFrame(frame, refTo(frame))
			return err
		})
	}
}

// A page is one frame, however that is made.
func TestOneFrame(t *testing.T) {
	text := bytes.Repeat([]byte("merkur"), 100_000)
	random := make([]byte, 300_000) // stored as it is
	rand.NewChaCha8([32]byte{}).Read(random)
	for _, options := range [][]zstd.EOption{
		{}, {zstd.WithEncoderCRC(false)}, {zstd.WithSingleSegment(true)}, {zstd.WithEncoderLevel(zstd.SpeedBestCompression)},
	} {
		e, err := zstd.NewWriter(nil, options...)
		if err != nil {
			t.Fatal(err)
		}
		for _, content := range [][]byte{nil, {1}, make([]byte, 1<<20), text, random} {
			var streamed bytes.Buffer
			e.Reset(&streamed)
			e.Write(content)
			e.Close()
			for _, frame := range [][]byte{e.EncodeAll(content, nil), streamed.Bytes()} {
				if len(frame) == 0 {
					continue // nothing in, nothing out
				}
				if !oneFrame(frame) || oneFrame(append(bytes.Clone(frame), frame...)) || oneFrame(frame[:len(frame)-1]) || oneFrame(append(bytes.Clone(frame), 0)) {
					t.Errorf("a frame of %d bytes, for %d", len(frame), len(content))
				}
			}
		}
	}
	if oneFrame(AppendHead(nil, ID{})) || oneFrame(nil) {
		t.Error("what is skipped is no page")
	}
}

// A count that nothing follows costs nothing.
func TestCountsThatLieCostLittle(t *testing.T) {
	page := func(level byte, n uint64, rest ...byte) []byte {
		return append(binary.AppendUvarint([]byte{level}, n), rest...)
	}
	zeros := make([]byte, 1<<20)
	for name, b := range map[string][]byte{
		"a million entries":     append(page(0, 1_000_000), zeros...),
		"2^60 entries":          page(0, 1<<60),
		"4,096 of no entries":   page(0, MaxPage),
		"a million children":    append(page(3, 1_000_000), zeros...),
		"2^60 packs":            binary.AppendUvarint(page(1, 4096), 1<<60),
		"a level of 9":          page(9, 1),
		"a key of 2^40 bytes":   append(page(0, 1, 0, 0), binary.AppendUvarint(nil, 1<<40)...),
		"a million equal flags": append(page(0, 4096, 0), bytes.Repeat([]byte{0, 1, 'k'}, 4096)...),
	} {
		bounded(t, name, 4<<20, ErrCorrupt, func() error {
			_, err := decodePage(b)
			return err
		})
	}
	good := aManifest()
	good.Packs, good.Retired, good.Intents = nil, nil, nil
	body := good.encodeFooter(nil)
	body = body[:len(body)-3]
	for name, lists := range map[string][]uint64{
		"2^18 packs": {MaxPacks}, "more": {MaxPacks + 1}, "2^18 retired": {0, MaxPacks}, "256 intents": {0, 0, MaxIntents}, "257": {0, 0, MaxIntents + 1},
	} {
		b := bytes.Clone(body)
		for _, n := range lists {
			b = binary.AppendUvarint(b, n)
		}
		bounded(t, name, 1<<20, ErrCorrupt, func() error {
			_, err := decodeFooter(&reader{rest: b})
			return err
		})
	}
}

// The largest lists that there can be are read, in bounded memory.
func TestLongestLists(t *testing.T) {
	m := aManifest()
	m.Packs, m.Retired, m.Intents = nil, nil, nil
	for i := range MaxPacks {
		var p Pack
		binary.BigEndian.PutUint64(p.Name[:], uint64(i))
		m.Packs = append(m.Packs, p)
		p.Name[15] = 1
		m.Retired = append(m.Retired, Retired{Name: p.Name})
	}
	for i := range MaxIntents {
		m.Intents = append(m.Intents, Intent{Run: ID{byte(i)}, Range: &Range{First: strings.Repeat("k", MaxKey), Last: strings.Repeat("l", MaxKey)}, Meant: &Location{Off: maxOffset - 1}})
	}
	b := m.AppendFooter(nil)
	bounded(t, "longest lists", 128<<20, nil, func() error {
		_, err := DecodeFooter(b)
		return err
	})
}

// What a footer says about its own length, and of lists that contradict each other, is not believed.
func TestFootersThatLie(t *testing.T) {
	good := aManifest().AppendFooter(nil)
	at := len(good) - trailerSize
	for _, n := range []uint32{0, 1, frameHead, uint32(len(good)) - 1, uint32(len(good)) + 1, maxFooter, maxFooter + 1, math.MaxUint32} {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], n)
		if _, err := DecodeFooter(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a footer of %d bytes that says %d: %v", len(b), n, err)
		}
		object := append(make([]byte, 0, len(b)+HeadSize), AppendHead(nil, aManifest().Head)...)
		if _, err := Open(append(object, b...)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("an object whose footer says %d: %v", n, err)
		}
	}
	for name, lie := range map[string]func(*Manifest){
		"generation 0":            func(m *Manifest) { m.Generation = 0 },
		"the last generation":     func(m *Manifest) { m.Generation = math.MaxUint64 },
		"a pack used and retired": func(m *Manifest) { m.Retired[0].Name = m.Packs[1].Name },
		"more live than there is": func(m *Manifest) { m.Packs[0].Live = m.Packs[0].Size + 1 },
		"packs out of order":      func(m *Manifest) { m.Packs[0], m.Packs[1] = m.Packs[1], m.Packs[0] },
		"one run twice":           func(m *Manifest) { m.Intents[1].Run = m.Intents[0].Run },
		"an offset of 2^62":       func(m *Manifest) { m.Root.Top.At.Off = maxOffset },
		"another root":            func(m *Manifest) { m.Root.Digest[0]++ },
		"a doomed index page":     func(m *Manifest) { m.Intents[1].Doomed.Level = 1 },
		"a meant without a range": func(m *Manifest) { m.Intents[2].Meant = &Location{} },
		"a meant out of reach":    func(m *Manifest) { m.Intents[0].Meant = &Location{Off: maxOffset} },
		"a range backwards":       func(m *Manifest) { m.Intents[0].Range = &Range{First: "b", Last: "a"} },
	} {
		m := aManifest()
		lie(m)
		if _, err := DecodeFooter(m.AppendFooter(nil)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No page can be its own child, or that of two parents: level, first key and tag are in the way.
func TestCyclesAreRefused(t *testing.T) {
	s := newShelf()
	read := func(top Ref) (n int, err error) {
		for _, err := range s.tree(RootOf(top)).Entries("") {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	stored := func(p *Page) Ref {
		r := p.Ref()
		r.At, _ = s.store(p)
		return r
	}
	leaf := stored(&Page{Entries: []Entry{entry("a", 1), entry("b", 1)}})
	up := stored(&Page{Level: 1, Children: []Ref{leaf}})

	// Where a child should be, its parent is.
	loop := leaf
	loop.At = up.At
	if _, err := read(stored(&Page{Level: 1, Children: []Ref{loop}})); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a page in place of its child: %v", err)
	}
	same := up
	same.Level = 0
	if _, err := read(stored(&Page{Level: 1, Children: []Ref{same}})); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an index page said to be a leaf: %v", err)
	}
	// One leaf under two names.
	twin := leaf
	twin.First = "aa"
	if _, err := read(stored(&Page{Level: 1, Children: []Ref{leaf, twin}})); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one leaf twice: %v", err)
	}
	// The same leaf below two index pages.
	other := stored(&Page{Level: 1, Children: []Ref{twin}})
	if _, err := read(stored(&Page{Level: 2, Children: []Ref{up, other}})); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one leaf below two pages: %v", err)
	}
	// A tower as high as it can be is read; a higher one has no name.
	top := leaf
	for top.Level < maxLevel {
		top = stored(&Page{Level: top.Level + 1, Children: []Ref{top}})
	}
	if n, err := read(top); err != nil || n != 2 {
		t.Errorf("a tower of %d levels: %d entries, %v", maxLevel, n, err)
	}
	if _, err := decodePage((&Page{Level: maxLevel + 1, Children: []Ref{top}}).encode()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a higher tower: %v", err)
	}
}

// Reading does not descend for ever, nor yield a key twice, whatever pages say. The pages are made from
// the bytes; what a builder would not make is in most of them.
func FuzzTree(f *testing.F) {
	f.Add([]byte("\x02ab\x02cd\x12\x00\x01"))
	f.Add([]byte("\x01a\x01b\x01c\x13\x00\x01\x02\x21\x03"))
	f.Add([]byte("\x01a\x11\x00\x21\x01\x31\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newShelf()
		var refs []Ref
		for len(b) > 0 && len(refs) < 64 {
			level, n := min(b[0]>>4, maxLevel), int(b[0]&15)
			b = b[1:]
			p := &Page{Level: level}
			for ; n > 0 && len(b) > 0; n-- {
				c := b[0]
				b = b[1:]
				if level == 0 {
					p.Entries = append(p.Entries, Entry{Key: string(rune(c) + 1)})
				} else if len(refs) > 0 {
					p.Children = append(p.Children, refs[int(c)%len(refs)])
				}
			}
			if level > 0 && p.count() == 0 {
				continue
			}
			at, _ := s.store(p)
			r := p.Ref()
			r.At = at
			refs = append(refs, r)
		}
		for _, top := range refs {
			last, steps := "", 0
			for e, err := range s.tree(RootOf(top)).Entries("") {
				if err != nil {
					break
				}
				if e.Key <= last {
					t.Fatalf("%q comes after %q", e.Key, last)
				}
				if last = e.Key; steps > 1<<16 {
					t.Fatal("there is no end")
				}
				steps++
			}
		}
	})
}
