package manifest

import (
	"math/rand/v2"
	"testing"
)

// aLeaf is a leaf of mean size with all its evidence.
func aLeaf() *Page { return &Page{Entries: inOrder(randomTree(rand.New(rand.NewPCG(1, 1)), 512))} }

func BenchmarkAppendFrame(b *testing.B) {
	p := aLeaf()
	dst, _ := AppendFrame(nil, p)
	b.SetBytes(int64(len(p.Entries)))
	b.ReportMetric(float64(len(dst))/float64(len(p.Entries)), "bytes/entry")
	for b.Loop() {
		dst, _ = AppendFrame(dst[:0], p)
	}
}

func BenchmarkDecodeFrame(b *testing.B) {
	p := aLeaf()
	frame, at := AppendFrame(nil, p)
	ref := p.Ref()
	ref.At = at
	b.SetBytes(int64(len(p.Entries)))
	for b.Loop() {
		if _, err := DecodeFrame(frame, ref); err != nil {
			b.Fatal(err)
		}
	}
}

// What a no-op does: it folds the entries of a tree into pages and stores none.
func BenchmarkFold(b *testing.B) {
	es := inOrder(randomTree(rand.New(rand.NewPCG(1, 1)), 50_000))
	b.SetBytes(int64(len(es)))
	for b.Loop() {
		fold := NewBuilder(func(p *Page) (Location, error) { p.Ref(); return Location{}, nil })
		for i := range es {
			if err := fold.Add(es[i]); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := fold.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}
