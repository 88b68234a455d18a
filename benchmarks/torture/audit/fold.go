package audit

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

const profile = 1

// A node is a page as those above it need it.
type node struct {
	first        string
	ident        [32]byte
	files, bytes uint64
}

// Root folds entries, which are in key order, from nothing.
func Root(entries []Entry) [32]byte {
	var level []node
	for _, part := range cut(len(entries), 0, func(i int) string { return entries[i].Key }) {
		level = append(level, leafNode(entries[part[0]:part[1]]))
	}
	if len(level) == 0 {
		level = []node{leafNode(nil)}
	}
	height := byte(0)
	for len(level) > 1 {
		height++
		var above []node
		for _, part := range cut(len(level), uint64(height), func(i int) string { return level[i].first }) {
			above = append(above, indexNode(height, level[part[0]:part[1]]))
		}
		level = above
	}
	return rootDigest(height, level[0])
}

func rootDigest(height byte, top node) [32]byte {
	b := binary.LittleEndian.AppendUint64(nil, profile)
	b = append(b, height)
	b = append(b, top.ident[:]...)
	b = binary.LittleEndian.AppendUint64(b, top.files)
	b = binary.LittleEndian.AppendUint64(b, top.bytes)
	return derive("merkur root v1", b)
}

// cut returns the ranges of the pages that n things with keys are cut into.
func cut(n int, seed uint64, key func(int) string) (parts [][2]int) {
	from, least := 0, 256
	if seed > 0 {
		least = 64
	}
	for i := range n {
		count := i - from + 1
		if count == maxEntries || count >= least && hash(seed, key(i))%uint64(least) == 0 {
			parts = append(parts, [2]int{from, i + 1})
			from = i + 1
		}
	}
	if from < n {
		parts = append(parts, [2]int{from, n})
	}
	return parts
}

func hash(seed uint64, key string) uint64 {
	h := xxhash.NewWithSeed(seed)
	h.WriteString(key)
	return h.Sum64()
}

func leafNode(entries []Entry) node {
	n := node{files: uint64(len(entries))}
	b := binary.LittleEndian.AppendUint64(nil, profile)
	b = binary.AppendUvarint(b, uint64(len(entries)))
	for i, e := range entries {
		if i == 0 {
			n.first = e.Key
		}
		n.bytes += e.Size
		b = appendText(b, e.Key)
		b = append(b, e.Kind)
		b = binary.AppendUvarint(b, e.Size)
		b = append(b, e.Digest[:]...)
		if e.Kind == 1 {
			b = appendText(b, e.Target)
		}
	}
	n.ident = derive("merkur leaf page v1", b)
	return n
}

func indexNode(level byte, children []node) (n node) {
	b := binary.LittleEndian.AppendUint64(nil, profile)
	b = append(b, level)
	b = binary.AppendUvarint(b, uint64(len(children)))
	for i, c := range children {
		if i == 0 {
			n.first = c.first
		}
		n.files, n.bytes = n.files+c.files, n.bytes+c.bytes
		b = appendText(b, c.first)
		b = append(b, c.ident[:]...)
		b = binary.LittleEndian.AppendUint64(b, c.files)
		b = binary.LittleEndian.AppendUint64(b, c.bytes)
	}
	n.ident = derive("merkur index page v1", b)
	return n
}

// unproven is what stands for the digest of an object that nobody has read.
func unproven(etag string, size uint64) [32]byte {
	return derive("merkur unproven object v1", binary.AppendUvarint(appendText(nil, etag), size))
}
