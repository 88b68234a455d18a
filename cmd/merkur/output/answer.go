package output

import (
	"bufio"
	"fmt"
	"sync"

	"merkur/hashing"
	"merkur/transfer"
)

// An Answer is what a command prints that looks and changes nothing: its answer on stdout, a line at a
// time, and what goes beside it on stderr. With Options.JSON, each line is an object on stdout, and
// warnings and notes are too. Its methods may be called by many goroutines.
type Answer struct {
	o Options

	mu       sync.Mutex
	buffer   *bufio.Writer // of stdout; nil: each line is one write
	out, err *screen
	failed   error // the first error of writing to stdout
}

// NewAnswer makes one. Of the options From, To, DryRun, Summary, Progress and Log are of
// no effect.
func NewAnswer(o Options) *Answer {
	setDefaults(&o)
	a := &Answer{o: o, out: newScreen(o.Stdout, o.Terminal), err: newScreen(o.Stderr, o.Terminal)}
	if wantsColor(o.Color, a.err.terminal()) {
		a.err.colored()
	}
	return a
}

// Many announces many lines: unless they go to a terminal, they are kept until there are enough of
// them, or Close.
func (a *Answer) Many() {
	if !a.out.terminal() && a.buffer == nil {
		a.buffer = bufio.NewWriterSize(a.out.w, 64<<10)
		a.out.w = a.buffer
	}
}

// JSON reports whether objects are printed and no text.
func (a *Answer) JSON() bool { return a.o.JSON }

// Say prints a line of the answer: text, or object where JSON is wanted. A nil object or an empty text
// is not said in that way.
func (a *Answer) Say(text string, object any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.o.Verbosity == Nothing:
	case a.o.JSON && object != nil:
		a.note(a.out.line(encode(object), fine))
	case !a.o.JSON && text != "":
		a.note(a.out.line(text, fine))
	}
}

// Line prints a line where text is wanted, also an empty one.
func (a *Answer) Line(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.o.Verbosity != Nothing && !a.o.JSON {
		a.note(a.out.line(text, fine))
	}
}

// Width is how many columns the answer has; 0: any number, since it goes to no terminal.
func (a *Answer) Width() int { return a.out.columns() }

// Passing shows on a terminal what is being done, in a line that the next one replaces; an empty one
// takes it away. Nothing else is to be printed before that.
func (a *Answer) Passing(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.o.Verbosity == Nothing || !a.err.terminal() {
		return
	}
	_, _ = fmt.Fprintf(a.err.w, "\r\x1b[K%s", cut(visible(text, inText), a.err.columns()-1)) // there is nowhere to tell it
}

// Warn tells that something was left out.
func (a *Answer) Warn(text string) { a.aside("warning", "warning: ", text, warning) }

// Problem tells that a local path was left out.
func (a *Answer) Problem(p *hashing.Problem) {
	m := a.o.message(transfer.Event{Problem: p})
	if a.o.JSON {
		a.Say("", m.object)
		return
	}
	a.beside(m.text, warning)
}

// Note tells something that changes nothing.
func (a *Answer) Note(text string) { a.aside("note", "note: ", text, aside) }

// Debug tells why or how something is done.
func (a *Answer) Debug(text string) { a.aside("explanation", "", text, aside) }

func (a *Answer) aside(kind, prefix, text string, t trouble) {
	if a.o.JSON {
		a.Say("", object{Time: stamp(a.o.Now()), Type: kind, Message: text})
		return
	}
	a.beside(prefix+text, t)
}

// beside prints a line on stderr.
func (a *Answer) beside(text string, t trouble) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.o.Verbosity == Nothing {
		return
	}
	if a.buffer != nil {
		a.note(a.buffer.Flush()) // so that the two streams keep their order
	}
	_ = a.err.line(text, t) // there is nowhere to tell it
}

// Fail tells what ended the command, where JSON is wanted. It reports whether it did.
func (a *Answer) Fail(err error) bool {
	if !a.o.JSON {
		return false
	}
	a.Say("", object{Time: stamp(a.o.Now()), Type: "failure", Error: a.o.fault(err)})
	return true
}

func (a *Answer) note(err error) {
	if a.failed == nil {
		a.failed = err
	}
}

// Close prints what is kept. It returns the first error of writing the answer.
func (a *Answer) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.buffer != nil {
		a.note(a.buffer.Flush())
	}
	return a.failed
}

// Failed returns the first error of writing the answer so far, so that who has much more to say can
// stop.
func (a *Answer) Failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}
