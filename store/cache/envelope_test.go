package cache

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestEnvelope(t *testing.T) {
	key := []byte("dname")
	for _, size := range []int{0, 1, 100, pieceSize - 1, pieceSize, pieceSize + 1, 3 * pieceSize, 3*pieceSize + 7} {
		value := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		head, more := seal(7, key, value)
		if want := max(0, (size-1)/pieceSize); len(more) != want {
			t.Fatalf("%d bytes: %d pieces after the first, want %d", size, len(more), want)
		}
		piece := func(i int) []byte {
			if i > len(more) {
				return nil
			}
			return more[i-1]
		}
		got, ok := unseal(7, key, head, piece)
		if !ok || !bytes.Equal(got, value) {
			t.Errorf("%d bytes do not come back", size)
		}
		if _, ok := unseal(8, key, head, piece); ok {
			t.Errorf("%d bytes: another cache's record is believed", size)
		}
		if _, ok := unseal(7, []byte("dnam"), head, piece); ok {
			t.Errorf("%d bytes: another name's record is believed", size)
		}
		for _, at := range []int{0, 7, 8, 11, len(head) - 1} {
			flipped := bytes.Clone(head)
			flipped[at] ^= 0x10
			if _, ok := unseal(7, key, flipped, piece); ok {
				t.Errorf("%d bytes: a flip in byte %d is not noticed", size, at)
			}
		}
	}
}

// A long value with a piece that is missing, short, or another's is not believed.
func TestEnvelopePieces(t *testing.T) {
	key, value := []byte("sroot"), bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, pieceSize/2)
	head, more := seal(1, key, value)
	for name, piece := range map[string]func(i int) []byte{
		"missing": func(i int) []byte { return nil },
		"short":   func(i int) []byte { return more[i-1][1:] },
		"other":   func(i int) []byte { return more[0][:len(more[i-1])] },
	} {
		if _, ok := unseal(1, key, head, piece); ok {
			t.Errorf("%s: believed", name)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, name := range []string{"", "a", "a\x00\x00\x00\x01", "päth/ with\xff"} {
		head := headKey('d', []byte(name))
		if _, _, ok := pieceOf(head); ok {
			t.Errorf("%q is taken for a piece", name)
		}
		back, i, ok := pieceOf(pieceKey(head, 5))
		if !ok || i != 5 || !bytes.Equal(back, head) {
			t.Errorf("piece 5 of %q: got piece %d of %q", name, i, back)
		}
	}
}

// Whatever the bytes are: no panic, no value that was not sealed, no more memory than is asked for.
func FuzzUnseal(f *testing.F) {
	key := []byte("dname")
	for _, n := range []int{0, 1, 20, pieceSize + 1} {
		head, _ := seal(3, key, make([]byte, n))
		f.Add(head, []byte{0})
	}
	f.Add(binary.LittleEndian.AppendUint64(nil, 1<<63), []byte(nil))
	f.Fuzz(func(t *testing.T, head, rest []byte) {
		value, ok := unseal(3, key, head, func(int) []byte { return rest })
		if !ok {
			return
		}
		again, more := seal(3, key, value)
		if !bytes.Equal(again, head) || len(more) > 0 && !bytes.Equal(more[len(more)-1], rest) {
			t.Errorf("%d bytes are believed that were not sealed so", len(value))
		}
	})
}

func FuzzSoundLog(f *testing.F) {
	f.Add(append(make([]byte, 20), 0, 0, 1, 1, 0, 'k', 'v', 1, 2, 3, 4, 0, 0))
	f.Add(append(make([]byte, 20), 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0))
	f.Fuzz(func(t *testing.T, log []byte) {
		n := soundLog(log)
		if n < min(20, len(log)) || n > len(log) {
			t.Fatalf("%d of %d bytes are sound", n, len(log))
		}
		if again := soundLog(log[:n]); again != n {
			t.Errorf("of %d sound bytes %d are sound", n, again)
		}
	})
}
