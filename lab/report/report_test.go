package report

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

func TestJudge(t *testing.T) {
	needs := Needs{Needed: map[string]int64{"b": 2, "d": 4, "e": 5}, Unknown: map[string]bool{"u": true, "v": true}}
	for _, c := range []struct {
		name string
		plan []string
		want Errors
	}{
		{"nothing", nil, Errors{Missed: 3, MissedKeys: []string{"b", "d", "e"}}},
		{"right", []string{"b", "d", "e"}, Errors{Transfers: 3, Bytes: 30}},
		{"twice", []string{"b", "b", "d", "e"}, Errors{Transfers: 3, Bytes: 30}},
		{"too much", []string{"a", "b", "c", "d", "e"}, Errors{Transfers: 5, Bytes: 50, Needless: 2, NeedlessBytes: 20, NeedlessKeys: []string{"a", "c"}}},
		{"both", []string{"a", "d"}, Errors{Transfers: 2, Bytes: 20, Needless: 1, NeedlessBytes: 10, NeedlessKeys: []string{"a"}, Missed: 2, MissedKeys: []string{"b", "e"}}},
		{"in doubt", []string{"b", "d", "e", "u"}, Errors{Transfers: 4, Bytes: 40}},
	} {
		j := NewJudge(needs)
		for _, key := range c.plan {
			j.Take(key, 10)
		}
		if got := j.End(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// The examples are the first of many, in order, however they come.
func TestLeast(t *testing.T) {
	var l least
	for _, key := range []string{"m", "z", "a", "q", "b", "y", "c", "x", "d"} {
		l.add(key)
	}
	if want := []string{"a", "b", "c", "d", "m"}; !slices.Equal(l, want) {
		t.Errorf("%v, want %v", l, want)
	}
}

func TestCounted(t *testing.T) {
	got := Counted(map[string]int64{"ListObjectsV2": 3, "HeadObject": 2, "GetObject": 7, "GetObjectTagging": 1, "PutObject": 4,
		"CopyObject": 1, "UploadPart": 5, "CreateMultipartUpload": 1, "CompleteMultipartUpload": 1, "DeleteObject": 9, "DeleteObjects": 1, "AbortMultipartUpload": 1})
	if want := (Requests{List: 3, Head: 2, Get: 8, Put: 12}); got != want || got.Total() != 25 {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestPrices(t *testing.T) {
	r := Requests{List: 1000, Head: 2000, Get: 3000, Put: 4000}
	for _, c := range []struct {
		prices string
		out    int64
		want   float64
	}{
		{"", 1 << 30, 0.005 + 0.0008 + 0.0012 + 0.02},
		{"GET=0", 0, 0.005 + 0.0008 + 0.02},
		{"list=1, put=2,OUT=0.5", 1 << 30, 1 + 0.0008 + 0.0012 + 8 + 0.5},
	} {
		p := USEast1
		if c.prices != "" {
			var err error
			if p, err = ParsePrices(c.prices, USEast1); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.Of(r, c.out); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", c.prices, got, c.want)
		}
	}
	for _, text := range []string{"", "GET", "GET=", "GET=x", "GET=-1", "DELETE=1", "GET=NaN", "GET=1;PUT=2"} {
		if p, err := ParsePrices(text, USEast1); err == nil || p != USEast1 {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
}

func TestCarrying(t *testing.T) {
	for _, c := range []struct {
		way  string
		size int64
		want Requests
	}{
		{"upload", 0, Requests{Put: 1}},
		{"upload", 8<<20 - 1, Requests{Put: 1}},
		{"upload", 8 << 20, Requests{Put: 3}},
		{"upload", 8<<20 + 1, Requests{Put: 4}},
		{"upload", 80 << 20, Requests{Put: 12}},
		{"download", 100, Requests{Get: 1}},
		{"download", 17 << 20, Requests{Get: 3}},
		{"copy", 5 << 30, Requests{Put: 1}},
		{"copy", 5<<30 + 1, Requests{Put: 643}},
	} {
		if got := Carrying(c.way, c.size); got != c.want {
			t.Errorf("%s of %d: %+v, want %+v", c.way, c.size, got, c.want)
		}
	}
	for n, want := range map[int64]int64{0: 0, 1: 2, 16_384: 2, 16_385: 3, 100_000: 8} {
		if got := Committing(n).Put; got != want {
			t.Errorf("%d transfers: %d commits, want %d", n, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{5, 1}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 100}, 3.5}} {
		if got := Median(c.values); got != c.want {
			t.Errorf("%v: %g, want %g", c.values, got, c.want)
		}
	}
}

func TestLasting(t *testing.T) {
	labels := func(outcomes []Outcome) (list []string) {
		for _, o := range outcomes {
			list = append(list, o.Label())
		}
		return list
	}
	for _, c := range []struct {
		states []string
		want   []string
	}{
		{[]string{Cold, Warm}, []string{"content, warm", "size"}},
		{[]string{First, Then}, []string{"content, with a manifest", "size"}},
		{[]string{First}, []string{"content, no manifest", "size"}},
	} {
		var x Case
		for _, s := range c.states {
			x.Outcomes = append(x.Outcomes, Outcome{Strategy: "content", State: s})
		}
		x.Outcomes = append(x.Outcomes, Outcome{Strategy: "size"})
		if got := labels(x.Lasting()); !slices.Equal(got, c.want) || len(x.Outcomes) != len(c.states)+1 {
			t.Errorf("%v: %v, want %v", c.states, got, c.want)
		}
	}
}
