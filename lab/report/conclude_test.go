package report

import (
	"strings"
	"testing"
)

// of makes an outcome from what matters for a conclusion.
func of(strategy string, missed, needless int64, wall float64) Outcome {
	return Outcome{Strategy: strategy, Wall: wall, Errors: Errors{Missed: missed, Needless: needless}}
}

func TestChoice(t *testing.T) {
	cheap := of("content", 0, 0, 9)
	cheap.Price = -1 // than nothing
	broken := of("content", 0, 0, 0.01)
	broken.Error = "no"
	for _, c := range []struct {
		name     string
		outcomes []Outcome
		want     string
	}{
		{"nothing", nil, ""},
		{"misses least", []Outcome{of("aws", 1, 0, 0.1), of("etag", 0, 9, 9), of("size", 2, 0, 0.1)}, "etag"},
		{"then transfers least", []Outcome{of("aws", 0, 1, 0.1), of("etag", 0, 0, 9)}, "etag"},
		{"then looks at content", []Outcome{of("size", 0, 0, 0.1), of("etag", 0, 0, 9)}, "etag"},
		{"then asks for less", []Outcome{of("etag", 0, 0, 0.1), cheap}, "content"},
		{"then is faster", []Outcome{of("etag", 0, 0, 9), of("content", 0, 0, 0.2)}, "content"},
		{"of those that run", []Outcome{broken, of("size", 5, 5, 5)}, "size"},
		{"none runs", []Outcome{broken}, ""},
	} {
		r := Report{Direction: "upload", Cases: []Case{{Name: AsItIs, Needed: 5, Outcomes: c.outcomes}}}
		if got := Choice(r); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestConclude(t *testing.T) {
	first := of("content", 0, 0, 0.9)
	first.State = First
	then := of("content", 0, 0, 0.1)
	then.State = Then
	for _, c := range []struct {
		name  string
		r     Report
		lines []string // beginnings
	}{
		{"no simulation", Report{Cases: []Case{{Name: AsItIs, Outcomes: []Outcome{of("content", 0, 0, 0.1), of("size", 0, 0, 0.05)}}}}, []string{
			"Choose content: it missed no change and would transfer nothing needless. To look at the tree",
			"Of those that made no more errors, size takes 50 ms, 0 requests, and reads 0 B, but cannot see a change that keeps the size.",
			"Nothing in this tree tells the strategies apart",
		}},
		{"no manifest", Report{Cases: []Case{{Name: AsItIs, Outcomes: []Outcome{first, then}}, {Name: "touch", Outcomes: []Outcome{then}}}}, []string{
			"Choose content: it missed no change and would transfer nothing needless in any of the 2 cases.",
			"The bucket has no manifest yet: a run without one takes 0.90 s",
		}},
		{"all are wrong", Report{Truth: Truth{Unknown: 1}, Cases: []Case{{Name: AsItIs, Needed: 1, Outcomes: []Outcome{of("aws", 1, 0, 1), of("size", 1, 0, 1)}},
			{Name: "edit=1%", Needed: 3, Outcomes: []Outcome{of("aws", 0, 2, 1), of("size", 2, 1, 1)}}}}, []string{
			"Choose aws: it misses least, but still the one change of the tree as it is.",
			"size would miss the one change of the tree as it is and 2 of 3 changes after edit=1%, and needlessly transfer 1 file after edit=1%.",
			"Of 1 object nobody can tell the content",
		}},
		{"needless at best", Report{Cases: []Case{{Name: "touch", Outcomes: []Outcome{of("aws", 0, 1200, 1), of("exact", 0, 1200, 2)}}}}, []string{
			"Choose aws: it missed no change, though it would needlessly transfer 1,200 files after touch.",
			"exact would needlessly transfer 1,200 files after touch.",
			"Of those that made no more errors, exact takes",
		}},
	} {
		got := Conclude(c.r)
		if len(got) != len(c.lines) {
			t.Errorf("%s: %q", c.name, got)
			continue
		}
		for i, want := range c.lines {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("%s:\n got %q\nwant %q…", c.name, got[i], want)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Seconds(0), "0 ms"}, {Seconds(0.0996), "0.10 s"}, {Seconds(0.0994), "99 ms"}, {Seconds(9.96), "10.0 s"}, {Seconds(99.6), "100 s"},
		{Size(0), "0 B"}, {Size(1023), "1023 B"}, {Size(1024), "1.0 KiB"}, {Size(999 << 10), "999 KiB"}, {Size(1000 << 10), "1.0 MiB"}, {Size(10 << 20), "10 MiB"},
		{Size(3 << 40), "3.0 TiB"}, {Size(5 << 50), "5.0 PiB"},
		{Dollars(0), "$0"}, {Dollars(0.0004), "$0.0004"}, {Dollars(0.0000004), "$0.0000004"}, {Dollars(0.0857), "$0.086"}, {Dollars(0.5), "$0.5"},
		{Dollars(1), "$1.00"}, {Dollars(57.49), "$57.49"}, {Dollars(12345.6), "$12,346"},
		{number(999), "999"}, {number(1000), "1,000"}, {number(-1234567), "-1,234,567"}, {Count(1, "file"), "1 file"}, {Count(0, "file"), "0 files"},
		{some([]string{"a", "b", "c", "d"}), "a, b, c and d"}, {some([]string{"a", "b", "c", "d", "e"}), "a, b, c and more in 2 other cases"},
		{and(nil), ""}, {and([]string{"a", "b", "c"}), "a, b and c"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
