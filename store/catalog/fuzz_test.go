package catalog

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"merkur/manifest"
)

// FuzzMark takes any bytes for the file of a mark: it is what was kept, or an error.
func FuzzMark(f *testing.F) {
	good := sighting{manifest.ID{1}, manifest.ID{2}, 3}.encode()
	for _, b := range [][]byte{nil, good, good[1:], append(bytes.Clone(good), 0), make([]byte, len(good))} {
		f.Add(b)
	}
	file := filepath.Join(f.TempDir(), "x.seen")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := (&Mark{file: file}).last()
		if err == nil && (s == nil || !bytes.Equal(s.encode(), b)) {
			t.Errorf("%x is %+v", b, s)
		}
	})
}

// FuzzIdentity takes any bytes for the file of an identity: the writer is the one that was kept here, or a
// new one, which is kept then.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(make([]byte, 31))
	f.Add(make([]byte, 32))
	f.Add(make([]byte, 100))
	dir := f.TempDir()
	id, err := Identify(dir, "place")
	if err != nil {
		f.Fatal(err)
	}
	id.Release()
	names, _ := filepath.Glob(filepath.Join(dir, "*.writer"))
	kept, err := os.ReadFile(names[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kept)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(names[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := Identify(dir, "place")
		if err != nil {
			t.Fatal(err)
		}
		first.Release()
		second, err := Identify(dir, "place")
		second.Release()
		if err != nil || first.Writer != second.Writer {
			t.Errorf("%x is %x and then %x, %v", b, first.Writer, second.Writer, err)
		}
	})
}
