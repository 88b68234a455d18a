// Command scale drives the real manifest and catalog code with made-up trees of up to hundreds of
// millions of files, against a bucket on the local disk, and prints what the manifest costs in each
// kind of run: requests, bytes, time and memory of this process, beside what the [Model] of the
// design says. Files and objects there are none: what they cost is measured by the other benchmarks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	sizes := flag.String("files", "1e4,1e6", "`numbers` of files")
	work := flag.String("work", os.TempDir(), "a `directory` for the bucket: 200 bytes a file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, field := range strings.Split(*sizes, ",") {
		n, err := strconv.ParseFloat(field, 64)
		if err == nil && (n < 1 || n > 1e9) {
			err = errors.New("not a number from 1 to 1e9")
		}
		if err == nil {
			err = report(ctx, os.Stdout, *work, int(n))
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "scale: %s files: %v\n", field, err)
			os.Exit(1)
		}
	}
}

// report simulates the runs of a tree of n files and prints a row for each.
func report(ctx context.Context, out io.Writer, work string, n int) error {
	dir, err := os.MkdirTemp(work, "merkur-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d files\tputs\tgets\tsent\tread\tmodel\tstored\ttime\tpeak MiB\t\n", n)
	costs, err := simulate(ctx, dir, n)
	for _, c := range costs {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%v\t%d\t\n",
			c.Run, c.Puts, c.Gets, amount(c.Sent), amount(c.Read), amount(c.Modelled), amount(c.Stored), c.Time.Round(time.Millisecond), c.Peak>>20)
	}
	return errors.Join(err, w.Flush())
}

// amount writes bytes as a person reads them.
func amount(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, unit := float64(n), 0
	for v >= 1000 && unit < len(units)-1 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.3g %s", v, units[unit])
}
