package flat

import (
	"iter"
	"slices"
	"sort"
)

// An order is a set of keys in the order of their bytes. It is a row of short sorted blocks, so
// that neither a change nor the begin of a page touches more than a few thousand keys. The zero
// value is empty.
type order struct {
	blocks [][]string // none is empty
}

const maxBlock = 1024

// locate returns the block that holds the key or is to hold it.
func (o *order) locate(key string) int {
	n := sort.Search(len(o.blocks), func(i int) bool { return o.blocks[i][0] > key })
	return max(0, n-1)
}

// insert adds a key that is not in the set.
func (o *order) insert(key string) {
	if len(o.blocks) == 0 {
		o.blocks = [][]string{{key}}
		return
	}
	n := o.locate(key)
	i, _ := slices.BinarySearch(o.blocks[n], key)
	b := slices.Insert(o.blocks[n], i, key)
	o.blocks[n] = b
	if len(b) > maxBlock {
		half := slices.Clone(b[maxBlock/2:])
		o.blocks[n] = slices.Clip(b[:maxBlock/2])
		o.blocks = slices.Insert(o.blocks, n+1, half)
	}
}

// remove takes a key away that is in the set.
func (o *order) remove(key string) {
	n := o.locate(key)
	i, _ := slices.BinarySearch(o.blocks[n], key)
	o.blocks[n] = slices.Delete(o.blocks[n], i, i+1)
	if len(o.blocks[n]) == 0 {
		o.blocks = slices.Delete(o.blocks, n, n+1)
	}
}

// from yields the keys that are not less than first, in order.
func (o *order) from(first string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(o.blocks) == 0 {
			return
		}
		n := o.locate(first)
		i, _ := slices.BinarySearch(o.blocks[n], first)
		for ; n < len(o.blocks); n, i = n+1, 0 {
			for _, key := range o.blocks[n][i:] {
				if !yield(key) {
					return
				}
			}
		}
	}
}

// successor is the least string that is greater than all that begin with prefix, which is not
// empty and valid UTF-8: no byte of that is 0xFF.
func successor(prefix string) string {
	last := len(prefix) - 1
	return prefix[:last] + string([]byte{prefix[last] + 1})
}
