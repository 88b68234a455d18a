package headers

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
)

// The files in testdata were recorded from aws 1.45.11 with Python 3.11: what was given to it,
// and what it then sent to an HTTP server; null if it failed. Of the types, the last ten were
// asked of Python's mimetypes, by absolute path, as aws asks. Where we depart, a test says so by
// name.

// A record is one line of such a file.
type record[T any] struct {
	given string
	sent  *T
}

func (r *record[T]) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&r.given, &r.sent})
}

func recorded[T any](t testing.TB, name string) []record[T] {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all []record[T]
	if err := json.Unmarshal(text, &all); err != nil || len(all) < 50 {
		t.Fatalf("%s: %d records, %v", name, len(all), err)
	}
	return all
}

// The extensions of which we think otherwise, as types.txt says.
var otherTypes = map[string]string{
	"x.a": "application/octet-stream", "x.mid": "audio/midi", "x.ts": "video/mp2t", // instead of its own
	"x.tgz.gz": "application/x-tar",
	"x.gpx":    "application/gpx+xml", "x.ipynb": "application/x-ipynb+json", "x.jsonl": "application/x-ndjson", // more
	"x.kar": "audio/midi", "x.log": "text/plain", "x.m2ts": "video/mp2t", "x.m4b": "audio/mp4", "x.map": "application/json",
	"x.midi": "audio/midi", "x.mka": "audio/x-matroska", "x.mobi": "application/x-mobipocket-ebook",
	"x.msg": "application/vnd.ms-outlook", "x.ndjson": "application/x-ndjson", "x.parquet": "application/vnd.apache.parquet",
	"x.toml": "application/toml", "x.weba": "audio/webm", "x.xsd": "application/xml", "x.yaml": "application/yaml",
	"x.yml": "application/yaml",
}

func TestGuessLikeAWS(t *testing.T) {
	covered := make(map[string]bool)
	departures := maps.Clone(otherTypes)
	for _, r := range recorded[string](t, "types.json") {
		want := *r.sent
		if other, ok := departures[r.given]; ok {
			if other == want {
				t.Errorf("%q is no departure", r.given)
			}
			want = other
			delete(departures, r.given)
		}
		if got := Guess(r.given); got != want {
			t.Errorf("Guess(%q) = %q, want %q", r.given, got, want)
		}
		_, ext := splitExt(r.given)
		covered[ext] = true
	}
	for ext := range types() {
		if !covered["."+ext] {
			t.Errorf("nothing is recorded of .%s", ext)
		}
	}
	if len(departures) > 0 {
		t.Errorf("nothing is recorded of %v", departures)
	}
}

// What we refuse and aws takes: it would send headers that HTTP does not know, let the last of
// two names win that are one to S3, or read a file.
var refusedMetadata = []string{
	"=v", "=", "k=a,=c", `{"":"v"}`, "k/x=v", "k=v,K=w", `{"k":"v","K":"w"}`, "k@=v", "k@=@",
	`{"k x":"v"}`, "{\"k\\u0000\":\"v\"}", `{"k":"v\u0000"}`, "k=a\x7fb", "k=v\u00a0", "k=a\u2003",
}

func TestMetadataLikeAWS(t *testing.T) {
	refused := 0
	for _, r := range recorded[map[string]string](t, "metadata.json") {
		got, err := ParseMetadata(r.given)
		switch {
		case slices.Contains(refusedMetadata, r.given):
			refused++
			if err == nil || r.sent == nil {
				t.Errorf("%q is no departure: %v", r.given, got)
			}
		case r.sent == nil && err == nil:
			t.Errorf("%q is taken, as %v", r.given, got)
		case r.sent != nil && (err != nil || !maps.Equal(got, trimmed(*r.sent))):
			t.Errorf("%q is %v, %v; want %v", r.given, got, err, *r.sent)
		}
	}
	if refused != len(refusedMetadata) {
		t.Errorf("%d departures are recorded, want %d", refused, len(refusedMetadata))
	}
}

// trimmed is what arrives of values with space behind them: the recorder dropped only what is
// before.
func trimmed(m map[string]string) map[string]string {
	for name, value := range m {
		for len(value) > 0 && value[len(value)-1] == ' ' {
			value = value[:len(value)-1]
		}
		m[name] = value
	}
	return m
}

// What aws takes of times beyond the forms that we promise: a parser that guesses.
var refusedExpires = []string{
	"2030-1-1", "1e9", "1_000", "1.5e3", "Tue, 01 Jan 2030 00:00:00 EST", "01 Jan 2030", "Jan 1 2030", "1/2/2030",
	"2030/01/01", "2030-01-01T", "2030-01-01T00:00:00 Z", "2030-01-01T00:00:00 +02:00", "2030-01-01 00:00:00 +0200",
	"2030-01-01T00:00:00UTC", "2030-01-01T00:00:00 UTC", "2030-01-01T00:00:00 GMT", "2030-01-01T1:2:3Z",
	"20300101000000", "2030-01-01T00:00:00+1:00", "２０３０-01-01", "2030-01-01T12:00:00 PM",
	"2030-01-01T12:30.5Z",
}

// Times that aws fails to send though they can be told, or that it rounds otherwise.
var otherExpires = map[string]string{
	"-62135596800": "Mon, 01 Jan 0001 00:00:00 GMT",
	"0001-01-01":   "Mon, 01 Jan 0001 00:00:00 GMT",
	"1.9999999":    "Thu, 01 Jan 1970 00:00:01 GMT",
}

func TestExpiresLikeAWS(t *testing.T) {
	seen := 0
	for _, r := range recorded[string](t, "expires.json") {
		got, err := ParseExpires(r.given)
		other, departs := otherExpires[r.given]
		switch {
		case departs:
			seen++
			if err != nil || got != other || r.sent != nil && *r.sent == other {
				t.Errorf("%q is %q, %v; want %q", r.given, got, err, other)
			}
		case slices.Contains(refusedExpires, r.given):
			seen++
			if err == nil || r.sent == nil {
				t.Errorf("%q is no departure: %q", r.given, got)
			}
		case r.sent == nil && err == nil:
			t.Errorf("%q is taken, as %q", r.given, got)
		case r.sent != nil && (err != nil || got != *r.sent):
			t.Errorf("%q is %q, %v; want %q", r.given, got, err, *r.sent)
		}
	}
	if want := len(refusedExpires) + len(otherExpires); seen != want {
		t.Errorf("%d departures are recorded, want %d", seen, want)
	}
	if at, err := ParseExpires("2030-01"); err == nil { // for aws, a day that depends on today
		t.Errorf("2030-01 is %q", at)
	}
}
