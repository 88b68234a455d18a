//go:build unix

// Command compare runs merkur beside its peers: the same work, in turn, several times, on trees that
// it makes itself, against a real S3 server, and against one of its own that does nothing, which
// makes visible what a client costs. It writes tables of ratios, the figures as JSON and a plot for
// each work into a folder that has the date for its name.
//
// The peers are those of benchmarks/peers, and what else is on PATH: aws, git, find, b3sum. What is
// missing is left out, and the report says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"merkur/benchmarks/figures"
)

func main() {
	if len(os.Args) > 1 {
		if own, ok := yardsticks[os.Args[1]]; ok {
			if err := own(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "compare:", err)
				os.Exit(1)
			}
			return
		}
	}
	var o options
	flag.StringVar(&o.bin, "bin", ".bin", "the `directory` of merkur, the S3 server and the pinned peers")
	flag.StringVar(&o.work, "work", os.TempDir(), "a `directory` for the trees, on a file system with stable times")
	flag.StringVar(&o.store, "store", "/dev/shm", "a `directory` for what the server keeps")
	flag.StringVar(&o.results, "results", "benchmarks/results", "the `directory` that the folder with the results is made in")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each tool does each work")
	flag.Float64Var(&o.scale, "scale", 1, "`factor` to all numbers of files, and to the sizes of large ones")
	only := flag.String("only", "", "a regular `expression` for the names of the works to do")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := compare(ctx, o, *only); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

type options struct {
	bin, work, store, results string
	rounds                    int
	scale                     float64
}

// compare does the works whose names match, and writes the report after each of them: a long call
// that is broken off leaves what it measured.
func compare(ctx context.Context, o options, only string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	folder := filepath.Join(o.results, time.Now().UTC().Format("2006-01-02"))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	report, err := earlier(folder)
	if err != nil {
		return err
	}
	report.Date, report.Tools = time.Now().UTC().Format(time.RFC3339), s.versions()
	for _, c := range contests {
		if !match.MatchString(c.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), c.title)
		w, err := s.hold(c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if o.scale != 1 {
			w.Title += fmt.Sprintf(" (-scale %g)", o.scale)
		}
		report.Add(w)
		if err := write(folder, report); err != nil {
			return err
		}
		for _, v := range w.Judge() {
			fmt.Println(c.name+":", v)
		}
	}
	fmt.Println("results are in", folder)
	return nil
}

// earlier is what calls of the same day have measured on the same machine, so that works can be done one by one.
func earlier(folder string) (figures.Report, error) {
	text, err := os.ReadFile(filepath.Join(folder, "report.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return figures.Report{Machine: machine()}, nil
	}
	if err != nil {
		return figures.Report{}, err
	}
	r, err := figures.ParseReport(text)
	if err != nil || r.Machine != machine() {
		return figures.Report{}, fmt.Errorf("%s holds a report of another machine, or none: move it away (%v)", folder, err)
	}
	return r, nil
}

// write writes the report as it is so far.
func write(folder string, r figures.Report) error {
	text, err := r.JSON()
	if err != nil {
		return err
	}
	files := map[string]string{"report.json": string(text) + "\n", "report.md": r.Markdown()}
	for _, w := range r.Works {
		files[w.Name+".svg"] = w.SVG()
	}
	var errs []error
	for name, text := range files {
		errs = append(errs, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

// machine describes what the figures were measured on.
func machine() string {
	model := ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = ", " + strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s/%s, %d cores%s, %s, warm page cache", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), model, runtime.Version())
}
