package hashing

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/zeebo/blake3"

	"merkur/manifest"
)

// noise returns n bytes that depend on n only.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1, byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

var sizes = []int{
	0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3073, 8192, 15360,
	16<<10 - 1, 16 << 10, 16<<10 + 1, 17 << 10, 31<<10 + 5, 32 << 10, 48 << 10, 48<<10 + 1,
	64<<10 - 1, 64 << 10, 64<<10 + 1, 100_000, 256 << 10, 256<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1,
	3<<20 + 777, 5 << 20,
}

func TestSum(t *testing.T) {
	for _, n := range sizes {
		b := noise(n)
		if got, want := Sum(b), manifest.Digest(blake3.Sum256(b)); got != want {
			t.Errorf("%d bytes: %v, want %v", n, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	for _, n := range sizes {
		b := noise(n)
		want := manifest.Digest(blake3.Sum256(b))
		for part := int64(MinPart); part <= 2<<20; part *= 4 {
			p := NewParts(int64(n), part)
			var wg sync.WaitGroup
			for _, i := range rand.Perm(p.Len()) {
				offset, length := p.Bounds(i)
				wg.Go(func() { p.Part(i, b[offset:offset+length]) })
			}
			wg.Wait()
			if got := p.Sum(); got != want {
				t.Errorf("%d bytes in parts of %d: %v, want %v", n, part, got, want)
			}
		}
	}
}

func TestPartsMisuse(t *testing.T) {
	for name, f := range map[string]func(){
		"not a power of two": func() { NewParts(1, 24<<10) },
		"too small":          func() { NewParts(1, 8<<10) },
		"negative":           func() { NewParts(-1, MinPart) },
		"short part":         func() { NewParts(100, MinPart).Part(0, make([]byte, 99)) },
		"missing part":       func() { NewParts(100, MinPart).Sum() },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func FuzzParts(f *testing.F) {
	f.Add([]byte("x"), uint8(0))
	f.Add(noise(70_000), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, shift uint8) {
		p := NewParts(int64(len(b)), MinPart<<(shift%8))
		for i := range p.Len() {
			offset, length := p.Bounds(i)
			p.Part(i, b[offset:offset+length])
		}
		if p.Sum() != manifest.Digest(blake3.Sum256(b)) || Sum(b) != p.Sum() {
			t.Errorf("%d bytes: %v and %v", len(b), p.Sum(), Sum(b))
		}
	})
}

// TestB3sum compares with the reference program where it is installed.
func TestB3sum(t *testing.T) {
	b3sum, err := exec.LookPath("b3sum")
	if err != nil {
		t.Skip("no b3sum here")
	}
	for _, n := range []int{0, 1025, 16<<10 + 1, 3<<20 + 777} {
		path := filepath.Join(t.TempDir(), fmt.Sprint(n))
		if err := os.WriteFile(path, noise(n), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(b3sum, "--no-names", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Sum(noise(n)).String(), strings.TrimSpace(string(out)); got != want {
			t.Errorf("%d bytes: %s, b3sum says %s", n, got, want)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{100, 4 << 10, 16 << 10, 64 << 10, 256 << 10} {
		data := noise(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				Sum(data)
			}
		})
	}
}
