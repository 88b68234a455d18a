package figures

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Report is all that was measured on one machine in one day.
type Report struct {
	Date    string            `json:"date"` // RFC 3339
	Machine string            `json:"machine"`
	Tools   map[string]string `json:"tools"` // version by name
	Works   []Work            `json:"works"`
}

// JSON returns the report for programs.
func (r Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", "  ") }

// ParseReport returns the report that JSON has written.
func ParseReport(text []byte) (r Report, err error) {
	err = json.Unmarshal(text, &r)
	return r, err
}

// Add adds a work, in the place of an earlier one of that name if there is one.
func (r *Report) Add(w Work) {
	if i := slices.IndexFunc(r.Works, func(old Work) bool { return old.Name == w.Name }); i >= 0 {
		r.Works[i] = w
		return
	}
	r.Works = append(r.Works, w)
}

// Markdown returns the report for people: a table for each work, with the bars below it.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# merkur beside its peers, %s\n\n%s.\n\n", r.Date, r.Machine)
	for _, tool := range slices.Sorted(maps.Keys(r.Tools)) {
		fmt.Fprintf(&b, "- %s: %s\n", tool, r.Tools[tool])
	}
	fmt.Fprintf(&b, "\nMedian (least–greatest). Ratios are those of neighbouring runs; below 1, %s took less.\n", first(r.Works))
	for _, w := range r.Works {
		w.markdown(&b)
	}
	return b.String()
}

func first(works []Work) string {
	if len(works) > 0 && len(works[0].Rows) > 0 {
		return works[0].Rows[0].Tool
	}
	return "the first tool"
}

func (w Work) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n![%s](%s.svg)\n\n", w.Title, w.Title, w.Name)
	fmt.Fprintln(b, "| tool | wall s | client CPU s | peak MiB | ratio of wall | ratio of CPU | requests |")
	fmt.Fprintln(b, "|---|---|---|---|---|---|---|")
	for i, row := range w.Rows {
		if row.Missing != "" {
			fmt.Fprintf(b, "| %s | %s | | | | | |\n", row.Tool, row.Missing)
			continue
		}
		wall, cpu := "", ""
		if i > 0 {
			wall, cpu = Ratio(w.Rows[0], row, Wall).text(), Ratio(w.Rows[0], row, CPU).text()
		}
		fmt.Fprintf(b, "| %s | %s | %s | %.0f | %s | %s | %s |\n", row.Tool, row.Of(Wall).text(), row.Of(CPU).text(),
			row.Of(Peak).Max/(1<<20), wall, cpu, requests(row.Requests))
	}
	for i, v := range w.Judge() {
		if i == 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintf(b, "- %s\n", v)
	}
}

// String says what was to be reached and what was.
func (v Verdict) String() string {
	what := fmt.Sprintf("%s at most %s × that of %s", v.Of, short(v.Most), v.Tool)
	if v.Tool == "" {
		what = fmt.Sprintf("%s at most %s", v.Of, short(v.Most))
	}
	switch {
	case !v.Measured:
		return what + ": not measured"
	case v.Held:
		return fmt.Sprintf("%s: held, %s", what, short(v.Reached))
	}
	return fmt.Sprintf("%s: missed, %s", what, short(v.Reached))
}

func (s Spread) text() string {
	return fmt.Sprintf("%s (%s–%s)", short(s.Median), short(s.Min), short(s.Max))
}

// short writes a number with three digits that count.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func requests(by map[string]int64) string {
	var list []string
	for _, op := range slices.Sorted(maps.Keys(by)) {
		list = append(list, fmt.Sprintf("%d %s", by[op], op))
	}
	return strings.Join(list, ", ")
}
