package cache

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A residency keeps the pages of mapped tables from piling up in this process.
//
// Badger maps its tables shared, and each page touched counts as memory of the process until
// it is unmapped: a run that reads every record once would end up as large as the cache. The
// pages stay in the system's page cache when they are given back, dirty ones included, so
// reading one again costs a minor fault.
//
// The mappings are found by name, as Badger does not tell their addresses. An address must
// not be advised on after it was unmapped, because something else may be there by then:
// tables are only unmapped by compaction, which is off, and by closing a database, which
// does not overlap with reading, writing or rewriting.
type residency struct {
	prefix  string // of the tables' paths
	touched atomic.Int64
}

// releaseEvery is how many bytes are read or written between two releases. The kernel maps
// 16 pages around each one touched, so up to some times as much may be resident.
const releaseEvery = 8 << 20

func newResidency(dir string) *residency {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return &residency{prefix: dir + "/"}
}

// touch counts n bytes of tables read or written.
func (r *residency) touch(n int) {
	if r.touched.Add(int64(n)) >= releaseEvery && r.touched.Swap(0) >= releaseEvery {
		r.release()
	}
}

func (r *residency) release() {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if start, end, ok := tableMapping(lines.Text(), r.prefix); ok {
			unix.Syscall(unix.SYS_MADVISE, start, end-start, unix.MADV_DONTNEED)
		}
	}
}

// tableMapping parses a line of /proc/self/maps: ok if it is the shared mapping of a table
// whose path begins with prefix.
func tableMapping(line, prefix string) (start, end uintptr, ok bool) {
	// 7f0e6c000000-7f0e6c800000 rw-s 00000000 fe:00 1835 /path/000001.sst
	path := strings.IndexByte(line, '/')
	if path < 0 || !strings.HasPrefix(line[path:], prefix) || !strings.HasSuffix(line, ".sst") {
		return 0, 0, false
	}
	fields := strings.Fields(line[:path])
	if len(fields) != 5 || !strings.HasSuffix(fields[1], "s") {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(fields[0], "-")
	s, err1 := strconv.ParseUint(from, 16, strconv.IntSize)
	e, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
	return uintptr(s), uintptr(e), err1 == nil && err2 == nil && s < e
}
