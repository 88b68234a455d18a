//go:build unix

package transfer

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"merkur/hashing"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/transfer/pace"
)

// A meddler is a store that tells before it takes the body of a put, or of a part: all that leads
// there has been done, and nothing of the body is read yet.
type meddler struct {
	*buckettest.Memory
	before func(key string)
}

func (m meddler) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, o bucket.PutOptions) (bucket.Object, error) {
	m.before(key)
	return m.Memory.Put(ctx, key, body, size, o)
}

func (m meddler) Upload(ctx context.Context, key string, o bucket.PutOptions) (bucket.Upload, error) {
	up, err := m.Memory.Upload(ctx, key, o)
	return meddledUpload{up, func() { m.before(key) }}, err
}

type meddledUpload struct {
	bucket.Upload
	before func()
}

func (u meddledUpload) Part(ctx context.Context, n int, body io.ReadSeeker, size int64, crc uint64) error {
	u.before()
	return u.Upload.Part(ctx, n, body, size, crc)
}

// sameTimes makes a change of a file and puts its times back.
func sameTimes(path string, change func(string) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := change(path); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// scribble writes over a few bytes of a file, and leaves its size.
func scribble(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt([]byte("?"), info.Size()/3)
	}
	if err == nil {
		_, err = f.WriteAt([]byte("?"), info.Size()-1)
	}
	return err
}

// instead puts something else in the place of a file.
func instead(put func(string) error) func(string) error {
	return func(path string) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return put(path)
	}
}

// moves are what may become of a file while it is mirrored.
var moves = map[string]func(path string) error{
	"appended to": func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString("more")
		return err
	},
	"truncated":            func(path string) error { return os.Truncate(path, 3) },
	"emptied":              func(path string) error { return os.Truncate(path, 0) },
	"written over":         scribble,
	"written over, forged": func(path string) error { return sameTimes(path, scribble) },
	"replaced": func(path string) error {
		if err := os.WriteFile(path+".new", []byte("another"), 0o644); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	},
	"renamed":          func(path string) error { return os.Rename(path, path+".away") },
	"removed":          os.Remove,
	"made unreadable":  func(path string) error { return os.Chmod(path, 0) },
	"a FIFO":           instead(func(path string) error { return unix.Mkfifo(path, 0o644) }),
	"a directory":      instead(func(path string) error { return os.Mkdir(path, 0o755) }),
	"a link":           instead(func(path string) error { return os.Symlink("other", path) }),
	"a broken link":    instead(func(path string) error { return os.Symlink("nowhere", path) }),
	"a link to itself": instead(func(path string) error { return os.Symlink("moves", path) }),
}

// Whatever becomes of a file between the scan and its transfer, or in the middle of that: what is
// stored is what is recorded, or nothing is; nothing is deleted; and the next run finds what this
// one could not.
func TestFileMovesMeanwhile(t *testing.T) {
	for what, move := range moves {
		for _, when := range []string{"before it is opened", "while it is sent"} {
			for _, size := range []int{5, 6 << 20} {
				t.Run(fmt.Sprint(what, " ", when, " ", size), func(t *testing.T) { oneMoves(t, move, when, size) })
			}
		}
	}
}

func oneMoves(t *testing.T, move func(string) error, when string, size int) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"moves": "as it was", "other": "o", "quiet/1": "1"})
	m.mirrors()
	m.write(map[string]string{"a first one": "1", "moves": strings.Repeat("x", size)})
	path := filepath.Join(m.dir, "moves")
	var once sync.Once
	hook := map[string]string{"before it is opened": "p/a first one", "while it is sent": "p/moves"}[when]
	m.o.To.Store = meddler{m.store, func(key string) {
		if key == hook {
			once.Do(func() {
				if err := move(path); err != nil {
					t.Error(err)
				}
			})
		}
	}}
	m.o.Parts = Parts{Threshold: 1 << 20, Size: leastPart}
	m.run(func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
	holds := func() bool { _, ok := m.store.Objects()["p/moves"]; return ok }
	if !holds() || m.store.Uploads() != 0 {
		t.Errorf("the object is there: %v, uploads are left: %d\n%s", holds(), m.store.Uploads(), strings.Join(m.lines, "\n"))
	}
	m.o.To.Store = m.store
	sum := m.run(func(o *Options) { o.Delete = true })
	switch {
	case sum.Problems > 0 && !holds():
		t.Error("a problem protects nothing")
	case sum.Problems == 0 && !slices.Equal(objects(m.store), files(t, m.dir)):
		t.Errorf("the next run does not find it:\n%s", strings.Join(m.lines, "\n"))
	}
	m.remove("moves")
	m.write(map[string]string{"moves": "quiet"})
	m.mirrors()
	if m.mirrors(); len(m.calls) != 1 {
		t.Errorf("a quiet run takes %v", m.calls)
	}
}

// mapped changes a file through a mapping of a page that is dirty already, which shows in no time.
func mapped(t *testing.T, path string, at int64) (change func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	page := int64(os.Getpagesize())
	b, err := unix.Mmap(int(f.Fd()), at/page*page, int(page), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Skipf("no mapping here: %v", err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	b[at%page]++
	return func() { b[at%page]++ }
}

// A file too large for a buffer is read twice, to be hashed and to be sent. If it is another the second
// time and no time tells so, nothing is stored, also by a server that takes no checksums.
func TestLargeFileMovesBetweenReadings(t *testing.T) {
	const size = mostBuffer + 5
	for name, parts := range map[string]Parts{
		"in one request": {Threshold: 2 * size}, "in parts": {Threshold: 1 << 20, Size: roundUp(size)},
	} {
		for _, how := range []string{"forged", "mapped", "appended to", "truncated"} {
			t.Run(name+" "+how, func(t *testing.T) {
				m := newMachine(t, &buckettest.Memory{NoChecksum: true})
				m.o.Parts = parts
				m.write(map[string]string{"large": strings.Repeat("x", size), "quiet": "1"})
				path := filepath.Join(m.dir, "large")
				change := func() error { return sameTimes(path, scribble) }
				switch how {
				case "mapped":
					store := mapped(t, path, size/2)
					change = func() error { store(); return nil }
				case "forged":
				default:
					change = func() error { return moves[how](path) }
				}
				var once sync.Once
				m.o.To.Store = meddler{m.store, func(key string) {
					if key == "p/large" {
						once.Do(func() {
							if err := change(); err != nil {
								t.Error(err)
							}
						})
					}
				}}
				sum := m.run(nil)
				_, stored := m.store.Objects()["p/large"]
				if appended := how == "appended to"; sum.Failed != 1 && !appended || stored != (sum.Failed == 0) || m.store.Uploads() != 0 {
					t.Errorf("%+v, stored: %v\n%s", sum, stored, strings.Join(m.lines, "\n"))
				}
				m.mirrors()
			})
		}
	}
}

// meanwhile has something happen as soon as the scan has looked at the file of that key.
func meanwhile(m *machine, key string, happens func()) func(*Options) {
	var once sync.Once
	return func(o *Options) {
		o.Delete, o.MaxDelete = true, Limit{Percent: 100, Given: true}
		o.Scan.Workers = 1
		o.Scan.Tell = func(seen string, _ hashing.Account) {
			if seen == key {
				once.Do(happens)
			}
		}
	}
}

// While a tree is scanned, the mount that it is on vanishes, or something else takes its place: what is
// not seen then is not deleted.
func TestRootMovesMeanwhile(t *testing.T) {
	for _, becomes := range []string{"gone", "an empty directory", "another tree", "a file"} {
		t.Run(becomes, func(t *testing.T) {
			m := newMachine(t, &buckettest.Memory{})
			m.dir = filepath.Join(m.dir, "mount")
			m.o.From.Dir = m.dir
			m.write(tree())
			m.mirrors()
			before := objects(m.store)
			_, err := m.try(t.Context(), meanwhile(m, "a.txt", func() {
				err := os.Rename(m.dir, m.dir+"-away")
				switch becomes {
				case "an empty directory":
					err = os.Mkdir(m.dir, 0o755)
				case "another tree":
					m.write(map[string]string{"other": "1"})
				case "a file":
					err = os.WriteFile(m.dir, nil, 0o644)
				}
				if err != nil {
					t.Error(err)
				}
			}))
			if err == nil {
				t.Errorf("nothing is told:\n%s", strings.Join(m.lines, "\n"))
			}
			audit(t, m.store)
			if after := objects(m.store); !slices.Equal(after, before) {
				t.Errorf("the bucket holds\n%s\nand not\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
			}
			os.RemoveAll(m.dir)
			if err := os.Rename(m.dir+"-away", m.dir); err != nil {
				t.Fatal(err)
			}
			m.mirrors()
		})
	}
}

// A directory that cannot be entered when the scan comes to it protects all that was below it.
func TestDirectoryMovesMeanwhile(t *testing.T) {
	for becomes, change := range map[string]func(path string) error{
		"gone":          func(string) error { return nil },
		"a file":        func(path string) error { return os.WriteFile(path, []byte("f"), 0o644) },
		"a FIFO":        func(path string) error { return unix.Mkfifo(path, 0o644) },
		"a broken link": func(path string) error { return os.Symlink("nowhere", path) },
		"a loop":        func(path string) error { return os.Symlink("many", path) },
	} {
		t.Run(becomes, func(t *testing.T) {
			m := newMachine(t, &buckettest.Memory{})
			m.write(tree())
			m.mirrors()
			path := filepath.Join(m.dir, "many")
			sum := m.run(meanwhile(m, "a.txt", func() {
				err := os.Rename(path, m.dir+"-away")
				if err == nil {
					err = change(path)
				}
				if err != nil {
					t.Error(err)
				}
			}))
			if sum.Problems == 0 || sum.Deleted != 0 {
				t.Errorf("%+v\n%s", sum, strings.Join(m.lines, "\n"))
			}
			for i := range 40 {
				if _, ok := m.store.Objects()[fmt.Sprintf("p/many/%02d", i)]; !ok {
					t.Errorf("many/%02d is deleted", i)
				}
			}
			m.remove("many")
			if err := os.Rename(m.dir+"-away", path); err != nil {
				t.Fatal(err)
			}
			m.mirrors()
		})
	}
}

// A file is written within the time that a clock does not tell apart, with its size and its time of
// modification, again and again, between runs and while they are under way: the last run has it.
func TestEditsThatDoNotShow(t *testing.T) {
	m := newMachine(t, &buckettest.Memory{})
	m.write(map[string]string{"f": "0", "g": "0"})
	store := mapped(t, filepath.Join(m.dir, "g"), 0)
	m.mirrors()
	for i := range 5 {
		store()
		if err := sameTimes(filepath.Join(m.dir, "f"), func(path string) error {
			return os.WriteFile(path, []byte{byte('a' + i)}, 0o644)
		}); err != nil {
			t.Fatal(err)
		}
		m.mirrors()
		m.wants("put f", "put g")
	}
}
