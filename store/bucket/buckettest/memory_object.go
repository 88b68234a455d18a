package buckettest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"time"

	"merkur/store/bucket"
)

// An object never changes: another takes its place.
type object struct {
	bucket.Object
	body  []byte
	put   bucket.PutOptions
	parts []int64 // sizes, if uploaded in parts
	tags  string
}

// etag is S3's: the MD5 of the body, or of the MD5s of its parts with their number.
func etag(body []byte, parts []int64) string {
	if parts == nil {
		sum := md5.Sum(body)
		return hex.EncodeToString(sum[:])
	}
	var sums []byte
	for _, size := range parts {
		sum := md5.Sum(body[:size])
		sums, body = append(sums, sum[:]...), body[size:]
	}
	sum := md5.Sum(sums)
	return fmt.Sprintf("%x-%d", sum, len(parts))
}

// describe is what an answer says about an object: what the caller gets is its own. Headers
// have no fractions of seconds.
func (o *object) describe() bucket.Object {
	d := o.Object
	d.Metadata = maps.Clone(d.Metadata)
	d.Modified = d.Modified.Truncate(time.Second)
	return d
}

// unlock returns an error if the customer's key is not the one that the object needs.
func (o *object) unlock(op Op, key *bucket.CustomerKey) error {
	needed := o.put.Customer
	switch {
	case needed == nil && key == nil, needed != nil && key != nil && bytes.Equal(needed.Key, key.Key):
		return nil
	case op == Head:
		return &bucket.Error{Op: string(op), Code: "400", Status: 400, Message: "Bad Request"}
	case needed == nil:
		return &bucket.Error{Op: string(op), Code: "InvalidRequest", Status: 400, Message: "The encryption parameters are not applicable to this object."}
	case key == nil:
		return &bucket.Error{Op: string(op), Code: "InvalidRequest", Status: 400, Message: "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."}
	}
	return &bucket.Error{Op: string(op), Code: "InvalidRequest", Status: 400, Message: "The provided encryption parameters did not match the ones used originally."}
}

// archived reports whether the object has to be restored before it can be read.
func (o *object) archived() bool { return o.Class == "GLACIER" || o.Class == "DEEP_ARCHIVE" }

// lower returns a copy of the metadata with keys in lower case, as S3 keeps them; nil for none.
func lower(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	low := make(map[string]string, len(m))
	for k, v := range m {
		low[strings.ToLower(k)] = v
	}
	return low
}

// slice returns the bytes that o asks for.
func slice(body []byte, o bucket.GetOptions) ([]byte, error) {
	size := int64(len(body))
	first, last := o.Offset, size
	switch {
	case o.Length < 0 || o.Offset < 0 && o.Length > 0:
		return nil, fmt.Errorf("impossible range: offset %d, length %d", o.Offset, o.Length)
	case o.Offset < 0:
		first = max(0, size+o.Offset)
	case o.Length > 0:
		last = min(size, first+o.Length)
	}
	if first >= size && (o.Offset != 0 || o.Length != 0) {
		return nil, &bucket.Error{Op: string(Get), Code: "InvalidRange", Status: 416, Message: "The requested range is not satisfiable"}
	}
	return body[first:last], nil
}
