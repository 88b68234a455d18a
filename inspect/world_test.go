package inspect

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// A world is a bucket with a mirror in it, made by hand: the tests share no code with what writes
// manifests either.
type world struct {
	*buckettest.Memory
	t       *testing.T
	entries map[string]manifest.Entry
	packs   []string // their keys
	m       manifest.Manifest
}

const under = "p/"

func newWorld(t *testing.T) *world {
	return &world{Memory: &buckettest.Memory{}, t: t, entries: map[string]manifest.Entry{}}
}

// put stores an object, and returns what the bucket then says.
func (w *world) put(key, body string) bucket.Object {
	w.t.Helper()
	if _, err := w.Put(context.Background(), key, strings.NewReader(body), int64(len(body)), bucket.PutOptions{}); err != nil {
		w.t.Fatal(err)
	}
	o, err := w.Head(context.Background(), key, bucket.HeadOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// mirror stores an object below the prefix and remembers its entry.
func (w *world) mirror(key, body string) {
	w.t.Helper()
	o := w.put(under+key, body)
	w.entries[key] = manifest.Entry{
		Key: key, Size: int64(len(body)), Digest: hashing.Sum([]byte(body)),
		Evidence: manifest.Evidence{ETag: o.ETag, CRC64: o.CRC64, HasCRC64: o.HasCRC64},
	}
}

func (w *world) remove(key string) {
	w.t.Helper()
	if err := w.Delete(context.Background(), under+key, bucket.Condition{}); err != nil {
		w.t.Fatal(err)
	}
}

// keys are those of the entries, in order.
func (w *world) keys() []string {
	var keys []string
	for k := range w.entries {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// commit stores the manifest of the entries. Pages go to packs of about so many bytes; 0: none.
func (w *world) commit(packSize int, intents ...manifest.Intent) {
	w.t.Helper()
	w.m.Generation++
	w.m.Head = manifest.ID{byte(w.m.Generation)}
	w.m.Intents, w.m.Packs, w.packs = intents, nil, nil
	object := manifest.AppendHead(nil, w.m.Head)
	var b *manifest.Builder
	live := uint64(0)
	seal := func() {
		name := manifest.PackName(manifest.TagOf(object))
		key := under + packs + packHex(name)
		w.put(key, string(object))
		w.packs = append(w.packs, key)
		w.m.Packs = append(w.m.Packs, manifest.Pack{Name: name, Size: uint64(len(object)), Live: live})
		b.Sealed(name)
		object, live = manifest.AppendHead(nil, manifest.ID{byte(w.m.Generation), byte(len(w.packs))}), 0
	}
	b = manifest.NewBuilder(func(p *manifest.Page) (at manifest.Location, err error) {
		if packSize > 0 && len(object) > packSize {
			seal()
		}
		object, at = manifest.AppendFrame(object, p)
		live += uint64(at.Len)
		return at, nil
	})
	for _, k := range w.keys() {
		if err := b.Add(w.entries[k]); err != nil {
			w.t.Fatal(err)
		}
	}
	root, err := b.Finish()
	if err != nil {
		w.t.Fatal(err)
	}
	if len(w.packs) > 0 { // what is left over begins with the head of a pack
		copy(object, manifest.AppendHead(nil, w.m.Head))
	}
	w.m.Root = root
	w.m.Sort()
	w.put(under+rootName, string(w.m.AppendFooter(object)))
}

// doomed appends to an object a leaf of entries that are being deleted.
func doomed(object []byte, entries ...manifest.Entry) ([]byte, manifest.Ref) {
	p := &manifest.Page{Entries: entries}
	object, at := manifest.AppendFrame(object, p)
	ref := p.Ref()
	ref.At = at
	return object, ref
}

// audit runs an audit, and returns its findings as lines "class key".
func (w *world) audit(share float64) ([]string, Tally, error) {
	w.t.Helper()
	return auditOf(w.Memory, share)
}

func auditOf(s bucket.Store, share float64) (lines []string, t Tally, err error) {
	t, err = Audit{Store: s, Prefix: under, Share: share, Seed: 1}.Run(context.Background(), func(f Finding) error {
		lines = append(lines, string(f.Class)+" "+f.Key)
		return nil
	})
	return lines, t, err
}

func (w *world) want(share float64, want ...string) Tally {
	w.t.Helper()
	got, tally, err := w.audit(share)
	if err != nil || !slices.Equal(got, want) {
		w.t.Fatalf("found %q, %v\nwant  %q", got, err, want)
	}
	return tally
}

// many mirrors n small files.
func (w *world) many(n int) {
	for i := range n {
		w.mirror(fmt.Sprintf("d%02d/f%05d", i%7, i), fmt.Sprint("content ", i))
	}
}

// flip changes one bit of an object.
func (w *world) flip(key string, at int) {
	body := bytes.Clone(w.Objects()[key])
	body[at%len(body)] ^= 1 << (at % 8)
	w.put(key, string(body))
}
