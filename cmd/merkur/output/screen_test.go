package output

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"merkur/transfer"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain é 日本 \\x1b �":  "plain é 日本 \\x1b �",
		"a\x1b[2Jb\r\nc\td":   `a\x1b[2Jb\r\nc\td`,
		"\x00\a\x7f\u0085":    `\x00\a\x7f\u0085`,
		"a\xff\x9bb\xe9":      `a\xff\x9bb\xe9`,
		"exe\u202etxt.\u2066": `exe\u202etxt.\u2066`,
		"a\u2028b\u2029":      `a\u2028b\u2029`,
	} {
		if got := visible(text, inText); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// What is shown drives nothing, and what does no harm is shown as it is.
func FuzzVisible(f *testing.F) {
	for _, text := range []string{"a", "\x1b", "\xff", "\u202e", "�", "\u0085"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := visible(text, inText)
		if !utf8.ValidString(got) || strings.IndexFunc(got, hidden) >= 0 {
			t.Errorf("%q becomes %q", text, got)
		}
		harmless := utf8.ValidString(text) && strings.IndexFunc(text, hidden) < 0
		if harmless != (got == text) {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}

// An object cannot drive the terminal that its name is shown on.
func TestTerminalIsSafe(t *testing.T) {
	for _, o := range []Options{{}, {JSON: true}, {Verbosity: Lines}} {
		var out bytes.Buffer
		o.Stdout, o.Stderr, o.Terminal, o.Color = &out, &out, func(io.Writer) int { return 80 }, Never
		s := newStage(o)
		s.fails("a\x1b]0;gotcha\a", 0)
		s.done("b\r\nupload: fake")
		s.Warn("c\u009b31m")
		s.Note("d\u202e")
		if got := strings.ReplaceAll(out.String(), "\n", ""); strings.IndexFunc(got, hidden) >= 0 || strings.Count(out.String(), "\n") != 4 {
			t.Errorf("%q", out.String())
		}
	}
}

func TestColor(t *testing.T) {
	const red, yellow, off = "\x1b[31m", "\x1b[33m", "\x1b[0m"
	for _, c := range []struct {
		want      Switch
		columns   int
		env, term string
		colored   bool
	}{
		{Auto, 80, "", "xterm", true}, {Auto, 0, "", "xterm", false}, {Auto, 80, "1", "xterm", false}, {Auto, 80, "", "dumb", false},
		{Always, 0, "1", "dumb", true}, {Never, 80, "", "xterm", false},
	} {
		t.Setenv("NO_COLOR", c.env)
		t.Setenv("TERM", c.term)
		var out, errs bytes.Buffer
		s := newStage(Options{Verbosity: Lines, Color: c.want, Stdout: &out, Stderr: &errs, Terminal: func(io.Writer) int { return c.columns }})
		s.done("a")
		s.fails("b", 0)
		s.Warn("c")
		s.Note("d")
		want := []string{"upload failed: tree/b to s3://b/b broken", "warning: c", "note: d\n"}
		if c.colored {
			want[0], want[1] = red+want[0]+off, yellow+want[1]+off
		}
		if got := errs.String(); got != strings.Join(want, "\n") || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%+v: %q, %q", c, out.String(), got)
		}
	}
}

// What goes to a file leaves the terminal alone, and has nothing of the progress in it.
func TestErrorsElsewhere(t *testing.T) {
	var screen, errs bytes.Buffer
	s := newStage(Options{Stdout: &screen, Stderr: &errs, Terminal: func(w io.Writer) int {
		if w == io.Writer(&screen) {
			return 80
		}
		return 0
	}})
	s.queue(1)
	s.tick()
	before := screen.String()
	s.Event(transfer.Event{Note: "x"})
	if errs.String() != "note: x\n" || before == "" || screen.String() != before {
		t.Errorf("%q, %q after %q", errs.String(), screen.String(), before)
	}
}
