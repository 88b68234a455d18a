package output

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fatih/color"
	"github.com/mattn/go-colorable"
	"golang.org/x/term"
)

// A screen is a stream that lines are written to. It may be a terminal.
type screen struct {
	w       io.Writer
	columns func() int // 0: it is no terminal
	paint   map[trouble]*color.Color
}

func newScreen(w io.Writer, columns func(io.Writer) int) *screen {
	return &screen{w: w, columns: func() int { return columns(w) }}
}

func (s *screen) terminal() bool { return s.columns() > 0 }

// columns is the width of a terminal; 0 if the writer is none.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// line writes a line.
func (s *screen) line(text string, t trouble) error { return s.write("", text, t, "\n") }

// write writes a line with something before and after it, all at once.
func (s *screen) write(before, text string, t trouble, after string) error {
	if s.terminal() {
		text = visible(text, inText)
	}
	if c := s.paint[t]; c != nil {
		text = c.Sprint(text)
	}
	_, err := io.WriteString(s.w, before+text+after)
	return err
}

// wantsColor reports whether there is to be color on a stream that is or is not a terminal.
func wantsColor(want Switch, terminal bool) bool {
	if want == Auto {
		return terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return want == Always
}

// colored gives troubles their colors from now on.
func (s *screen) colored() {
	s.paint = map[trouble]*color.Color{warning: color.New(color.FgYellow), failure: color.New(color.FgRed)}
	for _, c := range s.paint {
		c.EnableColor() // the package decides by stdout, and this may be stderr
	}
	if f, ok := s.w.(*os.File); ok {
		s.w = colorable.NewColorable(f) // consoles of Windows need help
	}
}

// visible is a text in which what could drive a terminal, or deceive its reader, is escaped, and so
// are bytes that are not UTF-8.
func visible(text string, escape func(c rune) string) string {
	if strings.IndexFunc(text, func(c rune) bool { return hidden(c) || c == utf8.RuneError }) < 0 {
		return text
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(text); i += size {
		var c rune
		c, size = utf8.DecodeRuneInString(text[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case hidden(c):
			b.WriteString(escape(c))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// hidden reports whether a character acts on what is around it instead of being seen.
func hidden(c rune) bool {
	return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == '\u2028' || c == '\u2029'
}

// inText is how text shows a hidden character: \x1b.
func inText(c rune) string { return strings.Trim(strconv.QuoteToASCII(string(c)), `"`) }

// inJSON is how a JSON string shows a hidden character: \u001b.
func inJSON(c rune) string { return fmt.Sprintf(`\u%04x`, c) }
