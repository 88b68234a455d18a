package flat

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// getObject gives out an object, its description, or a part of it.
func (c *call) getObject() error {
	if v := c.Query.Get("versionId"); v != "" && v != "null" {
		return noSuchVersion
	}
	o, err := c.server.get(c.Bucket, c.Key)
	if err != nil {
		return err
	}
	if err := o.unlock(c.r.Header, customerPrefix); err != nil {
		return err
	}
	if o.frozen() && c.Operation == "GetObject" {
		return invalidObjectState
	}
	if err := readable(c.r.Header, "", o); err != nil {
		c.w.Header().Set("ETag", quote(o.ETag))
		return err
	}
	first, length, partial, err := c.span(o)
	if err != nil {
		return err
	}
	c.describe(o, partial)
	h := c.w.Header()
	h.Set("Content-Length", fmt.Sprint(length))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+length-1, len(o.Body)))
	}
	return c.send(status, o.Body[first:first+length])
}

// span is what of an object is asked for, by a range or by the number of a part.
func (c *call) span(o *Object) (first, length int64, partial bool, err error) {
	size := int64(len(o.Body))
	number := c.Query.Get("partNumber")
	if number == "" {
		return span(c.r.Header.Get("Range"), size)
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || c.r.Header.Get("Range") != "" {
		return 0, 0, false, invalidArgument("Part number must be an integer between 1 and 10000, inclusive")
	}
	if len(o.Parts) > 0 {
		c.w.Header().Set("X-Amz-Mp-Parts-Count", fmt.Sprint(len(o.Parts)))
	}
	switch {
	case len(o.Parts) == 0 && n == 1:
		return 0, size, size > 0, nil
	case n > len(o.Parts):
		return 0, 0, false, invalidPartNumber
	}
	for _, p := range o.Parts[:n-1] {
		first += p
	}
	return first, o.Parts[n-1], o.Parts[n-1] > 0, nil
}

// span reads a Range header for an object of so many bytes. What it does not understand it takes
// for none, as HTTP wants.
func span(header string, size int64) (first, length int64, partial bool, err error) {
	from, to, ok := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	if !ok || !strings.HasPrefix(header, "bytes=") {
		return 0, size, false, nil
	}
	a, errA := strconv.ParseUint(from, 10, 62)
	b, errB := strconv.ParseUint(to, 10, 62)
	switch {
	case from == "" && errB == nil:
		first, length = max(0, size-int64(b)), min(size, int64(b))
	case errA == nil && to == "":
		first, length = int64(a), size-int64(a)
	case errA == nil && errB == nil && a <= b:
		first, length = int64(a), min(size-1, int64(b))-int64(a)+1
	default:
		return 0, size, false, nil
	}
	if length <= 0 {
		return 0, 0, false, invalidRange
	}
	return first, length, true, nil
}

// describe sets the headers that tell of an object.
func (c *call) describe(o *Object, partial bool) {
	h := c.w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
	h.Set("ETag", quote(o.ETag))
	for name, values := range o.Headers {
		if strings.HasPrefix(name, metaPrefix) {
			name = strings.ToLower(name) // what S3 gives out, and clients take over as it is
		}
		h[name] = values
	}
	if o.Class != standard {
		h.Set("X-Amz-Storage-Class", o.Class)
	}
	if o.Restored {
		h.Set("X-Amz-Restore", `ongoing-request="false", expiry-date="Fri, 21 Dec 2040 00:00:00 GMT"`)
	}
	if len(o.Tags) > 0 {
		h.Set("X-Amz-Tagging-Count", fmt.Sprint(len(o.Tags)))
	}
	if c.r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && !partial {
		setChecksums(h, o)
	}
}

// setChecksums sets the headers for the checksums of an object.
func setChecksums(h http.Header, o *Object) {
	for algorithm, sum := range o.Checksums {
		h.Set(checksumPrefix+algorithm, sum)
		h.Set(checksumPrefix+"Type", checksumType(sum))
	}
}

// checksumType tells the checksum of a whole from that of its parts' checksums.
func checksumType(sum string) string {
	if strings.Contains(sum, "-") {
		return compositeType
	}
	return wholeType
}

// The types of checksums.
const (
	wholeType     = "FULL_OBJECT"
	compositeType = "COMPOSITE"
)

// setEncryption repeats how an object is encrypted in the answer to a write.
func setEncryption(h http.Header, o *Object) {
	for name, values := range o.Headers {
		if strings.HasPrefix(name, encryption) {
			h[name] = values
		}
	}
}
