package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/filter"
	"merkur/transfer/local"
	"merkur/transfer/pace"
)

// newFetcher returns a machine that downloads, from the store to a directory of its own.
func newFetcher(t *testing.T, store *buckettest.Memory) *machine {
	m := newMachine(t, store)
	m.o.From, m.o.To = m.o.To, m.o.From
	return m
}

// A tampering is a store whose answers to a get are not what the bucket holds.
type tampering struct {
	*buckettest.Memory
	get func(key string, o bucket.GetOptions, body io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object)
}

func (s *tampering) Get(ctx context.Context, key string, o bucket.GetOptions) (io.ReadCloser, bucket.Object, error) {
	body, obj, err := s.Memory.Get(ctx, key, o)
	if err == nil && !strings.Contains(key, manifest.Reserved) {
		body, obj = s.get(key, o, body, obj)
	}
	return body, obj, err
}

// A broken body ends with an error after so many bytes.
type broken struct {
	io.ReadCloser
	left int64
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errors.New("connection reset")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// fetched are the keys, but for our own, that the last run asked for the bytes of.
func (m *machine) fetched() (keys []string) {
	for _, c := range m.calls {
		if c.Op == buckettest.Get && !strings.Contains(c.Key, manifest.Reserved) {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

// equal checks that the bucket and a directory hold the same, and that no draft is left.
func equal(t *testing.T, store *buckettest.Memory, dir string) {
	t.Helper()
	if got, want := files(t, dir), objects(store); !slices.Equal(got, want) {
		t.Errorf("tree:\n%s\nbucket:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// noDrafts checks that nothing half done lies in a directory.
func noDrafts(t *testing.T, dir string) {
	t.Helper()
	for _, line := range files(t, dir) {
		if strings.Contains(line, hashing.DraftPrefix) {
			t.Errorf("left behind: %s", line)
		}
	}
}

// content returns what a file holds; "" if there is none.
func content(m *machine, name string) string {
	body, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		m.t.Fatal(err)
	}
	return string(body)
}

// noise is a body that no two parts of are alike.
func noise(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return string(b)
}

// small parts, so that large files need not be so large. S3 takes none below 5 MiB.
var (
	small = Parts{Threshold: 1 << 20, Size: 5 << 20}
	tiny  = Parts{Threshold: 1 << 10, Size: 5 << 20}
)

// deny has a store refuse an operation on keys that contain something.
func deny(store *buckettest.Memory, op buckettest.Op, key string) {
	store.Fault = func(o buckettest.Op, k string) buckettest.Outcome {
		if o == op && strings.Contains(k, key) {
			return buckettest.Denied
		}
		return buckettest.OK
	}
}

// With a manifest no listing is made, and only what differs is asked for.
func TestDownloadStory(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(tree())
	up.mirrors()
	deny(store, buckettest.List, "")
	if sum := down.run(nil); sum.Transferred != 45 || sum.Root.Top.Files != 45 || down.count(buckettest.List) != 0 {
		t.Errorf("first run: %+v", sum)
	}
	equal(t, store, down.dir)
	for _, forget := range []bool{false, true} {
		if forget {
			down.forget()
		}
		if sum := down.run(nil); sum.Transferred != 0 || len(down.calls) != 1 {
			t.Errorf("nothing changed, and it took %v", down.calls)
		}
		down.wants()
	}

	up.write(map[string]string{"a.txt": "b", "new/er": "x"})
	up.remove("many/07")
	up.mirrors()
	down.run(nil)
	down.wants("get a.txt", "get new/er")
	if gets := down.count(buckettest.Get); gets != 3 || len(down.calls) != 3 {
		t.Errorf("two files took %v", down.calls)
	}
	down.run(func(o *Options) { o.Delete, o.DryRun = true, true })
	down.wants("delete many/07")
	if content(down, "many/07") == "" {
		t.Error("a dry run deletes")
	}
	down.run(func(o *Options) { o.Delete = true })
	down.wants("delete many/07")
	equal(t, store, down.dir)

	touched := time.Now().Add(-time.Hour)
	for name := range tree() {
		os.Chtimes(filepath.Join(down.dir, name), touched, touched)
	}
	if down.run(nil); len(down.calls) != 1 {
		t.Errorf("touched files took %v", down.calls)
	}
	down.write(map[string]string{"a0": "mine"})
	down.run(nil)
	down.wants("get a0")
	equal(t, store, down.dir)
}

// A file gets the time of its object in whole seconds, and the mode of any new file.
func TestDownloadedFile(t *testing.T) {
	store := &buckettest.Memory{}
	down := newFetcher(t, store)
	when := time.Unix(1_700_000_000, 999_999_999)
	any, err := os.Create(filepath.Join(t.TempDir(), "any"))
	if err != nil {
		t.Fatal(err)
	}
	defer any.Close()
	usual, _ := any.Stat()
	put(t, store, "p/sub/k", "new")
	store.Set("p/sub/k", func(o *bucket.Object) { o.Modified = when })
	for _, before := range []fs.FileMode{0, 0o777} {
		if before != 0 {
			down.write(map[string]string{"sub/k": "old"})
			os.Chmod(filepath.Join(down.dir, "sub/k"), before)
		}
		open, _ := os.Open(filepath.Join(down.dir, "sub/k"))
		down.run(nil)
		info, err := os.Stat(filepath.Join(down.dir, "sub/k"))
		if err != nil || !info.ModTime().Equal(when.Truncate(time.Second)) || info.Mode() != usual.Mode() {
			t.Errorf("%v, %v, %v", info.ModTime(), info.Mode(), err)
		}
		if before != 0 {
			if b, err := io.ReadAll(open); string(b) != "old" || err != nil {
				t.Errorf("who has it open reads %q, %v", b, err)
			}
			open.Close()
		}
	}
	noDrafts(t, down.dir)
}

// What stands at the place of a download is replaced, and never written through.
func TestDownloadReplacesLinks(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(map[string]string{"hard": "new", "inside": "new", "outside": "new", "broken": "new", "other": "new other", "dir": "new"})
	up.mirrors()
	outside := filepath.Join(t.TempDir(), "f")
	os.WriteFile(outside, []byte("precious"), 0o644)
	down.write(map[string]string{"other": "other", "old": "old", "real/x": "x"})
	for link, target := range map[string]string{"inside": "other", "outside": outside, "broken": "nowhere", "dir": "real"} {
		if err := os.Symlink(target, filepath.Join(down.dir, link)); err != nil {
			t.Skip(err)
		}
	}
	if err := os.Link(filepath.Join(down.dir, "old"), filepath.Join(down.dir, "hard")); err != nil {
		t.Fatal(err)
	}
	if sum := down.run(nil); sum.Failed != 0 {
		t.Errorf("%+v\n%v", sum, down.lines)
	}
	if b, _ := os.ReadFile(outside); string(b) != "precious" {
		t.Errorf("written through a link: %q", b)
	}
	for name, want := range map[string]string{"old": "old", "hard": "new", "inside": "new", "outside": "new", "broken": "new", "other": "new other", "dir": "new", "real/x": "x"} {
		if info, err := os.Lstat(filepath.Join(down.dir, name)); content(down, name) != want || err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s holds %q, %v", name, content(down, name), info)
		}
	}
}

// Bytes that are not those of the manifest are not published, whatever the server says.
func TestDownloadIsVerified(t *testing.T) {
	body := noise(11<<20 + 3)
	for name, body := range map[string]string{"small": "some bytes", "large": body} {
		store := &buckettest.Memory{}
		up, down := newMachine(t, store), newFetcher(t, store)
		up.write(map[string]string{"k": body})
		up.mirrors()
		flips := &tampering{Memory: store, get: func(_ string, o bucket.GetOptions, b io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object) {
			all, _ := io.ReadAll(b)
			all = slices.Clone(all)
			if o.Offset == 0 {
				all[len(all)/2] ^= 1
			}
			return io.NopCloser(strings.NewReader(string(all))), obj
		}}
		down.o.From.Store, down.o.Parts = flips, small
		down.write(map[string]string{"k": "old"})
		sum := down.run(nil)
		if down.wants("failed k: " + errContent.Error()); sum.Failed != 1 || sum.Transferred != 0 || content(down, "k") != "old" {
			t.Errorf("%s: %+v", name, sum)
		}
		noDrafts(t, down.dir)
		down.o.From.Store = store
		down.run(nil)
		equal(t, store, down.dir)
	}
}

// What was done behind the manifest's back is a failure, and the local file stays.
func TestDownloadForeignChanges(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(map[string]string{"changed": "1", "size": "1", "removed": "1", "new": "1", "kept": "1"})
	up.mirrors()
	put(t, store, "p/changed", "2")
	put(t, store, "p/size", "22")
	store.Delete(context.Background(), "p/removed", bucket.Condition{})
	down.write(map[string]string{"changed": "old", "size": "old", "removed": "old"})
	sum, err := down.try(context.Background(), nil)
	if err != nil || sum.Failed != 0 || sum.Drift.Total() != 3 || sum.Transferred != 2 {
		t.Errorf("%+v, %v\n%v", sum, err, down.lines)
	}
	for name, want := range map[string]string{"changed": "old", "size": "old", "removed": "old", "new": "1", "kept": "1"} {
		if got := content(down, name); got != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
	noDrafts(t, down.dir)
}

// Bodies that break off are gone on with where they broke; no byte comes twice, and each request
// names the object it wants.
func TestDownloadResumes(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		for _, size := range []int{0, 1, 100, 1<<20 - 1, 1 << 20, 5 << 20, 5<<20 + 1, 11<<20 + 3} {
			store := &buckettest.Memory{}
			body := noise(size)
			put(t, store, "p/k", body)
			if withManifest {
				up := newMachine(t, store)
				up.write(map[string]string{"k": body})
				up.mirrors()
			}
			var mu sync.Mutex
			seen := make([]byte, size)
			var last atomic.Int64 // where an answer ended that broke off
			cut := int64(max(size/7, 1))
			breaks := &tampering{Memory: store, get: func(_ string, o bucket.GetOptions, b io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object) {
				mu.Lock()
				defer mu.Unlock()
				if o.IfMatch != obj.ETag {
					t.Errorf("size %d: a request for bytes from %d on is for any object: %q", size, o.Offset, o.IfMatch)
				}
				length := o.Length
				if length == 0 {
					length = int64(size) - o.Offset
				}
				for i := o.Offset; i < o.Offset+min(length, cut); i++ {
					seen[i]++
				}
				last.Add(1)
				if length <= cut {
					return b, obj
				}
				return &broken{b, cut}, obj
			}}
			down := newFetcher(t, store)
			down.o.From.Store, down.o.Parts = breaks, small
			if sum := down.run(nil); sum.Transferred != 1 || sum.Failed != 0 {
				t.Fatalf("size %d: %+v %v", size, sum, down.lines)
			}
			equal(t, store, down.dir)
			for i, n := range seen {
				if n != 1 {
					t.Fatalf("size %d: byte %d came %d times", size, i, n)
				}
			}
			if size > 100 && last.Load() < 7 {
				t.Errorf("size %d: only %d requests", size, last.Load())
			}
			if down.run(nil); down.count(buckettest.Get) > 1 {
				t.Errorf("size %d: the next run takes %v", size, down.calls)
			}
		}
	}
}

// A body that brings nothing more is not asked for for ever.
func TestDownloadGivesUp(t *testing.T) {
	for _, size := range []int{10, 11 << 20} {
		store := &buckettest.Memory{}
		put(t, store, "p/k", noise(size))
		var asked atomic.Int64
		dead := &tampering{Memory: store, get: func(_ string, o bucket.GetOptions, b io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object) {
			asked.Add(1)
			if o.Offset == 0 {
				return &broken{b, 1}, obj
			}
			return &broken{b, 0}, obj
		}}
		down := newFetcher(t, store)
		down.o.From.Store, down.o.Parts = dead, small
		if sum := down.run(nil); sum.Failed != 1 || asked.Load() > 30 {
			t.Errorf("%+v after %d requests", sum, asked.Load())
		}
		if got := files(t, down.dir); len(got) > 0 {
			t.Errorf("left: %v", got)
		}
	}
}

// A server that closes too early, without an error, has not sent the object.
func TestDownloadOfShortBodies(t *testing.T) {
	store := &buckettest.Memory{}
	body := noise(1000)
	put(t, store, "p/k", body)
	short := &tampering{Memory: store, get: func(_ string, o bucket.GetOptions, b io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object) {
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(b, 300), b}, obj
	}}
	down := newFetcher(t, store)
	down.o.From.Store = short
	down.run(nil)
	equal(t, store, down.dir)
	if n := down.count(buckettest.Get); n != 1+4 { // one is for a manifest that is not there
		t.Errorf("%d requests", n)
	}
}

// An object that is replaced between two ranges of it is not put together of two.
func TestDownloadOfAnObjectReplaced(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		for _, size := range []int{1000, 16 << 20} {
			store := &buckettest.Memory{}
			one, other := noise(size), noise(size)
			put(t, store, "p/k", one)
			if withManifest {
				up := newMachine(t, store)
				up.write(map[string]string{"k": one})
				up.mirrors()
			}
			var once sync.Once
			swaps := &tampering{Memory: store, get: func(_ string, o bucket.GetOptions, b io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object) {
				once.Do(func() { put(t, store, "p/k", other) })
				if size < 1<<20 {
					return &broken{b, 400}, obj
				}
				return b, obj
			}}
			down := newFetcher(t, store)
			down.o.From.Store, down.o.Parts, down.o.Gate = swaps, small, pace.Fixed(1)
			down.write(map[string]string{"k": "old"})
			if sum, err := down.try(context.Background(), nil); err != nil || sum.Failed+sum.Drift.Changed != 1 || (sum.Failed == 0) != withManifest || content(down, "k") != "old" {
				t.Errorf("%d bytes: %+v, %v, %v", size, sum, err, down.lines)
			}
			noDrafts(t, down.dir)
		}
	}
}

// After an interrupt at any request nothing half done is left, and the next run does the rest.
func TestDownloadInterrupted(t *testing.T) {
	store := &buckettest.Memory{}
	up := newMachine(t, store)
	up.write(map[string]string{"edited": "2", "added": "1", "dir/one": "1", "dir/two": "2", "large": noise(6 << 20), "same": "1"})
	up.mirrors()
	for _, withManifest := range []bool{true, false} {
		if !withManifest {
			store.Delete(context.Background(), "p/"+manifest.Reserved+"manifest", bucket.Condition{})
		}
		for n, whole := 1, false; !whole; n++ {
			down := newFetcher(t, store)
			down.o.Parts = small
			down.write(map[string]string{"edited": "1", "same": "1", "removed": "1", "dir/gone": "1"})
			ctx, cancel := context.WithCancel(context.Background())
			var seen atomic.Int64
			store.Fault = func(buckettest.Op, string) buckettest.Outcome {
				if int(seen.Add(1)) == n {
					cancel()
				}
				return buckettest.OK
			}
			_, err := down.try(ctx, func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
			store.Fault = nil
			if whole = int(seen.Load()) < n; !whole && !errors.Is(err, context.Canceled) {
				t.Fatalf("interrupted at request %d: %v", n, err)
			}
			cancel()
			noDrafts(t, down.dir)
			for _, name := range []string{"edited", "same", "added", "dir/one"} {
				if got := content(down, name); len(got) > 1 {
					t.Errorf("%s holds %q", name, got)
				}
			}
			down.run(func(o *Options) { o.Delete = true })
			equal(t, store, down.dir)
			if down.run(func(o *Options) { o.Delete = true }); len(down.lines) > 0 || down.count(buckettest.Get) > 1 {
				t.Fatalf("interrupted at %d: a quiet run takes %v, says %v", n, down.calls, down.lines)
			}
		}
	}
}

// Each single request fails once, in each way: what arrives is right, and a quiet run does the rest.
func TestDownloadWithFaults(t *testing.T) {
	store := &buckettest.Memory{}
	up := newMachine(t, store)
	up.write(map[string]string{"edited": "2", "added": "1", "large": noise(6 << 20), "same": "1"})
	up.mirrors()
	for _, withManifest := range []bool{true, false} {
		if !withManifest {
			store.Delete(context.Background(), "p/"+manifest.Reserved+"manifest", bucket.Condition{})
		}
		for _, outcome := range []buckettest.Outcome{buckettest.NotStored, buckettest.Throttled, buckettest.Denied} {
			for n, whole := 1, false; !whole; n++ {
				down := newFetcher(t, store)
				down.o.Parts = small
				down.write(map[string]string{"edited": "1", "same": "1", "removed": "1"})
				var seen atomic.Int64
				store.Fault = func(buckettest.Op, string) buckettest.Outcome {
					if int(seen.Add(1)) == n {
						return outcome
					}
					return buckettest.OK
				}
				sum, err := down.try(context.Background(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
				store.Fault = nil
				whole = int(seen.Load()) < n
				noDrafts(t, down.dir)
				if err == nil && sum.Failed == 0 {
					equal(t, store, down.dir)
				} else if told := strings.Join(down.lines, "\n"); whole || err == nil && content(down, "removed") != "" && !strings.Contains(told, "failed removed: ") {
					t.Errorf("request %d of %d: %+v, %v", n, seen.Load(), sum, err)
				}
				down.run(func(o *Options) { o.Delete = true })
				equal(t, store, down.dir)
			}
		}
	}
}

// What a meter counts in the end is what it said there was.
func TestDownloadMeter(t *testing.T) {
	store := &buckettest.Memory{}
	put(t, store, "p/small", "1234")
	put(t, store, "p/large", noise(2<<20))
	put(t, store, "p/parts", noise(11<<20))
	put(t, store, "p//odd", "12")
	down := newFetcher(t, store)
	down.o.Parts, down.o.Meter = small, &Meter{}
	down.run(nil)
	m := down.o.Meter
	if m.DoneBytes.Load() != m.Bytes.Load() || m.DoneFiles.Load() != m.Files.Load() || m.Files.Load() != 4 || m.Bytes.Load() != 13<<20+6 {
		t.Errorf("%d of %d files, %d of %d bytes", m.DoneFiles.Load(), m.Files.Load(), m.DoneBytes.Load(), m.Bytes.Load())
	}
}

// proven stores objects of many kinds, and returns their content.
func proven(t *testing.T, store *buckettest.Memory) map[string]string {
	bodies := map[string]string{"plain": "plain", "empty": "", "dir/crc": "checksum", "parts": noise(6 << 20)}
	put(t, store, "p/plain", bodies["plain"])
	put(t, store, "p/empty", "")
	put(t, store, "p/dir/crc", bodies["dir/crc"])
	store.Set("p/dir/crc", func(o *bucket.Object) { o.ETag = "no-digest-at-all" })
	for _, key := range []string{"p/plain", "p/empty"} {
		store.Set(key, func(o *bucket.Object) { o.HasCRC64, o.CRC64 = false, 0 })
	}
	u, err := store.Upload(context.Background(), "p/parts", bucket.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range []string{bodies["parts"][:5<<20], bodies["parts"][5<<20:]} {
		if err := u.Part(context.Background(), i+1, strings.NewReader(body), int64(len(body)), sumCRC(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := u.Complete(context.Background()); err != nil {
		t.Fatal(err)
	}
	store.Set("p/parts", func(o *bucket.Object) { o.HasCRC64, o.CRC64 = false, 0 })
	return bodies
}

// Without a manifest the bucket is listed, and what the bucket says of an object proves what a file
// is.
func TestDownloadWithoutManifest(t *testing.T) {
	store := &buckettest.Memory{}
	bodies := proven(t, store)
	put(t, store, "p/marker/", "")
	put(t, store, "p/", "")
	put(t, store, "q/elsewhere", "not in the prefix")
	down := newFetcher(t, store)
	down.write(bodies)
	sum := down.run(nil)
	if down.wants(); sum.Proved != 4 || sum.Listed != 6 {
		t.Errorf("what is there: %+v", sum)
	}
	if got := down.count(buckettest.Get); got != 1 {
		t.Errorf("%d gets", got)
	}
	down.run(nil)
	if down.wants(); down.count(buckettest.Get)+down.count(buckettest.List) != len(down.calls) || down.count(buckettest.List) != 1 {
		t.Errorf("what is remembered: %v", down.calls)
	}
	down.forget()
	if sum := down.run(nil); sum.Proved != 4 || down.count(buckettest.Get) != 1 {
		t.Errorf("what is forgotten: %+v, %v", sum, down.calls)
	}
	down.write(map[string]string{"plain": "nialp", "parts": noise(6 << 20), "dir/crc": "mukcsehc"})
	os.Chtimes(filepath.Join(down.dir, "plain"), time.Unix(1, 0), time.Unix(1, 0))
	down.run(nil)
	down.wants("get dir/crc", "get parts", "get plain")
	fresh := newFetcher(t, store)
	if sum := fresh.run(nil); sum.Transferred != 4 {
		t.Errorf("%+v", sum)
	}
	if fresh.run(nil); fresh.count(buckettest.Get) != 1 || fresh.count(buckettest.Head) != 0 {
		t.Errorf("what was fetched is not remembered: %v", fresh.calls)
	}
	for _, m := range []*machine{down, fresh} {
		for name, body := range bodies {
			if content(m, name) != body {
				t.Errorf("%s differs", name)
			}
		}
		if _, err := os.Lstat(filepath.Join(m.dir, "marker")); err == nil {
			t.Error("the marker of a folder became something")
		}
	}
}

// The ETag of what is encrypted with a customer's key is no digest.
func TestDownloadWithCustomerKey(t *testing.T) {
	store := &buckettest.Memory{}
	key := &bucket.CustomerKey{Algorithm: "AES256", Key: []byte(strings.Repeat("k", 32))}
	var o bucket.PutOptions
	o.Customer = key
	for _, size := range []int{4, 11 << 20} {
		body := noise(size)
		name := fmt.Sprint("p/", size)
		if _, err := store.Put(context.Background(), name, strings.NewReader(body), int64(size), o); err != nil {
			t.Fatal(err)
		}
		store.Set(name, func(o *bucket.Object) {
			o.ETag, o.HasCRC64, o.CRC64 = strings.Repeat("0", 31)+fmt.Sprint(size%10), false, 0
		})
	}
	down := newFetcher(t, store)
	down.o.Parts, down.o.From.Customer = small, key
	if sum := down.run(nil); sum.Transferred != 2 || sum.Failed != 0 {
		t.Errorf("%+v, %v", sum, down.lines)
	}
	equal(t, store, down.dir)
}

// Bytes that are not those of the ETag or of the checksum are not taken either.
func TestDownloadChecksums(t *testing.T) {
	for _, kind := range []string{"p/plain", "p/dir/crc", "p/large"} {
		store := &buckettest.Memory{}
		bodies := proven(t, store)
		bodies["large"] = noise(6 << 20)
		put(t, store, "p/large", bodies["large"])
		flips := &tampering{Memory: store, get: func(key string, o bucket.GetOptions, b io.ReadCloser, obj bucket.Object) (io.ReadCloser, bucket.Object) {
			all, _ := io.ReadAll(b)
			if all = slices.Clone(all); key == kind {
				all[0] ^= 1
			}
			return io.NopCloser(strings.NewReader(string(all))), obj
		}}
		down := newFetcher(t, store)
		down.o.From.Store, down.o.Parts = flips, small
		name := strings.TrimPrefix(kind, "p/")
		down.write(map[string]string{name: "before"})
		sum := down.run(nil)
		if sum.Failed != 1 || sum.Transferred != 4 || content(down, name) != "before" {
			t.Errorf("%s: %+v %v", kind, sum, down.lines)
		}
		noDrafts(t, down.dir)
	}
}

// What lies in an archive cannot be read, and is told of once for each object, if at all.
func TestDownloadOfArchives(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		store := &buckettest.Memory{}
		up := newMachine(t, store)
		up.write(map[string]string{"cold": "1", "deep": "1", "warm": "1", "ir": "1"})
		up.mirrors()
		if !withManifest {
			store.Delete(context.Background(), "p/"+manifest.Reserved+"manifest", bucket.Condition{})
		}
		for key, class := range map[string]string{"cold": "GLACIER", "deep": "DEEP_ARCHIVE", "ir": "GLACIER_IR"} {
			store.Set("p/"+key, func(o *bucket.Object) { o.Class = class })
		}
		for archive, want := range map[Archive]Summary{ArchiveWarn: {Warnings: 2}, ArchiveQuiet: {}, ArchiveForce: {Failed: 2}} {
			down := newFetcher(t, store)
			down.write(map[string]string{"deep": "2"})
			dry, err := down.try(context.Background(), func(o *Options) { o.Archive, o.DryRun = archive, true })
			if told := len(events(down.lines)); !withManifest && (err != nil || dry.Warnings != want.Warnings || told != 2+int(want.Warnings+want.Failed)) {
				t.Errorf("archive %v, a dry run: %+v, %v, %v", archive, dry, err, down.lines)
			}
			sum, err := down.try(context.Background(), func(o *Options) { o.Archive = archive })
			if err != nil || sum.Warnings != want.Warnings || sum.Failed != want.Failed || sum.Transferred != 2 {
				t.Errorf("manifest %v, archive %v: %+v, %v, %v", withManifest, archive, sum, err, down.lines)
			}
			noDrafts(t, down.dir)
		}
		// What is found to be equal is nothing to tell of.
		down := newFetcher(t, store)
		down.write(map[string]string{"cold": "1", "deep": "1"})
		for range 2 {
			if sum, err := down.try(context.Background(), nil); err != nil || sum.Warnings+sum.Failed != 0 {
				t.Errorf("manifest %v, equal files: %+v, %v, %v", withManifest, sum, err, down.lines)
			}
		}
	}
}

// Deletes take what is not in the source and was seen, and nothing else.
func TestDownloadDeletes(t *testing.T) {
	for _, withManifest := range []bool{true, false} {
		store := &buckettest.Memory{}
		up, down := newMachine(t, store), newFetcher(t, store)
		up.write(map[string]string{"kept": "1", "dir/kept": "1"})
		up.mirrors()
		if !withManifest {
			store.Delete(context.Background(), "p/"+manifest.Reserved+"manifest", bucket.Condition{})
		}
		outside := t.TempDir()
		os.WriteFile(filepath.Join(outside, "f"), []byte("precious"), 0o644)
		os.WriteFile(filepath.Join(outside, "g"), []byte("precious"), 0o644)
		down.write(map[string]string{
			"gone": "1", "dir/gone": "1", "empty/dir/gone": "1", "x.py": "1", "real/f": "1", "shut/f": "1", "shut/sub/f": "1", "busy": "1", ".merkur/x": "1",
		})
		for link, target := range map[string]string{
			"link": "real/f", "out": filepath.Join(outside, "f"), "linkdir": "real", "outdir": outside, "broken": "nowhere", "loop": ".",
		} {
			if err := os.Symlink(target, filepath.Join(down.dir, link)); err != nil {
				t.Skip(err)
			}
		}
		var once sync.Once
		store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			if key == "p/kept" { // the scan is over by then
				once.Do(func() { // another size, and the time of before
					info, _ := os.Stat(filepath.Join(down.dir, "busy"))
					down.write(map[string]string{"busy": "changed"})
					os.Chtimes(filepath.Join(down.dir, "busy"), info.ModTime(), info.ModTime())
				})
			}
			return buckettest.OK
		}
		behind := func(name string) string {
			return "warning Skipping file " + filepath.Join(down.dir, name) + ". It lies behind a symbolic link."
		}
		filters := filter.New([]filter.Filter{{Pattern: "*.py"}}, down.dir, "b/p")
		sum := down.run(func(o *Options) { o.Delete, o.Filters, o.Known = true, filters, true })
		store.Fault = nil
		down.wants("delete dir/gone", "delete empty/dir/gone", "delete gone", "delete link", "delete out", "delete real/f", "delete shut/f", "delete shut/sub/f",
			"failed busy: "+local.ErrOther.Error(), "get dir/kept", "get kept", "problem broken: does not exist", "problem loop/: link loop",
			behind("linkdir/f"), behind("outdir/f"), behind("outdir/g"))
		if sum.Deleted != 8 || sum.Failed != 1 || sum.Warnings != 3 || sum.Problems != 2 {
			t.Errorf("%+v", sum)
		}
		for name, there := range map[string]bool{"empty/dir": true, "real": true, "gone": false, "link": false, "x.py": true, ".merkur/x": true, "broken": true} {
			if _, err := os.Lstat(filepath.Join(down.dir, name)); (err == nil) != there {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, name := range []string{"f", "g"} {
			if b, _ := os.ReadFile(filepath.Join(outside, name)); string(b) != "precious" {
				t.Error("something outside is gone")
			}
		}
	}
}

// A directory that could not be read is not taken for empty.
func TestDownloadSparesWhatWasNotSeen(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(map[string]string{"kept": "1"})
	up.mirrors()
	down.write(map[string]string{"shut/f": "1", "gone": "1"})
	shut := filepath.Join(down.dir, "shut")
	os.Chmod(shut, 0o300)
	defer os.Chmod(shut, 0o700)
	down.run(func(o *Options) { o.Delete = true })
	down.wants("delete gone", "get kept", "problem shut/: not permitted")
}

// What somebody else has removed together with its directory is gone, as it should be.
func TestDownloadDeletesWhatIsGone(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(map[string]string{"kept": "1"})
	up.mirrors()
	down.write(map[string]string{"dir/gone": "1", "gone": "1"})
	store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
		if key == "p/kept" {
			down.remove("dir")
			down.remove("gone")
		}
		return buckettest.OK
	}
	if sum := down.run(func(o *Options) { o.Delete = true }); sum.Failed != 0 {
		t.Errorf("%+v, %v", sum, down.lines)
	}
}

func TestDownloadGuards(t *testing.T) {
	for _, lists := range []compare.Name{compare.Content, compare.Size} {
		store := &buckettest.Memory{}
		up, down := newMachine(t, store), newFetcher(t, store)
		down.o.Compare, down.o.Delete, down.o.Known = lists, true, true
		up.run(nil)
		for i := range 300 {
			down.write(map[string]string{fmt.Sprintf("%03d", i): "x"})
		}
		ctx := context.Background()
		if _, err := down.try(ctx, func(o *Options) { o.MaxDelete = Limit{Percent: 100, Given: true} }); !errors.Is(err, ErrEmptySource) {
			t.Errorf("an empty source: %v", err)
		}
		for i := range 150 {
			up.write(map[string]string{fmt.Sprintf("%03d", i): "x"})
		}
		up.run(nil)
		for limit, stops := range map[Limit]bool{
			{Percent: 49, Given: true}: true, {Count: 149, Given: true}: true, {Percent: 0, Count: 0, Given: true}: true,
		} {
			if _, err := down.try(ctx, func(o *Options) { o.MaxDelete = limit }); errors.Is(err, ErrTooManyDeletes) != stops {
				t.Errorf("150 of 300 with %+v: %v", limit, err)
			}
		}
		if n := len(files(t, down.dir)); n != 300 {
			t.Fatalf("%d files are left of 300", n)
		}
		down.write(map[string]string{"more": "x"})
		if _, err := down.try(ctx, nil); !errors.Is(err, ErrTooManyDeletes) {
			t.Errorf("151 of 301: %v", err)
		}
		down.remove("more")
		if _, err := down.try(ctx, nil); err != nil {
			t.Errorf("150 of 300: %v", err)
		}
		equal(t, store, down.dir)
		for i := range 150 {
			up.remove(fmt.Sprintf("%03d", i))
		}
		up.run(func(o *Options) { o.Delete, o.AllowEmpty = true, true })
		down.run(func(o *Options) { o.AllowEmpty = true })
		if n := len(files(t, down.dir)); n != 0 {
			t.Errorf("%d files are left", n)
		}
	}
}

// A file that is in the way of a directory makes room if it is deleted; a directory in the way of a
// file stays.
func TestDownloadWhereSomethingElseIs(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(map[string]string{"a": "a file", "b/c/d": "a file below", "z": "last"})
	up.mirrors()
	down.write(map[string]string{"a/b/c": "in the way", "b": "in the way"})
	sum := down.run(func(o *Options) { o.Delete = true })
	if sum.Failed != 1 || sum.Deleted != 2 || sum.Transferred != 2 {
		t.Errorf("%+v, %v", sum, down.lines)
	}
	if down.count(buckettest.Get) != 3 { // the manifest, z and b/c/d: what cannot be put in its place is not asked for
		t.Errorf("%v", down.calls)
	}
	noDrafts(t, down.dir)
	if got := content(down, "b/c/d"); got != "a file below" {
		t.Errorf("%q", got)
	}
}

// A download whose place cannot be written to fails, and the rest goes on.
func TestDownloadIntoLinkedDirectories(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(map[string]string{"out/x": "new", "out/y/z": "new", "in/x": "new", "z": "z"})
	up.mirrors()
	outside := t.TempDir()
	os.WriteFile(filepath.Join(outside, "x"), []byte("precious"), 0o644)
	down.write(map[string]string{"real/x": "old"})
	os.Symlink(outside, filepath.Join(down.dir, "out"))
	if err := os.Symlink("real", filepath.Join(down.dir, "in")); err != nil {
		t.Skip(err)
	}
	for range 2 {
		sum := down.run(nil)
		if sum.Failed != 2 {
			t.Errorf("%+v, %v", sum, down.lines)
		}
	}
	if got := content(down, "in/x"); got != "new" {
		t.Errorf("within the tree: %q", got)
	}
	if got := files(t, outside); len(got) != 1 {
		t.Errorf("outside: %v", got)
	}
	if b, _ := os.ReadFile(filepath.Join(outside, "x")); string(b) != "precious" {
		t.Errorf("outside: %q", b)
	}
}

// Without following links, a link is nothing that is there: it is replaced.
func TestDownloadWithoutFollowing(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	down.o.Scan.Follow = false
	up.write(map[string]string{"link": "new", "other": "1"})
	up.mirrors()
	down.write(map[string]string{"other": "1"})
	if err := os.Symlink("other", filepath.Join(down.dir, "link")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("other", filepath.Join(down.dir, "left")); err != nil {
		t.Fatal(err)
	}
	down.run(func(o *Options) { o.Delete = true })
	down.wants("get link")
	if content(down, "other") != "1" || content(down, "link") != "new" {
		t.Error("written through a link")
	}
	if _, err := os.Lstat(filepath.Join(down.dir, "left")); err != nil {
		t.Error("a link that was not followed is gone")
	}
}

// A file that somebody else writes while the run goes on is left alone.
func TestDownloadMeetsEdits(t *testing.T) {
	for _, large := range []bool{false, true} {
		store := &buckettest.Memory{}
		up, down := newMachine(t, store), newFetcher(t, store)
		down.o.Parts = tiny
		body := "remote"
		if large {
			body = noise(2000)
		}
		up.write(map[string]string{"edited": body, "new": body, "removed": body})
		up.mirrors()
		down.write(map[string]string{"edited": "old", "removed": "old"})
		store.Fault = func(op buckettest.Op, key string) buckettest.Outcome {
			switch key {
			case "p/edited":
				down.write(map[string]string{"edited": "now"}) // of the same size
			case "p/new":
				down.write(map[string]string{"new": "now"})
			case "p/removed":
				down.remove("removed")
			}
			return buckettest.OK
		}
		sum := down.run(nil)
		down.wants("failed edited: "+local.ErrOther.Error(), "failed new: "+local.ErrOther.Error(), "get removed")
		if sum.Failed != 2 || content(down, "edited") != "now" || content(down, "new") != "now" || content(down, "removed") != body {
			t.Errorf("%+v", sum)
		}
		noDrafts(t, down.dir)
	}
}

// A run to the source that did not come to its end has stored what its manifest does not tell of yet.
// That is listed and fetched, and nothing is deleted that it may have been about.
func TestDownloadFromUnfinishedSource(t *testing.T) {
	for n := 1; n < 12; n++ {
		store := &buckettest.Memory{}
		up, down := newMachine(t, store), newFetcher(t, store)
		up.write(map[string]string{"a": "1", "m": "1", "n": "1", "z": "1"})
		up.mirrors()
		down.run(nil)
		up.write(map[string]string{"m": "2", "mm": "2", "o": "2"})
		up.remove("n")
		var seen atomic.Int64
		store.Fault = func(buckettest.Op, string) buckettest.Outcome {
			if int(seen.Add(1)) > n {
				return buckettest.NotStored
			}
			return buckettest.OK
		}
		up.try(context.Background(), func(o *Options) { o.Delete, o.Gate = true, pace.Fixed(1) })
		store.Fault = nil
		down.write(map[string]string{"local": "1", "mn": "1"})
		sum, err := down.try(context.Background(), func(o *Options) { o.Delete = true })
		if err != nil || sum.Failed != 0 {
			t.Errorf("died after %d: %+v, %v, %v", n, sum, err, down.lines)
		}
		c, err := catalog.Open(context.Background(), store, catalog.Options{Prefix: "p/"})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range c.Foreign() {
			if i.Range != nil && i.Range.Contains("mn") && content(down, "mn") == "" {
				t.Errorf("died after %d: a file is gone whose object may be on its way", n)
			}
			held := "warning Skipping file " + filepath.Join(down.dir, "mn") + ". A run that has not come to its end may have stored s3://b/p/mn; nothing is deleted yet."
			if i.Range != nil && i.Range.Contains("mn") && (!slices.Contains(down.lines, held) || sum.Warnings == 0) {
				t.Errorf("died after %d: nothing tells that it is held back: %+v, %v", n, sum, down.lines)
			}
		}
		down.remove("mn")
		doomed := func(line string) bool { return strings.HasPrefix(line, "n ") } // it may be about to go
		if got, want := slices.DeleteFunc(files(t, down.dir), doomed), slices.DeleteFunc(objects(store), doomed); !slices.Equal(got, want) {
			t.Errorf("died after %d: tree:\n%v\nbucket:\n%v", n, got, want)
		}
		up.mirrors()
		down.run(func(o *Options) { o.Delete = true })
		equal(t, store, down.dir)
	}
}

// Rules are for objects that are stored, not for files.
func TestDownloadWithRules(t *testing.T) {
	store := &buckettest.Memory{}
	up, down := newMachine(t, store), newFetcher(t, store)
	up.write(map[string]string{"a.html": "1", "b": "1"})
	up.mirrors()
	down.o.Rules = rules(t, "/*\n  Cache-Control: no-cache\n")
	down.run(nil)
	if sum := down.run(nil); sum.Failed+sum.Described != 0 {
		t.Errorf("%+v, %v", sum, down.lines)
	}
	equal(t, store, down.dir)
}

// Web pages come last, and odd keys with the rest.
func TestDownloadPagesLast(t *testing.T) {
	store := &buckettest.Memory{}
	for _, key := range []string{"a.html", "b.css", "/odd.css", "z.css"} {
		put(t, store, "p/"+key, key)
	}
	down := newFetcher(t, store)
	down.o.Order, down.o.Delete = PagesLast, true
	down.write(map[string]string{"old": "1"})
	deny(store, buckettest.Get, "p/b.css")
	sum, err := down.try(context.Background(), nil)
	if err != nil || sum.Failed != 2 || sum.Deleted != 0 || content(down, "a.html") != "" || content(down, "odd.css") == "" {
		t.Errorf("%+v, %v, %v", sum, err, down.lines)
	}
	store.Fault = nil
	down.run(nil)
	down.wants("delete old", "get a.html", "get b.css")
}

// What the manifest of the source does not name may be there all the same: somebody else has put
// it there. It is not deleted at the destination, also not in a dry run.
func TestDeletesAreConfirmed(t *testing.T) {
	store := &buckettest.Memory{}
	up := newMachine(t, store)
	up.write(map[string]string{"kept": "1"})
	up.mirrors()
	put(t, store, "p/foreign", "2")
	for _, dry := range []bool{true, false} {
		down := newFetcher(t, store)
		down.write(map[string]string{"kept": "1", "foreign": "2", "gone": "3"})
		sum := down.run(func(o *Options) { o.Delete, o.DryRun = true, dry })
		down.wants("delete gone", "drift foreign at the source: foreign-new, keep")
		if sum.Warnings != 0 || sum.Drift.New != 1 || content(down, "foreign") != "2" || (content(down, "gone") == "") == dry {
			t.Errorf("dry run %v: %+v", dry, sum)
		}
	}
	// Who may not list is told 403 of what is missing, and goes by the manifest.
	deny(store, buckettest.Head, "p/")
	down := newFetcher(t, store)
	down.write(map[string]string{"kept": "1", "gone": "3"})
	if down.run(func(o *Options) { o.Delete = true }); content(down, "gone") != "" {
		t.Error("nothing is deleted without permission to list")
	}
}
