package flat_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest/flat"
)

// TestMany lists many objects while more come: no page may cost what the bucket
// holds, or this takes long.
func TestMany(t *testing.T) {
	t.Parallel()
	s := flat.Start(t, "bucket")
	const n = 50_000
	body := []byte("small")
	for i := range n {
		s.Put("bucket", fmt.Sprintf("%05d", i*7919%n), flat.Object{Body: body})
	}
	b := open(t, s, "bucket")
	seen, last := 0, ""
	for o, err := range b.List(t.Context(), "", "") {
		if err != nil || o.Key <= last {
			t.Fatalf("%q after %q, %v", o.Key, last, err)
		}
		if last = o.Key; seen%1000 == 0 {
			s.Put("bucket", o.Key+"+", flat.Object{}) // on this page: not listed any more
		}
		seen++
	}
	if seen != n || len(s.Keys("bucket")) != n+n/1000 || s.Counts()["ListObjectsV2"] != n/1000 {
		t.Errorf("listed %d of %d, %v", seen, len(s.Keys("bucket")), s.Counts())
	}
}

// TestRaces has many clients put under the condition that nobody else did.
func TestRaces(t *testing.T) {
	s := flat.Start(t, "bucket")
	b := open(t, s, "bucket")
	for round := range 10 {
		key := fmt.Sprint("k", round)
		var won atomic.Int64
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() {
				body := fmt.Sprint("body ", i)
				if _, err := b.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), bucket.PutOptions{Condition: bucket.Condition{IfNone: true}}); err == nil {
					won.Add(1)
				}
				b.Head(t.Context(), key, bucket.HeadOptions{}) // what it says depends on who came first
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Errorf("%d clients have made the object", won.Load())
		}
	}
}

// TestListing looks at one page as it is written.
func TestListing(t *testing.T) {
	s := flat.New("bucket")
	s.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.UTC) }
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Put("bucket", "a +\x01/é&", flat.Object{Body: []byte("hello"), Class: "GLACIER", ETag: "other"})
	s.Put("bucket", "b", flat.Object{Modified: time.Unix(1, 5e6), Checksums: map[string]string{}})
	_, _, body := send(t, s, "GET", "", "list-type=2&encoding-type=url&prefix=&fetch-owner=true&max-keys=7", nil, "")
	const want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix></Prefix>` +
		`<EncodingType>url</EncodingType><KeyCount>2</KeyCount><MaxKeys>7</MaxKeys><IsTruncated>false</IsTruncated>` +
		`<Contents><Key>a+%2B%01/%C3%A9%26</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;other&quot;</ETag>` +
		`<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>5</Size><StorageClass>GLACIER</StorageClass></Contents>` +
		`<Contents><Key>b</Key><LastModified>1970-01-01T00:00:01.005Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag>` +
		`<Size>0</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>`
	if body != want {
		t.Errorf("listing is\n%s; want\n%s", body, want)
	}
	_, h, _ := send(t, s, "HEAD", "b", "", nil, "")
	if h.Get("Last-Modified") != "Thu, 01 Jan 1970 00:00:01 GMT" {
		t.Errorf("%v", h)
	}
	// As they are, such keys make a document that is none.
	_, _, body = send(t, s, "GET", "", "list-type=2", nil, "")
	if !strings.Contains(body, "<Key>a +&#x1;/é&amp;</Key>") || xml.Unmarshal([]byte(body), new(struct{})) == nil {
		t.Error(body)
	}
	for query, want := range map[string]string{
		"max-keys=0":                "<KeyCount>0</KeyCount><MaxKeys>0</MaxKeys><IsTruncated>false</IsTruncated>",
		"max-keys=5000":             "<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>",
		"start-after=a&max-keys=1":  "<StartAfter>a</StartAfter><KeyCount>1</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>",
		"delimiter=/&start-after=b": "<KeyCount>0</KeyCount>",
		"prefix=a&delimiter=/":      "<CommonPrefixes><Prefix>a +&#x1;/</Prefix></CommonPrefixes></ListBucketResult>",
	} {
		if _, _, body := send(t, s, "GET", "", "list-type=2&"+query, nil, ""); !strings.Contains(body, want) {
			t.Errorf("%s: %s; want %s", query, body, want)
		}
	}
}
