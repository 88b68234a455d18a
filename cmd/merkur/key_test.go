package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"merkur/manifest"
)

func TestParseKey(t *testing.T) {
	raw := bytes.Repeat([]byte{0xab}, 32)
	want := manifest.Key(raw)
	digits := strings.Repeat("ab", 32)
	for _, good := range []string{string(raw), digits, digits + "\n", "  " + strings.ToUpper(digits) + "\r\n"} {
		if got, err := parseKey([]byte(good)); err != nil || *got != want {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "ab", digits[1:], digits + "a", strings.Repeat("xy", 32), string(raw) + "\n\n"} {
		_, err := parseKey([]byte(bad))
		if err == nil || strings.Contains(fmt.Sprint(err), "ab") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
