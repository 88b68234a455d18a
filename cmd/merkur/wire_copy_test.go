package main

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// ofSource is what the objects that are copied are stored with.
var ofSource = said{
	"Cache-Control": "no-store", "Content-Disposition": "inline", "Content-Encoding": "gzip", "Content-Language": "la",
	"Content-Type": "text/source", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT", "X-Amz-Meta-K": "v", "X-Amz-Meta-L": "w",
}

// sources puts the objects to be copied: a small one and a long one, with headers and tags.
func (w *wire) sources(more http.Header) {
	h := more.Clone()
	if h == nil {
		h = http.Header{}
	}
	for name, value := range ofSource {
		h.Set(name, value)
	}
	h.Set("X-Amz-Website-Redirect-Location", "/not-taken-over")
	tags := map[string]string{"tag": "a b", "plus": "+"}
	w.server.Put("here", "p/a.txt", flat.Object{Body: []byte("text"), Headers: h, Tags: tags, Class: "STANDARD_IA"})
	w.server.Put("here", "p/z.bin", flat.Object{Body: []byte(long), Headers: h, Tags: tags})
}

// over is what is said in a, and what is said in b besides.
func (a said) over(b said) said {
	all := maps.Clone(b)
	maps.Copy(all, a)
	return all
}

// TestWireCopy copies a small object, and one in parts, with each option that has an effect on
// the requests.
func TestWireCopy(t *testing.T) {
	fromSmall, fromLong := said{"X-Amz-Copy-Source": "here/p/a.txt"}, said{"X-Amz-Copy-Source": "here/p/z.bin"}
	replaced := said{"X-Amz-Metadata-Directive": "REPLACE"}
	tags := said{"X-Amz-Tagging": "plus=%2B&tag=a%20b"}
	inParts := ", CompleteMultipartUpload 1, CopyObject 1, CreateMultipartUpload 1, "
	plain := inParts[2:] + "GetObjectTagging 1, HeadObject 1, UploadPartCopy 1"
	looked := inParts[2:] + "GetObjectTagging 1, HeadObject 2, UploadPartCopy 1"
	noTags := inParts[2:] + "HeadObject 1, UploadPartCopy 1"
	noTagsLooked := inParts[2:] + "HeadObject 2, UploadPartCopy 1"
	blind := inParts[2:] + "UploadPartCopy 1"
	for _, c := range []struct {
		name, args    string
		small, create said // of CopyObject, besides the source, and of CreateMultipartUpload
		rest          said // of UploadPartCopy and CompleteMultipartUpload
		asked         string
	}{
		{name: "nothing", create: ofSource.over(tags), asked: plain},
		{name: "default", args: "--copy-props default", create: ofSource.over(tags), asked: plain},
		{name: "all", args: "--copy-props all", create: ofSource.over(tags), asked: plain},
		{
			name: "properties only", args: "--copy-props metadata-directive",
			small: said{"X-Amz-Tagging-Directive": "REPLACE"}, create: ofSource, asked: noTags,
		},
		{
			name: "none", args: "--copy-props none", asked: blind,
			small: said{"X-Amz-Tagging-Directive": "REPLACE", "X-Amz-Metadata-Directive": "REPLACE"},
		},
		{
			name: "a header", args: "--cache-control x", asked: looked,
			small: said{"Cache-Control": "x"}.over(ofSource).over(replaced), create: said{"Cache-Control": "x"}.over(ofSource).over(tags),
		},
		{
			name: "all and a header", args: "--copy-props all --content-type text/x", asked: looked,
			small: said{"Content-Type": "text/x"}.over(ofSource).over(replaced), create: said{"Content-Type": "text/x"}.over(ofSource).over(tags),
		},
		{
			name: "properties only and a header", args: "--copy-props metadata-directive --content-language x", asked: noTagsLooked,
			small:  said{"Content-Language": "x", "X-Amz-Tagging-Directive": "REPLACE"}.over(ofSource).over(replaced),
			create: said{"Content-Language": "x"}.over(ofSource),
		},
		{
			name: "none and a header", args: "--copy-props none --expires 0", asked: blind,
			small:  said{"Expires": "Thu, 01 Jan 1970 00:00:00 GMT", "X-Amz-Tagging-Directive": "REPLACE"}.over(replaced),
			create: said{"Expires": "Thu, 01 Jan 1970 00:00:00 GMT"},
		},
		{
			name: "metadata", args: "--metadata new=x", asked: looked, // those of the source go
			small:  without(ofSource, "X-Amz-Meta-").over(said{"X-Amz-Meta-New": "x"}).over(replaced),
			create: without(ofSource, "X-Amz-Meta-").over(said{"X-Amz-Meta-New": "x"}).over(tags),
		},
		{
			name: "redirect", args: "--website-redirect /x", asked: plain, // no reason to look at the source
			small:  said{"X-Amz-Website-Redirect-Location": "/x"},
			create: said{"X-Amz-Website-Redirect-Location": "/x"}.over(ofSource).over(tags),
		},
		{
			name: "directive COPY", args: "--metadata-directive COPY --copy-props none", asked: blind,
			small: said{"X-Amz-Metadata-Directive": "COPY"}, create: said{"Content-Type": "application/octet-stream"},
		},
		{
			name: "directive REPLACE alone", args: "--metadata-directive REPLACE", asked: blind,
			small: said{"Content-Type": "text/plain"}.over(replaced), create: said{"Content-Type": "application/octet-stream"},
		},
		{
			name: "no guess", args: "--metadata-directive REPLACE --no-guess-mime-type", asked: blind, small: replaced,
		},
		{
			name: "directive REPLACE", args: "--metadata-directive REPLACE --metadata new=x --content-type text/x", asked: blind,
			small: said{"X-Amz-Meta-New": "x", "Content-Type": "text/x"}.over(replaced), create: said{"X-Amz-Meta-New": "x", "Content-Type": "text/x"},
		},
		{
			name: "terms", asked: plain,
			args: "--acl private --storage-class GLACIER_IR --sse aws:kms --sse-kms-key-id k --no-guess-mime-type",
			small: said{
				"X-Amz-Acl": "private", "X-Amz-Storage-Class": "GLACIER_IR", "X-Amz-Server-Side-Encryption": "aws:kms",
				"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "k",
			},
			create: said{
				"X-Amz-Acl": "private", "X-Amz-Storage-Class": "GLACIER_IR", "X-Amz-Server-Side-Encryption": "aws:kms",
				"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "k",
			}.over(ofSource).over(tags),
		},
		{
			name: "grants", args: "--grants full=id=1 read=id=2", asked: plain,
			small:  said{"X-Amz-Grant-Full-Control": "id=1", "X-Amz-Grant-Read": "id=2"},
			create: said{"X-Amz-Grant-Full-Control": "id=1", "X-Amz-Grant-Read": "id=2"}.over(ofSource).over(tags),
		},
		{
			name: "checksum", args: "--checksum-algorithm SHA256", asked: plain,
			small:  said{"X-Amz-Checksum-Algorithm": "SHA256"},
			create: said{"X-Amz-Checksum-Algorithm": "SHA256"}.over(ofSource).over(tags),
		},
		{
			name: "who pays", args: "--request-payer requester", asked: plain,
			small: said{"X-Amz-Request-Payer": "requester"}, create: said{"X-Amz-Request-Payer": "requester"}.over(ofSource).over(tags),
			rest: said{"X-Amz-Request-Payer": "requester"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t)
			w.sources(nil)
			w.sync("s3://here/p s3://there/q" + parts + c.args)
			w.says("CopyObject", "q/a.txt", fromSmall, c.small)
			w.says("CreateMultipartUpload", "q/z.bin", c.create)
			w.says("UploadPartCopy", "q/z.bin", fromLong, c.rest, nil)
			w.says("CompleteMultipartUpload", "q/z.bin", xmlBody, c.rest)
			if got := w.counts(); got != c.asked {
				t.Errorf("the requests were %s, want %s", got, c.asked)
			}
		})
	}
}

// without is what is said but for the headers that begin with a prefix.
func without(s said, prefix string) said {
	s = maps.Clone(s)
	maps.DeleteFunc(s, func(name, _ string) bool { return strings.HasPrefix(name, prefix) })
	return s
}

// TestWireCopyKeys copies objects that one key encrypts so that another one does, and looks at
// them under the right key.
func TestWireCopyKeys(t *testing.T) {
	w := newWire(t)
	w.tree()
	w.write("key1", key1)
	w.write("key2", key2)
	one, two := " --sse-c --sse-c-key fileb://key1 ", " --sse-c AES256 --sse-c-key fileb://key2 "
	source := " --sse-c-copy-source --sse-c-copy-source-key fileb://key1 "
	w.sync("d s3://here/p" + parts + one)
	w.sync("s3://here/p s3://there/q" + parts + two + source)
	w.says("CopyObject", "q/a.txt", said{"X-Amz-Copy-Source": "here/p/a.txt"}, customer1Source, customer2)
	w.says("HeadObject", "p/z.bin", customer1)
	w.says("CreateMultipartUpload", "q/z.bin", octets, customer2)
	w.says("UploadPartCopy", "q/z.bin", said{"X-Amz-Copy-Source": "here/p/z.bin"}, customer1Source, customer2)
	w.says("CompleteMultipartUpload", "q/z.bin", xmlBody, customer2)

	w.sync("s3://there/q e" + parts + two)
	w.says("GetObject", "q/a.txt", customer2)
	w.says("GetObject", "q/z.bin", customer2)
	if w.read("e/a.txt") != "text" || w.read("e/z.bin") != long {
		t.Error("what came is not what was sent")
	}

	// From a key to none.
	w.sync("s3://there/q s3://there/open" + parts + "--sse-c-copy-source AES256 --sse-c-copy-source-key fileb://key2")
	w.says("CreateMultipartUpload", "open/z.bin", octets)
	if o, ok := w.server.Object("there", "open/a.txt"); !ok || string(o.Body) != "text" || o.Headers.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "" {
		t.Errorf("the copy without a key is %+v", o)
	}
}

// TestWireForeignKeys downloads objects that somebody else has encrypted with a key, of which no
// manifest and no checksum tells the content.
func TestWireForeignKeys(t *testing.T) {
	w := newWire(t)
	w.write("key1", key1)
	h := http.Header{}
	h.Set("X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256")
	h.Set("X-Amz-Server-Side-Encryption-Customer-Key-Md5", customer1["X-Amz-Server-Side-Encryption-Customer-Key-Md5"])
	w.server.Put("here", "a.txt", flat.Object{Body: []byte("text"), Headers: h, Checksums: map[string]string{}})
	w.sync("s3://here d --sse-c --sse-c-key fileb://key1")
	w.says("GetObject", "a.txt", customer1)
	if got := w.read("d/a.txt"); got != "text" {
		t.Errorf("the file holds %q", got)
	}
}

// TestWireManyTags copies tags that are too many for the request that begins an upload.
func TestWireManyTags(t *testing.T) {
	w := newWire(t)
	tags := map[string]string{}
	for _, name := range strings.Split("abcdefghij", "") {
		tags[name] = strings.Repeat("é", 120) // 720 bytes as a query
	}
	w.server.Put("here", "z.bin", flat.Object{Body: []byte(long), Tags: tags})
	w.sync("s3://here s3://there --request-payer" + parts)
	payer := said{"X-Amz-Request-Payer": "requester"}
	w.says("GetObjectTagging", "z.bin", payer)
	w.says("CreateMultipartUpload", "z.bin", said{"Content-Type": "binary/octet-stream"}, payer)
	for _, r := range w.asked(false) {
		if r.Operation == "PutObjectTagging" && (r.Bucket != "there" || r.Header.Get("X-Amz-Request-Payer") == "") {
			t.Errorf("PutObjectTagging in %s says %v", r.Bucket, headersOf(r))
		}
	}
	if o, _ := w.server.Object("there", "z.bin"); !maps.Equal(o.Tags, tags) {
		t.Errorf("the copy has the tags %v", o.Tags)
	}

	// Where the tags cannot be written there is no copy.
	w.server.Fail(func(r flat.Request) *flat.Failure {
		if r.Operation == "PutObjectTagging" {
			return &flat.Failure{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return nil
	})
	if o := w.run(strings.Fields("sync s3://here s3://there/no" + parts)...); o.code != exitFailed {
		t.Errorf("exit code %d\n%s", o.code, o.errors)
	}
	if _, ok := w.server.Object("there", "no/z.bin"); ok {
		t.Error("there is a copy without its tags")
	}
}
