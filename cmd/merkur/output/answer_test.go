package output

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"merkur/hashing"
)

// answers prints one of each kind, and returns what came on the two streams.
func answers(o Options, many bool) (out, err string) {
	var stdout, stderr bytes.Buffer
	o.Stdout, o.Stderr = &stdout, &stderr
	o.Terminal = func(io.Writer) int { return 0 }
	o.Now = func() time.Time { return time.Unix(0, 0) }
	a := NewAnswer(o)
	if many {
		a.Many()
	}
	a.Say("a line", map[string]int{"line": 1})
	a.Say("", map[string]int{"only": 2})
	a.Say("only text", nil)
	a.Line("")
	a.Warn("careful")
	a.Note("by the way")
	a.Debug("because")
	a.Problem(&hashing.Problem{Key: "k", Path: "/d/k", Reason: hashing.Missing})
	a.Close()
	return stdout.String(), stderr.String()
}

func TestAnswer(t *testing.T) {
	for _, many := range []bool{false, true} {
		out, err := answers(Options{}, many)
		if out != "a line\nonly text\n\n" {
			t.Errorf("text: %q", out)
		}
		if err != "warning: careful\nnote: by the way\nbecause\nwarning: Skipping file /d/k. File does not exist.\n" {
			t.Errorf("beside: %q", err)
		}
		out, err = answers(Options{JSON: true}, many)
		want := `{"line":1}
{"only":2}
{"time":"1970-01-01T00:00:00.000Z","type":"warning","message":"careful"}
{"time":"1970-01-01T00:00:00.000Z","type":"note","message":"by the way"}
{"time":"1970-01-01T00:00:00.000Z","type":"explanation","message":"because"}
`
		if !strings.HasPrefix(out, want) || !strings.Contains(out, `"key":"k"`) || !strings.Contains(out, `"reason":"missing"`) || err != "" {
			t.Errorf("JSON: %s, beside %q", out, err)
		}
		if out, err = answers(Options{Verbosity: Nothing}, many); out+err != "" {
			t.Errorf("quiet: %q, %q", out, err)
		}
	}
}

// TestAnswerTerminal shows names so that they cannot drive a terminal.
func TestAnswerTerminal(t *testing.T) {
	var stdout bytes.Buffer
	a := NewAnswer(Options{Stdout: &stdout, Stderr: io.Discard, Terminal: func(io.Writer) int { return 80 }, Color: Never})
	a.Many() // of no effect on a terminal
	a.Say("missing: \x1b[2J", nil)
	if got := stdout.String(); got != "missing: \\x1b[2J\n" {
		t.Errorf("%q", got)
	}
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("closed") }

// TestAnswerFailed tells the first error of writing.
func TestAnswerFailed(t *testing.T) {
	a := NewAnswer(Options{Stdout: closedPipe{}, Stderr: io.Discard, Terminal: func(io.Writer) int { return 0 }})
	if a.Failed() != nil {
		t.Error("failed before anything was written")
	}
	a.Say("x", nil)
	if a.Failed() == nil || a.Close() == nil {
		t.Error("nothing is said of a closed pipe")
	}
}

// What passes is shown on a terminal only, in one line that drives nothing else.
func TestAnswerPassing(t *testing.T) {
	for columns, want := range map[int]string{0: "", 12: "\r\x1b[Ka \\x1b[2J ä\r\x1b[K"} {
		var stdout, stderr bytes.Buffer
		a := NewAnswer(Options{Stdout: &stdout, Stderr: &stderr, Terminal: func(io.Writer) int { return columns }})
		a.Passing("a \x1b[2J äöü and more")
		a.Passing("")
		if got := stderr.String(); got != want || stdout.Len() > 0 || a.Width() != columns {
			t.Errorf("%d columns: %q, want %q; width %d", columns, got, want, a.Width())
		}
	}
}
