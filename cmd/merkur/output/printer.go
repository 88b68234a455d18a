package output

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"merkur/transfer"
)

// A Level says how much is told.
type Level int

// The levels, each of which tells less than the one before. See the package comment.
const (
	All      Level = iota
	Lines          // no progress
	Troubles       // warnings and failures, and what a dry run would do
	Nothing
)

// A Switch is an option that is on, off, or decided by whether there is a terminal.
type Switch int

// The positions of a switch.
const (
	Auto Switch = iota // only on a terminal
	Always
	Never
)

// Options say what is told, how, and where to.
type Options struct {
	From, To End

	Verbosity Level
	DryRun    bool
	JSON      bool
	Summary   bool // a closing line on stderr; the log and JSON have it anyway

	// Progress is told in the words of aws where there is no terminal: with Always, and with
	// Auto if one of the two fields that follow is set.
	Progress          Switch
	ProgressFrequency time.Duration // at most once in it; 0: as often as it is good to look at
	ProgressMultiline bool          // in the words of aws on a terminal too, each time in a new line

	Color Switch // of warnings and failures; Auto respects NO_COLOR

	Log io.Writer // nil: no log. Each line is one write

	Stdout, Stderr io.Writer           // nil: those of the process
	Terminal       func(io.Writer) int // columns of the terminal that it is; 0: it is none. nil: asks the system
	Now            func() time.Time    // nil: time.Now
	Hint           func(error) string  // what a person can do about an error, for JSON; nil: nothing
}

// A Printer tells what a run does. Its methods may be called by many goroutines.
type Printer struct {
	o     Options
	begun time.Time

	mu       sync.Mutex // of all that follows
	out, err *screen
	progress *progress // nil: none is told
	log      *log      // nil: none is kept
	failed   error     // the first error of writing to stdout or stderr

	stop    chan struct{} // ends the ticker; nil: it does not run
	stopped sync.WaitGroup
}

// New makes a printer, and writes the first line of the log.
func New(o Options) *Printer {
	setDefaults(&o)
	p := &Printer{o: o, begun: o.Now(), out: newScreen(o.Stdout, o.Terminal), err: newScreen(o.Stderr, o.Terminal)}
	if wantsColor(o.Color, p.err.terminal()) {
		p.err.colored()
	}
	p.progress = newProgress(o, p.out)
	if o.Log != nil {
		p.log = &log{w: o.Log, now: o.Now}
		p.keep(o.opening())
	}
	return p
}

func setDefaults(o *Options) {
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Terminal == nil {
		o.Terminal = columns
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hint == nil {
		o.Hint = func(error) string { return "" }
	}
}

// A message is one thing to tell, in all the ways in which it can be told.
type message struct {
	level   Level // the last one at which it is told
	trouble trouble
	text    string // empty: only JSON has it
	object  any    // for JSON; nil without it
}

// trouble is how bad a message is. As text, only what is fine goes to stdout.
type trouble int

const (
	fine trouble = iota
	aside
	warning
	failure
)

// Event tells one event.
func (p *Printer) Event(e transfer.Event) {
	if e.Done != nil && !p.o.DryRun && p.o.Log == nil && p.o.Verbosity > Lines {
		return // there may be millions, and nobody is told of them
	}
	p.tell(p.o.message(e))
}

// Note tells something that changes nothing.
func (p *Printer) Note(text string) { p.Event(transfer.Event{Note: text}) }

// Warn tells that something was left out, or done only in part; text is without "warning: ".
func (p *Printer) Warn(text string) {
	p.Event(transfer.Event{Warning: &transfer.Warning{Text: text}})
}

// tell tells a message wherever it is wanted.
func (p *Printer) tell(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(m.text)
	p.show(m)
}

// show tells a message outside of the log.
func (p *Printer) show(m message) {
	switch {
	case p.o.Verbosity > m.level:
	case p.o.JSON:
		p.note(p.out.line(encode(m.object), fine))
	case m.trouble == fine:
		p.print(p.out, m)
	default:
		p.print(p.err, m)
	}
}

// print writes the line of a message, with the progress out of its way.
func (p *Printer) print(s *screen, m message) {
	if p.progress == nil {
		p.note(s.line(m.text, m.trouble))
		return
	}
	p.note(p.progress.begin(p.o.Now()))
	p.note(p.progress.above(s, m))
	p.note(p.progress.again(p.o.Now()))
}

// note remembers the first error of writing.
func (p *Printer) note(err error) {
	if p.failed == nil {
		p.failed = err
	}
}

// keep adds a line to the log. That it cannot be written is told once.
func (p *Printer) keep(line string) {
	if p.log == nil || line == "" {
		return
	}
	if err := p.log.line(line); err != nil {
		p.log = nil
		text := fmt.Sprintf("Nothing more is written to the log: %v", err)
		p.show(p.o.message(transfer.Event{Warning: &transfer.Warning{Text: text, Minor: true}}))
	}
}

// tickTime is how often the progress is looked at.
const tickTime = 200 * time.Millisecond

// Start tells progress from now on, as the meter counts it, until Finish is called.
func (p *Printer) Start(m *transfer.Meter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.progress == nil {
		return
	}
	p.progress.meter = m
	p.stop = make(chan struct{})
	p.stopped.Go(func() {
		tick := time.NewTicker(tickTime)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				p.tick()
			}
		}
	})
}

func (p *Printer) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(p.progress.tick(p.o.Now()))
}

// Finish ends the progress and tells the summary. The run took the given requests, by their names,
// and ended with err. It returns the first error of writing to stdout or stderr since New.
func (p *Printer) Finish(s transfer.Summary, requests map[string]int64, err error) error {
	if p.stop != nil {
		close(p.stop)
		p.stopped.Wait()
		p.stop = nil
	}
	p.mu.Lock()
	if p.progress != nil {
		p.note(p.progress.end())
		p.progress = nil
	}
	p.mu.Unlock()
	if n := s.Scan.FingerprintLies; n > 0 {
		text := fmt.Sprintf("%d file(s) had changed without a trace in size and times; consider --rehash", n)
		p.Event(transfer.Event{Warning: &transfer.Warning{Text: text, Minor: true}})
	}
	p.summarize(result{s, requests, err, p.o.Now().Sub(p.begun)})
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// summarize tells the summary. As text, a run that ended before it did anything has none.
func (p *Printer) summarize(r result) {
	m := message{level: Lines, trouble: aside}
	if r.err == nil || r.did() {
		m.text = "merkur: " + p.o.summary(r)
	}
	if p.o.JSON {
		m.level, m.object = Troubles, p.o.summaryObject(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(m.text)
	if p.o.JSON || p.o.Summary && m.text != "" {
		p.show(m)
	}
}

// End writes the last line of the log: the program ends with the exit code, because of err if that
// is not nil.
func (p *Printer) End(code int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(closing(code, err))
}
