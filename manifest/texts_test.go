package manifest

import (
	"strings"
	"testing"
)

// What is added later changes no text, and no text is longer than it was.
func TestTexts(t *testing.T) {
	var texts Texts
	var got, want []string
	room := make([]byte, 0, 5000)
	for _, n := range []int{3, 0, 1021, 1, 1024, 5000, 2, 700, 700, 40} {
		for _, c := range "ab" {
			want = append(want, strings.Repeat(string(c), n))
			room = append(room[:0], want[len(want)-1]...) // the same memory each time
			got = append(got, texts.Add(room))
		}
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("text %d has %d bytes and begins with %.3q; want %d, %.3q", i, len(got[i]), got[i], len(want[i]), want[i])
		}
	}
}
