package flat_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/bucket/buckettest/flat"
)

// open opens a bucket at a server.
func open(t *testing.T, s *flat.Server, name string) *bucket.S3 {
	t.Helper()
	b, err := bucket.Open(t.Context(), bucket.Config{Endpoint: s.URL, AccessKey: "key", SecretKey: "secret", Sleep: buckettest.NoSleep}, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestConformance(t *testing.T) {
	s := flat.Start(t)
	var n atomic.Int64
	buckettest.Conformance(t, func(t *testing.T) bucket.Store {
		b := open(t, s, fmt.Sprintf("conformance-%d", n.Add(1)))
		if err := b.CreateBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	})
	buckettest.HeedsBatches(t, open(t, flat.Start(t, "bucket"), "bucket"))
	for _, r := range s.Requests() {
		if r.Operation == "" || r.Status == 0 || r.Status >= 500 {
			t.Errorf("%+v", r)
		}
	}
}

// hostile are keys that no tree of files can hold, or not all at once.
var hostile = []string{
	"a", "a/b", "a/", "a//b", "a//", "/", "//", "/x", "//x", "///x", ".", "..", "./", "../", "./x", "../x", "../../x", "a/../b", "a/./b",
	"a/..", "a/.", "/..", "/../x", "..//x", "%2F", "a%2Fb", "%2e%2e/x", "%", "%%", "%zz", "+", "a+b", "a b", " ", " lead", "trail ", "a/ /b",
	"\x01", "a\x1fb", "tab\t", "new\nline", "\r", "cr\r\nlf", "\x7f", "nul\x00in", "?", "a?b=c", "#", "a#b", "&", "<>", "\"", "'", "\\", "..\\x",
	"\uFFFD", "\uFFFE", "\u200b", "e\u0301", "é", "漢字", "😀", "a=b&c=d", "?acl", "?uploads", "a;b", "a:b", "http://x/y", "~", "*",
	strings.Repeat("k", 1024), strings.Repeat("/", 1000), strings.Repeat("漢", 341),
}

func TestHostileKeys(t *testing.T) {
	s := flat.Start(t, "bucket")
	b := open(t, s, "bucket")
	for _, key := range hostile {
		body := "body of " + key
		if _, err := b.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), bucket.PutOptions{}); err != nil {
			t.Errorf("put %q: %v", key, err)
		}
	}
	wanted := slices.Sorted(slices.Values(hostile))
	if got := s.Keys("bucket"); !slices.Equal(got, wanted) {
		t.Fatalf("keys are\n%q; want\n%q", got, wanted)
	}
	var listed []string
	for o, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, o.Key)
	}
	if !slices.Equal(listed, wanted) {
		t.Errorf("listed\n%q; want\n%q", listed, wanted)
	}
	for i, key := range hostile {
		r, _, err := b.Get(t.Context(), key, bucket.GetOptions{})
		if err != nil {
			t.Errorf("get %q: %v", key, err)
			continue
		}
		if body, err := io.ReadAll(r); err != nil || string(body) != "body of "+key {
			t.Errorf("get %q: %q, %v", key, body, err)
		}
		r.Close()
		dst := fmt.Sprint("copy ", i)
		if _, err := b.Copy(t.Context(), bucket.Source{Key: key}, dst, bucket.CopyOptions{}); err != nil {
			t.Errorf("copy %q: %v", key, err)
		}
		if o, _ := s.Object("bucket", dst); string(o.Body) != "body of "+key {
			t.Errorf("copy of %q is %q", key, o.Body)
		}
	}
	var all []bucket.Deletion
	for _, key := range s.Keys("bucket") {
		all = append(all, bucket.Deletion{Key: key})
	}
	for key, err := range b.DeleteAll(t.Context(), all) {
		t.Errorf("delete %q: %v", key, err)
	}
	if left := s.Keys("bucket"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
