package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// Page is the report as a page that needs nothing but itself.
func (r Report) Page() ([]byte, error) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, r.page()); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return b.Bytes(), nil
}

// A page is the report in the words and measures of its page.
type page struct {
	Report
	Choice     string // the strategy to choose; empty: none
	Lead       string // the sentence about it, and the others
	Rest       []string
	Facts      []string
	Charts     []chart
	Kinds      []kind
	Strategies []string
	Rows       []row
	Examples   []example
	Head       []string
	Figures    [][]string
	Method     []string
}

// A chart is a set of bars that are compared with each other.
type chart struct {
	Title, About string
	Bars         []bar
}

// A bar has parts, of which only that of requests has more than one. Widths are in percent of the room.
type bar struct {
	Label, Value string
	Chosen       bool
	Parts        []part
	From, To     float64 // of the least and the greatest of all rounds; both 0: not shown
}

type part struct {
	Class string
	Width float64
}

// A kind is one of requests, with its color.
type kind struct{ Class, Name string }

// A row is a case as the matrix has it.
type row struct {
	Name, About string
	Cells       []cell
}

// A cell says how a strategy did in a case. Its class is good, needless, missed or fails.
type cell struct {
	Strategy string
	Class    string
	Lines    [][2]string // a number and a word
	Cost     string
}

// An example names keys that a strategy got wrong.
type example struct {
	What string
	Keys []string
}

func (r Report) page() page {
	p := page{Report: r, Choice: Choice(r), Kinds: []kind{{"list", "LIST"}, {"head", "HEAD"}, {"get", "GET"}, {"put", "PUT"}}}
	if len(r.Conclusion) > 0 {
		p.Lead, p.Rest = lead(r.Conclusion[0], p.Choice), r.Conclusion[1:]
	}
	p.Facts = []string{Count(r.Files, "file"), Size(r.Bytes), Count(r.Truth.Objects, "object"), Count(int64(len(r.Cases)), "case"),
		Count(int64(r.Rounds), "round"), r.Time}
	p.Charts = charts(r.Cases[0], p.Choice)
	for _, o := range r.Cases[0].Lasting() {
		p.Strategies = append(p.Strategies, o.Strategy)
	}
	for _, c := range r.Cases {
		p.Rows = append(p.Rows, rowOf(c))
		p.Examples = append(p.Examples, examples(c)...)
	}
	p.Head, p.Figures = figures(r.Cases)
	p.Method = []string{r.Truth.words() + ".",
		fmt.Sprintf("Prices in dollars: LIST %g, HEAD %g, GET %g and PUT %g for 1,000 requests; %g for a GiB that a download takes out of the region.",
			r.Prices.List, r.Prices.Head, r.Prices.Get, r.Prices.Put, r.Prices.Out),
		"Requests are those of the plan, and those of the transfers that it would carry out. Times and CPU are of a whole process; the line in a bar of the time goes from the fastest to the slowest round.",
		r.spent()}
	p.Method = append(p.Method, r.Notes...)
	return p
}

// lead is the first sentence where its first words are the heading already.
func lead(sentence, choice string) string {
	rest, cut := strings.CutPrefix(sentence, "Choose "+choice+": ")
	if !cut || rest == "" {
		return sentence
	}
	return strings.ToUpper(rest[:1]) + rest[1:]
}

// charts are those of the first case.
func charts(c Case, chosen string) []chart {
	outcomes := slices.DeleteFunc(slices.Clone(c.Outcomes), func(o Outcome) bool { return o.Error != "" })
	make := func(title, about string, value func(Outcome) float64, word func(Outcome) string) chart {
		most := 0.0
		for _, o := range outcomes {
			most = max(most, value(o))
		}
		ch := chart{Title: title, About: about}
		for _, o := range outcomes {
			ch.Bars = append(ch.Bars, bar{Label: o.Label(), Value: word(o), Chosen: o.Strategy == chosen,
				Parts: []part{{"plain", percent(value(o), most)}}})
		}
		return ch
	}
	list := []chart{
		make("Time", "of a whole run that plans", func(o Outcome) float64 { return o.WallMax }, func(o Outcome) string { return Seconds(o.Wall) }),
		make("CPU", "user and system", func(o Outcome) float64 { return o.CPU }, func(o Outcome) string { return Seconds(o.CPU) }),
		make("Requests", "by kind", func(o Outcome) float64 { return float64(o.Requests.Total()) }, func(o Outcome) string { return number(o.Requests.Total()) }),
		make("Price", "of 1,000 runs", func(o Outcome) float64 { return o.Price }, func(o Outcome) string { return Dollars(1000 * o.Price) }),
		make("Read", "of local files", func(o Outcome) float64 { return float64(o.Read) }, func(o Outcome) string { return Size(o.Read) }),
		make("Memory", "at its peak", func(o Outcome) float64 { return float64(o.Memory) }, func(o Outcome) string { return Size(o.Memory) }),
	}
	spread(list[0].Bars, outcomes)
	split(list[2].Bars, outcomes)
	return list
}

// spread makes bars of the slowest rounds into bars of the medians, with a line for the rounds.
func spread(bars []bar, outcomes []Outcome) {
	for i, o := range outcomes {
		most := bars[i].Parts[0].Width
		bars[i].Parts[0].Width = percent(o.Wall, o.WallMax) * most / 100
		bars[i].From, bars[i].To = percent(o.WallMin, o.WallMax)*most/100, most
	}
}

// split makes of each bar one part for each kind of request.
func split(bars []bar, outcomes []Outcome) {
	for i, o := range outcomes {
		most, r := bars[i].Parts[0].Width, o.Requests
		bars[i].Parts = nil
		for _, k := range []struct {
			class string
			n     int64
		}{{"list", r.List}, {"head", r.Head}, {"get", r.Get}, {"put", r.Put}} {
			if k.n > 0 {
				bars[i].Parts = append(bars[i].Parts, part{k.class, percent(float64(k.n), float64(r.Total())) * most / 100})
			}
		}
	}
}

func percent(value, most float64) float64 {
	if most == 0 {
		return 0
	}
	return 100 * value / most
}

func rowOf(c Case) row {
	r := row{Name: c.Name, About: "nothing"}
	if c.Needed > 0 {
		r.About = Count(c.Needed, "file") + ", " + Size(c.NeededBytes)
	}
	if name, of, given := strings.Cut(c.Name, "="); given {
		r.Name, r.About = name, of+": "+r.About
	}
	for _, o := range c.Lasting() {
		x := cell{Strategy: o.Strategy, Class: "good", Cost: Seconds(o.Wall) + ", " + Dollars(1000*o.Price)}
		switch {
		case o.Error != "":
			x.Class, x.Cost = "fails", ""
			x.Lines = [][2]string{{"–", "fails"}}
		case o.Missed > 0:
			x.Class = "missed"
			x.Lines = append(x.Lines, [2]string{number(o.Missed), "missed"})
		}
		if o.Needless > 0 {
			if x.Class == "good" {
				x.Class = "needless"
			}
			x.Lines = append(x.Lines, [2]string{number(o.Needless), "needless"})
		}
		if o.Failed > 0 {
			x.Lines = append(x.Lines, [2]string{number(o.Failed), "failed"})
		}
		if len(x.Lines) == 0 {
			x.Lines = [][2]string{{"✓", "right"}}
		}
		r.Cells = append(r.Cells, x)
	}
	return r
}

// examples are the first keys that strategies got wrong in a case.
func examples(c Case) (list []example) {
	for _, o := range c.Lasting() {
		for _, e := range []example{
			{fmt.Sprintf("%s: %s missed by %s", c.Name, number(o.Missed), o.Strategy), o.MissedKeys},
			{fmt.Sprintf("%s: %s needless for %s", c.Name, number(o.Needless), o.Strategy), o.NeedlessKeys},
		} {
			if len(e.Keys) > 0 {
				list = append(list, e)
			}
		}
	}
	return list
}

// figures are all that was measured.
func figures(cases []Case) (head []string, rows [][]string) {
	head = []string{"tree", "strategy", "time", "CPU", "memory", "read", "LIST", "HEAD", "GET", "PUT", "1,000 runs", "transfers", "bytes", "missed", "needless"}
	for _, c := range cases {
		for _, o := range c.Outcomes {
			if o.Error != "" {
				rows = append(rows, []string{c.Name, o.Label(), "fails: " + o.Error})
				continue
			}
			q := o.Requests
			rows = append(rows, []string{c.Name, o.Label(), Seconds(o.Wall), Seconds(o.CPU), Size(o.Memory), Size(o.Read), number(q.List), number(q.Head),
				number(q.Get), number(q.Put), Dollars(1000 * o.Price), number(o.Transfers), Size(o.Bytes), number(o.Missed), number(o.Needless)})
		}
	}
	return head, rows
}
