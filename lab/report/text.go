package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Text is the report as lines of at most width columns; 0: of any. What has no room as a table is
// told row by row.
func (r Report) Text(width int) []string {
	lines := wrap(r.head(), width, "")
	lines = append(lines, wrap(r.Truth.words(), width, "")...)
	lines = append(lines, "", "A look at the tree as it is")
	lines = append(lines, r.costs().lines(width)...)
	lines = append(lines, "")
	lines = append(lines, wrap("Errors: changes missed, and extra transfers that are not needed", width, "")...)
	lines = append(lines, r.errors().lines(width)...)
	lines = append(lines, "")
	for _, s := range r.Conclusion {
		lines = append(lines, wrap(s, width, "")...)
	}
	for _, n := range r.Notes {
		lines = append(lines, wrap("note: "+n, width, "  ")...)
	}
	return append(lines, wrap(r.spent(), width, "")...)
}

func (r Report) head() string {
	return fmt.Sprintf("%s -> %s: %s, %s; medians of %s", r.Source, r.Destination, Count(r.Files, "file"), Size(r.Bytes), Count(int64(r.Rounds), "round"))
}

func (r Report) spent() string {
	return fmt.Sprintf("This bench asked the bucket %s, which cost %s.", Count(r.Spent.Total(), "request"), Dollars(r.SpentPrice))
}

// words say what the truth was made from, and what that took.
func (t Truth) words() string {
	parts := []string{}
	for _, p := range []struct {
		n    int64
		what string
	}{
		{t.ByWord, "by the manifest, whose objects have not changed"}, {t.ByProof, "by ETag or checksum"},
		{t.ByRead, "by reading " + Size(t.ReadSize)}, {t.Unknown, "not known"},
	} {
		if p.n > 0 {
			parts = append(parts, number(p.n)+" "+p.what)
		}
	}
	text := "The truth, by content: " + Count(t.Objects, "object")
	if len(parts) > 0 {
		text += ", " + and(parts)
	}
	if t.Foreign > 0 && t.Manifest {
		text += fmt.Sprintf("; %s not what the manifest says", number(t.Foreign))
	}
	return text + fmt.Sprintf(" (%s)", Count(t.Spent.Total(), "request"))
}

// costs are the outcomes of the first case.
func (r Report) costs() grid {
	g := grid{head: []string{"strategy", "time", "CPU", "memory", "read", "LIST", "HEAD", "GET", "PUT", "1,000 runs"}}
	for _, o := range r.Cases[0].Outcomes {
		row := []string{o.Label(), Seconds(o.Wall), Seconds(o.CPU), Size(o.Memory), Size(o.Read), number(o.Requests.List),
			number(o.Requests.Head), number(o.Requests.Get), number(o.Requests.Put), Dollars(1000 * o.Price)}
		if o.Error != "" {
			row = []string{o.Label(), "fails: " + strings.Join(strings.Fields(o.Error), " ")}
		}
		g.rows = append(g.rows, row)
	}
	return g
}

// errors are those of each strategy in each case.
func (r Report) errors() grid {
	g := grid{head: []string{"tree", "needed"}, left: true}
	for _, o := range r.Cases[0].Lasting() {
		g.head = append(g.head, o.Strategy)
	}
	for _, c := range r.Cases {
		row := []string{c.Name, number(c.Needed)}
		for _, o := range c.Lasting() {
			row = append(row, o.verdict())
		}
		g.rows = append(g.rows, row)
	}
	return g
}

// verdict says in a few words what an outcome does wrong.
func (o Outcome) verdict() string {
	if o.Error != "" {
		return "fails"
	}
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{{o.Missed, "missed"}, {o.Needless, "extra"}, {o.Failed, "failed"}} {
		if p.n > 0 {
			parts = append(parts, number(p.n)+" "+p.what)
		}
	}
	if len(parts) == 0 {
		return "ok"
	}
	return strings.Join(parts, ", ")
}

// A grid is a table. A row that is shorter than the head says something about the whole of it.
type grid struct {
	head []string
	rows [][]string
	left bool // all but the second column are words
}

// lines are those of the table, or of its rows one after the other where there is no room for it.
func (g grid) lines(width int) (lines []string) {
	wide := make([]int, len(g.head))
	for _, row := range append([][]string{g.head}, g.rows...) {
		for i, cell := range row {
			if len(row) == len(g.head) || i == 0 {
				wide[i] = max(wide[i], utf8.RuneCountInString(cell))
			}
		}
	}
	if width > 0 && g.width(wide) > width {
		return g.stacked(width)
	}
	for _, row := range append([][]string{g.head}, g.rows...) {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", max(0, wide[i]-utf8.RuneCountInString(cell)))
			if i == 0 || g.left && i != 1 || len(row) < len(g.head) {
				cell += pad
			} else {
				cell = pad + cell
			}
			b.WriteString("  " + cell)
		}
		lines = append(lines, strings.TrimRight(b.String()[2:], " "))
	}
	return lines
}

// width is that of the widest line of the table.
func (g grid) width(columns []int) (most int) {
	for _, w := range columns {
		most += w + 2
	}
	most -= 2
	for _, row := range g.rows {
		if len(row) == 2 && len(g.head) > 2 {
			most = max(most, columns[0]+2+utf8.RuneCountInString(row[1]))
		}
	}
	return most
}

// stacked are the rows, each told in words.
func (g grid) stacked(width int) (lines []string) {
	for _, row := range g.rows {
		lines = append(lines, row[0])
		var parts []string
		for i, cell := range row[1:] {
			if len(row) == len(g.head) {
				cell = g.head[i+1] + " " + cell
			}
			parts = append(parts, strings.ReplaceAll(cell, " ", unbroken))
		}
		lines = append(lines, wrap("  "+strings.Join(parts, "; "), width, "  ")...)
	}
	return lines
}

// unbroken is a space at which no line is broken.
const unbroken = "\u00a0"

// wrap breaks a text into lines, all but the first of which are indented. A word that is longer than
// a line stays whole.
func wrap(text string, width int, indent string) (lines []string) {
	if width <= 0 {
		return []string{text}
	}
	lead := text[:len(text)-len(strings.TrimLeft(text, " "))]
	line := ""
	for word := range strings.SplitSeq(strings.TrimLeft(text, " "), " ") {
		switch {
		case line == "":
			line = lead + word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	lines = append(lines, line)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], unbroken, " ")
	}
	return lines
}
