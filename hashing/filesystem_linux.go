//go:build !portable

package hashing

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// natures are those of the file systems by the type that statfs(2) gives. What is missing is weak.
// FAT has no change time on the disk and is left out for that.
var natures = map[uint32]nature{
	unix.EXT4_SUPER_MAGIC:      local, // and ext2, ext3
	unix.XFS_SUPER_MAGIC:       local,
	unix.BTRFS_SUPER_MAGIC:     local,
	unix.F2FS_SUPER_MAGIC:      local,
	unix.BCACHEFS_SUPER_MAGIC:  local,
	unix.OVERLAYFS_SUPER_MAGIC: local,
	unix.NILFS_SUPER_MAGIC:     local,
	unix.REISERFS_SUPER_MAGIC:  local,
	unix.SQUASHFS_MAGIC:        local,
	unix.ISOFS_SUPER_MAGIC:     local,
	0xe0f5e1e2:                 local, // erofs
	0x2fc12fc1:                 local, // zfs
	0x3153464a:                 local, // jfs

	unix.TMPFS_MAGIC:       memory,
	unix.RAMFS_MAGIC:       memory,
	unix.HUGETLBFS_MAGIC:   memory,
	unix.NFS_SUPER_MAGIC:   network,
	unix.SMB_SUPER_MAGIC:   network,
	unix.SMB2_SUPER_MAGIC:  network,
	unix.CIFS_SUPER_MAGIC:  network,
	unix.CEPH_SUPER_MAGIC:  network,
	unix.AFS_SUPER_MAGIC:   network,
	unix.AFS_FS_MAGIC:      network,
	unix.CODA_SUPER_MAGIC:  network,
	unix.OCFS2_SUPER_MAGIC: network,
	0x0bd00bd0:             network, // lustre
	0x01161970:             network, // gfs2
	0x47504653:             network, // gpfs
	0x19830326:             network, // beegfs
}

// hiddenFor asks the kernel how long a store can stay invisible.
func hiddenFor() time.Duration {
	return settleAge(centiseconds("dirty_expire_centisecs"), centiseconds("dirty_writeback_centisecs"))
}

func centiseconds(name string) time.Duration {
	b, err := os.ReadFile("/proc/sys/vm/" + name)
	if err != nil {
		return 0 // the least age that settleAge grants then stands
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * 10 * time.Millisecond
}
