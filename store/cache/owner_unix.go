//go:build unix

package cache

import (
	"io/fs"
	"os"
	"syscall"
)

func foreignOwner(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) != os.Geteuid()
}
