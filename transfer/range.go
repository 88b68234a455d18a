package transfer

import "merkur/manifest"

// rangeOf is the range of keys of some actions, in key order, or nil.
func rangeOf(batch []Action) *manifest.Range {
	if len(batch) == 0 {
		return nil
	}
	return &manifest.Range{First: batch[0].Key, Last: batch[len(batch)-1].Key}
}

// hull returns the least range that contains both; nil is the empty one.
func hull(a, b *manifest.Range) *manifest.Range {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	h := manifest.Range{First: min(a.First, b.First), Last: max(a.Last, b.Last)}
	if a.Last == "" || b.Last == "" {
		h.Last = ""
	}
	return &h
}

// within reports whether the range a, if any, lies in b.
func within(a, b *manifest.Range) bool {
	return a == nil || b != nil && b.First <= a.First && (b.Last == "" || a.Last != "" && a.Last <= b.Last)
}
