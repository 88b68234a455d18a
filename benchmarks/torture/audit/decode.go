package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
)

// A decoder takes a text of bytes apart. After an error it yields zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
	d.b = nil
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail("%d bytes are wanted and %d left", n, len(d.b))
		return make([]byte, max(0, min(n, 64)))
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) u8() byte    { return d.take(1)[0] }
func (d *decoder) u16() uint16 { return binary.LittleEndian.Uint16(d.take(2)) }
func (d *decoder) u32() uint32 { return binary.LittleEndian.Uint32(d.take(4)) }
func (d *decoder) u64() uint64 { return binary.LittleEndian.Uint64(d.take(8)) }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail("no uvarint in its shortest form")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) zigzag() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// count is a uvarint that numbers things of which there are at most so many.
func (d *decoder) count(most uint64) int {
	n := d.uvarint()
	if n > most {
		d.fail("%d things where %d may be", n, most)
		return 0
	}
	return int(n)
}

func (d *decoder) text(most int) string { return string(d.take(d.count(uint64(most)))) }

func (d *decoder) id() (id [16]byte) { return [16]byte(d.take(16)) }

func (d *decoder) digest() [32]byte { return [32]byte(d.take(32)) }

// keys reads n keys, each coded by what is different from the one before.
func (d *decoder) keys(n int) []string {
	keys := make([]string, 0, n)
	last := ""
	for i := range n {
		s := d.count(uint64(len(last)))
		t := d.text(1024)
		key := last[:s] + t
		switch {
		case d.err != nil:
			return nil
		case key == "" || len(key) > 1024:
			d.fail("key of %d bytes", len(key))
		case i > 0 && key <= last:
			d.fail("key %q comes after %q", key, last)
		case s < len(last) && t != "" && t[0] == last[s]:
			d.fail("key %q shares more than %d bytes with %q", key, s, last)
		}
		keys, last = append(keys, key), key
	}
	return keys
}

// runs reads a column of runs for n entries.
func (d *decoder) runs(n int, value func() uint64) []uint64 {
	var values []uint64
	for first := true; len(values) < n && d.err == nil; first = false {
		length := d.count(uint64(n - len(values)))
		v := value()
		if length == 0 || !first && v == values[len(values)-1] {
			d.fail("a run that is not as long as possible")
		}
		for range length {
			values = append(values, v)
		}
	}
	return values
}

// end wants nothing to be left.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes are left over", len(d.b))
	}
	return d.err
}

func derive(context string, material []byte) (sum [32]byte) {
	blake3.DeriveKey(context, material, sum[:])
	return sum
}

func tagOf(b []byte) [16]byte {
	sum := blake3.Sum256(b)
	return [16]byte(sum[:16])
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var unpacker = func() *zstd.Decoder {
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxPage), zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return z
}()

const maxPage = 32 << 20 // decompressed

func unpack(frame []byte) ([]byte, error) { return unpacker.DecodeAll(frame, nil) }

// A Location is where a frame lies. The zero pack is the root object itself.
type Location struct {
	Pack     [16]byte
	Off, Len uint64
	Tag      [16]byte
}

// A Ref names a page.
type Ref struct {
	Level        byte
	First        string
	Ident        [32]byte
	Files, Bytes uint64
	At           Location
}

func (d *decoder) ref() (r Ref) {
	r.Level = d.u8()
	r.First = d.text(1024)
	r.Ident = d.digest()
	r.Files, r.Bytes = d.uvarint(), d.uvarint()
	r.At.Pack = d.id()
	r.At.Off, r.At.Len = d.uvarint(), d.uvarint()
	r.At.Tag = d.id()
	return r
}

// An Intent is what a run may be changing.
type Intent struct {
	Run, Writer [16]byte
	Until       int64
	Range       bool
	First, Last string
	Doomed      *Ref
	MeantAt     *Location
	Meant       map[[2]uint32]bool // what it states, if MeantAt is there
}

func (i Intent) covers(key string) bool {
	return i.Range && i.First <= key && (i.Last == "" || key <= i.Last)
}

type pack struct{ size, live uint64 }

// A footer is the fixed part of a manifest.
type footer struct {
	head, uuid, writer [16]byte
	generation         uint64
	root               [32]byte
	top                Ref
	packs              map[[16]byte]pack
	retired            map[[16]byte]int64
	intents            []Intent
}

const (
	headMagic   = 0x184D2A50
	footerMagic = 0x184D2A5D
)

// headOf returns the random bytes at the beginning of a root object or pack.
func headOf(b []byte) (random [16]byte, err error) {
	d := &decoder{b: b}
	magic, n, text := d.u32(), d.u32(), d.take(8)
	random = d.id()
	if d.err == nil && (magic != headMagic || n != 24 || string(text) != "MKRMAN1\n") {
		d.fail("no head")
	}
	return random, d.err
}

// footerOf reads the footer at the end of a root object, and says where it begins.
func footerOf(object []byte) (*footer, int, error) {
	if len(object) < 12 || string(object[len(object)-8:]) != "MKREND1\n" {
		return nil, 0, errors.New("no end of a root object")
	}
	size := int(binary.LittleEndian.Uint32(object[len(object)-12:]))
	if size > len(object) || size > 16<<20 || size < 52 {
		return nil, 0, fmt.Errorf("footer of %d bytes", size)
	}
	d := &decoder{b: object[len(object)-size:]}
	magic, rest := d.u32(), d.u32()
	if magic != footerMagic || int(rest) != size-8 {
		return nil, 0, errors.New("no footer")
	}
	body := d.take(size - 8 - 32 - 12)
	if sum := d.digest(); sum != derive("merkur footer v1", body) {
		return nil, 0, errors.New("footer that does not match its sum")
	}
	f, err := footerBody(&decoder{b: body})
	return f, len(object) - size, err
}

func footerBody(d *decoder) (*footer, error) {
	if format, splitter, profile := d.u16(), d.u8(), d.u64(); d.err == nil && (format != 1 || splitter != 1 || profile != 1) {
		d.fail("format %d, splitter %d, profile %d", format, splitter, profile)
	}
	if closing := d.u8(); d.err == nil && closing != 0 {
		d.fail("closed in the way %d: the seal needs its key", closing)
	}
	f := &footer{packs: map[[16]byte]pack{}, retired: map[[16]byte]int64{}}
	f.head, f.uuid = d.id(), d.id()
	f.generation = d.u64()
	f.writer = d.id()
	d.u64() // time
	f.root = d.digest()
	f.top = d.ref()
	var last [16]byte
	sorted := func(id [16]byte, i int) {
		if i > 0 && bytes.Compare(id[:], last[:]) <= 0 {
			d.fail("a list that is not sorted")
		}
		last = id
	}
	for i := range d.count(1 << 18) {
		name := d.id()
		sorted(name, i)
		f.packs[name] = pack{d.uvarint(), d.uvarint()}
	}
	for i := range d.count(1 << 18) {
		name := d.id()
		sorted(name, i)
		f.retired[name] = int64(d.u64())
	}
	for i := range d.count(256) {
		f.intents = append(f.intents, d.intent())
		sorted(f.intents[i].Run, i)
	}
	return f, d.end()
}

func (d *decoder) intent() (i Intent) {
	i.Run, i.Writer, i.Until = d.id(), d.id(), int64(d.u64())
	has := d.u8()
	if has > 7 || has&5 == 4 {
		d.fail("intent that has %d", has)
	}
	if i.Range = has&1 != 0; i.Range {
		i.First, i.Last = d.text(1024), d.text(1024)
	}
	if has&2 != 0 {
		r := d.ref()
		i.Doomed = &r
	}
	if has&4 != 0 {
		i.MeantAt = &Location{Off: d.uvarint(), Len: d.uvarint(), Tag: d.id()}
	}
	return i
}
