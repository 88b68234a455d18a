package local

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// What a small file takes from the first look at its place to its name.
func BenchmarkDraft(b *testing.B) {
	tree, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer tree.Close()
	body := bytes.Repeat([]byte("x"), 4<<10)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		d, err := tree.Create(fmt.Sprintf("some/where/%d/%d", n/100, n))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Write(body); err != nil {
			b.Fatal(err)
		}
		if err := d.StillAs(nil); err != nil {
			b.Fatal(err)
		}
		if err := d.Publish(time.Unix(1, 0)); err != nil {
			b.Fatal(err)
		}
	}
}

// What a small file takes that is made at once.
func BenchmarkWhole(b *testing.B) {
	tree, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer tree.Close()
	body := bytes.Repeat([]byte("x"), 4<<10)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		name := fmt.Sprintf("some/where/%d/%d", n/100, n)
		if err := tree.Room(name); err != nil {
			b.Fatal(err)
		}
		if done, err := tree.Whole(name, body, time.Unix(1, 0)); err != nil {
			b.Fatal(err)
		} else if !done {
			b.Skip("no files without a name here")
		}
	}
}
