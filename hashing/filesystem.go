package hashing

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
)

// A nature is how far the stat fields of a file system can be believed.
type nature uint8

const (
	// weak: inode numbers and change times may be made up (FUSE, 9p, virtiofs) or nothing is
	// known. Only size and modification time are compared, and a share is read in every run.
	weak nature = iota
	// local: a change always moves the change time, except for stores through a mapping into
	// a page that is dirty already. Those end when the page is written back.
	local
	// network: as local, but clocks differ, times are coarse, and attributes and other
	// clients' writes arrive late.
	network
	// memory: pages are never written back, so stores through a mapping stay invisible.
	memory
)

func (n nature) String() string {
	return [...]string{"weak", "local", "network", "memory"}[n]
}

// Least share of the trusted files that is read again on a weak file system.
const weakShare = 0.01

// A fileSystem is one file system that holds files of the tree.
type fileSystem struct {
	key     uint64 // of its type and id: survives a remount where the id does
	nature  nature
	settle  time.Duration // a file must have been left alone for so long
	trusted bool          // digests may be reused at all
	share   float64       // part of the trusted files that is read again
}

// newFileSystem decides what can be believed. young is the age up to which a local file
// system may hide stores, share the re-read share that the options ask for.
func newFileSystem(n nature, kind uint32, id uint64, young time.Duration, o Options) *fileSystem {
	var b [12]byte
	binary.LittleEndian.PutUint32(b[:], kind)
	binary.LittleEndian.PutUint64(b[4:], id)
	fs := &fileSystem{key: xxhash.Sum64(b[:]), nature: n, settle: young, trusted: true, share: o.RehashShare}
	if o.Rehash {
		fs.share = 1
	}
	switch n {
	case weak:
		fs.share = max(fs.share, weakShare)
	case network:
		fs.settle += 61 * time.Second // attribute caches of up to 60 s, times as coarse as 1 s
	case memory:
		fs.trusted = o.TrustStat
	}
	return fs
}

// settleAge is how long a store through a mapping can stay invisible on a local file system:
// until the page is written back, which happens once it is expire old at the next of the
// rounds that come every interval. Threefold, because a busy disk is late, and never less
// than two minutes.
func settleAge(expire, interval time.Duration) time.Duration {
	return max(3*(expire+interval), 2*time.Minute)
}
