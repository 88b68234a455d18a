package compare

import (
	"testing"
	"time"
)

const second = int64(1_000_000)

// Each cell of what aws does, by direction, size and time.
func TestAsAWS(t *testing.T) {
	base := Facts{Size: 5, Time: 1_700_000_000 * second}
	later := func(us int64) Facts { return Facts{Size: 5, Time: base.Time + us} }
	for _, c := range []struct {
		name     string
		from, to Facts
		want     map[Name][3]Verdict // up, down, across
	}{
		{"other size, older source", Facts{Size: 6, Time: base.Time - second}, base, map[Name][3]Verdict{
			AWS: {Differs, Differs, Differs}, Exact: {Differs, Differs, Differs}, Size: {Differs, Differs, Differs}}},
		{"equal", base, base, map[Name][3]Verdict{
			AWS: {Same, Same, Same}, Exact: {Same, Same, Same}, Size: {Same, Same, Same}}},
		{"newer source", later(1), base, map[Name][3]Verdict{
			AWS: {Differs, Same, Differs}, Exact: {Differs, Differs, Differs}, Size: {Same, Same, Same}}},
		{"newer destination", base, later(1), map[Name][3]Verdict{
			AWS: {Same, Differs, Same}, Exact: {Same, Differs, Same}, Size: {Same, Same, Same}}},
		{"half a second newer source", later(second / 2), base, map[Name][3]Verdict{
			AWS: {Differs, Same, Differs}, Exact: {Differs, Differs, Differs}}},
	} {
		for name, verdicts := range c.want {
			for way, want := range verdicts {
				if got := name.Strategy()(Direction(way), c.from, c.to); got != want {
					t.Errorf("%s, %s, direction %d: %d, want %d", c.name, name, way, got, want)
				}
			}
		}
	}
}

func TestByContent(t *testing.T) {
	a, b := [32]byte{1}, [32]byte{2}
	for _, c := range []struct {
		name          string
		from, to      Facts
		content, etag Verdict
	}{
		{"equal digests", Facts{Size: 1, Digest: a}, Facts{Size: 1, Digest: a, ETag: "x"}, Same, Unclear},
		{"other digest, newer destination", Facts{Size: 1, Digest: a}, Facts{Size: 1, Digest: b, Time: 9}, Differs, Unclear},
		{"unread object", Facts{Size: 1, Digest: a}, Facts{Size: 1, ETag: "x"}, Unclear, Unclear},
		{"unread object of another size", Facts{Size: 2, Digest: a}, Facts{Size: 1, ETag: "x"}, Differs, Differs},
		{"two unread objects with one tag", Facts{Size: 1, ETag: "x"}, Facts{Size: 1, ETag: "x"}, Same, Same},
		{"two unread objects with two tags", Facts{Size: 1, ETag: "x"}, Facts{Size: 1, ETag: "y"}, Unclear, Unclear},
		{"nothing known", Facts{Size: 1}, Facts{Size: 1}, Unclear, Unclear},
	} {
		if got := Content.Strategy()(Up, c.from, c.to); got != c.content {
			t.Errorf("%s: content says %d, want %d", c.name, got, c.content)
		}
		if got := ETag.Strategy()(Up, c.from, c.to); got != c.etag {
			t.Errorf("%s: etag says %d, want %d", c.name, got, c.etag)
		}
	}
}

func TestNever(t *testing.T) {
	if Never(Up, Facts{Size: 1}, Facts{Size: 2}) != Same {
		t.Error("what is there would be overwritten")
	}
}

// As Python 3.11 computes datetime.fromtimestamp(os.stat(f).st_mtime).
func TestFileTimeIsPythons(t *testing.T) {
	for ns, want := range map[int64]int64{
		0:                             0,
		1_700_000_000_000_000_000:     1_700_000_000_000_000,
		1_700_000_000_500_000_000:     1_700_000_000_500_000,
		1_700_000_000_123_456_789:     1_700_000_000_123_457,
		1_700_000_000_999_999_999:     1_700_000_001_000_000,
		1_700_000_000_000_000_400:     1_700_000_000_000_000,
		-1_500_000_000:                -1_500_000,
		-1:                            0,
		4_102_444_800_000_001_000:     4_102_444_800_000_001,
		1_600_000_000_000_002_500 + 1: 1_600_000_000_000_002,
	} {
		if got := FileTime(ns); got != want {
			t.Errorf("%d ns: %d us, want %d", ns, got, want)
		}
	}
	if got := ObjectTime(time.Unix(5, 123_456_789)); got != 5_123_456 {
		t.Errorf("time of an object: %d us", got)
	}
}

func TestParse(t *testing.T) {
	for _, name := range []string{"content", "aws", "size", "exact", "etag"} {
		if n, err := Parse(name); err != nil || n.Strategy() == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "md5", "AWS", "content "} {
		if _, err := Parse(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
