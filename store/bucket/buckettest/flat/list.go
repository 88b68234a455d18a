package flat

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// maxPage is how many keys one page of a listing has at most.
const maxPage = 1000

// A query is what a listing asks for.
type query struct {
	prefix, delimiter string
	first             string // keys before it are not listed
	limit             int    // of keys and common prefixes
}

// A page is one answer to a query.
type page struct {
	items []item
	next  string // where the next page begins; empty at the end
}

// An item is an object, or a common prefix, which has none.
type item struct {
	key    string
	object *Object
}

// list answers a query. Where the next page begins is the least key that is not yet covered, so
// that one that goes on behind a common prefix does not list that again.
func (b *bucket) list(q query) page {
	var p page
	for first := max(q.first, q.prefix); ; {
		common := b.fill(&p, q, first)
		if common == "" {
			return p
		}
		first = successor(common)
	}
}

// fill adds the keys from first on to a page, up to a common prefix, which it returns, or to the
// end of page or listing.
func (b *bucket) fill(p *page, q query, first string) string {
	for key := range b.order.from(first) {
		if !strings.HasPrefix(key, q.prefix) {
			return ""
		}
		if len(p.items) == q.limit {
			p.next = key
			return ""
		}
		if common := commonPrefix(key, q); common != "" {
			p.items = append(p.items, item{key: common})
			return common
		}
		p.items = append(p.items, item{key, b.objects[key]})
	}
	return ""
}

// commonPrefix is the one that a key is listed under; empty if it is listed itself.
func commonPrefix(key string, q query) string {
	if q.delimiter == "" {
		return ""
	}
	rest := key[len(q.prefix):]
	if n := strings.Index(rest, q.delimiter); n >= 0 {
		return key[:len(q.prefix)+n+len(q.delimiter)]
	}
	return ""
}

// listObjects answers with one page of a listing.
func (c *call) listObjects() error {
	if c.Query.Get("list-type") != "2" {
		return notImplemented
	}
	q, err := c.listQuery()
	if err != nil {
		return err
	}
	encode, err := encoder(c.Query.Get("encoding-type"))
	if err != nil {
		return err
	}
	var p page
	err = c.server.with(c.Bucket, func(b *bucket) error {
		if q.limit > 0 {
			p = b.list(q)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d := newDocument("ListBucketResult")
	c.listHead(d, p, q, encode)
	for _, i := range p.items {
		d.item(i, encode)
	}
	d.end("ListBucketResult")
	return c.answer(d)
}

func (c *call) listQuery() (q query, err error) {
	q = query{prefix: c.Query.Get("prefix"), delimiter: c.Query.Get("delimiter")}
	if start := c.Query.Get("start-after"); start != "" {
		q.first = start + "\x00"
	}
	if c.Query.Has("continuation-token") {
		first, err := base64.URLEncoding.DecodeString(c.Query.Get("continuation-token"))
		if err != nil || len(first) == 0 {
			return q, invalidArgument("The continuation token provided is incorrect")
		}
		q.first = string(first)
	}
	q.limit, err = c.number("max-keys", maxPage)
	q.limit = min(q.limit, maxPage)
	return q, err
}

// listHead writes what stands before the items of a listing.
func (c *call) listHead(d *document, p page, q query, encode func(string) string) {
	d.text("Name", c.Bucket)
	d.text("Prefix", encode(q.prefix))
	d.given("Delimiter", encode(q.delimiter))
	d.given("StartAfter", encode(c.Query.Get("start-after")))
	d.given("ContinuationToken", c.Query.Get("continuation-token"))
	d.given("EncodingType", c.Query.Get("encoding-type"))
	d.number("KeyCount", int64(len(p.items)))
	d.number("MaxKeys", int64(q.limit))
	if p.next == "" {
		d.text("IsTruncated", "false")
		return
	}
	d.text("IsTruncated", "true")
	d.text("NextContinuationToken", base64.URLEncoding.EncodeToString([]byte(p.next)))
}

// item writes an object or a common prefix.
func (d *document) item(i item, encode func(string) string) {
	if i.object == nil {
		d.begin("CommonPrefixes")
		d.text("Prefix", encode(i.key))
		d.end("CommonPrefixes")
		return
	}
	o := i.object
	d.begin("Contents")
	d.text("Key", encode(i.key))
	d.text("LastModified", moment(o.Modified))
	d.text("ETag", quote(o.ETag))
	for _, algorithm := range slices.Sorted(maps.Keys(o.Checksums)) {
		d.text("ChecksumAlgorithm", algorithm)
		d.text("ChecksumType", checksumType(o.Checksums[algorithm]))
	}
	d.number("Size", int64(len(o.Body)))
	d.text("StorageClass", o.Class)
	d.end("Contents")
}
