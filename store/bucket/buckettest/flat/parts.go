package flat

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// uploadPart stores the body of the request as a part.
func (c *call) uploadPart() error {
	body, claimed, err := c.body()
	if err != nil {
		return err
	}
	p, u, err := c.addPart(body, claimed)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("ETag", quote(p.etag))
	h.Set(checksumPrefix+u.sums(), p.sum)
	setEncryption(h, u.object)
	return c.send(http.StatusOK, nil)
}

// addPart adds a part to the upload of the request.
func (c *call) addPart(body []byte, claimed claim) (*part, *upload, error) {
	n, err := c.partNumber()
	if err != nil {
		return nil, nil, err
	}
	u, err := c.begun()
	if err != nil {
		return nil, nil, err
	}
	if err := u.object.unlockPart(c.r.Header); err != nil {
		return nil, nil, err
	}
	if err := u.accepts(claimed, c.Operation); err != nil {
		return nil, nil, err
	}
	p := &part{body: body, etag: etag(body, u.object.opaque()), sum: checksum(u.sums(), body), modified: c.server.now()}
	err = c.server.with(c.Bucket, func(b *bucket) error {
		u, err := c.upload(b)
		if err == nil {
			u.parts[n] = p
		}
		return err
	})
	return p, u, err
}

// accepts reports whether a part may come with such a checksum, or with none. What is copied
// comes with none.
func (u *upload) accepts(claimed claim, operation string) error {
	want, got := u.algorithm, claimed.algorithm
	switch {
	case operation == "UploadPartCopy":
		return nil
	case got == u.sums():
		return nil
	case got == "" && !(u.composite && want != ""):
		return nil
	}
	if want == "" {
		want = "null"
	}
	if got == "" {
		got = "null"
	}
	return invalidRequest("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", strings.ToLower(want), strings.ToLower(got))
}

// uploadPartCopy stores an object, or a range of it, as a part.
func (c *call) uploadPartCopy() error {
	from, err := c.source()
	if err != nil {
		return err
	}
	body, err := c.copiedRange(from)
	if err != nil {
		return err
	}
	p, u, err := c.addPart(body, claim{})
	if err != nil {
		return err
	}
	setEncryption(c.w.Header(), u.object)
	d := newDocument("CopyPartResult")
	d.text("LastModified", moment(p.modified))
	d.text("ETag", quote(p.etag))
	d.text("Checksum"+u.sums(), p.sum)
	d.end("CopyPartResult")
	return c.answer(d)
}

// copiedRange is what of the source is copied. Unlike that of a read, the range must lie within.
func (c *call) copiedRange(from *Object) ([]byte, error) {
	header := c.r.Header.Get(sourcePrefix + "Range")
	size := int64(len(from.Body))
	if header == "" {
		header = "bytes=0-" + strconv.FormatInt(size-1, 10)
		if size == 0 {
			return nil, nil
		}
	}
	a, b, ok := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	first, errA := strconv.ParseInt(a, 10, 64)
	last, errB := strconv.ParseInt(b, 10, 64)
	if !ok || errA != nil || errB != nil || first < 0 || last < first || !strings.HasPrefix(header, "bytes=") {
		return nil, invalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	if last >= size {
		return nil, invalidArgument("Range specified is not valid for source object of size: %d", size)
	}
	if limit := c.server.MaxCopy; limit > 0 && last-first+1 > limit {
		return nil, invalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: %d", limit)
	}
	return from.Body[first : last+1 : last+1], nil
}

// listParts answers with one page of the parts of an upload.
func (c *call) listParts() error {
	after, err := c.number("part-number-marker", 0)
	if err != nil {
		return err
	}
	limit, err := c.number("max-parts", maxPage)
	if err != nil {
		return err
	}
	limit = min(limit, maxPage)
	d := newDocument("ListPartsResult")
	err = c.server.with(c.Bucket, func(b *bucket) error {
		u, err := c.upload(b)
		if err != nil {
			return err
		}
		c.names(d)
		d.text("UploadId", u.id)
		d.owner("Initiator")
		d.owner("Owner")
		d.text("StorageClass", u.class())
		d.given("ChecksumAlgorithm", u.algorithm)
		d.parts(u, after, limit)
		return nil
	})
	if err != nil {
		return err
	}
	d.end("ListPartsResult")
	return c.answer(d)
}

// parts writes up to limit parts of an upload whose numbers are greater than after.
func (d *document) parts(u *upload, after, limit int) {
	numbers := slices.Sorted(maps.Keys(u.parts))
	numbers = slices.DeleteFunc(numbers, func(n int) bool { return n <= after })
	truncated := len(numbers) > limit
	numbers = numbers[:min(limit, len(numbers))]
	d.number("PartNumberMarker", int64(after))
	if truncated && limit > 0 {
		d.number("NextPartNumberMarker", int64(numbers[limit-1]))
	}
	d.number("MaxParts", int64(limit))
	d.text("IsTruncated", strconv.FormatBool(truncated))
	for _, n := range numbers {
		p := u.parts[n]
		d.begin("Part")
		d.number("PartNumber", int64(n))
		d.text("LastModified", moment(p.modified))
		d.text("ETag", quote(p.etag))
		d.number("Size", int64(len(p.body)))
		d.text("Checksum"+u.sums(), p.sum)
		d.end("Part")
	}
}

func (u *upload) class() string {
	if u.object.Class == "" {
		return standard
	}
	return u.object.Class
}
