package transfer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
)

// sealing has a machine use a key, and keep in mind what it has seen.
func sealing(m *machine) *machine {
	m.o.Key = &manifest.Key{1, 2, 3}
	dir := m.t.TempDir()
	m.o.FromMark, m.o.ToMark = catalog.NewMark(dir, "from"), catalog.NewMark(dir, "to")
	return m
}

// sync runs Sync with --delete, which must succeed.
func (m *machine) sync(change func(*Options)) Summary {
	m.t.Helper()
	sum, err := m.try(context.Background(), func(o *Options) {
		o.Delete = true
		if change != nil {
			change(o)
		}
	})
	if err != nil {
		m.t.Fatalf("%v\n%s", err, strings.Join(m.lines, "\n"))
	}
	return sum
}

func (m *machine) refused(want error, change func(*Options)) {
	m.t.Helper()
	before := m.store.Objects()
	tree := files(m.t, m.dir)
	if _, err := m.try(context.Background(), change); !errors.Is(err, want) {
		m.t.Errorf("%v, want %v\n%s", err, want, strings.Join(m.lines, "\n"))
	}
	if now := files(m.t, m.dir); !slices.Equal(now, tree) || len(m.store.Objects()) != len(before) {
		m.t.Error("a run that was refused has changed something")
	}
}

func rebuilding(o *Options) { o.Rebuild = true }

func TestSealedStory(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := sealing(newMachine(t, store)), sealing(newFetcher(t, store))
	down.o.Known = true
	up.write(tree())
	if sum := up.sync(nil); sum.Transferred != 45 {
		t.Errorf("%+v", sum)
	}
	down.sync(nil)
	equal(t, store, down.dir)
	up.write(map[string]string{"a.txt": "changed"})
	up.remove("many")
	up.sync(nil)
	down.sync(nil)
	equal(t, store, down.dir)
	for _, m := range []*machine{up, down} {
		m.sync(nil)
		m.wants()
		plain := *m
		plain.o.Key = nil
		plain.refused(manifest.ErrSealed, nil)
	}
	to := &buckettest.Memory{Name: "copy", Others: map[string]*buckettest.Memory{"b": store}}
	across := sealing(newMachine(t, to))
	across.o.From, across.o.To = Side{Store: store, Bucket: "b", Prefix: "p/", Place: "test"}, Side{Store: to, Bucket: "copy", Prefix: "p/", Place: "copy"}
	across.sync(nil)
	equal(t, to, up.dir)
}

func TestSealedAndUnsealed(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(tree())
	up.mirrors()
	sealing(up)
	sealing(down)
	up.refused(manifest.ErrUnsealed, nil)
	down.refused(manifest.ErrUnsealed, nil)
	if sum := up.sync(rebuilding); sum.Transferred != 0 || sum.Proved != 45 {
		t.Errorf("sealing what is there: %+v", sum)
	}
	down.sync(nil)
	equal(t, store, down.dir)

	other := *up
	other.o.Key = &manifest.Key{9}
	other.refused(manifest.ErrSeal, nil)

	if err := store.Delete(context.Background(), "p/.merkur/manifest", bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
	up.refused(catalog.ErrRolledBack, nil)
	down.refused(catalog.ErrRolledBack, nil)
	fresh := sealing(newFetcher(t, store))
	fresh.refused(ErrNoManifest, nil)
	deny(store, buckettest.Get, "manifest")
	if _, err := fresh.try(context.Background(), nil); !denied(err) {
		t.Errorf("a manifest that may not be read: %v", err)
	}
	store.Fault = nil
	up.sync(func(o *Options) { o.AcceptRollback = true })
	down.refused(catalog.ErrRolledBack, nil)
	down.sync(func(o *Options) { o.AcceptRollback = true })
	down.sync(nil)
	equal(t, store, down.dir)

	for name, change := range map[string]func(*Options){
		"listing":               func(o *Options) { o.Compare = compare.AWS },
		"rebuilding a download": rebuilding,
	} {
		if _, err := down.try(context.Background(), change); err == nil || !strings.Contains(err.Error(), "not sealed") {
			t.Errorf("%s with a key: %v", name, err)
		}
	}
}

// Bytes that have the checksum of a file can be made by anybody. With a key they prove nothing.
func TestForgedChecksumProvesNothing(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		store := &buckettest.Memory{}
		m := newMachine(t, store)
		m.write(map[string]string{"a": "good"})
		put(t, store, "p/a", "evil")
		store.Set("p/a", func(o *bucket.Object) { o.CRC64, o.HasCRC64 = crc64nvme.Checksum([]byte("good")), true })
		if keyed {
			sealing(m)
		}
		if m.sync(nil); (string(store.Objects()["p/a"]) == "good") != keyed {
			t.Errorf("with a key %v: %q", keyed, store.Objects()["p/a"])
		}
	}
}

// What nobody has compared with a file is not taken from a bucket: its ETag is only the bucket's word.
func TestUnprovenIsNotTaken(t *testing.T) {
	store := &buckettest.Memory{}
	up := sealing(newMachine(t, store))
	up.write(map[string]string{"a": "1"})
	put(t, store, "p/hearsay", "2")
	if _, err := up.try(context.Background(), nil); err != nil { // without --delete it stays
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		down := sealing(newFetcher(t, store))
		if sum := down.sync(func(o *Options) { o.DryRun = dry }); sum.Failed != 1 || content(down, "hearsay") != "" {
			t.Errorf("dry run %v: %+v\n%v", dry, sum, down.lines)
		}
		down.wants("failed hearsay: "+errUnproven.Error(), "get a")
		down.write(map[string]string{"hearsay": "2"})
		if sum := down.sync(func(o *Options) { o.DryRun = dry }); sum.Failed != 1 {
			t.Errorf("dry run %v, where the file is equal: %+v\n%v", dry, sum, down.lines)
		}
	}
}

// What is in the bucket beside the manifest keeps no delete from being made, and is not taken, also
// where a run is under way.
func TestListingsDoNotCountWithAKey(t *testing.T) {
	ctx := context.Background()
	store := &buckettest.Memory{}
	up := sealing(newMachine(t, store))
	up.write(map[string]string{"a": "1", "m": "1", "z": "1"})
	up.sync(nil)
	put(t, store, "p/foreign", "evil")
	down := sealing(newFetcher(t, store))
	down.write(map[string]string{"foreign": "mine"})
	down.sync(nil)
	if content(down, "foreign") != "" {
		t.Error("an object that no manifest names keeps a file from being deleted")
	}
	c, err := catalog.Open(ctx, store, catalog.Options{Prefix: "p/", Seal: &manifest.Seal{Key: *up.o.Key, Place: "b/p/"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Commit(ctx, catalog.Edit{Range: &manifest.Range{First: "d", Last: "p"}}); err != nil {
		t.Fatal(err)
	}
	down.write(map[string]string{"gone": "in the range", "q": "not in the range"})
	sum := down.sync(nil)
	if content(down, "foreign") != "" || content(down, "gone") == "" || content(down, "q") != "" || sum.Warnings != 2 {
		t.Errorf("while a run is under way: %v\n%v", files(t, down.dir), down.lines)
	}
	if n := slices.IndexFunc(down.calls, func(c buckettest.Call) bool { return c.Op == buckettest.List }); n >= 0 {
		t.Error("the bucket is listed")
	}
}

// An object that was replaced is not taken, whatever it says of itself.
func TestReplacedObjectIsNotTaken(t *testing.T) {
	store := &buckettest.Memory{}
	up := sealing(newMachine(t, store))
	up.write(map[string]string{"a": "good"})
	up.sync(nil)
	etag := ""
	store.Set("p/a", func(o *bucket.Object) { etag = o.ETag })
	put(t, store, "p/a", "evil")
	for _, lies := range []bool{false, true} {
		if lies { // also about its ETag
			store.Set("p/a", func(o *bucket.Object) { o.ETag = etag })
		}
		down := sealing(newFetcher(t, store))
		sum := down.sync(nil)
		told := sum.Drift.Changed
		if lies {
			told = sum.Failed
		}
		if told != 1 || sum.Drift.Total()+sum.Failed != 1 || content(down, "a") != "" {
			t.Errorf("an ETag that lies, %v: %+v, %q", lies, sum, content(down, "a"))
		}
	}
}

// What a run without a key took for a copy by its checksum proves nothing to a run with one.
func TestRememberedCopyProvesNothing(t *testing.T) {
	source := &buckettest.Memory{Name: "a"}
	up, m := newMachine(t, source), newCopier(t, source)
	up.write(map[string]string{"a": "good"})
	up.sync(nil)
	put(t, m.store, "p/a", "evil")
	m.store.Set("p/a", func(o *bucket.Object) { o.CRC64, o.HasCRC64 = crc64nvme.Checksum([]byte("good")), true })
	if m.sync(nil); string(m.store.Objects()["p/a"]) != "evil" {
		t.Fatal("without a key the checksum proves something")
	}
	sealing(up).o.To.Bucket = "a"
	up.sync(rebuilding)
	sealing(m).sync(rebuilding)
	if got := string(m.store.Objects()["p/a"]); got != "good" {
		t.Errorf("%q is taken for a copy\n%s", got, strings.Join(m.lines, "\n"))
	}
}
