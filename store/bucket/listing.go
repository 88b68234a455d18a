package bucket

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"merkur/manifest"
)

// A page is one answer to a request for a listing, understood.
type page struct {
	objects []Listed
	next    string // continues the listing; empty at its end
}

// A listing is one answer to a request for a listing, as it stands in the XML.
type listing struct {
	XMLName      xml.Name `xml:"ListBucketResult"`
	IsTruncated  string
	Next         string `xml:"NextContinuationToken"`
	EncodingType string
	Contents     []listed
}

// The text of an item is copied where it is understood: of most of it nothing is kept.
type listed struct {
	Key          []byte
	Size         []byte
	ETag         []byte
	LastModified []byte
	StorageClass []byte
}

// decodeListing reads a listing with encoding/xml. It takes what scanListing leaves, and is
// what that is tested against.
func decodeListing(r io.Reader) (listing, error) {
	var l listing
	d := xml.NewDecoder(r)
	if err := d.Decode(&l); err != nil {
		return l, err
	}
	for {
		t, err := d.Token()
		if err == io.EOF {
			return l, nil
		}
		space, ok := t.(xml.CharData)
		if err != nil || !ok || len(bytes.TrimSpace(space)) > 0 {
			return l, errors.New("something follows its end")
		}
	}
}

// page understands a listing.
func (l *listing) page() (page, error) {
	p := page{objects: make([]Listed, len(l.Contents))}
	switch {
	case l.IsTruncated == "true" && l.Next != "":
		p.next = l.Next
	case l.IsTruncated != "false":
		return page{}, fmt.Errorf("listing that does not say how it goes on: IsTruncated is %q", l.IsTruncated)
	}
	var t manifest.Texts
	for i := range l.Contents {
		if err := l.object(&p.objects[i], &l.Contents[i], &t); err != nil {
			return page{}, err
		}
	}
	return p, nil
}

// object understands one item of a listing.
func (l *listing) object(o *Listed, item *listed, t *manifest.Texts) (err error) {
	o.Key, o.ETag = t.Add(item.Key), t.Add(bytes.Trim(item.ETag, `"`))
	if l.EncodingType == "url" && (bytes.IndexByte(item.Key, '%') >= 0 || bytes.IndexByte(item.Key, '+') >= 0) {
		if o.Key, err = url.QueryUnescape(o.Key); err != nil {
			return fmt.Errorf("key %q: %w", item.Key, err)
		}
	}
	if o.Size, err = strconv.ParseInt(string(item.Size), 10, 64); err != nil || o.Size < 0 {
		return fmt.Errorf("key %q: size %q", o.Key, item.Size)
	}
	if len(item.LastModified) > 0 {
		if o.Modified, err = parseTime(item.LastModified); err != nil {
			return fmt.Errorf("key %q: %w", o.Key, err)
		}
	}
	o.Class = className(item.StorageClass)
	return nil
}

// className is a storage class as a Listed has it. The class of most objects costs no memory.
func className(b []byte) string {
	if string(b) == "STANDARD" {
		return ""
	}
	return string(b)
}

// parseTime reads a time of RFC 3339. Those that servers write, of UTC with three digits after the
// second or none, take a tenth of the time of others.
func parseTime(b []byte) (time.Time, error) {
	const form = "0000-00-00T00:00:00"
	rest := b[min(len(form), len(b)):]
	plain := string(rest) == "Z" || len(rest) == 5 && rest[0] == '.' && rest[4] == 'Z' && digits(rest[1:4])
	for i := 0; plain && i < len(form); i++ {
		plain = b[i] == form[i] || form[i] == '0' && '0' <= b[i] && b[i] <= '9'
	}
	if !plain {
		return time.Parse(time.RFC3339, string(b))
	}
	at := func(i, n int) (v int) {
		for _, c := range b[i : i+n] {
			v = 10*v + int(c-'0')
		}
		return v
	}
	month, day, hour, minute, second := at(5, 2), at(8, 2), at(11, 2), at(14, 2), at(17, 2)
	if month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return time.Parse(time.RFC3339, string(b)) // which knows how long months are
	}
	nsec := 0
	if len(rest) == 5 {
		nsec = at(len(form)+1, 3) * int(time.Millisecond)
	}
	return time.Date(at(0, 4), time.Month(month), day, hour, minute, second, nsec, time.UTC), nil
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
