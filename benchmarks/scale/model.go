package main

// A Model says by arithmetic how many bytes a run sends for the manifest of a tree. Its constants are those of
// the format and of made-up entries with all their evidence.
type Model struct {
	Files int
}

const (
	entryBytes = 67  // of an entry in a stored leaf
	childBytes = 75  // of a page in a stored index page
	meanLeaf   = 512 // entries
	meanIndex  = 128 // children

	mergedPacks = 64 // packs of a batch each are as many as there may be before they are merged
)

// First is what a first run sends: each leaf once, and once more where so many packs have come together that
// they are merged, and for each batch the pages above.
func (m Model) First() int64 {
	batches := (m.Files + batchFiles - 1) / batchFiles
	again := min(batches/(mergedPacks+1)*mergedPacks*batchFiles, m.Files)
	return int64(m.Files+again)*entryBytes + int64(batches)*m.above(batchFiles/meanLeaf)
}

// Together is what a run sends that changes k files which are neighbours.
func (m Model) Together(k int) int64 { return m.changed(1+(k-1)/meanLeaf, k) }

// Scattered is what a run sends that changes k files with the same distance between them: from one file in a
// leaf on it is the whole manifest.
func (m Model) Scattered(k int) int64 { return m.changed(k, k) }

// changed is what a run sends that changes k files in so many leaves.
func (m Model) changed(leaves, k int) int64 {
	leaves = min(leaves, m.leaves())
	batches := (k + batchFiles - 1) / batchFiles
	each := min((leaves+batches-1)/batches, leaves)
	entries := min(leaves*meanLeaf, m.Files)
	return int64(entries)*entryBytes + int64(batches+1)*m.above(each)
}

func (m Model) leaves() int { return 1 + (m.Files-1)/meanLeaf }

// above is the bytes of the index pages above some neighbouring leaves, up to the top.
func (m Model) above(leaves int) (bytes int64) {
	for level := m.leaves(); level > 1; level = 1 + (level-1)/meanIndex {
		leaves = 1 + (leaves-1)/meanIndex
		bytes += int64(min(leaves*meanIndex, level)) * childBytes
	}
	return bytes
}
