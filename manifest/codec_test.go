package manifest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
)

var rewrite = flag.Bool("update", false, "write the golden vectors anew")

// golden compares got with a file in testdata, which is written anew with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

// allColumns is a leaf in which every column and every form of it is used.
func allColumns() *Page {
	md5 := strings.Repeat("ab", 16)
	return &Page{Entries: []Entry{
		{Key: "a", Size: 3, Digest: Digest{1}, Mode: 0o644, MTime: 1_700_000_000_123_456_789, Evidence: Evidence{ETag: md5, HasCRC64: true, CRC64: 7, Modified: 1_700_000_001, Version: "v1"}},
		{Key: "a/b", Size: 300, Digest: Digest{2}, Mode: 0o644, MTime: -1, Headers: 0x0123456789abcdef, Evidence: Evidence{ETag: md5 + "-12", HasCRC64: true}},
		{Key: "a/c", Kind: Link, Size: 3, Digest: Digest(blake3.Sum256([]byte("../"))), Target: "../", Mode: 0o777, Headers: 0x0123456789abcdef},
		{Key: "b/", Kind: Dir, Digest: Digest(blake3.Sum256(nil)), Evidence: Evidence{ETag: "\"odd\"", Modified: -5}},
		{Key: "é\xff", Size: 1 << 40, Digest: UnprovenDigest(md5+"-012", 1<<40), Unproven: true, Evidence: Evidence{ETag: md5 + "-012"}},
	}}
}

func anIndex() *Page {
	at := func(pack byte, off uint64) Location {
		return Location{Pack: PackName{pack}, Off: off, Len: 99, Tag: Tag{byte(off), 1}}
	}
	return &Page{Level: 2, Children: []Ref{
		{First: "a", Level: 1, Ident: Digest{1}, Files: 1000, Bytes: 5, At: at(7, 16)},
		{First: "ab", Level: 1, Ident: Digest{2}, Files: 2000, Bytes: 1 << 50, At: at(0, 300)},
		{First: "b", Level: 1, Ident: Digest{3}, Files: 1, Bytes: 0, At: at(3, 400)},
		{First: "c", Level: 1, Ident: Digest{4}, Files: 1, Bytes: 0, At: at(7, 500)},
	}}
}

func aManifest() *Manifest {
	m := &Manifest{
		Head: ID{11}, UUID: ID{1, 2}, Generation: 42, Writer: ID{9}, Time: 1_700_000_000_000_000_000,
		Root:    RootOf(anIndex().Ref()),
		Packs:   []Pack{{Name: PackName{3}, Size: 1000, Live: 99}, {Name: PackName{7}, Size: 2000, Live: 198}},
		Retired: []Retired{{Name: PackName{5}, Since: 5}},
		Intents: []Intent{
			{Run: ID{4}, Writer: ID{9}, Until: 77, Range: &Range{First: "a", Last: "z"}, Meant: &Location{Off: 1000, Len: 27, Tag: Tag{7}}},
			{Run: ID{5}, Writer: ID{8}, Until: 78, Range: &Range{First: "b"}, Doomed: ptr(allColumns().Ref())},
			{Run: ID{6}, Writer: ID{8}, Until: -1},
		},
	}
	return m
}

func ptr[T any](v T) *T { return &v }

// The bytes of the format, before compression, and the digests of trees that anybody can make.
func TestGoldenVectors(t *testing.T) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "leaf page   %x\n", allColumns().encode())
	fmt.Fprintf(&b, "leaf ident  %s\n", allColumns().Ref().Ident)
	fmt.Fprintf(&b, "index page  %x\n", anIndex().encode())
	fmt.Fprintf(&b, "index ident %s\n", anIndex().Ref().Ident)
	fmt.Fprintf(&b, "footer      %x\n", aManifest().AppendFooter(nil))
	fmt.Fprintf(&b, "sealed      %x\n", aSeal().AppendFooter(nil, aManifest()))
	fmt.Fprintf(&b, "meant       %x\n", someMeant().encode())
	b.WriteString("\n# roots of trees of n files with the keys %08d, counted from 0, whose content is the key\n")
	for _, n := range []int{0, 1, 2, 512, 1000, 5000, 100_000} {
		bld := NewBuilder(nil)
		for i := range n {
			key := fmt.Sprintf("%08d", i)
			if err := bld.Add(Entry{Key: key, Size: 8, Digest: Digest(blake3.Sum256([]byte(key)))}); err != nil {
				t.Fatal(err)
			}
		}
		root, err := bld.Finish()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%6d %s height %d\n", n, root.Digest, root.Top.Level)
	}
	golden(t, "vectors.txt", b.Bytes())
}

// smallObject is a root object with a few pages in it.
func smallObject(t testing.TB) []byte {
	var es []Entry
	for i := range 1500 {
		es = append(es, entry(fmt.Sprintf("dir%d/file%04d", i/100, i), i))
	}
	for i := 1; i < len(es); i++ {
		if es[i].Key <= es[i-1].Key {
			es = append(es[:i], es[i+1:]...)
			i--
		}
	}
	s, root := build(t, es)
	m := aManifest()
	m.Root = root
	m.Intents = m.Intents[:1]
	m.Head = ID{}
	body, at := AppendMeant(s.body, someMeant())
	m.Intents[0].Meant = &at
	return m.AppendFooter(body)
}

// An object written once must stay readable for ever.
func TestGoldenObject(t *testing.T) {
	name := filepath.Join("testdata", "object.zst")
	if *rewrite {
		if err := os.WriteFile(name, smallObject(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	object, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(object)
	if err != nil {
		t.Fatal(err)
	}
	want, err := readAll(smallObject(t))
	if err != nil {
		t.Fatal(err)
	}
	sameEntries(t, got, want)
}

// readAll reads every byte of a root object whose pages are all inline.
func readAll(object []byte) ([]Entry, error) {
	m, err := Open(object)
	if err != nil {
		return nil, err
	}
	for _, i := range m.Intents {
		if at := i.Meant; at != nil {
			if _, err := DecodeMeant(object[at.Off:at.Off+uint64(at.Len)], *at); err != nil {
				return nil, err
			}
		}
	}
	s := newShelf()
	s.body = object
	var es []Entry
	for e, err := range s.tree(m.Root).Entries("") {
		if err != nil {
			return nil, err
		}
		es = append(es, e)
	}
	return es, nil
}

func TestEveryTruncationIsRefused(t *testing.T) {
	object := smallObject(t)
	for n := range object {
		if n > 200 && n < len(object)-600 && n%97 != 0 {
			continue
		}
		if _, err := readAll(object[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(object), err)
		}
	}
}

func TestEveryBitFlipIsRefused(t *testing.T) {
	object := smallObject(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range object {
		if i > 100 && i < len(object)-500 && rng.IntN(150) != 0 {
			continue
		}
		for bit := range 8 {
			object[i] ^= 1 << bit
			if _, err := readAll(object); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrSealed) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
			object[i] ^= 1 << bit
		}
	}
}

func TestNewerFormatIsRefusedAsSuch(t *testing.T) {
	footer := aManifest().AppendFooter(nil)
	footer[frameHead]++
	if _, err := DecodeFooter(footer); !errors.Is(err, ErrVersion) {
		t.Errorf("format 2: %v", err)
	}
}

func TestFooterRoundTrip(t *testing.T) {
	b := aManifest().AppendFooter(nil)
	m, err := DecodeFooter(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.AppendFooter(nil); !bytes.Equal(got, b) {
		t.Errorf("footer comes back as\n%x, was\n%x", got, b)
	}
}

// Pages that a lying parent could name must not be read as something else.
func TestDecodeFrameRefuses(t *testing.T) {
	frame, at := AppendFrame(nil, allColumns())
	ref := allColumns().Ref()
	ref.At = at
	if _, err := DecodeFrame(frame, ref); err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]func(*Ref){
		"files": func(r *Ref) { r.Files++ }, "bytes": func(r *Ref) { r.Bytes++ },
		"ident": func(r *Ref) { r.Ident[0]++ }, "first": func(r *Ref) { r.First = "b" },
		"level": func(r *Ref) { r.Level++ }, "length": func(r *Ref) { r.At.Len-- }, "tag": func(r *Ref) { r.At.Tag[3]++ },
	} {
		r := ref
		lie(&r)
		if _, err := DecodeFrame(frame, r); !errors.Is(err, ErrCorrupt) {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
}

// A frame that claims to be small and is not, or the other way round, costs bounded memory.
func TestBombIsRefused(t *testing.T) {
	frame := compressed(make([]byte, maxPageBytes+1), nil)
	ref := Ref{At: Location{Len: uint32(len(frame)), Tag: TagOf(frame)}}
	if _, err := DecodeFrame(frame, ref); !errors.Is(err, ErrCorrupt) {
		t.Errorf("page of %d bytes: %v", maxPageBytes+1, err)
	}
}

func TestOverlappingPagesAreRefused(t *testing.T) {
	s := newShelf()
	leaf := func(keys ...string) Ref {
		p := &Page{}
		for _, k := range keys {
			p.Entries = append(p.Entries, Entry{Key: k})
		}
		at, _ := s.store(p)
		r := p.Ref()
		r.At = at
		return r
	}
	top := &Page{Level: 1, Children: []Ref{leaf("a", "m"), leaf("c", "d")}}
	at, _ := s.store(top)
	r := top.Ref()
	r.At = at
	var err error
	for _, err = range s.tree(RootOf(r)).Entries("") {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("pages a..m and c..d: %v", err)
	}
}

// What parses is what encode writes: there is one encoding of a page.
func FuzzPage(f *testing.F) {
	f.Add(allColumns().encode())
	f.Add(anIndex().encode())
	f.Add((&Page{}).encode())
	f.Add((&Page{Entries: []Entry{entry("k", 1), entry("ka", 2), {Key: "kb"}}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePage(b)
		if err != nil {
			return
		}
		if got := p.encode(); !bytes.Equal(got, b) {
			t.Errorf("%s parses, and is encoded as %s", hex.EncodeToString(b), hex.EncodeToString(got))
		}
	})
}

func FuzzFooter(f *testing.F) {
	f.Add(aManifest().encodeFooter(nil))
	f.Add((&Manifest{Root: RootOf((&Page{}).Ref())}).encodeFooter(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeFooter(&reader{rest: b})
		if err != nil {
			return
		}
		if got := m.encodeFooter(nil); !bytes.Equal(got, b) {
			t.Errorf("%x parses, and is encoded as %x", b, got)
		}
		FooterSize(b)
		DecodeFooter(b)
	})
}

func FuzzMeant(f *testing.F) {
	f.Add(someMeant().encode())
	f.Add(Meant{}.encode())
	f.Add(Meant{0, 1, 1 << 63}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMeant(b); err == nil && !bytes.Equal(m.encode(), b) {
			t.Errorf("%x parses, and is encoded as %x", b, m.encode())
		}
		DecodeMeant(b, Location{Len: uint32(len(b)), Tag: TagOf(b)})
	})
}

func FuzzFrame(f *testing.F) {
	frame, _ := AppendFrame(nil, allColumns())
	f.Add(frame)
	f.Fuzz(func(t *testing.T, b []byte) {
		ref := Ref{At: Location{Len: uint32(len(b)), Tag: TagOf(b)}}
		if p, err := DecodeFrame(b, ref); err == nil && p.count() > 0 {
			t.Errorf("%x passes for the empty page", b)
		}
	})
}

// Whatever a builder takes can be read again; what it refuses, a reader refuses.
func TestValid(t *testing.T) {
	link := Entry{Key: "l", Kind: Link, Size: 1, Target: "t", Digest: contentDigest("t")}
	found := Entry{Key: "u", Size: 1, Unproven: true, Digest: UnprovenDigest("e", 1), Evidence: Evidence{ETag: "e"}}
	good := []Entry{link, found, {Key: "d/", Kind: Dir}, {Key: "k", MTime: math.MaxInt64}, {Key: "k", MTime: math.MinInt64},
		{Key: "k", MTime: -1}, {Key: "a/.merkur/x"}, {Key: strings.Repeat("k", MaxKey)}, {Key: "\x00\xff//"}}
	for _, e := range good {
		if err := e.Valid(); err != nil {
			t.Error(err)
		}
		p, err := decodePage((&Page{Entries: []Entry{e}}).encode())
		if err != nil || p.Entries[0] != e {
			t.Errorf("%+v comes back as %+v, %v", e, p, err)
		}
	}
	shortLink, otherLink, proven, dir := link, link, found, link
	shortLink.Size, otherLink.Digest, proven.Digest, dir.Unproven = 2, Digest{}, Digest{1}, true
	for _, e := range []Entry{shortLink, otherLink, proven, dir, {Key: "d", Kind: Dir}, {Key: ".merkur/x"},
		{Key: "l", Kind: Link, Digest: contentDigest("")}} {
		if err := e.Valid(); err == nil {
			t.Errorf("%+v is valid", e)
		}
		if _, err := decodePage((&Page{Entries: []Entry{e}}).encode()); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%+v is read: %v", e, err)
		}
	}
}

func TestTime(t *testing.T) {
	for _, c := range []struct{ sec, nsec, want int64 }{
		{0, 0, 0}, {1, 5, second + 5}, {-1, 999_999_999, -1}, {1 << 40, 7, math.MaxInt64}, {-1 << 40, 7, math.MinInt64},
		{9_223_372_035, 999_999_999, 9_223_372_035_999_999_999},
	} {
		if got := Time(c.sec, c.nsec); got != c.want {
			t.Errorf("%d.%09d is %d, want %d", c.sec, c.nsec, got, c.want)
		}
	}
}

func TestParseDigest(t *testing.T) {
	d := Digest{0xab, 1}
	if got, err := ParseDigest(d.String()); err != nil || got != d {
		t.Errorf("%s parses as %s, %v", d, got, err)
	}
	for _, s := range []string{"", "ab", strings.Repeat("AB", 32), strings.Repeat("zz", 32), d.String() + "0"} {
		if _, err := ParseDigest(s); err == nil {
			t.Errorf("%q passes for a digest", s)
		}
	}
}

// compressed appends b as a zstd frame, as somebody else may have made it.
func compressed(b, dst []byte) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	defer e.Close()
	return e.EncodeAll(b, dst)
}
