package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// object returns a root object with pages and a footer that says what lie makes of it.
func object(lie func(*manifest.Manifest), pages ...*manifest.Page) []byte {
	m := &manifest.Manifest{UUID: manifest.ID{1}, Generation: 1, Root: emptyRoot()}
	body := manifest.AppendHead(nil, m.Head)
	for _, p := range pages {
		var at manifest.Location
		body, at = manifest.AppendFrame(body, p)
		r := p.Ref()
		r.At = at
		m.Root = manifest.RootOf(r)
	}
	lie(m)
	return m.AppendFooter(body)
}

func leaf(es ...manifest.Entry) *manifest.Page { return &manifest.Page{Entries: es} }

// everything does with a manifest what a run may do with it. Errors are nothing to worry about.
func everything(c *Catalog) {
	ctx := context.Background()
	for range c.Tree(ctx).Entries("") {
	}
	for _, i := range c.Abandoned() {
		c.DoomedBy(ctx, i.Run)
		c.MeantBy(ctx, i.Run)
	}
	c.Deleting(ctx, []string{"k"})
	c.Commit(ctx, Edit{Changes: puts(entry("k", 1)), Range: &manifest.Range{First: "k"}})
	c.Commit(ctx, Edit{})
}

// Where pages are said to be is believed only as far as the bytes are there that they should be.
func TestPlacesThatLie(t *testing.T) {
	for name, lie := range map[string]func(*manifest.Location){
		"beyond the end":    func(at *manifest.Location) { at.Off = 1 << 40 },
		"near 2^62":         func(at *manifest.Location) { at.Off = 1<<62 - 1 },
		"in the footer":     func(at *manifest.Location) { at.Off += 1000 },
		"32 MiB":            func(at *manifest.Location) { at.Len = 32 << 20 },
		"nothing":           func(at *manifest.Location) { at.Len = 0 },
		"a pack that is no": func(at *manifest.Location) { at.Pack[3] = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			body := object(func(m *manifest.Manifest) { lie(&m.Root.Top.At) }, leaf(many(1000, 0)...))
			store := &buckettest.Memory{}
			plant(t, store, "p/"+rootName, body)
			for _, w := range []*writer{newWriter(store), {store: store, o: Options{Prefix: "p/"}}} {
				c := w.open(t)
				var err error
				n := allocated(func() {
					for _, err = range c.Tree(context.Background()).Entries("") {
						if err != nil {
							break
						}
					}
				})
				if err == nil || n > 4<<20 {
					t.Errorf("%v, and %d bytes allocated", err, n)
				}
				everything(c)
			}
		})
	}
}

// A root object that is larger than any should be is not read as a whole.
func TestHugeRootObject(t *testing.T) {
	store := &buckettest.Memory{}
	small := leaf(many(1000, 0)...)
	body := object(func(*manifest.Manifest) {}, small)
	n, err := manifest.FooterSize(body)
	if err != nil {
		t.Fatal(err)
	}
	footer := body[len(body)-n:]
	huge := append(body[:len(body)-n:len(body)-n], make([]byte, rootLimit+1)...)
	plant(t, store, "p/"+rootName, append(huge, footer...))
	c := newWriter(store).open(t)
	if n := allocated(func() { everything(c) }); n > 32<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	audit(t, store, append(many(1000, 0), entry("k", 1)))
}

// Lists of what is being deleted are read one at a time, and are no longer than a page.
func TestManyLongLists(t *testing.T) {
	long := leaf()
	for i := range manifest.MaxPage {
		e := manifest.Entry{Key: strings.Repeat("k", 1000), Size: 1}
		e.Key += string(binary.BigEndian.AppendUint32(nil, uint32(i)))
		e.Evidence = manifest.Evidence{ETag: strings.Repeat("e", 1000), Version: strings.Repeat("v", 1000)}
		long.Entries = append(long.Entries, e)
	}
	body := object(func(m *manifest.Manifest) {
		doomed := m.Root.Top
		for i := range manifest.MaxIntents {
			m.Intents = append(m.Intents, manifest.Intent{Run: manifest.ID{byte(i)}, Until: 1, Doomed: &doomed})
		}
		m.Root = emptyRoot()
		m.Root.Top.At = doomed.At
	}, long)
	store := &buckettest.Memory{}
	plant(t, store, "p/"+rootName, body)
	c := newWriter(store).open(t)
	left := c.Abandoned()
	if len(left) != manifest.MaxIntents {
		t.Fatalf("%d intents", len(left))
	}
	n := allocated(func() {
		if es, err := c.DoomedBy(context.Background(), left[7].Run); err != nil || len(es) != manifest.MaxPage {
			t.Errorf("%d, %v", len(es), err)
		}
	})
	if t.Logf("an object of %d bytes; one list takes %d", len(body), n); n > 128<<20 {
		t.Errorf("%d bytes allocated for one list", n)
	}
}

// A list of packs that are to go, however long, keeps a commit from its work only for a while, and
// reaches nothing but packs.
func TestLongListOfRetiredPacks(t *testing.T) {
	store := &buckettest.Memory{}
	body := object(func(m *manifest.Manifest) {
		for i := range 20 * removals {
			r := manifest.Retired{Since: []int64{1, math.MinInt64, time.Now().UnixNano(), math.MaxInt64}[i%4]}
			binary.BigEndian.PutUint64(r.Name[:], uint64(i))
			m.Retired = append(m.Retired, r)
		}
	}, leaf(many(10, 0)...))
	plant(t, store, "p/"+rootName, body)
	c := newWriter(store).open(t)
	for range 2 {
		before := store.Count(buckettest.Delete)
		commit(t, c, Edit{})
		if n := store.Count(buckettest.Delete) - before; n != removals {
			t.Errorf("%d deletes in a commit", n)
		}
	}
	for _, call := range store.Calls() {
		if call.Op == buckettest.Delete && !strings.HasPrefix(call.Key, "p/"+packs) {
			t.Errorf("%s is deleted", call.Key)
		}
	}
}

// A server that answers with more than it was asked for is not listened to for long.
func TestAnswersThatAreTooLong(t *testing.T) {
	store := &buckettest.Memory{}
	plant(t, store, "p/"+rootName, make([]byte, 64<<20))
	n := allocated(func() {
		_, err := Open(context.Background(), deaf{store}, Options{Prefix: "p/"})
		if !errors.Is(err, manifest.ErrCorrupt) {
			t.Error(err)
		}
	})
	if n > 65<<20 { // the store's own copy, and little else
		t.Errorf("%d bytes allocated", n)
	}
}

// A deaf store does not hear ranges.
type deaf struct{ *buckettest.Memory }

func (d deaf) Get(ctx context.Context, key string, o bucket.GetOptions) (body io.ReadCloser, obj bucket.Object, err error) {
	o.Offset, o.Length = 0, 0
	return d.Memory.Get(ctx, key, o)
}

// Whatever lies under the name of the manifest, a run ends with an error, or goes on.
func FuzzRoot(f *testing.F) {
	f.Add(object(func(*manifest.Manifest) {}, leaf(entry("a", 1))))
	f.Add(object(func(m *manifest.Manifest) { m.Intents = []manifest.Intent{{Doomed: &m.Root.Top}} }, leaf(entry("a", 1))))
	f.Add([]byte("MKREND1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		store := &buckettest.Memory{}
		plant(t, store, "p/"+rootName, b)
		w := newWriter(store)
		if c, err := Open(context.Background(), store, w.o); err == nil {
			everything(c)
		}
	})
}

// What a footer says is made of the bytes, and is closed as it should be: so all that it says is
// looked at. No commit may end in a manifest that cannot be read.
func FuzzLies(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("\x01\x00\x02\x03\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"))
	f.Fuzz(func(t *testing.T, b []byte) {
		next := func() byte {
			if len(b) == 0 {
				return 0
			}
			c := b[0]
			b = b[1:]
			return c
		}
		body := object(func(m *manifest.Manifest) {
			at := &m.Root.Top.At
			at.Off, at.Len = at.Off+uint64(next()), at.Len+uint32(next())
			at.Pack[0] = next()
			m.Generation += uint64(next()) << (next() % 64)
			for range next() % 4 {
				m.Packs = append(m.Packs, manifest.Pack{Name: manifest.PackName{next()}, Size: uint64(next()), Live: uint64(next())})
			}
			for range next() % 4 {
				m.Retired = append(m.Retired, manifest.Retired{Name: manifest.PackName{next()}, Since: int64(next()) << (next() % 64)})
			}
			for range next() % 4 {
				i := manifest.Intent{Run: manifest.ID{next()}, Writer: manifest.ID{next()}, Until: int64(next()) << (next() % 64)}
				if next()%2 == 0 {
					i.Range = &manifest.Range{First: string(rune(next())), Last: string(rune(next()))}
				}
				if next()%2 == 0 {
					doomed := m.Root.Top
					doomed.At.Off += uint64(next())
					i.Doomed = &doomed
				}
				if i.Range != nil && next()%2 == 0 {
					i.Meant = &manifest.Location{Off: m.Root.Top.At.Off + uint64(next()), Len: m.Root.Top.At.Len, Tag: m.Root.Top.At.Tag}
				}
				m.Intents = append(m.Intents, i)
			}
			m.Sort()
		}, leaf(entry("a", 1), entry("b", 1)))
		store := &buckettest.Memory{}
		plant(t, store, "p/"+rootName, body)
		w := newWriter(store)
		c, err := Open(context.Background(), store, w.o)
		if err != nil {
			return
		}
		everything(c)
		if _, err := Open(context.Background(), store, Options{Prefix: "p/"}); err != nil {
			t.Errorf("after a commit: %v", err)
		}
	})
}
