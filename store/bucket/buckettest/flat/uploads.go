package flat

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// listUploads answers with one page of the uploads that are under way.
func (c *call) listUploads() error {
	encode, err := encoder(c.Query.Get("encoding-type"))
	if err != nil {
		return err
	}
	limit, err := c.number("max-uploads", maxPage)
	if err != nil {
		return err
	}
	limit = min(limit, maxPage)
	d := newDocument("ListMultipartUploadsResult")
	err = c.server.with(c.Bucket, func(b *bucket) error {
		c.uploadsPage(d, c.matching(b), limit, encode)
		return nil
	})
	if err != nil {
		return err
	}
	d.end("ListMultipartUploadsResult")
	return c.answer(d)
}

// matching returns the uploads that the query asks for, by key and then by age.
func (c *call) matching(b *bucket) []*upload {
	prefix, key, id := c.Query.Get("prefix"), c.Query.Get("key-marker"), c.Query.Get("upload-id-marker")
	var found []*upload
	for _, u := range b.uploads {
		covered := key != "" && (u.key < key || u.key == key && (id == "" || compareIDs(u.id, id) <= 0))
		if strings.HasPrefix(u.key, prefix) && !covered {
			found = append(found, u)
		}
	}
	slices.SortFunc(found, func(a, b *upload) int {
		return cmp.Or(strings.Compare(a.key, b.key), compareIDs(a.id, b.id))
	})
	return found
}

// compareIDs compares identifiers of uploads, which end with numbers.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// uploadsPage writes the first of the uploads.
func (c *call) uploadsPage(d *document, found []*upload, limit int, encode func(string) string) {
	d.text("Bucket", c.Bucket)
	d.text("KeyMarker", encode(c.Query.Get("key-marker")))
	d.text("UploadIdMarker", c.Query.Get("upload-id-marker"))
	d.text("Prefix", encode(c.Query.Get("prefix")))
	d.given("EncodingType", c.Query.Get("encoding-type"))
	d.number("MaxUploads", int64(limit))
	truncated := len(found) > limit && limit > 0
	found = found[:min(limit, len(found))]
	d.text("IsTruncated", strconv.FormatBool(truncated))
	if truncated {
		last := found[len(found)-1]
		d.text("NextKeyMarker", encode(last.key))
		d.text("NextUploadIdMarker", last.id)
	}
	for _, u := range found {
		d.begin("Upload")
		d.text("Key", encode(u.key))
		d.text("UploadId", u.id)
		d.owner("Initiator")
		d.owner("Owner")
		d.text("StorageClass", u.class())
		d.text("Initiated", moment(u.began))
		d.given("ChecksumAlgorithm", u.algorithm)
		d.end("Upload")
	}
}
