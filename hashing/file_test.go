package hashing

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/zeebo/blake3"

	"merkur/manifest"
)

func TestFile(t *testing.T) {
	for _, n := range append(sizes, 2*block, 2*block+1, 10*block-1) {
		b := noise(n)
		want := manifest.Digest(blake3.Sum256(b))
		if d, m, err := File(bytes.NewReader(b), int64(n)); d != want || m != int64(n) || err != nil {
			t.Errorf("%d bytes: %v of %d, %v", n, d, m, err)
		}
		if d, m, err := File(bytes.NewReader(b), int64(n)+1); d != want || m != int64(n) || err != nil {
			t.Errorf("%d bytes, one more expected: %v of %d, %v", n, d, m, err)
		}
		if n > 0 {
			want = blake3.Sum256(b[:n-1])
			if d, m, err := File(bytes.NewReader(b), int64(n)-1); d != want || m != int64(n-1) || err != nil {
				t.Errorf("%d bytes, one less expected: %v of %d, %v", n, d, m, err)
			}
		}
	}
}

// TestPieces hashes large files, with holes so that they are cheap, in a scan and in a stream.
func TestPieces(t *testing.T) {
	root := t.TempDir()
	for name, size := range map[string]int64{"at": large, "above": large + 1, "odd": large + 5*piece/2 + 777} {
		h, err := os.Create(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if _, err = h.WriteAt([]byte(name), size-int64(len(name))); err != nil {
			t.Fatal(err)
		}
	}
	_, entries, stats := scan(t, root, Options{})
	for _, e := range entries {
		h, err := os.Open(filepath.Join(root, e.Key))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if d, n, err := File(h, e.Size); d != e.Digest || n != e.Size || err != nil {
			t.Errorf("%s: %v in pieces, %v in a stream (%d of %d bytes, %v)", e.Key, e.Digest, d, n, e.Size, err)
		}
	}
	if stats.HashedFiles != 3 {
		t.Errorf("stats %+v", stats)
	}
}

// A fake is a file that changes from one opening to the next.
type fake struct {
	content string
	st      stat  // when it is asked after reading
	err     error // of reading
}

func (f fake) close()              {}
func (f fake) stat() (stat, error) { return f.st, nil }
func (f fake) ReadAt(b []byte, offset int64) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return bytes.NewReader([]byte(f.content)).ReadAt(b, offset)
}

func TestReadFile(t *testing.T) {
	seen := func(size, ctime int64) stat { return stat{kind: regular, size: size, ctime: ctime} }
	broken := errors.New("broken")
	for _, c := range []struct {
		name   string
		opened []fake
		want   string // what the digest is of
		steady bool
		err    error
	}{
		{"still", []fake{{"abc", seen(3, 1), nil}}, "abc", true, nil},
		{"touched once", []fake{{"abc", seen(3, 2), nil}, {"abc", seen(3, 2), nil}}, "abc", true, nil},
		{"grown once", []fake{{"abcd", seen(4, 2), nil}, {"abcd", seen(4, 2), nil}}, "abcd", true, nil},
		{"shrunk once", []fake{{"ab", seen(2, 2), nil}, {"ab", seen(2, 2), nil}}, "ab", true, nil},
		{"rewritten in place", []fake{{"xyz", seen(3, 2), nil}, {"xyz", seen(3, 3), nil}, {"xyw", seen(3, 3), nil}}, "xyw", true, nil},
		{"never still", []fake{{"abcd", seen(4, 2), nil}, {"abcde", seen(5, 3), nil}, {"abcdef", seen(6, 4), nil}}, "abcde", false, nil},
		{"shorter than its size", []fake{{"ab", seen(3, 1), nil}, {"ab", seen(3, 1), nil}, {"ab", seen(3, 1), nil}}, "ab", false, nil},
		{"read error", []fake{{"abc", seen(3, 1), broken}}, "", false, broken},
		{"read error later", []fake{{"abc", seen(3, 2), nil}, {"abc", seen(3, 1), broken}}, "", false, broken},
		{"no longer a file", []fake{{"abc", stat{kind: special}, nil}}, "", false, errSpecial},
		{"gone", nil, "", false, os.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &worker{read: newReader(new(atomic.Bool))}
			opened := 0
			r, err := w.readFile(func() (source, error) {
				if opened++; opened > len(c.opened) {
					return nil, os.ErrNotExist
				}
				return c.opened[opened-1], nil
			}, seen(3, 1))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			if r.digest != Sum([]byte(c.want)) || r.size != int64(len(c.want)) || r.steady != c.steady {
				t.Errorf("%d bytes, steady %v; want %q, steady %v", r.size, r.steady, c.want, c.steady)
			}
			if opened != len(c.opened) {
				t.Errorf("opened %d times", opened)
			}
		})
	}
}

// TestLargeShrinks makes a file that goes by pieces shorter after it was looked at.
func TestLargeShrinks(t *testing.T) {
	c := newCrew(usualReach, nil)
	w := &worker{crew: c, read: newReader(&c.halted)}
	st := stat{kind: regular, size: large + 1}
	opened := 0
	r, err := w.readFile(func() (source, error) {
		opened++
		return fake{"short", st, nil}, nil
	}, st)
	if err != nil || r.steady || r.size != 5 || r.digest != Sum([]byte("short")) || opened != tries {
		t.Errorf("%+v after %d readings, %v", r, opened, err)
	}
	if _, err = w.inPieces(fake{err: io.ErrNoProgress}, large+1); err != io.ErrNoProgress {
		t.Errorf("read error in a piece: %v", err)
	}
}

// TestShareWork counts that every piece is done once, also with more calls than hands.
func TestShareWork(t *testing.T) {
	c := newCrew(usualReach, nil)
	workers := []*worker{{crew: c}, {crew: c}, {crew: c}}
	c.start(workers)
	defer c.wg.Wait()
	defer c.halt()
	var done [100][10]atomic.Int32
	own := &worker{crew: c}
	c.share(own, len(done), func(w *worker, i int) {
		w.crew.share(w, len(done[i]), func(_ *worker, k int) { done[i][k].Add(1) })
	})
	for i := range done {
		for k := range done[i] {
			if n := done[i][k].Load(); n != 1 {
				t.Errorf("piece %d of %d done %d times", k, i, n)
			}
		}
	}
}
