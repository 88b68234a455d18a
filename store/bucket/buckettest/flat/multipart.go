package flat

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An upload is an object that is being stored in parts. It is guarded by the server's mutex; its
// object and its parts are never changed, only replaced.
type upload struct {
	id, key   string
	began     time.Time
	object    *Object // without a body
	algorithm string  // of the checksums; empty: the client has named none
	composite bool    // the object's checksum is to be one of the parts'
	parts     map[int]*part
}

// A part is one of an upload.
type part struct {
	body     []byte
	etag     string
	sum      string // of the upload's algorithm
	modified time.Time
}

// sums is the algorithm of the checksums that are kept.
func (u *upload) sums() string {
	if u.algorithm == "" {
		return crc64NVME
	}
	return u.algorithm
}

// kind is the type of the object's checksum to be.
func (u *upload) kind() string {
	if u.composite {
		return compositeType
	}
	return wholeType
}

// createUpload begins an upload.
func (c *call) createUpload() error {
	o, err := received(c.r.Header)
	if err != nil {
		return err
	}
	u := &upload{key: c.Key, began: c.server.now(), object: o, parts: make(map[int]*part)}
	if err := u.choose(c.r.Header); err != nil {
		return err
	}
	u.id = fmt.Sprintf("upload-%d", c.server.ids.Add(1))
	err = c.server.with(c.Bucket, func(b *bucket) error {
		b.uploads[u.id] = u
		return nil
	})
	if err != nil {
		return err
	}
	h := c.w.Header()
	if u.algorithm != "" {
		h.Set(checksumPrefix+"Algorithm", u.algorithm)
		h.Set(checksumPrefix+"Type", u.kind())
	}
	setEncryption(h, o)
	d := newDocument("InitiateMultipartUploadResult")
	c.names(d)
	d.text("UploadId", u.id)
	d.end("InitiateMultipartUploadResult")
	return c.answer(d)
}

// names writes which object an answer is about.
func (c *call) names(d *document) {
	d.text("Bucket", c.Bucket)
	d.text("Key", c.Key)
}

// choose takes the kind of checksum from the headers of a request.
func (u *upload) choose(h http.Header) error {
	u.algorithm = strings.ToUpper(h.Get(checksumPrefix + "Algorithm"))
	if u.algorithm != "" && !slices.Contains(algorithms, u.algorithm) {
		return unknownChecksum()
	}
	cyclic := u.sums() == "CRC32" || u.sums() == "CRC32C" || u.sums() == crc64NVME
	switch kind := strings.ToUpper(h.Get(checksumPrefix + "Type")); {
	case kind == "":
		u.composite = u.sums() != crc64NVME
	case kind == wholeType && cyclic:
	case kind == compositeType && u.algorithm != "" && u.algorithm != crc64NVME:
		u.composite = true
	default:
		return invalidRequest("The %s checksum type cannot be used with the %s checksum algorithm.", kind, strings.ToLower(u.sums()))
	}
	return nil
}

// upload returns the one of the request.
func (c *call) upload(b *bucket) (*upload, error) {
	u := b.uploads[c.Query.Get("uploadId")]
	if u == nil || u.key != c.Key {
		return nil, noSuchUpload
	}
	return u, nil
}

// begun returns the upload of the request while nobody has the server's mutex. Of the upload
// only what never changes may be used then.
func (c *call) begun() (u *upload, err error) {
	err = c.server.with(c.Bucket, func(b *bucket) error {
		u, err = c.upload(b)
		return err
	})
	return u, err
}

// abortUpload forgets an upload.
func (c *call) abortUpload() error {
	err := c.server.with(c.Bucket, func(b *bucket) error {
		u, err := c.upload(b)
		if err == nil {
			delete(b.uploads, u.id)
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.send(http.StatusNoContent, nil)
}

// A completion is the document that names the parts of an object.
type completion struct {
	XMLName xml.Name        `xml:"CompleteMultipartUpload"`
	Parts   []completedPart `xml:"Part"`
}

type completedPart struct {
	PartNumber                                       int
	ETag                                             string
	ChecksumCRC32, ChecksumCRC32C, ChecksumCRC64NVME string
	ChecksumSHA1, ChecksumSHA256, ChecksumSHA512     string
}

// sum is the checksum that the document says a part has.
func (p *completedPart) sum(algorithm string) string {
	switch algorithm {
	case "CRC32":
		return p.ChecksumCRC32
	case "CRC32C":
		return p.ChecksumCRC32C
	case "SHA1":
		return p.ChecksumSHA1
	case "SHA256":
		return p.ChecksumSHA256
	case "SHA512":
		return p.ChecksumSHA512
	}
	return p.ChecksumCRC64NVME
}

// completeUpload makes an object of the parts of an upload. If it fails, the upload goes on.
func (c *call) completeUpload() error {
	var in completion
	// The checksum in the headers is that of the object, not of this body.
	body, trailers, err := c.content()
	if err != nil {
		return err
	}
	if len(trailers) > 0 || xml.Unmarshal(body, &in) != nil || len(in.Parts) == 0 {
		return malformedXML
	}
	u, parts, err := c.chosen(in)
	if err != nil {
		return err
	}
	o := u.assemble(parts)
	if err := c.verifyWhole(u, o); err != nil {
		return err
	}
	err = c.server.with(c.Bucket, func(b *bucket) error {
		if _, err := c.upload(b); err != nil {
			return err
		}
		if err := writable(c.r.Header, b.objects[c.Key]); err != nil {
			return err
		}
		delete(b.uploads, u.id)
		b.put(c.Key, o)
		return nil
	})
	if err != nil {
		return err
	}
	setEncryption(c.w.Header(), o)
	d := newDocument("CompleteMultipartUploadResult")
	d.text("Location", "http://"+c.r.Host+c.r.URL.EscapedPath())
	c.names(d)
	d.text("ETag", quote(o.ETag))
	d.checksums(o.Checksums)
	d.end("CompleteMultipartUploadResult")
	return c.answer(d)
}
