package output

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"merkur/transfer"
)

// A terminal shows what is written to it, as far as it is used here.
type terminal struct {
	columns int
	rows    []string // the last one is where the cursor is
	column  int
}

func (s *terminal) Write(b []byte) (int, error) {
	for text := string(b); text != ""; {
		if end := strings.IndexByte(text, 'm'); strings.HasPrefix(text, "\x1b[") && end > 0 {
			text = text[end+1:] // a color
			continue
		}
		s.put(text[0])
		text = text[1:]
	}
	return len(b), nil
}

func (s *terminal) put(c byte) {
	if len(s.rows) == 0 {
		s.rows = []string{""}
	}
	switch {
	case c == '\r':
		s.column = 0
		return
	case c == '\n' || s.column == s.columns:
		s.rows, s.column = append(s.rows, ""), 0
		if c == '\n' {
			return
		}
	}
	row := &s.rows[len(s.rows)-1]
	*row += strings.Repeat(" ", max(0, s.column+1-len(*row)))
	*row = (*row)[:s.column] + string(c) + (*row)[s.column+1:]
	s.column++
}

// shown are the rows, without the blanks at their ends.
func (s *terminal) shown() []string {
	rows := slices.Clone(s.rows)
	for i := range rows {
		rows[i] = strings.TrimRight(rows[i], " ")
	}
	return rows
}

// A stage is a printer with a clock and a meter of its own.
type stage struct {
	*Printer
	now   time.Time
	meter transfer.Meter
}

// newStage sets up a printer without its ticker.
func newStage(o Options) *stage {
	s := &stage{now: start}
	o.From, o.To = tree, Remote("b", "")
	o.Now = func() time.Time { return s.now }
	s.Printer = New(o)
	if s.progress != nil {
		s.progress.meter = &s.meter
	}
	return s
}

func (s *stage) queue(size int64) {
	s.meter.Files.Add(1)
	s.meter.Bytes.Add(size)
}

// after lets time pass, in which bytes are moved.
func (s *stage) after(d time.Duration, bytes int64) {
	s.now = s.now.Add(d)
	s.meter.DoneBytes.Add(bytes)
	s.tick()
}

func (s *stage) done(key string) {
	s.meter.DoneFiles.Add(1)
	a := action(transfer.Put, key, 1)
	s.Event(transfer.Event{Done: &a})
}

func (s *stage) fails(key string, unsent int64) {
	s.meter.DoneFiles.Add(1)
	s.meter.DoneBytes.Add(unsent)
	s.Event(transfer.Event{Failed: &transfer.Failure{Action: action(transfer.Put, key, 1), Err: errors.New("broken")}})
}

// What aws writes where this program writes, its two streams in one.
func TestWords(t *testing.T) {
	var all bytes.Buffer
	s := newStage(Options{Progress: Always, Stdout: &all, Stderr: &all})
	s.queue(3 * mib)
	s.queue(1000)
	s.progress.rate.update(s.now, read(&s.meter)) // aws measures from here on, and prints nothing yet
	s.after(time.Second, mib)
	s.after(2*time.Second, 2*mib)
	s.done("a")
	s.Warn("Skipping file /x. File does not exist.")
	s.queue(mib)
	s.meter.Complete.Store(true)
	s.after(time.Second, mib)
	s.done("c")
	s.fails("b", 1000)
	want := "Completed 1.0 MiB/~3.0 MiB (1.0 MiB/s) with ~2 file(s) remaining (calculating...)\r" +
		"Completed 3.0 MiB/~3.0 MiB (1.0 MiB/s) with ~2 file(s) remaining (calculating...)\r" +
		"upload: tree/a to s3://b/a                                                       \n" +
		"Completed 3.0 MiB/~3.0 MiB (1.0 MiB/s) with ~1 file(s) remaining (calculating...)\r" +
		"warning: Skipping file /x. File does not exist.                                  \n" +
		"Completed 3.0 MiB/~3.0 MiB (1.0 MiB/s) with ~1 file(s) remaining (calculating...)\r" +
		"Completed 4.0 MiB/4.0 MiB (1.0 MiB/s) with 2 file(s) remaining                   \r" +
		"upload: tree/c to s3://b/c                                                       \n" +
		"Completed 4.0 MiB/4.0 MiB (1.0 MiB/s) with 1 file(s) remaining\r" +
		"upload failed: tree/b to s3://b/b broken                      \n"
	if got := all.String(); got != want {
		t.Errorf("\n%q\nwant\n%q", got, want)
	}
}

func TestWordsOfEmptyFiles(t *testing.T) {
	var all bytes.Buffer
	s := newStage(Options{Progress: Always, Stdout: &all, Stderr: &all})
	s.queue(0)
	s.queue(0)
	s.meter.Complete.Store(true)
	s.after(time.Second, 0)
	s.done("a")
	s.done("b")
	want := "Completed 0 file(s) with 2 file(s) remaining\r" +
		"upload: tree/a to s3://b/a                  \n" +
		"Completed 1 file(s) with 1 file(s) remaining\r" +
		"upload: tree/b to s3://b/b                  \n"
	if got := all.String(); got != want {
		t.Errorf("\n%q\nwant\n%q", got, want)
	}
}

// The first one at once, then one each minute, each in its line and none covered.
func TestWordsNowAndThen(t *testing.T) {
	var all bytes.Buffer
	s := newStage(Options{ProgressFrequency: time.Minute, ProgressMultiline: true, Stdout: &all, Stderr: &all})
	s.meter.Complete.Store(true)
	s.after(time.Second, 0) // nothing is known
	for range 120 {
		s.queue(60)
	}
	for i := range 120 {
		s.after(time.Second, 60)
		s.done(fmt.Sprint(i))
	}
	s.Finish(transfer.Summary{}, nil, nil)
	var got []string
	n := 0
	for line := range strings.Lines(all.String()) {
		if strings.HasPrefix(line, "Completed") {
			got = append(got, fmt.Sprint(n, " ", line))
			continue
		}
		n++
	}
	want := []string{
		"0 Completed 60 Bytes/7.0 KiB (60 Bytes/s) with 120 file(s) remaining\n",
		"60 Completed 3.6 KiB/7.0 KiB (60 Bytes/s) with 60 file(s) remaining\n",
	}
	if !slices.Equal(got, want) || n != 120 || strings.Contains(all.String(), " \n") {
		t.Errorf("%d lines, %q, want %q", n, got, want)
	}
}

// What is still on the line at the end is covered.
func TestWordsEnd(t *testing.T) {
	var all bytes.Buffer
	s := newStage(Options{Progress: Always, Stdout: &all, Stderr: &all})
	s.queue(0)
	s.after(time.Second, 0)
	s.Finish(transfer.Summary{}, nil, errors.New("cancelled"))
	text, rest, _ := strings.Cut(all.String(), "\r")
	if rest != strings.Repeat(" ", len(text))+"\n" {
		t.Errorf("%q", all.String())
	}
}

// Who gets a progress, and in which form.
func TestWhoGetsProgress(t *testing.T) {
	const none, words, line = "", "Completed", "\rScanned"
	for _, c := range []struct {
		name       string
		o          Options
		pipe, term string
	}{
		{"by default", Options{}, none, line},
		{"always", Options{Progress: Always}, words, line},
		{"never", Options{Progress: Never, ProgressFrequency: 1, ProgressMultiline: true}, none, none},
		{"a frequency", Options{ProgressFrequency: time.Second}, words, line},
		{"lines", Options{ProgressMultiline: true}, words, words},
		{"a dry run", Options{DryRun: true}, none, line},
		{"a dry run, always", Options{DryRun: true, Progress: Always}, none, line},
		{"no progress", Options{Verbosity: Lines, Progress: Always}, none, none},
		{"errors", Options{Verbosity: Troubles, Progress: Always}, none, none},
		{"quiet", Options{Verbosity: Nothing, Progress: Always}, none, none},
		{"JSON", Options{JSON: true, Progress: Always}, none, none},
	} {
		for columns, want := range map[int]string{0: c.pipe, 80: c.term} {
			var out bytes.Buffer
			o := c.o
			o.Stdout, o.Stderr, o.Terminal = &out, io.Discard, func(io.Writer) int { return columns }
			s := newStage(o)
			s.queue(1)
			s.meter.Scanned.Add(1)
			if s.progress != nil {
				s.after(time.Second, 0)
			}
			if got := out.String(); (want == "") != (got == "") || !strings.HasPrefix(got, want) {
				t.Errorf("%s, %d columns: %q, want %q", c.name, columns, got, want)
			}
		}
	}
}

// What the last line of a terminal shows in the course of a run.
func TestLine(t *testing.T) {
	var screen terminal
	screen.columns = 80
	s := newStage(Options{Stdout: &screen, Stderr: io.Discard, Terminal: func(io.Writer) int { return screen.columns }})
	check := func(want string) {
		t.Helper()
		rows := screen.shown()
		if got := rows[len(rows)-1]; len(rows) != 1 || got != want {
			t.Errorf("%q, want %q", rows, want)
		}
	}
	s.meter.Scanned.Add(1234)
	s.after(time.Second, 0)
	check("Scanned 1234 file(s)")
	for range 100 {
		s.queue(10 * mib)
	}
	s.after(0, 0)
	s.after(time.Second, 5*mib)
	check("Scanned 1234 file(s), 5.0 MiB/~1000.0 MiB, 5.0 MiB/s, 0/~100 files")
	s.meter.Complete.Store(true)
	s.meter.DoneFiles.Add(19)
	for range 37 {
		s.after(time.Second, 5*mib)
	}
	check("[-->________]  19% 190.0 MiB/1000.0 MiB, 5.0 MiB/s, 19/100 files, 2:44 left")
	screen.columns, screen.rows, screen.column = 50, nil, 0
	s.after(time.Second, 5*mib)
	check("195.0 MiB/1000.0 MiB, 5.0 MiB/s, 19/100 files, 2:")
	screen.columns = 160
	s.meter.DoneFiles.Add(81)
	s.after(time.Second, 805*mib)
	check("[" + strings.Repeat("-", 41) + ">] 100% 1000.0 MiB/1000.0 MiB, 100/100 files, finishing")
	s.Finish(transfer.Summary{}, nil, nil)
	check("")
}

// Whatever happens, and however wide the terminal is, each line is seen, whole and in order, and
// nothing is left of the progress.
func TestLinesAboveProgress(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		screen := &terminal{columns: 20 + rnd.IntN(200)}
		other := io.Writer(screen) // stderr: the same terminal, or a file
		if seed%3 == 0 {
			other = &bytes.Buffer{}
		}
		s := newStage(Options{
			Stdout: screen, Stderr: other, DryRun: seed%5 == 0,
			Terminal: func(w io.Writer) int {
				if w == io.Writer(screen) {
					return screen.columns
				}
				return 0
			},
		})
		plain := &terminal{columns: screen.columns} // has the lines and nothing else
		for range 60 {
			s.meter.Scanned.Add(rnd.Int64N(100000))
			switch key := strings.Repeat("k", 1+rnd.IntN(60)); rnd.IntN(5) {
			case 0:
				s.queue(rnd.Int64N(1 << 30))
			case 1:
				s.done(key)
				fmt.Fprintf(plain, "%supload: tree/%s to s3://b/%s\n", map[bool]string{true: "(dryrun) "}[s.o.DryRun], key, key)
			case 2:
				s.Warn(key)
				if other == io.Writer(screen) {
					fmt.Fprintf(plain, "warning: %s\n", key)
				}
			default:
				s.after(time.Duration(rnd.IntN(1e9)), rnd.Int64N(1<<25))
			}
			s.meter.Complete.Store(rnd.IntN(3) > 0)
		}
		s.Finish(transfer.Summary{}, nil, nil)
		fmt.Fprint(plain, " ")
		if got, want := screen.shown(), plain.shown(); !slices.Equal(got, want) {
			t.Fatalf("seed %d, %d columns:\n%s\nwant\n%s", seed, screen.columns, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// The ticker and the events of a run do not get in each other's way, and the ticker ends with it.
func TestTogether(t *testing.T) {
	screen := &terminal{columns: 80}
	p := New(Options{From: tree, To: Remote("b", ""), Stdout: screen, Stderr: screen, Terminal: func(io.Writer) int { return 80 }})
	var m transfer.Meter
	p.Start(&m)
	ended := make(chan struct{})
	for range 4 {
		go func() {
			for i := range 200 {
				m.Files.Add(1)
				p.tick()
				a := action(transfer.Put, fmt.Sprint(i), 1)
				p.Event(transfer.Event{Done: &a})
				m.DoneFiles.Add(1)
			}
			ended <- struct{}{}
		}()
	}
	for range 4 {
		<-ended
	}
	if err := p.Finish(transfer.Summary{}, nil, nil); err != nil {
		t.Error(err)
	}
	if rows := screen.shown(); len(rows) != 801 || rows[800] != "" {
		t.Errorf("%d rows, and %q", len(rows), rows[len(rows)-1])
	}
}
