package flat

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// chosen returns the upload of the request and those of its parts that a document names.
func (c *call) chosen(in completion) (u *upload, parts []*part, err error) {
	err = c.server.with(c.Bucket, func(b *bucket) error {
		if u, err = c.upload(b); err != nil {
			return err
		}
		parts, err = u.choice(in, c.server.MinPart)
		return err
	})
	return u, parts, err
}

// choice returns the parts that a document names, if they are as it says.
func (u *upload) choice(in completion, least int64) ([]*part, error) {
	var parts []*part
	last := 0
	for i, named := range in.Parts {
		p := u.parts[named.PartNumber]
		sum := named.sum(u.sums())
		switch {
		case named.PartNumber <= last:
			return nil, invalidPartOrder
		case p == nil, strings.Trim(named.ETag, `"`) != p.etag, sum != "" && sum != p.sum:
			return nil, invalidPart
		case sum == "" && u.composite && u.algorithm != "":
			return nil, invalidRequest("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.", strings.ToLower(u.algorithm), named.PartNumber)
		case int64(len(p.body)) < least && i < len(in.Parts)-1:
			return nil, entityTooSmall
		}
		last = named.PartNumber
		parts = append(parts, p)
	}
	return parts, nil
}

// assemble makes the object. It was modified when the upload began, as at S3.
func (u *upload) assemble(parts []*part) *Object {
	o := u.object.clone()
	o.Modified = u.began
	digests := md5.New()
	var bodies [][]byte
	var sums []string
	for _, p := range parts {
		raw, _ := hex.DecodeString(p.etag) // we wrote it
		digests.Write(raw)
		bodies = append(bodies, p.body)
		sums = append(sums, p.sum)
		o.Parts = append(o.Parts, int64(len(p.body)))
	}
	o.Body = bytes.Join(bodies, nil)
	o.ETag = fmt.Sprintf("%x-%d", digests.Sum(nil), len(parts))
	sum := ""
	if u.composite {
		sum = composite(u.sums(), sums)
	} else {
		sum = checksum(u.sums(), o.Body)
	}
	o.Checksums = map[string]string{u.sums(): sum}
	o.complete(u.began)
	return o
}

// verifyWhole holds an object against what the request to complete it says of it.
func (c *call) verifyWhole(u *upload, o *Object) error {
	h := c.r.Header
	algorithm, sum, err := claimed(h)
	if err != nil {
		return err
	}
	actual := o.Checksums[u.sums()]
	if u.composite && !strings.Contains(sum, "-") {
		actual, _, _ = strings.Cut(actual, "-")
	}
	size := fmt.Sprint(len(o.Body))
	switch kind := h.Get(checksumPrefix + "Type"); {
	case kind != "" && kind != u.kind():
		return invalidRequest("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", u.kind())
	case algorithm != "" && algorithm != u.sums():
		return invalidRequest("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", strings.ToLower(u.sums()), strings.ToLower(algorithm))
	case algorithm != "" && sum != actual:
		return badChecksum(algorithm)
	}
	if said := h.Get("X-Amz-Mp-Object-Size"); said != "" && said != size {
		return invalidRequest("The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %s", said, size)
	}
	return nil
}

// partNumber is that of the request.
func (c *call) partNumber() (int, error) {
	n, err := strconv.Atoi(c.Query.Get("partNumber"))
	if err != nil || n < 1 || n > 10000 {
		return 0, invalidArgument("Part number must be an integer between 1 and 10000, inclusive")
	}
	return n, nil
}
