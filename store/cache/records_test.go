package cache

import (
	"bytes"
	"fmt"
	"testing"
)

// open opens a cache and expects no notes.
func open(t *testing.T, dir string) *Cache {
	t.Helper()
	c := Open(dir, testOptions)
	t.Cleanup(func() { c.Close() })
	if notes := c.Notes(); len(notes) > 0 {
		t.Fatalf("notes: %q", notes)
	}
	return c
}

func closeQuietly(t *testing.T, c *Cache) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantRecord(t *testing.T, r Records, name string, want []byte) {
	t.Helper()
	got := r.Recall([]byte(name))
	if (got == nil) != (want == nil) || !bytes.Equal(got, want) {
		t.Errorf("%q: got %d bytes %.20q, want %d bytes %.20q", name, len(got), got, len(want), want)
	}
}

func TestRecords(t *testing.T) {
	long := bytes.Repeat([]byte("merkur "), 2<<20/7)
	records := map[string][]byte{
		"a":                      []byte("1"),
		"":                       []byte("the root"),
		"empty":                  {},
		"\xff\x00\n":             []byte("not UTF-8"),
		"long":                   long,
		"page":                   long[:1<<20],
		string(long[:maxName]):   []byte("longest name"),
		string(long[:maxName+1]): nil, // too long to be kept
	}
	dir := t.TempDir()
	c := open(t, dir)
	spaces := func() []Records { return []Records{c.Digests(), c.Pages(), c.State()} }
	for name, record := range records {
		for i, r := range spaces() {
			if record != nil {
				record = append([]byte{byte(i)}, record...)
			}
			r.Remember([]byte(name), record)
			wantRecord(t, r, name, record) // collected, or written already
			if record != nil {
				record = record[1:]
			}
		}
	}
	closeQuietly(t, c)
	wantRecord(t, c.Digests(), "a", nil) // closed

	c = open(t, dir)
	for name, record := range records {
		for i, r := range spaces() {
			if record != nil {
				wantRecord(t, r, name, append([]byte{byte(i)}, record...))
			}
		}
		wantRecord(t, c.Pages(), name+"?", nil)
	}
}

// The root of a large manifest.
func TestLargestState(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	root := bytes.Repeat([]byte("root of all "), 16<<20/12)
	c.State().Remember([]byte("root"), root)
	closeQuietly(t, c)
	wantRecord(t, open(t, dir).State(), "root", root)
}

func TestRememberReplacesAndRemoves(t *testing.T) {
	dir := t.TempDir()
	long := bytes.Repeat([]byte{'x'}, 3*pieceSize)
	steps := [][]byte{[]byte("short"), long, nil, long, []byte("short again"), nil}
	for i, record := range steps {
		c := open(t, dir)
		if i > 0 {
			wantRecord(t, c.State(), "root", steps[i-1])
		}
		c.State().Remember([]byte("root"), record)
		wantRecord(t, c.State(), "root", record)
		closeQuietly(t, c)
	}
	wantRecord(t, open(t, dir).State(), "root", nil)
}

// Neither side keeps the other's slice.
func TestSlicesAreCopied(t *testing.T) {
	c := open(t, t.TempDir())
	name, record := []byte("name"), []byte("record")
	c.Pages().Remember(name, record)
	name[0], record[0] = '!', '!'
	got := c.Pages().Recall([]byte("name"))
	got[0] = '?'
	wantRecord(t, c.Pages(), "name", []byte("record"))
}

func TestTooLongRecordRemovesTheOld(t *testing.T) {
	c := open(t, t.TempDir())
	c.State().Remember([]byte("x"), []byte("old"))
	c.State().Remember([]byte("x"), make([]byte, maxValue+1))
	wantRecord(t, c.State(), "x", nil)
}

func TestManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	const n = 2000
	inParallel(n, 8, func(i int) {
		for round := range 3 {
			c.Digests().Remember(dirName(i), dirRecord(i, round))
		}
		if !bytes.Equal(c.Digests().Recall(dirName(i)), dirRecord(i, 2)) {
			t.Errorf("record %d is not found by the goroutine that wrote it", i)
		}
	})
	closeQuietly(t, c)
	c = open(t, dir)
	inParallel(n, 8, func(i int) {
		if !bytes.Equal(c.Digests().Recall(dirName(i)), dirRecord(i, 2)) {
			t.Errorf("record %d is not found by the next run", i)
		}
	})
}

// Closing while others read and write is safe.
func TestCloseMeanwhile(t *testing.T) {
	c := open(t, t.TempDir())
	inParallel(400, 4, func(i int) {
		c.Digests().Remember(dirName(i), dirRecord(i, 0))
		if i == 200 {
			closeQuietly(t, c)
		}
		if got := c.Digests().Recall(dirName(i)); got != nil && !bytes.Equal(got, dirRecord(i, 0)) {
			t.Errorf("record %d is another", i)
		}
	})
	closeQuietly(t, c)
}

func BenchmarkRemember(b *testing.B) {
	c := Open(b.TempDir(), testOptions)
	record := dirRecord(0, 0)
	b.SetBytes(recordSize)
	for i := 0; b.Loop(); i++ {
		c.Digests().Remember(dirName(i), record)
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkRecall(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("of-%d", n), func(b *testing.B) {
			dir := b.TempDir()
			c := Open(dir, testOptions)
			load(c, n, 0)
			c.Close()
			c = Open(dir, testOptions)
			defer c.Close()
			b.SetBytes(recordSize)
			for i := 0; b.Loop(); i++ {
				if c.Digests().Recall(dirName(i%n)) == nil {
					b.Fatal("missing", i, c.Notes())
				}
			}
		})
	}
}

// BenchmarkOpenClose is what a run that finds nothing changed pays for having a cache.
func BenchmarkOpenClose(b *testing.B) {
	dir := b.TempDir()
	c := Open(dir, testOptions)
	load(c, 10000, 0)
	c.Close()
	for b.Loop() {
		if err := Open(dir, testOptions).Close(); err != nil {
			b.Fatal(err)
		}
	}
}
