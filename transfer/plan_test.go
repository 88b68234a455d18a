package transfer

import (
	"errors"
	"testing"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/transfer/compare"
)

func TestPlan(t *testing.T) {
	file := &manifest.Entry{Key: "k", Size: 5, Digest: manifest.Digest{1}}
	object := &manifest.Entry{Key: "k", Size: 5, Digest: manifest.Digest{2}, Evidence: manifest.Evidence{ETag: "e"}}
	found := &manifest.Entry{Key: "k", Size: 5, Unproven: true, Evidence: manifest.Evidence{ETag: "e"}}
	larger := &manifest.Entry{Key: "k", Size: 6, Unproven: true, Evidence: manifest.Evidence{ETag: "e"}}
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	for name, c := range map[string]struct {
		policy   policy
		old, new *manifest.Entry
		want     Verb
		nothing  bool
		ifMatch  string
	}{
		"new file":                 {policy{same: compare.Content.Strategy(), selects: all}, nil, file, Put, false, ""},
		"changed file":             {policy{same: compare.Content.Strategy(), selects: all}, object, file, Put, false, "e"},
		"object of unknown origin": {policy{same: compare.Content.Strategy(), selects: all}, found, file, Prove, false, "e"},
		"the same, other size":     {policy{same: compare.Content.Strategy(), selects: all}, larger, file, Put, false, "e"},
		"no file":                  {policy{same: compare.Content.Strategy(), selects: all}, object, nil, Delete, true, ""},
		"no file, delete":          {policy{same: compare.Content.Strategy(), selects: all, delete: true}, object, nil, Delete, false, "e"},
		"no file, not selected":    {policy{same: compare.Content.Strategy(), selects: none, delete: true}, object, nil, Delete, true, ""},
		"not readable, delete":     {policy{same: compare.Content.Strategy(), selects: all, delete: true, unknown: unknown{"k": true}}, object, nil, Delete, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, ok := c.policy.plan(pair{"k", inDir(c.new), inTree(c.old)})
			if ok == c.nothing {
				t.Fatalf("planned: %v", ok)
			}
			if !ok {
				return
			}
			cond := a.condition()
			if a.Verb != c.want || cond.IfMatch != c.ifMatch || cond.IfNone != (c.old == nil) {
				t.Errorf("verb %v on condition %+v", a.Verb, cond)
			}
		})
	}
}

// An action outlives the pair that it was made of, and its objects are whole.
func TestPlanKeepsNothingOfAPair(t *testing.T) {
	object := func() *Found {
		f := inBucket(&bucket.Listed{Key: "k", Size: 5, ETag: "e"}, "k")
		return &f
	}
	whole := unproven(bucket.Object{Key: "k", Size: 5, ETag: "e"}, "k")
	p := policy{way: compare.Across, same: compare.Content.Strategy(), selects: func(string) bool { return true }}
	from, to := object(), object()
	to.Size++
	a, ok := p.plan(pair{"k", from, to})
	*from, *to = Found{}, Found{}
	if !ok || a.From.Entry != whole || a.Old == nil || a.Old.Size != 6 || a.Old.Digest != manifest.UnprovenDigest("e", 6) {
		t.Errorf("planned %v: %+v, to replace %+v", ok, a.From.Entry, a.Old)
	}
}

func TestUnknownCoversWhatIsBelow(t *testing.T) {
	u := unknown{}
	u.add("a/b/")
	u.add("f")
	for key, want := range map[string]bool{
		"a/b/c": true, "a/b/c/d": true, "a/b": true, "a/bc": false, "a/": false, "f": true, "f/x": true, "fx": false,
	} {
		if u.covers(key) != want {
			t.Errorf("%q is covered: %v", key, !want)
		}
	}
	u.add("")
	if !u.covers("anything") {
		t.Error("an unreadable root covers nothing")
	}
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		n, total uint64
		empty    bool
		limit    Limit
		allow    bool
		want     error
	}{
		{0, 0, true, Limit{}, false, nil},
		{0, 10, true, Limit{}, false, nil},
		{10, 10, true, Limit{}, false, ErrEmptySource},
		{10, 10, true, Limit{}, true, nil},
		{1000, 1000, true, Limit{}, true, nil},
		{1000, 1000, true, Limit{Count: 5, Given: true}, true, ErrTooManyDeletes},
		{100, 120, false, Limit{}, false, nil},
		{101, 120, false, Limit{}, false, ErrTooManyDeletes},
		{500, 1000, false, Limit{}, false, nil},
		{501, 1000, false, Limit{}, false, ErrTooManyDeletes},
		{501, 1000, false, Limit{Count: 501, Given: true}, false, nil},
		{1, 1000, false, Limit{Count: 0, Given: true}, false, ErrTooManyDeletes},
		{100, 1000, false, Limit{Percent: 10, Given: true}, false, nil},
		{101, 1000, false, Limit{Percent: 10, Given: true}, false, ErrTooManyDeletes},
	} {
		if err := guard(c.n, c.total, circumstances{empty: c.empty}, c.limit, c.allow); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Where nothing was mirrored before little may be deleted, and where the source is another one nothing.
func TestGuardOfFirstRuns(t *testing.T) {
	half := Limit{Percent: 50, Given: true}
	for _, c := range []struct {
		n, total uint64
		first    bool
		limit    Limit
		want     error
	}{
		{10, 10, true, Limit{}, nil},
		{11, 1000, true, Limit{}, ErrFirstRun},
		{11, 1000, false, Limit{}, nil},
		{11, 1000, true, Limit{Count: 11, Given: true}, nil},
		{500, 1000, true, half, nil},
		{501, 1000, true, half, ErrTooManyDeletes},
		{901, 1000, false, Limit{}, ErrWrongSource},
		{901, 1000, true, Limit{}, ErrWrongSource},
		{900, 1000, false, Limit{}, ErrTooManyDeletes},
		{1000, 1000, false, Limit{Percent: 100, Given: true}, nil},
		{100, 100, false, Limit{}, nil},
		{100, 105, false, Limit{}, ErrWrongSource},
	} {
		of := circumstances{first: c.first}
		if c.first && c.n%2 == 1 { // it comes to the same if all was only found there
			of = circumstances{strange: c.n}
		}
		err := guard(c.n, c.total, of, c.limit, false)
		if !errors.Is(err, c.want) || c.want != nil && !errors.Is(err, ErrTooManyDeletes) {
			t.Errorf("%+v: %v", c, err)
		}
		if c.want == ErrTooManyDeletes && (errors.Is(err, ErrFirstRun) || errors.Is(err, ErrWrongSource)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestPartSize(t *testing.T) {
	for _, c := range []struct{ chunk, size, want int64 }{
		{0, 8 << 20, 8 << 20}, {0, 80 << 30, 16 << 20}, {0, 78 << 30, 8 << 20}, {0, 5 << 40, 1 << 30},
		{16 << 20, 1 << 30, 16 << 20}, {1, 1 << 20, 5 << 20}, {10_000_000, 1 << 30, 10 << 20}, {6 << 30, 1 << 40, 5 << 30},
	} {
		p := Parts{Size: c.chunk}.usual()
		l := p.layout(c.size)
		if l.part != c.want || l.len() > maxParts {
			t.Errorf("%d bytes in parts of %d, asked for %d: want %d", c.size, l.part, c.chunk, c.want)
		}
		if u := l.unit(); u*int64(l.perPart) != l.part || u&(u-1) != 0 || u > mostUnit || u < hashing.MinPart {
			t.Errorf("parts of %d hashed in units of %d", l.part, u)
		} else if w := l.window(l.part); w > wholePart && w*leastUnits > l.part {
			t.Errorf("parts of %d are written by windows of %d", l.part, w)
		}
	}
}

func TestHullAndWithin(t *testing.T) {
	r := func(first, last string) *manifest.Range { return &manifest.Range{First: first, Last: last} }
	if h := hull(r("b", "c"), r("a", "b")); *h != *r("a", "c") {
		t.Errorf("%v", h)
	}
	if h := hull(r("b", ""), r("a", "z")); *h != *r("a", "") {
		t.Errorf("%v", h)
	}
	if hull(nil, nil) != nil || *hull(nil, r("a", "b")) != *r("a", "b") {
		t.Error("the hull of nothing is not nothing")
	}
	for _, c := range []struct {
		a, b *manifest.Range
		want bool
	}{
		{nil, nil, true}, {r("a", "b"), nil, false}, {r("b", "c"), r("a", "d"), true}, {r("b", "e"), r("a", "d"), false},
		{r("b", ""), r("a", "d"), false}, {r("b", "c"), r("a", ""), true}, {r("b", ""), r("a", ""), true},
	} {
		if within(c.a, c.b) != c.want {
			t.Errorf("%v within %v: %v", c.a, c.b, !c.want)
		}
	}
}
