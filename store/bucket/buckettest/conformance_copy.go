package buckettest

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
)

func testCopy(t *testing.T, s bucket.Store) {
	copier, ok := s.(bucket.Copier)
	if !ok {
		t.Skip("the store copies nothing")
	}
	src := put(t, s, "src", "body", bucket.PutOptions{Headers: bucket.Headers{ContentType: "text/plain", Metadata: map[string]string{"a": "b"}}})
	made, err := copier.Copy(t.Context(), bucket.Source{Key: "src", IfMatch: src.ETag}, "dst", bucket.CopyOptions{})
	if err != nil || made.Key != "dst" || made.ETag != src.ETag {
		t.Errorf("copy returns %+v, %v", made, err)
	}
	if body, obj := get(t, s, "dst", bucket.GetOptions{}); body != "body" || obj.Metadata["a"] != "b" {
		t.Errorf("copy is %q, %+v", body, obj)
	}
	for directive, wanted := range map[string]bucket.Headers{
		"REPLACE": {ContentType: "text/html", Metadata: map[string]string{"c": "d"}},
		"COPY":    {ContentType: "text/plain", Metadata: map[string]string{"a": "b"}},
	} {
		var o bucket.CopyOptions
		o.MetadataDirective = directive
		o.Headers = bucket.Headers{ContentType: "text/html", Metadata: map[string]string{"c": "d"}}
		_, err = copier.Copy(t.Context(), bucket.Source{Key: "src"}, "dst", o)
		want(t, "copy with directive "+directive, err, nil)
		if _, obj := get(t, s, "dst", bucket.GetOptions{}); !reflect.DeepEqual(obj.Headers, wanted) {
			t.Errorf("%s: headers are %+v; want %+v", directive, obj.Headers, wanted)
		}
	}
	_, err = copier.Copy(t.Context(), bucket.Source{Key: "src", IfMatch: "00"}, "no", bucket.CopyOptions{})
	want(t, "copy of a changed source", err, bucket.ErrChanged)
	_, err = copier.Copy(t.Context(), bucket.Source{Key: "none", IfMatch: ""}, "no", bucket.CopyOptions{})
	want(t, "copy of nothing", err, bucket.ErrNotFound)
	expect(t, s, "no", "")
}

// tagger is the store as one that keeps tags.
func tagger(t *testing.T, s bucket.Store) bucket.Tagger {
	t.Helper()
	tagger, ok := s.(bucket.Tagger)
	if !ok {
		t.Skip("the store keeps no tags")
	}
	return tagger
}

// expectTags fails the test if an object has other tags. Not every server keeps their order.
func expectTags(t *testing.T, s bucket.Store, key, tags string) {
	t.Helper()
	got, err := tagger(t, s).Tags(t.Context(), key)
	if err != nil || !slices.Equal(sorted(got), sorted(tags)) {
		t.Errorf("tags of %q are %q, %v; want %q", key, got, err, tags)
	}
}

func sorted(tags string) []string { return slices.Sorted(strings.SplitSeq(tags, "&")) }

func testTags(t *testing.T, s bucket.Store) {
	put(t, s, "key", "body", bucket.PutOptions{})
	expectTags(t, s, "key", "")
	for _, tags := range []string{"a=1", "plain=value&with%20space=a%2Bb%2Fc&empty=", ""} {
		want(t, "set tags "+tags, tagger(t, s).SetTags(t.Context(), "key", tags), nil)
		expectTags(t, s, "key", tags)
	}
	_, err := tagger(t, s).Tags(t.Context(), "none")
	want(t, "tags of nothing", err, bucket.ErrNotFound)
	want(t, "set tags of nothing", tagger(t, s).SetTags(t.Context(), "none", "a=b"), bucket.ErrNotFound)
	expect(t, s, "key", "body")
	want(t, "set tags", tagger(t, s).SetTags(t.Context(), "key", "a=1"), nil)
	put(t, s, "key", "other", bucket.PutOptions{})
	expectTags(t, s, "key", "")
}

func testCopyTags(t *testing.T, s bucket.Store) {
	copier, ok := s.(bucket.Copier)
	if !ok {
		t.Skip("the store copies nothing")
	}
	put(t, s, "src", "body", bucket.PutOptions{})
	want(t, "set tags", tagger(t, s).SetTags(t.Context(), "src", "a=1&b=%C3%A9"), nil)
	tests := []struct{ directive, tags, want string }{
		{"", "", "a=1&b=%C3%A9"}, {"COPY", "", "a=1&b=%C3%A9"}, {"REPLACE", "", ""}, {"REPLACE", "c=3", "c=3"},
	}
	for _, test := range tests {
		_, err := copier.Copy(t.Context(), bucket.Source{Key: "src"}, "dst", bucket.CopyOptions{TaggingDirective: test.directive, PutOptions: bucket.PutOptions{Tags: test.tags}})
		want(t, "copy", err, nil)
		expectTags(t, s, "dst", test.want)
	}
}

// An object can be stored with tags, at once or in parts.
func testPutTags(t *testing.T, s bucket.Store) {
	put(t, s, "key", "body", bucket.PutOptions{Tags: "a=1&b=%C3%A9"})
	expectTags(t, s, "key", "a=1&b=%C3%A9")
	put(t, s, "key", "body", bucket.PutOptions{})
	expectTags(t, s, "key", "")
	u, _ := uploadParts(t, s, "parts", bucket.PutOptions{Tags: "c=3"})
	_, err := u.Complete(t.Context())
	want(t, "complete", err, nil)
	expectTags(t, s, "parts", "c=3")
}

func testCopyInParts(t *testing.T, s bucket.Store) {
	copier, ok := s.(bucket.Copier)
	if !ok {
		t.Skip("the store copies nothing")
	}
	body := strings.Repeat("parts of an object. ", (2*minPart+100)/20)
	src := put(t, s, "src", body, bucket.PutOptions{Headers: bucket.Headers{ContentType: "text/plain", Metadata: map[string]string{"a": "b"}}})
	want(t, "set tags", tagger(t, s).SetTags(t.Context(), "src", "a=1"), nil)
	o := bucket.CopyOptions{PartSize: minPart, PutOptions: bucket.PutOptions{Tags: "b=2&c=3"}}
	o.Headers = bucket.Headers{ContentType: "text/html", ContentEncoding: "zstd", Metadata: map[string]string{"c": "d"}}
	for _, from := range []bucket.Source{{Key: "src"}, {Key: "src", IfMatch: src.ETag, Size: src.Size}} {
		made, err := copier.Copy(t.Context(), from, "dst", o)
		want(t, "copy in parts", err, nil)
		got, obj := get(t, s, "dst", bucket.GetOptions{})
		wanted := etag([]byte(body), []int64{minPart, minPart, int64(len(body) - 2*minPart)})
		if got != body || obj.ETag != wanted || made.ETag != wanted || made.Size != src.Size {
			t.Errorf("copied %d bytes of %d with ETag %s, made %+v; want ETag %s", len(got), len(body), obj.ETag, made, wanted)
		}
		if !reflect.DeepEqual(obj.Headers, o.Headers) {
			t.Errorf("headers are %+v; want %+v", obj.Headers, o.Headers)
		}
		expectTags(t, s, "dst", "b=2&c=3")
		want(t, "delete", s.Delete(t.Context(), "dst", bucket.Condition{}), nil)
	}
	_, err := copier.Copy(t.Context(), bucket.Source{Key: "src", IfMatch: "00", Size: src.Size}, "dst", o)
	want(t, "copy of a changed source", err, bucket.ErrChanged)
	put(t, s, "src", "short", bucket.PutOptions{})
	_, err = copier.Copy(t.Context(), bucket.Source{Key: "src", IfMatch: src.ETag, Size: src.Size}, "dst", o)
	want(t, "copy of a source that has become smaller", err, bucket.ErrChanged)
	_, err = copier.Copy(t.Context(), bucket.Source{Key: "none"}, "dst", o)
	want(t, "copy of nothing", err, bucket.ErrNotFound)
	expect(t, s, "dst", "")
}

// testChecksums asks only for the algorithms that every server knows.
func testChecksums(t *testing.T, s bucket.Store) {
	const body = "123456789"
	sum := crc64nvme.Checksum([]byte(body))
	for _, name := range []string{"CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"} {
		for _, known := range []bool{false, true} {
			for _, text := range []string{"", body} {
				o := bucket.PutOptions{CRC64: crc64nvme.Checksum([]byte(text)), HasCRC64: known}
				o.Checksum = name
				put(t, s, name, text, o)
				if _, err := s.Head(t.Context(), name, bucket.HeadOptions{}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		expect(t, s, name, body)
		o := bucket.PutOptions{CRC64: sum + 1, HasCRC64: true}
		o.Checksum = name
		if _, err := s.Put(t.Context(), "wrong", strings.NewReader(body), int64(len(body)), o); err == nil {
			t.Errorf("%s: a wrong checksum is taken", name)
		}
		expect(t, s, "wrong", "")
		t.Run(name, func(t *testing.T) {
			o := bucket.PutOptions{}
			o.Checksum = name
			u, body := uploadParts(t, s, name, o)
			_, err := u.Complete(t.Context())
			want(t, "complete", err, nil)
			if got, _ := get(t, s, name, bucket.GetOptions{}); got != string(body) {
				t.Errorf("got %d bytes; want %d", len(got), len(body))
			}
		})
	}
	o := bucket.PutOptions{}
	o.Checksum = "NONE"
	if _, err := s.Put(t.Context(), "none", bytes.NewReader(nil), 0, o); err == nil {
		t.Error("a checksum that does not exist is taken")
	}
}

// What a listing and what an answer say about the time differ by what headers cannot say.
func testModified(t *testing.T, s bucket.Store) {
	put(t, s, "key", "body", bucket.PutOptions{})
	head, err := s.Head(t.Context(), "key", bucket.HeadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for o, err := range s.List(t.Context(), "", "") {
		if err != nil || o.Modified.Truncate(time.Second).Unix() != head.Modified.Unix() || o.Class != head.Class {
			t.Errorf("listed as %+v, %v; described as %+v", o, err, head)
		}
	}
	if head.Modified.Nanosecond() != 0 {
		t.Errorf("modified at %v", head.Modified)
	}
}
