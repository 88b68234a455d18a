package figures

import (
	"encoding/xml"
	"reflect"
	"strings"
	"testing"
	"time"
)

func samples(wall ...int) (list []Sample) {
	for _, w := range wall {
		list = append(list, Sample{Wall: time.Duration(w) * time.Second, CPU: time.Duration(2*w) * time.Second, Peak: 1 << 20})
	}
	return list
}

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		numbers []float64
		want    Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{3, 1, 2}, Spread{1, 2, 3}},
		{[]float64{4, 1, 2, 3}, Spread{1, 2.5, 4}},
	} {
		if got := SpreadOf(c.numbers); got != c.want {
			t.Errorf("spread of %v is %v; want %v", c.numbers, got, c.want)
		}
	}
}

// TestRatio has a machine that becomes ten times as slow: neighbours are compared.
func TestRatio(t *testing.T) {
	a, b := Row{Samples: samples(1, 10, 100)}, Row{Samples: samples(2, 20, 200)}
	if got := Ratio(a, b, Wall); got != (Spread{0.5, 0.5, 0.5}) {
		t.Errorf("ratio is %v; want 0.5 throughout", got)
	}
}

func work() Work {
	return Work{
		Name: "copy", Title: "copy <a> & b",
		Rows: []Row{{Tool: "merkur", Samples: samples(1, 2, 1), Requests: map[string]int64{"PutObject": 3}}, {Tool: "peer", Samples: samples(4, 8, 4)},
			{Tool: "absent", Missing: "not on this machine"}},
		Bars: []Bar{{"peer", Wall, 0.3}, {"peer", CPU, 0.2}, {"absent", Wall, 1}, {"", Peak, 2 << 20}},
	}
}

func TestJudge(t *testing.T) {
	var got []string
	for _, v := range work().Judge() {
		got = append(got, v.String())
	}
	want := []string{
		"wall at most 0.300 × that of peer: held, 0.250",
		"cpu at most 0.200 × that of peer: missed, 0.250",
		"wall at most 1.00 × that of absent: not measured",
		"peak at most 2097152: held, 1048576",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("judged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A work that is done again takes the place of what it was.
func TestAdd(t *testing.T) {
	var r Report
	r.Add(Work{Name: "a", Title: "old"})
	r.Add(Work{Name: "b"})
	r.Add(Work{Name: "a", Title: "new"})
	if len(r.Works) != 2 || r.Works[0].Title != "new" || r.Works[1].Name != "b" {
		t.Errorf("%+v", r.Works)
	}
}

func TestReport(t *testing.T) {
	r := Report{Date: "2026-01-02", Machine: "a machine", Tools: map[string]string{"peer": "1.0"}, Works: []Work{work()}}
	text := r.Markdown()
	for _, want := range []string{
		"| merkur | 1.00 (1.00–2.00) | 2.00 (2.00–4.00) | 1 |  |  | 3 PutObject |",
		"| peer | 4.00 (4.00–8.00) | 8.00 (8.00–16.0) | 1 | 0.250 (0.250–0.250) | 0.250 (0.250–0.250) |  |",
		"| absent | not on this machine |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	written, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseReport(written); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("read back: %+v, %v", back, err)
	}
	d := xml.NewDecoder(strings.NewReader(r.Works[0].SVG()))
	for {
		if _, err := d.Token(); err != nil {
			if err.Error() != "EOF" {
				t.Errorf("plot is no XML: %v", err)
			}
			break
		}
	}
}
