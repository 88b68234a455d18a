package flat_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// customer are the headers for a customer's key.
func customer(prefix, key string) headers {
	sum := md5.Sum([]byte(key))
	prefix += "Server-Side-Encryption-Customer-"
	return headers{
		prefix + "Algorithm", "AES256", prefix + "Key", base64.StdEncoding.EncodeToString([]byte(key)),
		prefix + "Key-Md5", base64.StdEncoding.EncodeToString(sum[:]),
	}
}

func TestCustomerKeys(t *testing.T) {
	s := flat.Start(t, "bucket")
	const here, there = "X-Amz-", "X-Amz-Copy-Source-"
	key, other := strings.Repeat("k", 32), strings.Repeat("o", 32)
	wrong := customer(here, key)
	wrong[5] = customer(here, other)[5]
	run(t, s, []step{
		{"PUT", "k", "", customer(here, key), "hello", "200"},
		{"PUT", "plain", "", nil, "hello", "200"},
		{"PUT", "x", "", wrong, "hello", "400 InvalidArgument"},
		{"PUT", "x", "", customer(here, key)[:4], "hello", "400 InvalidArgument"},
		{"PUT", "x", "", customer(here, "short"), "hello", "400 InvalidArgument"},
		{"GET", "k", "", nil, "", "400 InvalidRequest"},
		{"HEAD", "k", "", nil, "", "400"},
		{"GET", "k", "", customer(here, other), "", "403 AccessDenied"},
		{"GET", "k", "", customer(here, key), "", "200"},
		{"GET", "plain", "", customer(here, key), "", "400 InvalidRequest"},
		{"PUT", "copy", "", headers{source, "bucket/k"}, "", "400 InvalidRequest"},
		{"PUT", "copy", "", append(customer(there, key), source, "bucket/k"), "", "200"},
		{"PUT", "copy2", "", append(append(customer(there, key), customer(here, other)...), source, "bucket/k"), "", "200"},
		{"GET", "copy", "", nil, "", "200"},
		{"GET", "copy2", "", customer(here, other), "", "200"},
	})
	o, _ := s.Object("bucket", "k")
	if o.ETag == strings.Trim(hello, `"`) || o.Headers.Get("X-Amz-Server-Side-Encryption-Customer-Key") != "" {
		t.Errorf("%+v", o)
	}
	id := begin(t, s, customer(here, key))
	run(t, s, []step{
		{"PUT", "k", id + "&partNumber=1", nil, "hello", "400 InvalidRequest"},
		{"PUT", "k", id + "&partNumber=1", customer(here, other), "hello", "400 InvalidRequest"},
		{"PUT", "k", id + "&partNumber=1", customer(here, key), "hello", "200"},
	})
}

func TestCopy(t *testing.T) {
	s := flat.New("bucket", "from")
	s.MaxCopy = 10
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Put("from", "a +%2B/é", flat.Object{
		Body: []byte("hello"), Class: "STANDARD_IA", Tags: map[string]string{"t": "1"},
		Headers:   http.Header{"content-type": {"text/x"}, "x-amz-meta-a": {"b"}, "x-amz-website-redirect-location": {"/x"}},
		Checksums: map[string]string{"SHA1": sum("SHA1", "hello")},
	})
	s.Put("bucket", "k", flat.Object{Body: []byte("old")})
	s.Put("from", "large", flat.Object{Body: make([]byte, 11)})
	const src = "/from/a%20%2B%252B/%C3%A9"
	copies := func(h ...string) headers { return append(headers{source, src}, h...) }
	run(t, s, []step{
		{"PUT", "k", "", copies("X-Amz-Copy-Source-If-Match", `"00"`), "", "412 PreconditionFailed"},
		{"PUT", "k", "", copies("X-Amz-Copy-Source-If-None-Match", hello), "", "412 PreconditionFailed"},
		{"PUT", "k", "", copies("If-None-Match", "*"), "", "412 PreconditionFailed"},
		{"PUT", "k", "", copies("If-Match", hello), "", "412 PreconditionFailed"},
		{"PUT", "k", "", copies("X-Amz-Metadata-Directive", "MERGE"), "", "400 InvalidArgument"},
		{"PUT", "k", "", headers{source, "from"}, "", "400 InvalidArgument"},
		{"PUT", "k", "", headers{source, "/from/none"}, "", "404 NoSuchKey"},
		{"PUT", "k", "", headers{source, "/none/k"}, "", "404 NoSuchBucket"},
		{"PUT", "k", "", headers{source, "/from/large"}, "", "400 InvalidRequest"},
		{"PUT", "k", "", headers{source, "/bucket/k"}, "", "400 InvalidRequest"},
		{"PUT", "k", "", copies("X-Amz-Copy-Source-If-Match", hello), "", "200"},
		{"PUT", "new", "", copies("X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Tagging-Directive", "REPLACE", "X-Amz-Meta-C", "d",
			"X-Amz-Tagging", "u=2", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Storage-Class", "GLACIER"), "", "200"},
	})
	for _, test := range []struct{ key, class, kind, meta, tags, sums string }{
		{"k", "STANDARD", "text/x", "b", "map[t:1]", fmt.Sprint(map[string]string{"SHA1": sum("SHA1", "hello")})},
		{"new", "GLACIER", "binary/octet-stream", "", "map[u:2]", fmt.Sprint(map[string]string{"CRC32": sum("CRC32", "hello")})},
	} {
		o, _ := s.Object("bucket", test.key)
		got := []string{string(o.Body), o.Class, o.Headers.Get("Content-Type"), o.Headers.Get("X-Amz-Meta-A"), fmt.Sprint(o.Tags), fmt.Sprint(o.Checksums), o.Headers.Get("X-Amz-Website-Redirect-Location")}
		if want := []string{"hello", test.class, test.kind, test.meta, test.tags, test.sums, ""}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q; want %q", test.key, got, want)
		}
	}
}

func TestTagging(t *testing.T) {
	s := flat.Start(t, "bucket")
	s.Put("bucket", "k", flat.Object{Tags: map[string]string{"a": "<1>", "b": ""}})
	before, _ := s.Object("bucket", "k")
	_, _, body := send(t, s, "GET", "k", "tagging", nil, "")
	if !strings.Contains(body, "<TagSet><Tag><Key>a</Key><Value>&lt;1&gt;</Value></Tag><Tag><Key>b</Key><Value></Value></Tag></TagSet>") {
		t.Error(body)
	}
	run(t, s, []step{
		{"PUT", "k", "tagging", nil, "<Tagging><TagSet><Tag><Key>c</Key><Value>2</Value></Tag></TagSet></Tagging>", "200"},
		{"PUT", "k", "tagging", nil, "<Tagging><TagSet><Tag><Key>c</Key></Tag><Tag><Key>c</Key></Tag></TagSet></Tagging>", "400 InvalidTag"},
	})
	after, _ := s.Object("bucket", "k")
	if fmt.Sprint(after.Tags, before.Tags) != "map[c:2] map[a:<1> b:]" || !after.Modified.Equal(before.Modified) {
		t.Errorf("%+v", after)
	}
	run(t, s, []step{{"DELETE", "k", "tagging", nil, "", "204"}})
	if o, _ := s.Object("bucket", "k"); len(o.Tags) > 0 {
		t.Errorf("%v", o.Tags)
	}
}
