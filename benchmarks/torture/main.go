// Command torture has merkur run over random trees against a real S3 server while everything goes
// wrong that may: the server and the network fail in all ways (package faults), the process is
// killed at each write and each read there is, one after the other, and the cache is damaged as a
// loss of power would do it. After each run an auditor that shares no code with merkur (package
// audit) reads everything. Nothing may be lost, nothing false, and no run may hang.
//
// It prints what was tried and what was found, and ends with exit code 1 if that is anything.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"merkur/store/bucket/buckettest"
)

func main() {
	g := &rig{tally: newTally(), keep: true}
	flag.StringVar(&g.merkur, "merkur", ".bin/merkur", "the `program`")
	server := flag.String("server", ".bin/versitygw", "the S3 server `program`")
	work := flag.String("work", os.TempDir(), "a `directory` for the trees, on a file system with stable times")
	store := flag.String("store", os.TempDir(), "a `directory` for the server, on a file system with extended attributes")
	length := flag.Duration("for", 30*time.Minute, "how long")
	seed := flag.Uint64("seed", rand.Uint64N(1_000_000), "the first `seed`; the same one tortures in the same way")
	workers := flag.Int("workers", 2, "tortures at once")
	rounds := flag.Int("rounds", 12, "changes of each tree")
	flag.DurationVar(&g.deadline, "deadline", 3*time.Minute, "a run that takes longer is hung")
	flag.DurationVar(&g.stall, "stall", 10*time.Second, "how long a request stands still")
	flag.IntVar(&g.patience, "patience", 4, "`seconds` without a byte that merkur waits")
	flag.Int64Var(&g.most, "most", 3*partSize, "`bytes` of the largest files")
	only := flag.String("only", "", "`kind` of torture: siege, kill, power or system; empty: all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	good, err := g.torture(ctx, *server, *work, *store, *only, *length, *seed, *workers, *rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

// torture tortures for a while and prints the figures.
func (g *rig) torture(ctx context.Context, server, work, store, only string, length time.Duration, seed uint64, workers, rounds int) (bool, error) {
	var err error
	if g.merkur, err = filepath.Abs(g.merkur); err != nil {
		return false, err
	}
	if g.work, err = os.MkdirTemp(work, "merkur-torture-"); err != nil {
		return false, err
	}
	data, err := os.MkdirTemp(store, "merkur-torture-server-")
	if err != nil {
		return false, err
	}
	if g.server, err = buckettest.Launch(ctx, server, data); err != nil {
		return false, err
	}
	defer g.server.Close()
	fmt.Printf("torture for %v from seed %d\n", length, seed)
	g.until = time.Now().Add(length)
	next := make(chan uint64)
	t, inGroup := errgroup.WithContext(ctx)
	t.Go(func() error {
		defer close(next)
		for s := seed; !g.over(inGroup); s++ {
			select {
			case next <- s:
			case <-inGroup.Done():
				return nil
			}
		}
		return nil
	})
	for range workers {
		t.Go(func() error {
			for s := range next {
				if err := g.one(inGroup, only, s, rounds); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = t.Wait()
	good := g.tally.print(os.Stdout)
	if good {
		os.RemoveAll(g.work)
		os.RemoveAll(data)
	} else {
		fmt.Println("what was found is left in", g.work, "and", data)
	}
	return good, err
}

// one is the torture of one seed.
func (g *rig) one(ctx context.Context, only string, seed uint64, rounds int) error {
	kinds := []string{"siege", "siege", "kill", "power", "system"}
	if only != "" {
		kinds = []string{only}
	}
	switch n := uint64(len(kinds)); kinds[seed%n] {
	case "kill":
		all := massacres(1 + int(seed/n%3))
		return g.massacre(ctx, all[seed/n%uint64(len(all))], seed)
	case "system":
		return g.systemCalls(ctx, seed/n)
	case "power":
		return g.lossOfPower(ctx, seed/n, rounds)
	default:
		return g.siege(ctx, seed/n*2+seed%n, rounds)
	}
}
