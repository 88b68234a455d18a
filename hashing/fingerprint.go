package hashing

import (
	"math"
	"time"

	"github.com/cespare/xxhash/v2"
)

// A fingerprint is the stat fields under which an earlier digest of a file is still the
// digest of the file. Fingerprints are only ever compared for equality: a clock that jumps
// then costs a reading too many, never one too few.
//
// The change time carries the weight, because no program can set it: it moves on a write, a
// truncation, a rename and on setting the modification time back. The others catch what a
// clock that was set back could make equal.
type fingerprint struct {
	fs                  uint64 // key of the file system
	ino                 uint64
	size                int64
	mtime, ctime, btime int64
}

// fingerprint reduces a stat to what can be believed on this file system.
func (fs *fileSystem) fingerprint(st *stat) fingerprint {
	if fs.nature == weak {
		return fingerprint{fs: fs.key, size: st.size, mtime: st.mtime}
	}
	return fingerprint{fs.key, st.ino, st.size, st.mtime, st.ctime, st.btime}
}

// settled reports whether every later change of the file must show in its fingerprint: only
// if the file had been left alone for long enough when now was. This is asked before a digest
// is remembered, of the time the scan began, and again before it is reused: on a clock that
// was set back since then, new changes could get the times of old ones.
func (fs *fileSystem) settled(fp fingerprint, now time.Time) bool {
	changed := fp.ctime
	if fs.nature == weak {
		changed = fp.mtime
	}
	return fs.trusted && changed < now.Add(-fs.settle).UnixNano()
}

// steady reports whether bytes that were read between two looks at a file are its content.
func steady(before, after stat, read int64) bool {
	return before == after && read == after.size
}

// Drawn reports whether a key belongs to the share of all keys that a seed picks.
func Drawn(key string, seed uint64, share float64) bool {
	if share <= 0 || share >= 1 {
		return share >= 1
	}
	h := (xxhash.Sum64String(key) ^ seed) * 0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return float64(h^h>>32) < share*math.MaxUint64
}
