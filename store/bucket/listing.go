package bucket

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A page is one answer to a request for a listing, understood.
type page struct {
	objects []Object
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

type listed struct {
	Key          string
	Size         string
	ETag         string
	LastModified string
	StorageClass string
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
	p := page{objects: make([]Object, len(l.Contents))}
	switch {
	case l.IsTruncated == "true" && l.Next != "":
		p.next = l.Next
	case l.IsTruncated != "false":
		return page{}, fmt.Errorf("listing that does not say how it goes on: IsTruncated is %q", l.IsTruncated)
	}
	for i := range l.Contents {
		if err := l.object(&p.objects[i], &l.Contents[i]); err != nil {
			return page{}, err
		}
	}
	return p, nil
}

// object understands one item of a listing.
func (l *listing) object(o *Object, item *listed) (err error) {
	o.Key = item.Key
	if l.EncodingType == "url" {
		if o.Key, err = url.QueryUnescape(item.Key); err != nil {
			return fmt.Errorf("key %q: %w", item.Key, err)
		}
	}
	if o.Size, err = strconv.ParseInt(item.Size, 10, 64); err != nil || o.Size < 0 {
		return fmt.Errorf("key %q: size %q", o.Key, item.Size)
	}
	if item.LastModified != "" {
		if o.Modified, err = time.Parse(time.RFC3339, item.LastModified); err != nil {
			return fmt.Errorf("key %q: %w", o.Key, err)
		}
	}
	o.ETag = strings.Trim(item.ETag, `"`)
	o.Class = class(item.StorageClass)
	return nil
}
