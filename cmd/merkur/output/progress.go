package output

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cheggaaa/pb/v3"

	"merkur/transfer"
)

// A progress is told on stdout: on a terminal in its last line, else in the words of aws.
type progress struct {
	out       *screen
	meter     *transfer.Meter // nil: the run has not begun
	line      bool            // in the last line of a terminal
	multiline bool            // each time in a new line
	idle      bool            // nothing will move: there is only a scan to tell of
	every     time.Duration
	next      time.Time // when it may be told again

	rate  rate
	text  string // that was told last
	shown int    // columns of it that whatever comes next has to cover
}

// newProgress returns nil if no progress is wanted.
func newProgress(o Options, out *screen) *progress {
	p := &progress{out: out, multiline: o.ProgressMultiline, idle: o.DryRun, every: o.ProgressFrequency}
	p.line = out.terminal() && !o.ProgressMultiline
	asked := o.Progress == Always || o.ProgressMultiline || o.ProgressFrequency > 0
	switch {
	case o.JSON || o.Verbosity > All || o.Progress == Never:
		return nil
	case !p.line && (!asked || o.DryRun):
		return nil
	}
	return p
}

// tick tells how far the run is, if it is time to.
func (p *progress) tick(now time.Time) error {
	if p.meter == nil {
		return nil
	}
	c := read(p.meter)
	p.rate.update(now, c)
	if now.Before(p.next) {
		return nil
	}
	text := ""
	switch {
	case p.line && !p.idle:
		text = p.rate.draw(c, min(p.out.columns()-1, widest))
	case p.line:
		text = scanned(c, p.out.columns()-1)
	case c.files > 0:
		text = p.rate.words(c)
	}
	if text == "" || text == p.text && (p.shown > 0 || !p.line) {
		return nil
	}
	p.next = now.Add(p.every)
	return p.tell(text)
}

// tell puts a text in the place of the last one.
func (p *progress) tell(text string) error {
	length := utf8.RuneCountInString(text)
	line, covers := text+blanks(p.shown-length)+"\r", max(p.shown, length)
	switch {
	case p.line: // the cursor rests at the end
		line, covers = "\r"+text+blanks(min(p.shown, p.out.columns()-1)-length), length
	case p.multiline:
		line, covers = text+"\n", 0
	}
	p.text, p.shown = text, covers
	_, err := io.WriteString(p.out.w, line)
	return err
}

func blanks(n int) string { return strings.Repeat(" ", max(0, n)) }

// wiped empties the last line of the terminal, which may have become narrower. It does so without
// an escape sequence: there are consoles that would have to be told to understand one.
func (p *progress) wiped() string {
	if p.shown == 0 {
		return ""
	}
	return "\r" + blanks(min(p.shown, p.out.columns()-1)) + "\r"
}

// begin tells progress before the first line of what was done.
func (p *progress) begin(now time.Time) error {
	if p.line || !p.next.IsZero() {
		return nil
	}
	return p.tick(now)
}

// above writes a line where the progress was.
func (p *progress) above(s *screen, m message) error {
	if !p.line {
		after := blanks(p.shown-utf8.RuneCountInString(m.text)) + "\n"
		p.shown = 0
		return s.write("", m.text, m.trouble, after)
	}
	switch {
	case p.shown == 0 || s != p.out && !s.terminal():
		return s.line(m.text, m.trouble)
	case s == p.out: // all at once, so that nothing flickers
		return s.write(p.wiped(), m.text, m.trouble, "\n"+p.text)
	}
	if _, err := io.WriteString(p.out.w, p.wiped()); err != nil {
		return err
	}
	err := s.line(m.text, m.trouble)
	p.shown = 0
	if told := p.tell(p.text); err == nil {
		err = told
	}
	return err
}

// again tells progress in words after a line, as long as there is something left to do.
func (p *progress) again(now time.Time) error {
	if p.line || p.meter == nil {
		return nil
	}
	if c := read(p.meter); c.complete && !c.pending() {
		return nil
	}
	if now.Before(p.next) {
		return nil
	}
	p.text = "" // the same once more, as it is not to be seen any longer
	return p.tick(now)
}

// end leaves nothing of the progress behind.
func (p *progress) end() error {
	last := p.wiped()
	if !p.line && p.shown > 0 {
		last = blanks(p.shown) + "\n"
	}
	p.shown = 0
	_, err := io.WriteString(p.out.w, last)
	return err
}

func read(m *transfer.Meter) counts {
	c := counts{complete: m.Complete.Load()} // first: what is added later is not missed
	c.scanned = m.Scanned.Load()
	c.doneFiles, c.done = m.DoneFiles.Load(), m.DoneBytes.Load()
	c.files, c.bytes = m.Files.Load(), m.Bytes.Load()
	return c
}

// words tells how far a run is as aws does.
func (r *rate) words(c counts) string {
	about, calculating := "", ""
	if !c.complete {
		about, calculating = "~", " (calculating...)"
	}
	remaining := fmt.Sprintf("%s%d file(s) remaining%s", about, c.files-c.doneFiles, calculating)
	if c.bytes == 0 {
		return fmt.Sprintf("Completed %d file(s) with %s", c.doneFiles, remaining)
	}
	return fmt.Sprintf("Completed %s/%s%s (%s) with %s", Size(c.done), about, Size(c.bytes), r.pace(), remaining)
}

// scanned tells how far a scan is.
func scanned(c counts, columns int) string {
	return cut(fmt.Sprintf("Scanned %d file(s)", c.scanned), columns)
}

// cut is the beginning of a text that has room in so many columns.
func cut(text string, columns int) string {
	runes := []rune(text)
	return string(runes[:max(0, min(len(runes), columns))])
}

// widest is how many columns of a terminal a line uses at most.
const widest = 110

// draw is the line of a terminal that tells how far a run is. As long as nobody knows how much there
// is to do, it has no bar: one that runs backwards tells nothing.
func (r *rate) draw(c counts, columns int) string {
	switch {
	case c.files == 0:
		return scanned(c, columns)
	case !c.complete:
		return cut(fmt.Sprintf("Scanned %d file(s), %s", c.scanned, r.amounts(c, "~")), columns)
	}
	text := r.amounts(c, "")
	if left, ok := r.left(c); !c.pending() {
		text += ", finishing"
	} else if ok {
		text += ", " + duration(left) + " left"
	}
	done, total := c.done, c.bytes
	if total == 0 {
		done, total = c.doneFiles, c.files
	}
	return bar(done, total, text, columns)
}

// pace is the speed in words: 1.5 MiB/s.
func (r *rate) pace() string { return Size(int64(math.Round(r.speed()))) + "/s" }

// amounts tells what has been done of what there is to do.
func (r *rate) amounts(c counts, about string) string {
	text := ""
	if c.bytes > 0 {
		text = fmt.Sprintf("%s/%s%s, ", Size(c.done), about, Size(c.bytes))
	}
	if c.bytes > 0 && c.pending() {
		text += r.pace() + ", "
	}
	return text + fmt.Sprintf("%d/%s%d files", c.doneFiles, about, c.files)
}

// field is the place that a bar leaves for the text behind it, so that it does not grow and shrink with
// it.
const field = 60

// bar draws a bar before a text. If there is no place for it, the text stands alone, and is cut if
// it has to be.
func bar(done, total int64, text string, columns int) string {
	const layout = `{{bar .}} {{percent . "%3.0f%%"}} {{string . "text"}}`
	if columns < len(text)+len(" 100% ")+10 {
		return cut(text, columns)
	}
	if columns >= field+len(" 100% ")+10 {
		text += blanks(field - len(text))
	}
	return pb.New64(total).SetCurrent(min(done, total)).SetTemplateString(layout).
		SetWriter(io.Discard).SetWidth(columns).Set("text", text).String()
}

// duration is a time span as clocks show it: 0:07, 1:02:03, 2d 3h.
func duration(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 3600:
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%dd %dh", s/(24*3600), s/3600%24)
}
