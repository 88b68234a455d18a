package cache

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

func TestWorthRewriting(t *testing.T) {
	for _, test := range []struct {
		tables         int
		fresh, settled int64
		want           bool
	}{
		{0, 0, 0, false},
		{0, 0, 1 << 30, false},
		{1, 1 << 20, 0, false},       // a small tree
		{2, 5 << 20, 0, true},        // written for the first time
		{1, 4 << 20, 1 << 20, false}, // a small tree, written again
		{3, 6 << 20, 1 << 20, true},
		{9, 80 << 20, 80 << 20, false}, // all of it written again
		{17, 85 << 20, 80 << 20, true},
		{16, 1 << 20, 1 << 30, false}, // little changes now and then
		{17, 1 << 20, 1 << 30, true},
	} {
		if got := worthRewriting(test.tables, test.fresh, test.settled); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

// diskUse returns the bytes in the files of a cache.
func diskUse(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "DISCARD" { // which is a hole
			return err
		}
		info, err := d.Info()
		sum += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// Old versions do not pile up, and each run finds what the one before has written.
func TestSpace(t *testing.T) {
	const n, live = 560, 560 * recordSize
	dir := t.TempDir()
	largest := int64(0)
	for round := range 20 {
		c := open(t, dir)
		for i := range n {
			if got := c.Digests().Recall(dirName(i)); round > 0 && !bytes.Equal(got, dirRecord(i, round-1)) {
				t.Fatalf("round %d: record %d is not that of the round before", round, i)
			}
		}
		load(c, n, round)
		closeQuietly(t, c)
		largest = max(largest, diskUse(t, dir))
	}
	if largest > 3*live {
		t.Errorf("%d bytes on disk for %d live ones", largest, live)
	}
	t.Logf("at most %.2f times the live bytes", float64(largest)/live)
}

// A rewrite keeps the newest records and drops what was removed, with its pieces.
func TestRewrite(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	load(c, 600, 0)
	load(c, 300, 1)
	for i := range 100 {
		c.Digests().Remember(dirName(i), nil)
	}
	big := bytes.Repeat([]byte{1, 2, 3}, pieceSize)
	c.State().Remember([]byte("gone"), big)
	c.State().Remember([]byte("kept"), big)
	c.State().Remember([]byte("shorter"), big)
	closeQuietly(t, c)
	c = open(t, dir)
	c.State().Remember([]byte("gone"), nil)
	c.State().Remember([]byte("shorter"), big[:pieceSize+1])
	load(c, 550, 1) // enough for another rewrite
	for i := range 100 {
		c.Digests().Remember(dirName(i), nil)
	}
	for i := 550; i < 600; i++ {
		c.Digests().Remember(dirName(i), dirRecord(i, 1))
	}
	c.batch.flush(c)
	c.open.Lock()
	keys := map[string]bool{}
	err := c.copyLive(func(key, _ []byte) error { keys[string(key)] = true; return nil })
	c.open.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	// 500 directories; three pieces and a head of "kept"; a head and a piece of "shorter".
	if want := 500 + 3 + 2; len(keys) != want {
		t.Errorf("%d live entries, want %d", len(keys), want)
	}
	closeQuietly(t, c)

	c = open(t, dir)
	for i := range 600 {
		want := dirRecord(i, 1)
		if i < 100 {
			want = nil
		}
		wantRecord(t, c.Digests(), string(dirName(i)), want)
	}
	wantRecord(t, c.State(), "gone", nil)
	wantRecord(t, c.State(), "kept", big)
	wantRecord(t, c.State(), "shorter", big[:pieceSize+1])
}

// The database written in one pass is one that Badger accepts, block by block.
func TestOnePass(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &onePass{dir: dir}
	const n = 3000
	for i := range n {
		if err := p.add(dirName(i), dirRecord(i, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.add(dirName(7), nil); err == nil {
		t.Error("keys out of order are taken")
	}
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	db, err := openDB(dir, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.VerifyChecksum(); err != nil {
		t.Error(err)
	}
	count := 0
	err = db.View(func(txn *badger.Txn) error {
		all := txn.NewIterator(badger.IteratorOptions{})
		defer all.Close()
		for all.Rewind(); all.Valid(); all.Next() {
			if got, _ := all.Item().ValueCopy(nil); !bytes.Equal(got, dirRecord(count, 0)) {
				t.Fatalf("entry %d is not what was added", count)
			}
			count++
		}
		return nil
	})
	if err != nil || count != n {
		t.Errorf("%d entries, want %d (%v)", count, n, err)
	}
}
