package cache

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Some tests need a process of their own: one that is killed, one that holds the lock, one
// whose memory is measured. They run this test binary again with a task to do.
func TestMain(m *testing.M) {
	if task := os.Getenv("CACHE_TASK"); task != "" {
		doTask(strings.Fields(task))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child returns a command that does a task: what, the directory, how many records.
func child(what, dir string, n int) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("CACHE_TASK=%s %s %d", what, dir, n))
	return cmd
}

func doTask(task []string) {
	what, dir := task[0], task[1]
	n, _ := strconv.Atoi(task[2])
	start := time.Now()
	c := Open(dir, testOptions)
	opened := time.Since(start)
	switch what {
	case "hold":
		fmt.Println("held", c.Notes())
		_, _ = os.Stdin.Read(make([]byte, 1))
	case "write":
		load(c, n, 0)
	case "churn":
		for round := 0; ; round++ {
			load(c, n, round)
			fmt.Println("round", round)
		}
	case "read":
		fmt.Println("found", recallAll(c, n, 4))
	}
	worked := time.Since(start) - opened
	c.Close()
	fmt.Printf("open %v work %v close %v notes %q\n", opened.Round(time.Millisecond/10), worked.Round(time.Millisecond),
		(time.Since(start) - opened - worked).Round(time.Millisecond/10), c.Notes())
	fmt.Println("peak", peakMiB())
}

var testOptions = Options{Identity: []byte("a tree")}

const recordSize = 8 << 10 // 100 files

// dirName and dirRecord make the records of a tree of directories with 100 files each.
func dirName(i int) []byte { return fmt.Appendf(nil, "data/%04d/dir-%07d/", i/1000, i) }

func dirRecord(i, round int) []byte {
	b := make([]byte, 0, recordSize)
	b = binary.LittleEndian.AppendUint64(b, uint64(i))
	b = binary.LittleEndian.AppendUint64(b, uint64(round))
	start := (i*31 + round*977) % recordSize
	return append(b, noise[start:start+recordSize-len(b)]...)
}

var noise = func() []byte {
	b := make([]byte, 2*recordSize)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// load remembers n records from 4 goroutines, roughly in order as a walk does.
func load(c *Cache, n, round int) {
	inParallel(n, 4, func(i int) { c.Digests().Remember(dirName(i), dirRecord(i, round)) })
}

// recallAll reads n records from some goroutines and returns how many were found.
func recallAll(c *Cache, n, workers int) int {
	found := make([]bool, n)
	inParallel(n, workers, func(i int) { found[i] = c.Digests().Recall(dirName(i)) != nil })
	count := 0
	for _, f := range found {
		if f {
			count++
		}
	}
	return count
}

func inParallel(n, workers int, f func(i int)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}

// peakMiB returns the largest resident size that this process had, or 0.
func peakMiB() int {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.Atoi(fields[0])
	return kib >> 10
}
