package report

import (
	"bytes"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write what is shown as it is to be shown")

// sample is a report with all that one can have: errors of all kinds, a strategy that fails, names
// that have to be escaped.
func sampleReport() Report {
	o := func(strategy, state string, wall float64, requests Requests, e Errors) Outcome {
		return Outcome{Strategy: strategy, State: state, Wall: wall, WallMin: wall * 0.9, WallMax: wall * 1.3, CPU: wall / 2, Memory: 40 << 20, Read: int64(1e8 * wall),
			Requests: requests, Price: USEast1.Of(requests, 0), Errors: e}
	}
	list := Requests{List: 12, Get: 1}
	r := Report{
		Type: "bench", Time: "2026-01-02T03:04:05Z", Source: "a<b>&\"c", Destination: "s3://bucket/p/", Direction: "upload", Files: 11500, Bytes: 120 << 20,
		Rounds: 3, Seed: 1, Prices: USEast1, Spent: Requests{List: 100, Head: 20, Get: 30}, SpentPrice: 0.00052,
		Truth: Truth{Manifest: true, Objects: 11500, ByWord: 11000, ByProof: 497, Unknown: 3, Foreign: 500, Spent: Requests{List: 12, Head: 3, Get: 1}},
		Cases: []Case{
			{Name: AsItIs, Needed: 2, NeededBytes: 2048, Unknown: 3, Outcomes: []Outcome{
				o("content", Cold, 0.9, Requests{Get: 3, Put: 4}, Errors{Transfers: 2, Bytes: 2048}),
				o("content", Warm, 0.04, Requests{Get: 3, Put: 4}, Errors{Transfers: 2, Bytes: 2048}),
				o("aws", "", 0.6, list, Errors{Missed: 2, MissedKeys: []string{"x<y", "z"}}),
				o("size", "", 0.5, list, Errors{Missed: 2, MissedKeys: []string{"x<y", "z"}}),
				{Strategy: "exact", Error: "<no>"},
				o("etag", "", 2.5, list, Errors{Transfers: 2, Bytes: 2048, Failed: 1}),
			}},
			{Name: "touch", Edits: 11500, Needed: 2, NeededBytes: 2048, Outcomes: []Outcome{
				o("content", Warm, 0.4, Requests{Get: 3, Put: 4}, Errors{Transfers: 2, Bytes: 2048}),
				o("aws", "", 0.6, Requests{List: 12, Put: 11500}, Errors{Transfers: 11500, Bytes: 120 << 20, Needless: 11498, NeedlessBytes: 120 << 20, NeedlessKeys: []string{"a", "b"}}),
				o("size", "", 0.5, list, Errors{Missed: 2, MissedKeys: []string{"x<y", "z"}}),
				{Strategy: "exact", Error: "<no>"},
				o("etag", "", 2.5, list, Errors{Transfers: 2, Bytes: 2048}),
			}},
		},
		Notes: []string{"a note"},
	}
	r.Conclusion = Conclude(r)
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is to be shown; with -update it is:\n%s", name, got)
	}
}

func TestText(t *testing.T) {
	r := sampleReport()
	golden(t, "wide.txt", []byte(strings.Join(r.Text(0), "\n")+"\n"))
	golden(t, "narrow.txt", []byte(strings.Join(r.Text(50), "\n")+"\n"))
}

// No line is wider than the terminal, however narrow, unless one cell or word is.
func TestTextFits(t *testing.T) {
	for width := 40; width < 140; width += 7 {
		for _, line := range sampleReport().Text(width) {
			if utf8.RuneCountInString(line) > width {
				t.Errorf("%d columns have no room for %q", width, line)
			}
		}
	}
}

// The page is well-formed, says what the text says, and asks for nothing from outside.
func TestPage(t *testing.T) {
	r := sampleReport()
	page, err := r.Page()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "page.html", page)
	said := plain(t, page)
	for _, want := range append([]string{r.Source, r.Destination, "11,498", "needless", "missed", "fails: <no>", "x<y", "a note", "Choose content"}, r.Conclusion[1:]...) {
		if !strings.Contains(said, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, outside := range []string{"http:", "https:", "//", "url(", "@import", "<script", "<img", "<link", "src="} {
		if strings.Contains(strings.ReplaceAll(string(page), "s3://", ""), outside) {
			t.Errorf("the page has %q in it", outside)
		}
	}
}

// plain is the text of a page, which is parsed as XML.
func plain(t *testing.T, page []byte) string {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	var said strings.Builder
	for depth := 0; ; {
		token, err := d.Token()
		switch token := token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			said.Write(token)
		}
		if err == io.EOF && depth == 0 {
			return said.String()
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
	}
}

// A report in which nothing was measured is shown all the same.
func TestPageOfFailures(t *testing.T) {
	r := Report{Rounds: 1, Cases: []Case{{Name: AsItIs, Outcomes: []Outcome{{Strategy: "content", State: Cold, Error: "no"}}}}}
	if r.Conclusion = Conclude(r); len(r.Conclusion) != 1 || Choice(r) != "" {
		t.Errorf("%q, choice %q", r.Conclusion, Choice(r))
	}
	page, err := r.Page()
	if err != nil {
		t.Fatal(err)
	}
	if plain(t, page); len(r.Text(80)) == 0 {
		t.Error("no text")
	}
}
