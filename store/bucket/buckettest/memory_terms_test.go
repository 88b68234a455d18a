package buckettest

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"merkur/store/bucket"
)

// status is that of the answer that an error is; 0 if it is none.
func status(err error) int {
	if e := new(bucket.Error); errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestMemoryCustomerKeys(t *testing.T) {
	key := &bucket.CustomerKey{Algorithm: "AES256", Key: []byte(strings.Repeat("k", 32))}
	other := &bucket.CustomerKey{Algorithm: "AES256", Key: []byte(strings.Repeat("o", 32))}
	m := new(Memory)
	put(t, m, "open", "body", bucket.PutOptions{})
	put(t, m, "locked", "body", bucket.PutOptions{Terms: bucket.Terms{Customer: key}})
	tests := []struct {
		object string
		key    *bucket.CustomerKey
		status int
	}{{"open", nil, 0}, {"open", key, 400}, {"locked", nil, 400}, {"locked", other, 400}, {"locked", key, 0}}
	for _, test := range tests {
		_, _, err := m.Get(t.Context(), test.object, bucket.GetOptions{Customer: test.key})
		_, headErr := m.Head(t.Context(), test.object, bucket.HeadOptions{Customer: test.key})
		_, copyErr := m.Copy(t.Context(), bucket.Source{Key: test.object, Customer: test.key}, "dst", bucket.CopyOptions{})
		_, partErr := m.Copy(t.Context(), bucket.Source{Key: test.object, Customer: test.key, IfMatch: etag([]byte("body"), nil), Size: 4}, "dst", bucket.CopyOptions{PartSize: 3})
		for i, err := range []error{err, headErr, copyErr, partErr} {
			if status(err) != test.status || (err == nil) != (test.status == 0) {
				t.Errorf("%+v, request %d: %v", test, i, err)
			}
		}
	}
	if m.Uploads() != 0 {
		t.Errorf("%d uploads are left", m.Uploads())
	}
	var o bucket.CopyOptions
	o.Customer = other
	if _, err := m.Copy(t.Context(), bucket.Source{Key: "locked", Customer: key}, "dst", o); err != nil {
		t.Error(err)
	}
	if _, _, err := m.Get(t.Context(), "dst", bucket.GetOptions{Customer: other}); err != nil {
		t.Error(err)
	}
}

func TestMemoryArchives(t *testing.T) {
	m := new(Memory)
	for class, want := range map[string]error{"GLACIER": bucket.ErrArchived, "DEEP_ARCHIVE": bucket.ErrArchived, "GLACIER_IR": nil, "STANDARD": nil} {
		put(t, m, "key", "body", bucket.PutOptions{Terms: bucket.Terms{Class: class}})
		_, _, err := m.Get(t.Context(), "key", bucket.GetOptions{})
		if (err == nil) != (want == nil) || !errors.Is(err, want) {
			t.Errorf("get from %s: %v", class, err)
		}
		_, err = m.Copy(t.Context(), bucket.Source{Key: "key"}, "dst", bucket.CopyOptions{})
		if (err == nil) != (want == nil) || !errors.Is(err, want) {
			t.Errorf("copy from %s: %v", class, err)
		}
		head, err := m.Head(t.Context(), "key", bucket.HeadOptions{})
		if err != nil || head.Class != strings.TrimPrefix(class, "STANDARD") {
			t.Errorf("head in %s: %+v, %v", class, head, err)
		}
	}
}

func TestMemorySet(t *testing.T) {
	m := new(Memory)
	put(t, m, "key", "body", bucket.PutOptions{})
	when := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)
	if !m.Set("key", func(o *bucket.Object) { o.Modified, o.Class = when, "GLACIER" }) || m.Set("none", func(*bucket.Object) {}) {
		t.Error("an object is not found, or one that is not there")
	}
	for o, err := range m.List(t.Context(), "", "") {
		if err != nil || !o.Modified.Equal(when) || o.Class != "GLACIER" {
			t.Errorf("listed as %+v, %v", o, err)
		}
	}
	if head, err := m.Head(t.Context(), "key", bucket.HeadOptions{}); err != nil || !head.Modified.Equal(when.Truncate(time.Second)) {
		t.Errorf("described as %+v, %v", head, err)
	}
	m.Set("key", func(o *bucket.Object) { o.Class = "" })
	for o := range m.List(t.Context(), "", "") {
		if !o.Modified.Equal(when) {
			t.Errorf("modified at %v after another change", o.Modified)
		}
	}
	expect(t, m, "key", "body")
}

// Two buckets that copy from each other at once do not wait for each other.
func TestMemoryCopiesBetweenBuckets(t *testing.T) {
	a, b := &Memory{Name: "a"}, &Memory{Name: "b"}
	a.Others, b.Others = map[string]*Memory{"b": b}, map[string]*Memory{"a": a}
	put(t, a, "src", "body of a", bucket.PutOptions{})
	put(t, b, "src", "body of b", bucket.PutOptions{})
	done := make(chan error)
	for to, from := range map[*Memory]string{a: "b", b: "a"} {
		go func() {
			for range 1000 {
				if _, err := to.Copy(t.Context(), bucket.Source{Bucket: from, Key: "src"}, "dst", bucket.CopyOptions{}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	expect(t, a, "dst", "body of b")
	expect(t, b, "dst", "body of a")
	_, err := a.Copy(t.Context(), bucket.Source{Bucket: "a", Key: "dst"}, "own", bucket.CopyOptions{})
	want(t, "copy within a bucket that is named", err, nil)
	_, err = a.Copy(t.Context(), bucket.Source{Bucket: "c", Key: "src"}, "dst", bucket.CopyOptions{})
	want(t, "copy from no bucket", err, bucket.ErrNoBucket)
}

func TestMemoryCopyInPartsIsManyRequests(t *testing.T) {
	m := new(Memory)
	src := put(t, m, "src", "0123456789", bucket.PutOptions{})
	o := bucket.CopyOptions{PartSize: 4}
	if _, err := m.Copy(t.Context(), bucket.Source{Key: "src", IfMatch: src.ETag, Size: 10}, "dst", o); err != nil {
		t.Fatal(err)
	}
	var ops []Op
	for _, c := range m.Calls()[1:] {
		ops = append(ops, c.Op)
	}
	if want := []Op{Begin, PartCopy, PartCopy, PartCopy, Complete}; !slices.Equal(ops, want) {
		t.Errorf("requests are %v; want %v", ops, want)
	}
	expect(t, m, "dst", "0123456789")
	m.Fault = func(op Op, _ string) Outcome {
		if op == PartCopy {
			return NotStored
		}
		return OK
	}
	if _, err := m.Copy(t.Context(), bucket.Source{Key: "src", IfMatch: src.ETag, Size: 10}, "new", o); err == nil || m.Uploads() != 0 {
		t.Errorf("copy without an answer: %v, %d uploads", err, m.Uploads())
	}
	m.Fault = nil
	expect(t, m, "new", "")
}

func TestMemoryKeepsTerms(t *testing.T) {
	terms := bucket.Terms{ACL: "private", GrantRead: "id=1", Class: "STANDARD_IA", Encryption: "aws:kms", KMSKey: "kms-id", Checksum: "SHA256"}
	m := new(Memory)
	put(t, m, "key", "body", bucket.PutOptions{Terms: terms, Headers: bucket.Headers{WebsiteRedirect: "/x", Metadata: map[string]string{"A": "b"}}})
	o, ok := m.Options("key")
	if !ok || !reflect.DeepEqual(o.Terms, terms) {
		t.Errorf("kept with %+v", o.Terms)
	}
	head, err := m.Head(t.Context(), "key", bucket.HeadOptions{})
	if err != nil || head.Class != "STANDARD_IA" || head.Encryption != "aws:kms" || head.KMSKey != "kms-id" || head.HasCRC64 || head.WebsiteRedirect != "/x" {
		t.Errorf("described as %+v, %v", head, err)
	}
	if _, err := m.Copy(t.Context(), bucket.Source{Key: "key"}, "copy", bucket.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	o, _ = m.Options("copy")
	if !reflect.DeepEqual(o.Terms, bucket.Terms{}) || o.WebsiteRedirect != "" || !maps.Equal(o.Metadata, map[string]string{"a": "b"}) {
		t.Errorf("copied with %+v", o)
	}
}
