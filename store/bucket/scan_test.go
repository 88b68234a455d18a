package bucket

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// listings are answers as servers write them: Amazon, versitygw, MinIO.
var listings = []string{
	`<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>a/</Prefix><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><Contents><Key>a/b+c</Key><LastModified>2026-11-23T10:20:30.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents><Contents><Key>a/c</Key><LastModified>2026-11-23T10:20:30.000Z</LastModified><ETag>&quot;x-2&quot;</ETag><Size>12</Size><Owner><ID>1</ID><DisplayName>me &amp; you</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>`,
	`<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>b</Name><Prefix></Prefix><StartAfter></StartAfter><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><ETag>&#34;e&#34;</ETag><Key> a &lt;&gt;&apos;&#39;
é </Key><Size>1</Size><LastModified>2026-11-23T10:20:30Z</LastModified></Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>
`,
	`<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType/></ListBucketResult>`,
}

// oddities are answers that the scanner leaves to encoding/xml, or that are none at all.
var oddities = []string{
	"", "<", ">", "<>", "</>", "<a></b>", "<ListBucketResult>", "<ListBucketResult/>", "<html></html>",
	"<ListBucketResult><!-- c --><IsTruncated>false</IsTruncated></ListBucketResult>",
	"<ListBucketResult><Contents><Key><![CDATA[a]]></Key></Contents></ListBucketResult>",
	"<ListBucketResult><Contents><Key>&#x41;&unknown;</Key></Contents></ListBucketResult>",
	"<ListBucketResult><Contents><Key>a\r\nb</Key></Contents></ListBucketResult>",
	"<ListBucketResult><Contents><Key>a\x01b</Key></Contents></ListBucketResult>",
	"<ListBucketResult><Contents><Key>\uFFFE</Key></Contents></ListBucketResult>",
	"<ListBucketResult><Contents><Key>a<Key>b</Key></Key></Contents></ListBucketResult>",
	"<ListBucketResult><Owner><A><B></B></A></Owner></ListBucketResult>",
	"<ListBucketResult xmlns=\"\x00\"></ListBucketResult>",
	"<x:ListBucketResult xmlns:x=\"y\"></x:ListBucketResult>",
	"<ListBucketResult></ListBucketResult>x",
	"<ListBucketResult><Contents>text<Key>a</Key></Contents></ListBucketResult>",
}

// The scanner must take what servers write, and then find what encoding/xml finds.
func TestScanListing(t *testing.T) {
	for _, text := range listings {
		got, ok := scanListing([]byte(text), nil)
		want, err := decodeListing(strings.NewReader(text))
		if !ok || err != nil || !reflect.DeepEqual(told(got), told(want)) {
			t.Errorf("scanned %v\n%+v; want\n%+v, %v", ok, got, want, err)
		}
	}
	for _, text := range oddities {
		if l, ok := scanListing([]byte(text), nil); ok {
			t.Errorf("%q is scanned as %+v", text, l)
		}
	}
}

// told is what a listing tells, without the difference between nothing and an empty text.
func told(l listing) []string {
	all := []string{l.IsTruncated, l.Next, l.EncodingType}
	for _, i := range l.Contents {
		for _, field := range [][]byte{i.Key, i.Size, i.ETag, i.LastModified, i.StorageClass} {
			all = append(all, string(field))
		}
	}
	return all
}

func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"2026-11-23T10:20:30.000Z", "2026-11-23T10:20:30Z", "2024-02-29T23:59:59.999Z", "2026-02-29T00:00:00Z", "2026-11-23T10:20:30+01:00", "2026-13-01T00:00:00Z", "x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseTime(b)
		want, werr := time.Parse(time.RFC3339, string(b))
		if (err == nil) != (werr == nil) || !got.Equal(want) {
			t.Errorf("%q is %v, %v; want %v, %v", b, got, err, want, werr)
		}
	})
}

func FuzzScanListing(f *testing.F) {
	for _, text := range append(listings, oddities...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := scanListing(body, nil)
		if !ok {
			return
		}
		want, err := decodeListing(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("scanned what encoding/xml refuses: %v", err)
		}
		if !reflect.DeepEqual(told(got), told(want)) {
			t.Fatalf("scanned\n%+v; want\n%+v", got, want)
		}
	})
}

func BenchmarkParsePage(b *testing.B) {
	var text strings.Builder
	text.WriteString("<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>")
	for i := range 1000 {
		fmt.Fprintf(&text, "<Contents><Key>some/dir/with/names/file-%06d.txt</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"+
			"<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>1234</Size><StorageClass>STANDARD</StorageClass></Contents>", i)
	}
	text.WriteString("</ListBucketResult>")
	b.ReportAllocs()
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if p, err := readPage(strings.NewReader(text.String())); err != nil || len(p.objects) != 1000 {
			b.Fatal(err)
		}
	}
}
