package headers

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"
)

// What is parsed can be sent, and says the same whenever it is asked.
func FuzzParseRules(f *testing.F) {
	f.Add(example(f), "assets/app.map")
	for _, text := range []string{
		"/*\n  x-amz-meta-a: 1\n# c\n\n*.html\n\tExpires: 2030-01-01\n", "a\n :", "\ufeff/", "a\n\xff", "Expires:", "a\r\n x-amz-meta-A:\r\n",
	} {
		f.Add(text, "a")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		rules, err := ParseRules(strings.NewReader(text), "f", glob)
		if err != nil {
			if rules != nil || !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("%v, %v", rules, err)
			}
			return
		}
		s := rules.For(key)
		if err := s.Valid(); err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if again := rules.For(key); again.Tag() != s.Tag() || s.Over(s).Tag() != s.Tag() {
			t.Fatalf("%+v, then %+v", s, again)
		}
	})
}

// Whatever is parsed comes back from its JSON, and from the shorthand with quotes; only that
// cannot tell a backslash before a quote from an escape.
func FuzzParseMetadata(f *testing.F) {
	for _, r := range recorded[map[string]string](f, "metadata.json") {
		f.Add(r.given)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMetadata(text)
		if err != nil {
			if m != nil {
				t.Fatalf("%v, %v", m, err)
			}
			return
		}
		if err := (Set{Metadata: m}).Valid(); err != nil {
			t.Fatal(err)
		}
		asJSON, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(m) == 0 {
			asJSON = []byte("{}")
		}
		if again, err := ParseMetadata(string(asJSON)); err != nil || !maps.Equal(again, m) {
			t.Fatalf("%v is %v from %s, %v", m, again, asJSON, err)
		}
		if quoted, ok := inQuotes(m); ok {
			if again, err := ParseMetadata(quoted); err != nil || !maps.Equal(again, m) {
				t.Fatalf("%v is %v from %s, %v", m, again, quoted, err)
			}
		}
	})
}

// inQuotes writes metadata in the shorthand, if that can be.
func inQuotes(m map[string]string) (string, bool) {
	var items []string
	for name, value := range m {
		if strings.Contains(value, `\`) || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.#") != "" {
			return "", false
		}
		items = append(items, name+` = "`+strings.ReplaceAll(value, `"`, `\"`)+`" `)
	}
	return strings.Join(items, ","), len(items) > 0
}

// What is parsed is an HTTP date, and that means itself.
func FuzzParseExpires(f *testing.F) {
	for _, r := range recorded[string](f, "expires.json") {
		f.Add(r.given)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseExpires(text)
		if err != nil || text == "" {
			if at != "" {
				t.Fatalf("%q, %v", at, err)
			}
			return
		}
		if _, err := time.Parse(httpDate, at); err != nil {
			t.Fatal(err)
		}
		if again, err := ParseExpires(at); err != nil || again != at {
			t.Fatalf("%q, then %q, %v", at, again, err)
		}
	})
}

// Any time that can be told comes back from its seconds, and from ISO 8601 in any zone.
func FuzzExpiresRoundTrip(f *testing.F) {
	for _, second := range []int64{0, -1, 1893456000, firstSecond, lastSecond} {
		f.Add(second, int16(60))
	}
	f.Fuzz(func(t *testing.T, second int64, minutes int16) {
		at := time.Unix(firstSecond+int64(uint64(second)%(lastSecond-firstSecond+1)), 0).UTC()
		zoned := at.In(time.FixedZone("", int(minutes)%(24*60)*60))
		forms := []string{at.Format("2006-01-02 15:04:05"), at.Format(time.RFC1123Z)}
		if y := zoned.Year(); y >= 0 && y <= 9999 {
			forms = append(forms, zoned.Format(time.RFC3339), zoned.Format("20060102T150405-0700"))
		}
		for _, form := range forms {
			if got, err := ParseExpires(form); err != nil || got != at.Format(httpDate) {
				t.Fatalf("%s is %q, %v", form, got, err)
			}
		}
	})
}

// A guess looks at the end of the name only, and knows an extension in any case.
func FuzzGuess(f *testing.F) {
	for _, r := range recorded[string](f, "types.json") {
		f.Add(r.given)
	}
	f.Fuzz(func(t *testing.T, key string) {
		got := Guess(key)
		if below := Guess("a.html/" + key); below != got {
			t.Fatalf("%q, in a directory %q", got, below)
		}
		if base, ext := splitExt(key); base+ext != key || strings.Contains(ext, "/") || got != "" && ext == "" {
			t.Fatalf("%q is split into %q and %q", key, base, ext)
		}
		if got == "" || strings.Contains(got, "/") {
			return
		}
		t.Fatalf("%q is no type", got)
	})
}
