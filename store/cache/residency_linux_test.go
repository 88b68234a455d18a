package cache

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTableMapping(t *testing.T) {
	const prefix = "/home/a b/cache/"
	for _, test := range []struct {
		line       string
		start, end uintptr
	}{
		{"6c000000-6c800000 rw-s 00000000 fe:00 1835                       /home/a b/cache/db/000001.sst", 0x6c000000, 0x6c800000},
		{"6c000000-6c800000 r--s 00000000 fe:00 1835 /home/a b/cache/db/000001.sst", 0x6c000000, 0x6c800000},
		{"6c000000-6c800000 rw-p 00000000 fe:00 1835 /home/a b/cache/db/000001.sst", 0, 0},           // private: advice would lose data
		{"6c000000-6c800000 rw-s 00000000 fe:00 1835 /home/a b/cache/db/00001.mem", 0, 0},            // unmapped at any time
		{"6c000000-6c800000 rw-s 00000000 fe:00 1835 /home/a b/cache/db/000001.sst (deleted)", 0, 0}, // not ours any more
		{"6c000000-6c800000 rw-s 00000000 fe:00 1835 /home/other/cache/db/000001.sst", 0, 0},
		{"6c000000-6c800000 rw-p 00000000 00:00 0", 0, 0},
		{"c000000000-c000400000 rw-p 00000000 00:00 0 [anon: Go: heap]", 0, 0},
		{"xyz-6c800000 rw-s 00000000 fe:00 1835 /home/a b/cache/db/000001.sst", 0, 0},
		{"6c800000-6c000000 rw-s 00000000 fe:00 1835 /home/a b/cache/db/000001.sst", 0, 0},
		{"", 0, 0},
	} {
		start, end, ok := tableMapping(test.line, prefix)
		if !ok {
			start, end = 0, 0
		}
		if start != test.start || end != test.end {
			t.Errorf("%s: got %x-%x", test.line, start, end)
		}
	}
}

// The memory of a run does not grow with the cache that it writes or reads.
func TestMemory(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("the race detector multiplies memory")
	}
	peak := map[string]int{}
	for _, n := range []int{4000, 16000} {
		dir := filepath.Join(t.TempDir(), "cache")
		for _, what := range []string{"write", "read"} {
			peak[fmt.Sprint(what, n)] = peakOf(t, child(what, dir, n))
		}
	}
	t.Logf("peak resident MiB: %v", peak)
	for _, what := range []string{"write", "read"} {
		small, large := peak[what+"4000"], peak[what+"16000"]
		if growth := large - small; growth > 64 { // the cache grows by 94 MiB
			t.Errorf("%s: from %d to %d MiB", what, small, large)
		}
	}
}

// peakOf runs a child and returns its largest resident size in MiB.
func peakOf(t *testing.T, cmd *exec.Cmd) (mib int) {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(out), "peak ")
	if _, err := fmt.Sscan(after, &mib); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return mib
}
