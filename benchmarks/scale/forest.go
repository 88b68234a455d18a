package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"

	"merkur/manifest"
)

// A forest is a made-up tree of n files, 100 in a directory and 100 directories in one. The entry
// at any position can be made without the others.
type forest struct {
	n       int
	version func(i int) uint64 // of the content of a file
}

func original(int) uint64 { return 0 }

// entry makes the i-th entry in key order, as a commit finds it: with all the evidence.
func (f forest) entry(i int) manifest.Entry {
	version := f.version(i)
	noise := seed(uint64(i), version)
	var random [48]byte
	for k := 0; k < len(random); k += 8 {
		binary.LittleEndian.PutUint64(random[k:], noise())
	}
	e := manifest.Entry{
		Key:  key(i),
		Size: int64(noise() >> (44 + noise()%16)),
		Mode: 0o644,
		// Files of one tree are written in bursts: a directory's within seconds of each other.
		MTime: 1_700_000_000_000_000_000 + int64(i/100)*3_000_000_000 + int64(noise()%2_000_000_000),
		Evidence: manifest.Evidence{
			ETag: hex.EncodeToString(random[32:]), CRC64: noise(), HasCRC64: true,
			Modified: 1_700_000_100 + int64(i/2_000),
		},
	}
	e.Digest = manifest.Digest(random[:32])
	return e
}

// key is the i-th key of a forest of any size.
func key(i int) string {
	return fmt.Sprintf("data/%05d/set-%02d/record-%03d.parquet", i/10_000, i/100%100, i%100)
}

// seed returns a source of numbers, SplitMix64, that begins at a place of its own for each position
// and version.
func seed(i, version uint64) func() uint64 {
	state := mix(i ^ version<<40)
	return func() uint64 {
		state += 0x9E3779B97F4A7C15
		return mix(state)
	}
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// A selection is positions of files: from one up to another, step by step.
type selection struct{ from, to, step int }

func (s selection) has(i int) bool { return i >= s.from && i < s.to && (i-s.from)%s.step == 0 }

// edited is the forest in which the selected files have another content.
func (f forest) edited(s selection, version uint64) forest {
	return forest{n: f.n, version: func(i int) uint64 {
		if s.has(i) {
			return version
		}
		return f.version(i)
	}}
}

// changes yields what turns one forest into another at the selected positions, a batch at a time. Where
// from is nil, the files are new.
func changes(from *forest, to forest, s selection) iter.Seq[[]manifest.Change] {
	return func(yield func([]manifest.Change) bool) {
		var batch []manifest.Change
		for i := s.from; i < s.to; i += s.step {
			now := to.entry(i)
			ch := manifest.Change{Key: now.Key, New: &now}
			if from != nil {
				old := from.entry(i)
				ch.Old = &old
			}
			if batch = append(batch, ch); len(batch) == batchFiles {
				if !yield(batch) {
					return
				}
				batch = nil
			}
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}
