package buckettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/errgroup"

	"merkur/store/bucket"
)

// Conformance runs the suite that every Store must pass. Each part of it opens an empty store.
// Powers that the store has beside those of a Store are tested too.
//
// It does not ask what servers differ in: whether two conditional puts at once are kept apart,
// whether ranges past the end fail, whether keys that no file could have are kept apart.
func Conformance(t *testing.T, open func(t *testing.T) bucket.Store) {
	parts := []struct {
		name string
		test func(t *testing.T, s bucket.Store)
	}{
		{"PutGetHead", testPutGetHead},
		{"Missing", testMissing},
		{"Ranges", testRanges},
		{"ReadConditions", testReadConditions},
		{"PutConditions", testPutConditions},
		{"DeleteConditions", testDeleteConditions},
		{"Headers", testHeaders},
		{"Checksum", testChecksum},
		{"ShortBody", testShortBody},
		{"Keys", testKeys},
		{"List", testList},
		{"Canceled", testCanceled},
		{"Upload", testUpload},
		{"UploadAbort", testUploadAbort},
		{"UploadConditions", testUploadConditions},
		{"Copy", testCopy},
		{"CopyTags", testCopyTags},
		{"PutTags", testPutTags},
		{"CopyInParts", testCopyInParts},
		{"Tags", testTags},
		{"Checksums", testChecksums},
		{"Modified", testModified},
		{"DeleteAll", testDeleteAll},
		{"DeleteAllConditions", testDeleteAllConditions},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.test(t, open(t)) })
	}
}

// put stores an object that has to be stored.
func put(t *testing.T, s bucket.Store, key, body string, o bucket.PutOptions) bucket.Object {
	t.Helper()
	obj, err := s.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), o)
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return obj
}

// get returns the body of an object, or the part of it that o asks for.
func get(t *testing.T, s bucket.Store, key string, o bucket.GetOptions) (string, bucket.Object) {
	t.Helper()
	r, obj, err := s.Get(t.Context(), key, o)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %q: %v", key, err)
	}
	return string(body), obj
}

// want fails the test if err is not the sentinel; nil is one too.
func want(t *testing.T, what string, err, sentinel error) {
	t.Helper()
	if (err == nil) != (sentinel == nil) || !errors.Is(err, sentinel) {
		t.Errorf("%s: error is %v; want %v", what, err, sentinel)
	}
}

// expect fails the test if the key does not hold the body; an empty body stands for no object.
func expect(t *testing.T, s bucket.Store, key, body string) {
	t.Helper()
	if _, err := s.Head(t.Context(), key, bucket.HeadOptions{}); body == "" {
		want(t, fmt.Sprintf("head %q", key), err, bucket.ErrNotFound)
		return
	}
	if got, _ := get(t, s, key, bucket.GetOptions{}); got != body {
		t.Errorf("%q holds %.40q; want %.40q", key, got, body)
	}
}

func testPutGetHead(t *testing.T, s bucket.Store) {
	for _, body := range []string{"", "x", "hello, world", strings.Repeat("0123456789abcdef", 1<<14)} {
		stored := put(t, s, "dir/key", body, bucket.PutOptions{})
		if stored.Key != "dir/key" || stored.Size != int64(len(body)) || stored.ETag != etag([]byte(body), nil) {
			t.Errorf("put of %d bytes returns %+v", len(body), stored)
		}
		got, obj := get(t, s, "dir/key", bucket.GetOptions{})
		if got != body {
			t.Errorf("got %d bytes %.20q; want %d bytes %.20q", len(got), got, len(body), body)
		}
		head, err := s.Head(t.Context(), "dir/key", bucket.HeadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []bucket.Object{obj, head} {
			if o.Key != "dir/key" || o.Size != int64(len(body)) || o.ETag != stored.ETag {
				t.Errorf("described as %+v; stored as %+v", o, stored)
			}
			if age := time.Since(o.Modified); age < -time.Hour || age > time.Hour {
				t.Errorf("modified at %v", o.Modified)
			}
			if o.HasCRC64 && o.CRC64 != crc64nvme.Checksum([]byte(body)) {
				t.Errorf("checksum %x of %d bytes", o.CRC64, len(body))
			}
		}
	}
}

func testMissing(t *testing.T, s bucket.Store) {
	_, _, err := s.Get(t.Context(), "none", bucket.GetOptions{})
	want(t, "get", err, bucket.ErrNotFound)
	_, err = s.Head(t.Context(), "none", bucket.HeadOptions{})
	want(t, "head", err, bucket.ErrNotFound)
	want(t, "delete", s.Delete(t.Context(), "none", bucket.Condition{}), nil)
	want(t, "conditional delete", s.Delete(t.Context(), "none", bucket.Condition{IfMatch: "00"}), nil)
	for o, err := range s.List(t.Context(), "", "") {
		t.Errorf("list yields %v, %v", o, err)
	}
}

func testRanges(t *testing.T, s bucket.Store) {
	const body = "0123456789"
	put(t, s, "key", body, bucket.PutOptions{})
	tests := []struct {
		offset, length int64
		want           string
	}{
		{0, 0, body}, {0, 1, "0"}, {0, 10, body}, {0, 99, body}, {3, 0, "3456789"}, {3, 4, "3456"},
		{9, 1, "9"}, {9, 0, "9"}, {9, 5, "9"}, {-1, 0, "9"}, {-4, 0, "6789"}, {-10, 0, body}, {-99, 0, body},
	}
	for _, test := range tests {
		got, obj := get(t, s, "key", bucket.GetOptions{Offset: test.offset, Length: test.length})
		if got != test.want || obj.Size != int64(len(body)) {
			t.Errorf("range %d+%d is %q of %d bytes; want %q", test.offset, test.length, got, obj.Size, test.want)
		}
	}
	for _, o := range []bucket.GetOptions{{Offset: -4, Length: 2}, {Length: -1}} {
		if r, _, err := s.Get(t.Context(), "key", o); err == nil {
			r.Close()
			t.Errorf("impossible range %+v is answered", o)
		}
	}
}

func testReadConditions(t *testing.T, s bucket.Store) {
	tag := put(t, s, "key", "body", bucket.PutOptions{}).ETag
	tests := []struct {
		name string
		o    bucket.GetOptions
		want error
	}{
		{"match", bucket.GetOptions{IfMatch: tag}, nil},
		{"other match", bucket.GetOptions{IfMatch: "00"}, bucket.ErrChanged},
		{"match of a range", bucket.GetOptions{IfMatch: tag, Offset: 1, Length: 2}, nil},
		{"other match of a range", bucket.GetOptions{IfMatch: "00", Offset: 1, Length: 2}, bucket.ErrChanged},
		{"none match", bucket.GetOptions{IfNoneMatch: tag}, bucket.ErrNotModified},
		{"other none match", bucket.GetOptions{IfNoneMatch: "00"}, nil},
	}
	for _, test := range tests {
		r, _, err := s.Get(t.Context(), "key", test.o)
		want(t, test.name, err, test.want)
		if err == nil {
			r.Close()
		}
	}
}

// writeConditions are the conditions of a write to a key that holds "old" or nothing.
var writeConditions = []struct {
	name   string
	old    string
	ifNone bool
	match  string // "same": that of old
	want   error
}{
	{"none, absent", "", true, "", nil},
	{"none, present", "old", true, "", bucket.ErrChanged},
	{"match, absent", "", false, "00", bucket.ErrChanged},
	{"match, same", "old", false, "same", nil},
	{"match, other", "old", false, "00", bucket.ErrChanged},
}

// tryConditions tries each condition with a write that stores "new".
func tryConditions(t *testing.T, s bucket.Store, write func(key string, c bucket.Condition) error) {
	t.Helper()
	for i, test := range writeConditions {
		key := fmt.Sprintf("key-%d", i)
		c := bucket.Condition{IfNone: test.ifNone, IfMatch: test.match}
		if test.old != "" {
			tag := put(t, s, key, test.old, bucket.PutOptions{}).ETag
			if test.match == "same" {
				c.IfMatch = tag
			}
		}
		want(t, test.name, write(key, c), test.want)
		if test.want == nil {
			expect(t, s, key, "new")
		} else {
			expect(t, s, key, test.old)
		}
	}
}

func testPutConditions(t *testing.T, s bucket.Store) {
	tryConditions(t, s, func(key string, c bucket.Condition) error {
		_, err := s.Put(t.Context(), key, strings.NewReader("new"), 3, bucket.PutOptions{Condition: c})
		return err
	})
}

func testDeleteConditions(t *testing.T, s bucket.Store) {
	tag := put(t, s, "key", "body", bucket.PutOptions{}).ETag
	want(t, "other match", s.Delete(t.Context(), "key", bucket.Condition{IfMatch: "00"}), bucket.ErrChanged)
	expect(t, s, "key", "body")
	want(t, "match", s.Delete(t.Context(), "key", bucket.Condition{IfMatch: tag}), nil)
	expect(t, s, "key", "")
	put(t, s, "key", "body", bucket.PutOptions{})
	want(t, "no condition", s.Delete(t.Context(), "key", bucket.Condition{}), nil)
	expect(t, s, "key", "")
}

func testHeaders(t *testing.T, s bucket.Store) {
	meta := map[string]string{"plain": "value", "Upper-Case": "Kept", "spaced": "a b", "percent": "50%+1"}
	stored := bucket.Headers{
		ContentType: "text/x-test; charset=utf-8", ContentEncoding: "zstd", ContentLanguage: "la",
		ContentDisposition: "inline", CacheControl: "no-store", Expires: "Thu, 01 Jan 2099 00:00:00 GMT",
		WebsiteRedirect: "/elsewhere", Metadata: meta,
	}
	put(t, s, "key", "body", bucket.PutOptions{Headers: stored})
	wanted := stored
	wanted.Metadata = map[string]string{"plain": "value", "upper-case": "Kept", "spaced": "a b", "percent": "50%+1"}
	body, obj := get(t, s, "key", bucket.GetOptions{})
	if body != "body" {
		t.Errorf("an encoded body is decoded to %q", body)
	}
	head, err := s.Head(t.Context(), "key", bucket.HeadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(obj.Headers, wanted) || !reflect.DeepEqual(head.Headers, wanted) {
		t.Errorf("headers are\n%+v and\n%+v; want\n%+v", obj.Headers, head.Headers, wanted)
	}
	put(t, s, "key", "body", bucket.PutOptions{})
	if head, err = s.Head(t.Context(), "key", bucket.HeadOptions{}); err != nil || len(head.Metadata) > 0 {
		t.Errorf("metadata after a put without any is %v, %v", head.Metadata, err)
	}
}

func testChecksum(t *testing.T, s bucket.Store) {
	const body = "123456789"
	sum := crc64nvme.Checksum([]byte(body))
	stored := put(t, s, "right", body, bucket.PutOptions{CRC64: sum, HasCRC64: true})
	head, err := s.Head(t.Context(), "right", bucket.HeadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []bucket.Object{stored, head} {
		if !o.HasCRC64 || o.CRC64 != sum {
			t.Errorf("checksum is %x, %v; want %x", o.CRC64, o.HasCRC64, sum)
		}
	}
	_, err = s.Put(t.Context(), "wrong", strings.NewReader(body), int64(len(body)), bucket.PutOptions{CRC64: sum + 1, HasCRC64: true})
	if err == nil || errors.Is(err, bucket.ErrUnsupported) || errors.Is(err, bucket.ErrUncertain) {
		t.Errorf("put with a wrong checksum: %v", err)
	}
	expect(t, s, "wrong", "")
}

func testShortBody(t *testing.T, s bucket.Store) {
	_, err := s.Put(t.Context(), "key", strings.NewReader("four"), 5, bucket.PutOptions{})
	want(t, "put of a body that is shorter than its size", err, io.ErrUnexpectedEOF)
	expect(t, s, "key", "")
	stored, err := s.Put(t.Context(), "key", strings.NewReader("seven.."), 5, bucket.PutOptions{})
	if err != nil || stored.Size != 5 {
		t.Errorf("put of the first bytes of a body: %+v, %v", stored, err)
	}
	expect(t, s, "key", "seven")
}

// oddKeys are keys that all servers keep apart and that need care on the way.
var oddKeys = []string{
	"space in it", "a+b", "a%20b", "a%2Fb", "percent%", "q?uestion", "ha#sh", "amp&er", "less<more>", `quo"te`, "apo'strophe",
	"back\\slash", "star*", "co:lon", "eq=ual", "é", "e\u0301", "漢字", "😀", "tilde~", "curly{}", "a,b;c", "@at", "$dollar", "!bang",
	"tab\tin", "line\nfeed", "dir/sub dir/le+af", "dir.with/dots..in/it", "...", "UPPER", "upper",
	strings.Repeat("long-name/", 100) + "end",
}

func testKeys(t *testing.T, s bucket.Store) {
	for _, key := range oddKeys {
		put(t, s, key, "body of "+key, bucket.PutOptions{})
	}
	var listed []string
	for o, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, o.Key)
	}
	if wanted := slices.Sorted(slices.Values(oddKeys)); !slices.Equal(listed, wanted) {
		t.Errorf("listed\n%q; want\n%q", listed, wanted)
	}
	for _, key := range oddKeys {
		expect(t, s, key, "body of "+key)
	}
	copier, copies := s.(bucket.Copier)
	for i, key := range oddKeys {
		if copies {
			if _, err := copier.Copy(t.Context(), bucket.Source{Key: key, IfMatch: ""}, fmt.Sprint("copy ", i), bucket.CopyOptions{}); err != nil {
				t.Errorf("copy %q: %v", key, err)
			}
			expect(t, s, fmt.Sprint("copy ", i), "body of "+key)
		}
		want(t, "delete "+key, s.Delete(t.Context(), key, bucket.Condition{}), nil)
		expect(t, s, key, "")
	}
}

// fill stores n objects whose bodies are their keys, and returns the keys in order.
func fill(t *testing.T, s bucket.Store, n int) []string {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	var keys []string
	for i := range n {
		key := fmt.Sprintf("k%d/%04d", i%7, i)
		keys = append(keys, key)
		group.Go(func() error {
			_, err := s.Put(ctx, key, strings.NewReader(key), int64(len(key)), bucket.PutOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// list returns the keys of a listing.
func list(t *testing.T, s bucket.Store, prefix, start string) []string {
	t.Helper()
	var keys []string
	for o, err := range s.List(t.Context(), prefix, start) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Size != int64(len(o.Key)) || o.ETag != etag([]byte(o.Key), nil) {
			t.Errorf("listed as %+v", o)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func testList(t *testing.T, s bucket.Store) {
	keys := fill(t, s, 2503)
	tests := []struct{ prefix, start string }{
		{"", ""}, {"k3/", ""}, {"k3", ""}, {"", keys[0]}, {"", keys[999]}, {"", keys[1000]}, {"", keys[2502]},
		{"k3/", "k2/zzz"}, {"k3/", "k3/0700"}, {"k3/", "k9"}, {"none", ""}, {"", "a"}, {"k3/0700", ""},
	}
	for _, test := range tests {
		var wanted []string
		for _, key := range keys {
			if strings.HasPrefix(key, test.prefix) && key > test.start {
				wanted = append(wanted, key)
			}
		}
		if got := list(t, s, test.prefix, test.start); !slices.Equal(got, wanted) {
			t.Errorf("list of prefix %q after %q has %d keys; want %d", test.prefix, test.start, len(got), len(wanted))
		}
	}
	n := 0
	for range s.List(t.Context(), "", "") {
		if n++; n == 1500 {
			break
		}
	}
}

func testCanceled(t *testing.T, s bucket.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Put(ctx, "key", strings.NewReader("body"), 4, bucket.PutOptions{})
	want(t, "put", err, context.Canceled)
	if errors.Is(err, bucket.ErrUncertain) {
		t.Errorf("a put that never began is in doubt: %v", err)
	}
	_, _, err = s.Get(ctx, "key", bucket.GetOptions{})
	want(t, "get", err, context.Canceled)
	for _, err := range s.List(ctx, "", "") {
		want(t, "list", err, context.Canceled)
	}
	expect(t, s, "key", "")
}
