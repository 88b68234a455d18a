package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer"
)

// This file is all that prints. The rules of it:
//
//   - Lines of what was done go to stdout, as aws prints them, and nothing else does but
//     progress, on a terminal only.
//   - Warnings, failures, notes, hints and the closing summary go to stderr.
//   - An error says what happened; a hint, on a line of its own, what to do about it.
//   - Nothing to do prints nothing on stdout.

// How much is printed.
const (
	printAll      = iota
	printLines    // all but progress
	printTroubles // warnings and errors, and what a dry run shows
	printNothing
)

func verbosity(c *cli.Context) int {
	switch {
	case c.Bool("quiet"):
		return printNothing
	case c.Bool("only-show-errors"):
		return printTroubles
	case c.Bool("no-progress"):
		return printLines
	}
	return printAll
}

// A printer tells the person what a run does.
type printer struct {
	level  int
	dryrun bool
	dir    string // of the tree, as lines show it
	to     location
	begun  time.Time
	meter  *transfer.Meter

	mu       sync.Mutex // of what is on the terminal
	progress bool       // stdout is a terminal that wants progress
	shown    bool       // a progress line is on it
	stop     chan struct{}
	stopped  sync.WaitGroup
}

func newPrinter(dir string, to location, level int, dryrun bool) *printer {
	p := &printer{level: level, dryrun: dryrun, dir: shownDir(dir), to: to, begun: time.Now(), meter: &transfer.Meter{}}
	p.progress = level == printAll && term.IsTerminal(int(os.Stdout.Fd()))
	return p
}

// shownDir is a directory as aws shows it: relative to the working directory.
func shownDir(dir string) string {
	cwd, err := os.Getwd()
	if err != nil {
		return dir
	}
	rel, err := filepath.Rel(cwd, dir)
	if err != nil {
		return dir
	}
	return rel
}

// file is a path of the tree as lines show it: one in the working directory has "./" before it.
func (p *printer) file(key string) string {
	shown := path.Join(filepath.ToSlash(p.dir), key)
	if !strings.Contains(shown, "/") {
		shown = "./" + shown
	}
	return shown
}

func (p *printer) object(key string) string { return p.to.String() + key }

// line says what an action is: "upload: ./a to s3://bucket/a".
func (p *printer) line(a transfer.Action, suffix string) string {
	if a.Verb == transfer.Delete {
		return "delete" + suffix + ": " + p.object(a.Key)
	}
	return "upload" + suffix + ": " + p.file(a.Key) + " to " + p.object(a.Key)
}

// event tells one event.
func (p *printer) event(e transfer.Event) {
	switch {
	case e.Done != nil && p.dryrun:
		p.out(printTroubles, "(dryrun) "+p.line(*e.Done, ""))
	case e.Done != nil:
		p.out(printLines, p.line(*e.Done, ""))
	case e.Failed != nil:
		p.err(printTroubles, p.line(e.Failed.Action, " failed")+" "+e.Failed.Err.Error())
	case e.Problem != nil:
		p.err(printTroubles, "warning: "+warning(*e.Problem))
	default:
		p.note(e.Note)
	}
}

func (p *printer) note(text string) { p.err(printLines, "note: "+text) }

func (p *printer) out(level int, line string) { p.print(os.Stdout, level, line) }
func (p *printer) err(level int, line string) { p.print(os.Stderr, level, line) }

// print writes a line if it is wanted at this verbosity, in place of the progress line.
func (p *printer) print(w io.Writer, level int, line string) {
	if p.level > level {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	io.WriteString(w, line+"\n")
}

func (p *printer) wipe() {
	if p.shown {
		io.WriteString(os.Stdout, "\r\x1b[K")
		p.shown = false
	}
}

// warning says why a path was left out, in the words of aws where it has any.
func warning(problem hashing.Problem) string {
	skipped := "Skipping file " + problem.Path + ". "
	switch problem.Reason {
	case hashing.Missing:
		return skipped + "File does not exist."
	case hashing.Special:
		return skipped + "File is character special device, block special device, FIFO, or socket."
	case hashing.Unreadable:
		return skipped + "File/Directory is not readable."
	case hashing.Loop:
		return skipped + "Symbolic link leads back to a directory above it."
	case hashing.NotUTF8:
		return fmt.Sprintf("Skipping file %q. File name is not valid UTF-8.", problem.Path)
	case hashing.TooLong:
		return skipped + fmt.Sprintf("Its key would be longer than the %d bytes that S3 takes.", manifest.MaxKey)
	}
	return fmt.Sprintf("%s%v: %v", skipped, problem.Reason, problem.Err)
}

// start shows progress from now on, where it is wanted.
func (p *printer) start() *transfer.Meter {
	if !p.progress {
		return p.meter
	}
	p.stop = make(chan struct{})
	p.stopped.Add(1)
	go func() {
		defer p.stopped.Done()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				p.show()
			}
		}
	}()
	return p.meter
}

// show draws the progress line.
func (p *printer) show() {
	m, about := p.meter, "~"
	if m.Complete.Load() {
		about = ""
	}
	line := fmt.Sprintf("Scanned %d file(s)", m.Scanned.Load())
	if files := m.Files.Load(); files > 0 {
		done, bytes := m.DoneFiles.Load(), m.DoneBytes.Load()
		rate := float64(bytes) / time.Since(p.begun).Seconds()
		line += fmt.Sprintf(", completed %s/%s%s (%s/s) with %s%d file(s) remaining",
			size(bytes), about, size(m.Bytes.Load()), size(int64(rate)), about, files-done)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && len(line) >= width && width > 0 {
		line = line[:width-1]
	}
	io.WriteString(os.Stdout, "\r\x1b[K"+line)
	p.shown = true
}

// finish stops the progress and prints the summary.
func (p *printer) finish(s transfer.Summary, requests map[string]int64, err error) {
	if p.stop != nil {
		close(p.stop)
		p.stopped.Wait()
	}
	p.mu.Lock()
	p.wipe()
	p.mu.Unlock()
	if s.Scan.FingerprintLies > 0 {
		p.err(printTroubles, fmt.Sprintf("warning: %d file(s) had changed without a trace in size and times; consider --rehash", s.Scan.FingerprintLies))
	}
	if err == nil {
		p.err(printLines, "merkur: "+summary(s, requests, p.dryrun, time.Since(p.begun)))
	}
}

// summary is the closing line: what was looked at, what was done, what it cost.
func summary(s transfer.Summary, requests map[string]int64, dryrun bool, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d files, %s; hashed %d, %s", s.Scan.Files, size(s.Scan.Bytes), s.Scan.HashedFiles, size(s.Scan.HashedBytes))
	if n := s.Scan.UnsettledFiles; n > 0 {
		fmt.Fprintf(&b, " (%d too young to be remembered)", n)
	}
	b.WriteString("; ")
	if dryrun {
		b.WriteString("dry run; ")
	} else {
		fmt.Fprintf(&b, "sent %d, %s; ", s.Uploaded, size(s.Sent))
		if s.Proved > 0 {
			fmt.Fprintf(&b, "proved equal %d; ", s.Proved)
		}
		fmt.Fprintf(&b, "deleted %d; ", s.Deleted)
	}
	if s.Failed > 0 {
		fmt.Fprintf(&b, "failed %d", s.Failed)
		if s.Unexpected > 0 {
			fmt.Fprintf(&b, " (%d changed by somebody else)", s.Unexpected)
		}
		b.WriteString("; ")
	}
	if s.Problems > 0 {
		fmt.Fprintf(&b, "left out %d; ", s.Problems)
	}
	total := int64(0)
	var kinds []string
	for kind, n := range requests {
		total += n
		kinds = append(kinds, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(kinds)
	noun := "requests"
	if total == 1 {
		noun = "request"
	}
	fmt.Fprintf(&b, "%d %s (%s); %.2f s; root %.16s", total, noun, strings.Join(kinds, ", "), took.Seconds(), s.Root.Digest)
	return b.String()
}

// size prints a number of bytes as aws does.
func size(n int64) string {
	switch {
	case n == 1:
		return "1 Byte"
	case n < 1024:
		return fmt.Sprintf("%d Bytes", n)
	}
	v := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if v /= 1024; v < 1023.95 {
			return fmt.Sprintf("%.1f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f EiB", v/1024)
}

// A noSourceError is a local source that is not there. The words are aws's.
type noSourceError struct{ path string }

func (e noSourceError) Error() string {
	return "The user-provided path " + e.path + " does not exist."
}

// explain prints an error that ended the program, and a hint if there is one. It returns the
// exit code.
func explain(w io.Writer, err error) int {
	var wrong usageError
	var missing noSourceError
	var framework cli.ExitCoder
	if errors.As(err, &framework) {
		err = usage(err)
	}
	code, prefix := exitFailed, "fatal error: "
	switch {
	case errors.As(err, &wrong):
		code, prefix = exitUsage, "merkur: "
	case errors.As(err, &missing):
		code, prefix = exitNoSource, ""
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(w, "cancelled: ctrl-c received")
		return exitFailed
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%v\n", prefix, err)
	if h := hint(err); h != "" {
		fmt.Fprintf(&b, "hint: %s\n", h)
	}
	w.Write(b.Bytes())
	return code
}

// hint says what a person can do about an error.
func hint(err error) string {
	var wrong usageError
	switch {
	case errors.As(err, &wrong):
		return "merkur sync --help lists the options of this version"
	case errors.Is(err, manifest.ErrVersion):
		return "use a newer merkur; or --rebuild-manifest lists the bucket and makes a manifest of this version"
	case errors.Is(err, manifest.ErrCorrupt):
		return "--rebuild-manifest lists the bucket and makes a new manifest; no object is sent again that is equal"
	case errors.Is(err, transfer.ErrEmptySource):
		return "is the right directory mounted? --allow-empty-source lets an empty one delete everything"
	case errors.Is(err, transfer.ErrTooManyDeletes):
		return "see them with --dryrun; --max-delete N or N% allows them"
	case errors.Is(err, bucket.ErrNoBucket):
		return "merkur makes no buckets; check the name, the region and --endpoint-url"
	case errors.Is(err, bucket.ErrNoCredentials):
		return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile, or --no-sign-request for a public bucket"
	}
	return ""
}
