package flat

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// source returns the object that the request copies from, if its conditions hold.
func (c *call) source() (*Object, error) {
	h := c.r.Header
	from, err := copySource(h.Get("X-Amz-Copy-Source"))
	if err != nil {
		return nil, err
	}
	o, err := c.server.get(from.bucket, from.key)
	if err != nil {
		return nil, err
	}
	if err := o.unlock(h, sourcePrefix+"Server-Side-Encryption-Customer-"); err != nil {
		return nil, err
	}
	if readable(h, sourcePrefix, o) != nil {
		return nil, preconditionFailed
	}
	if o.frozen() {
		return nil, notInActiveTier
	}
	return o, nil
}

// A place is where an object lies.
type place struct{ bucket, key string }

// copySource reads the header that names the source of a copy. Its escapes are those of a query:
// "+" is a space.
func copySource(header string) (place, error) {
	header, version, _ := strings.Cut(header, "?versionId=")
	plain, err := url.QueryUnescape(header)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
	switch {
	case err != nil || !ok || bucket == "" || key == "":
		return place{}, invalidArgument("Invalid copy source object key")
	case version != "" && version != "null":
		return place{}, noSuchVersion
	}
	return place{bucket, key}, checkKey(key)
}

// copyObject stores a copy of an object.
func (c *call) copyObject() error {
	from, err := c.source()
	if err != nil {
		return err
	}
	o, err := c.derive(from)
	if err != nil {
		return err
	}
	if limit := c.server.MaxCopy; limit > 0 && int64(len(from.Body)) > limit {
		return invalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: %d", limit)
	}
	if err := c.store(o); err != nil {
		return err
	}
	setEncryption(c.w.Header(), o)
	d := newDocument("CopyObjectResult")
	d.text("LastModified", moment(o.Modified))
	d.text("ETag", quote(o.ETag))
	d.checksums(o.Checksums)
	d.end("CopyObjectResult")
	return c.answer(d)
}

// derive makes an object of the source and of the request.
func (c *call) derive(from *Object) (*Object, error) {
	h := c.r.Header
	o, err := received(h)
	if err != nil {
		return nil, err
	}
	replaced, err := directive(h, "X-Amz-Metadata-Directive")
	if err != nil {
		return nil, err
	}
	if !replaced {
		o.Headers = pick(o.Headers, places)
		maps.Copy(o.Headers, pick(from.Headers, describes))
	}
	if self, _ := copySource(h.Get("X-Amz-Copy-Source")); self == (place{c.Bucket, c.Key}) && !replaced && o.Class == "" && len(pick(o.Headers, places)) == 0 {
		return nil, invalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if replaced, err = directive(h, "X-Amz-Tagging-Directive"); err != nil {
		return nil, err
	}
	if !replaced {
		o.Tags = from.Tags
	}
	o.Body = from.Body
	if o.Checksums, err = copiedChecksums(h.Get("X-Amz-Checksum-Algorithm"), from); err != nil {
		return nil, err
	}
	o.complete(c.server.now())
	return o, nil
}

// directive reports whether a header says REPLACE.
func directive(h http.Header, name string) (bool, error) {
	switch h.Get(name) {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	}
	return false, invalidArgument("Unknown %s.", strings.ReplaceAll(strings.TrimPrefix(name, "X-Amz-"), "-", " "))
}

// copiedChecksums are those of a copy: of the algorithm that is asked for, else of the source's.
// They are of the whole, whatever the source's are of.
func copiedChecksums(asked string, from *Object) (map[string]string, error) {
	switch asked = strings.ToUpper(asked); {
	case asked == "":
	case !slices.Contains(algorithms, asked):
		return nil, unknownChecksum()
	default:
		return map[string]string{asked: checksum(asked, from.Body)}, nil
	}
	sums := make(map[string]string)
	for algorithm := range from.Checksums {
		sums[algorithm] = checksum(algorithm, from.Body)
	}
	if len(sums) == 0 {
		return nil, nil
	}
	return sums, nil
}

// checksums writes elements such as ChecksumCRC32, and their type.
func (d *document) checksums(sums map[string]string) {
	for _, algorithm := range slices.Sorted(maps.Keys(sums)) {
		d.text("Checksum"+algorithm, sums[algorithm])
		d.text("ChecksumType", checksumType(sums[algorithm]))
	}
}
