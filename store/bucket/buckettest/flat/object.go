package flat

import (
	"crypto/md5"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An Object is what a bucket holds under one key. Of its fields a Put may leave any empty.
type Object struct {
	Body     []byte
	Modified time.Time // zero in a Put: now
	ETag     string    // without quotes; empty in a Put: the MD5 of the body, unless it is encrypted with a key
	Class    string    // storage class; empty in a Put: STANDARD
	// Headers are those that are given out with the object: Content-Type and its like,
	// X-Amz-Meta-…, X-Amz-Website-Redirect-Location, X-Amz-Server-Side-Encryption….
	Headers http.Header
	Tags    map[string]string
	// ACL are X-Amz-Acl and X-Amz-Grant-… as they were sent.
	ACL http.Header
	// Checksums are in base64 by algorithm, such as "CRC64NVME"; one of the parts' checksums
	// ends with "-" and how many they are. nil in a Put: that of CRC64NVME; empty: none.
	Checksums map[string]string
	// Parts are the sizes of the parts of an object that was uploaded in parts.
	Parts []int64
	// Restored has an object of a class that must be restored be readable.
	Restored bool
}

// standard is the class of objects that have no other.
const standard = "STANDARD"

// classes are those of S3, and whether objects must be restored before they are read.
var classes = map[string]bool{
	standard: false, "REDUCED_REDUNDANCY": false, "STANDARD_IA": false, "ONEZONE_IA": false, "INTELLIGENT_TIERING": false,
	"GLACIER": true, "DEEP_ARCHIVE": true, "GLACIER_IR": false, "OUTPOSTS": false, "SNOW": false, "EXPRESS_ONEZONE": false,
}

// clone copies what can be changed, all but the body.
func (o *Object) clone() *Object {
	c := *o
	c.Headers, c.ACL, c.Tags, c.Checksums = canonical(o.Headers), canonical(o.ACL), maps.Clone(o.Tags), maps.Clone(o.Checksums)
	c.Parts = slices.Clone(o.Parts)
	return &c
}

// canonical copies headers with their names as package net/http has them.
func canonical(h http.Header) http.Header {
	c := make(http.Header, len(h))
	for name, values := range h {
		c[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	return c
}

// complete fills in what S3 makes of the rest.
func (o *Object) complete(now time.Time) {
	if o.Modified.IsZero() {
		o.Modified = now
	}
	if o.ETag == "" {
		o.ETag = etag(o.Body, o.opaque())
	}
	if o.Class == "" {
		o.Class = standard
	}
	if o.Checksums == nil {
		o.Checksums = map[string]string{crc64NVME: checksum(crc64NVME, o.Body)}
	}
	if o.Headers.Get("Content-Type") == "" {
		o.Headers.Set("Content-Type", "binary/octet-stream")
	}
}

// etag is the ETag of a body or of a part. Where a key encrypts them it is not the MD5.
func etag(body []byte, opaque bool) string {
	h := md5.New()
	h.Write(body)
	if opaque {
		h.Write([]byte("encrypted"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// opaque reports whether a key encrypts the object.
func (o *Object) opaque() bool {
	return o.customer() != "" || strings.HasPrefix(o.Headers.Get(encryption), "aws:kms")
}

// The names of headers.
const (
	encryption     = "X-Amz-Server-Side-Encryption"
	customerPrefix = encryption + "-Customer-"
	sourcePrefix   = "X-Amz-Copy-Source-"
	metaPrefix     = "X-Amz-Meta-"
	redirect       = "X-Amz-Website-Redirect-Location"
)

// customer is the MD5 of the key that a customer encrypts the object with; empty: none does.
func (o *Object) customer() string { return o.Headers.Get(customerPrefix + "Key-Md5") }

// frozen reports whether the object must be restored before it is read.
func (o *Object) frozen() bool { return classes[o.Class] && !o.Restored }

// describes reports whether a header is one of those that a copy takes over.
func describes(name string) bool {
	switch name {
	case "Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition", "Cache-Control", "Expires":
		return true
	}
	return strings.HasPrefix(name, metaPrefix)
}

// places reports whether a header says how an object is kept; a copy has to say it anew.
func places(name string) bool {
	switch name {
	case redirect, encryption, encryption + "-Aws-Kms-Key-Id", encryption + "-Bucket-Key-Enabled", encryption + "-Context",
		customerPrefix + "Algorithm", customerPrefix + "Key-Md5":
		return true
	}
	return false
}

// grants reports whether a header says who may use an object.
func grants(name string) bool {
	return name == "X-Amz-Acl" || strings.HasPrefix(name, "X-Amz-Grant-")
}

// pick copies the headers that are wanted, and joins those that come more than once.
func pick(h http.Header, wanted func(name string) bool) http.Header {
	picked := make(http.Header)
	for name, values := range h {
		if wanted(name) {
			picked.Set(name, strings.Join(values, ","))
		}
	}
	return picked
}

// received makes an object without a body of the headers of a request.
func received(h http.Header) (*Object, error) {
	o := &Object{
		Headers: pick(h, func(name string) bool { return describes(name) || places(name) }),
		ACL:     pick(h, grants),
		Class:   h.Get("X-Amz-Storage-Class"),
	}
	if coding := withoutChunks(o.Headers.Get("Content-Encoding")); coding != "" {
		o.Headers.Set("Content-Encoding", coding)
	} else {
		o.Headers.Del("Content-Encoding")
	}
	var err error
	if o.Tags, err = parseTags(h.Get("X-Amz-Tagging")); err != nil {
		return nil, err
	}
	if _, err := customerKey(h, customerPrefix); err != nil {
		return nil, err
	}
	return o, o.check()
}

// check looks for what S3 would not keep.
func (o *Object) check() error {
	if _, known := classes[o.Class]; o.Class != "" && !known {
		return invalidStorageClass
	}
	switch o.Headers.Get(encryption) {
	case "", "AES256", "aws:kms", "aws:kms:dsse":
	default:
		return invalidEncryption
	}
	size := 0
	for name, values := range o.Headers {
		if meta, ok := strings.CutPrefix(name, metaPrefix); ok {
			size += len(meta) + len(values[0])
		}
	}
	if size > maxMetadata {
		return metadataTooLarge
	}
	return checkACL(o.ACL)
}

// maxMetadata is how many bytes the names and values of metadata may have.
const maxMetadata = 2048

// withoutChunks is a Content-Encoding without the framing that S3 takes off.
func withoutChunks(coding string) string {
	var kept []string
	for part := range strings.SplitSeq(coding, ",") {
		if part = strings.TrimSpace(part); part != "" && part != "aws-chunked" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ",")
}

// parseTags reads tags that are coded as a query.
func parseTags(query string) (map[string]string, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, invalidArgument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	tags := make(map[string]string, len(q))
	for key, values := range q {
		if len(values) > 1 {
			return nil, invalidArgument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		tags[key] = values[0]
	}
	return tags, checkTags(tags)
}

func checkTags(tags map[string]string) error {
	if len(tags) > 10 {
		return tooManyTags
	}
	for key, value := range tags {
		if key == "" || len([]rune(key)) > 128 || len([]rune(value)) > 256 {
			return &Failure{http.StatusBadRequest, "InvalidTag", "The TagKey or TagValue you have provided is invalid"}
		}
	}
	return nil
}
