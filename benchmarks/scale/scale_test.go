package main

import (
	"context"
	"testing"
)

// What the model says of a tree is what the real code does to it.
func TestModel(t *testing.T) {
	costs, err := simulate(context.Background(), t.TempDir(), 200_000)
	if err != nil {
		t.Fatal(err)
	}
	const inline = 2 * 112 << 10 // what lies in the root object already is sent twice, by announcement and commit
	for _, c := range costs {
		t.Logf("%s: %+v", c.Run, c)
		if c.Modelled == 0 && c.Sent > 0 {
			t.Errorf("%s: %d bytes are sent", c.Run, c.Sent)
		}
		if c.Sent > c.Modelled*5/4+inline || c.Sent < c.Modelled/2 {
			t.Errorf("%s: %d bytes are sent, the model says %d", c.Run, c.Sent, c.Modelled)
		}
	}
	for _, c := range costs[1:4] {
		if c.Puts > 3 || c.Gets > 4 || c.Sent > 300_000 {
			t.Errorf("%s: %d puts, %d gets, %d bytes", c.Run, c.Puts, c.Gets, c.Sent)
		}
	}
}

func TestSelection(t *testing.T) {
	s := selection{from: 5, to: 21, step: 8}
	for i, want := range map[int]bool{4: false, 5: true, 6: false, 13: true, 21: false, 29: false} {
		if s.has(i) != want {
			t.Errorf("%d: %v", i, !want)
		}
	}
}
