package audit

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zeebo/blake3"
)

// golden is a root object that merkur has written once.
func golden(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "manifest", "testdata", "object.zst"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(object []byte) (*Manifest, error) {
	r := &reading{live: map[[16]byte]uint64{}}
	m, _, err := r.read(object)
	return m, err
}

func TestReadGolden(t *testing.T) {
	m, err := read(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Entries) == 0 || Root(m.Entries) != m.Root || len(m.Intents) == 0 || len(m.Intents[0].Meant) == 0 {
		t.Errorf("%d entries with the root %x, and not %x; %d intents", len(m.Entries), Root(m.Entries), m.Root, len(m.Intents))
	}
}

// What an intent states is read by the rules of the specification.
func TestStated(t *testing.T) {
	m, err := read(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	i := m.Intents[0]
	text, empty := blake3.Sum256([]byte("0123456789")), blake3.Sum256(nil)
	for _, c := range []struct {
		key    string
		there  bool
		size   uint64
		digest [32]byte
		want   bool
	}{
		{"empty", true, 0, empty, true}, {"empty", false, 0, empty, false}, {"empty", true, 0, text, false}, {"empty", true, 10, text, false},
		{"size", true, 1 << 40, text, true}, {"size", true, 1, text, false}, {"size", false, 0, text, false},
		{"gone", false, 0, text, true}, {"gone", true, 5, text, true}, {"other", true, 10, text, false}, {"other", false, 0, text, false},
	} {
		if got := i.allows(c.key, c.there, c.size, c.digest); got != c.want {
			t.Errorf("%s, there %v, %d bytes: %v", c.key, c.there, c.size, got)
		}
	}
	if i.MeantAt = nil; !i.allows("other", true, 10, text) {
		t.Error("an intent that states nothing allows anything")
	}
}

// A manifest with one wrong bit is none. That of a frame's own head is seen by its tag.
func TestEveryBit(t *testing.T) {
	whole := golden(t)
	for at := 0; at < len(whole)*8; at += 67 {
		spoilt := append([]byte(nil), whole...)
		spoilt[at/8] ^= 1 << (at % 8)
		if _, err := read(spoilt); err == nil {
			t.Fatalf("bit %d of byte %d of %d is wrong, and nobody sees it", at%8, at/8, len(whole))
		}
	}
}

func TestBetween(t *testing.T) {
	file := func(body string) File { return File{uint64(len(body)), blake3.Sum256([]byte(body))} }
	before := Tree{"same": file("1"), "old": file("1"), "gone": file("1")}
	source := Tree{"same": file("1"), "old": file("2"), "new": file("3")}
	for _, c := range []struct {
		now     Tree
		deletes bool
		good    bool
	}{
		{before, true, true},
		{source, true, true},
		{source, false, false}, // gone is missing
		{Tree{"same": file("1"), "old": file("2"), "gone": file("1")}, false, true},
		{Tree{"same": file("1")}, true, false},                                     // old is missing
		{Tree{"same": file("1"), "old": file("12")}, true, false},                  // half of it
		{Tree{"same": file("1"), "old": file("1"), "odd": file("1")}, true, false}, // out of nothing
	} {
		if v := Between(before, source, c.now, c.deletes); v.Good() != c.good {
			t.Errorf("%v: %v", c, v)
		}
	}
}
