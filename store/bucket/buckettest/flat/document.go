package flat

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// A document is the XML of an answer. Package encoding/xml would put U+FFFD in the place of
// characters that XML does not have; S3 writes references to them, and so does this.
type document struct {
	bytes.Buffer
}

// newDocument begins a document with its root element, which end ends.
func newDocument(root string) *document {
	d := &document{}
	d.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + root)
	if root != "Error" {
		d.WriteString(` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`)
	}
	d.WriteByte('>')
	return d
}

func (d *document) begin(name string) { d.WriteString("<" + name + ">") }
func (d *document) end(name string)   { d.WriteString("</" + name + ">") }

// text writes an element that holds text.
func (d *document) text(name, value string) {
	d.begin(name)
	for i := range len(value) {
		switch c := value[i]; {
		case c == '&':
			d.WriteString("&amp;")
		case c == '<':
			d.WriteString("&lt;")
		case c == '>':
			d.WriteString("&gt;")
		case c == '"':
			d.WriteString("&quot;")
		case c < ' ':
			fmt.Fprintf(d, "&#x%X;", c)
		default:
			d.WriteByte(c)
		}
	}
	d.end(name)
}

// given writes an element unless it would hold nothing.
func (d *document) given(name, value string) {
	if value != "" {
		d.text(name, value)
	}
}

// number writes an element that holds a number.
func (d *document) number(name string, n int64) { d.text(name, fmt.Sprint(n)) }

// owner writes the one who owns everything.
func (d *document) owner(name string) {
	d.begin(name)
	d.text("ID", owner)
	d.text("DisplayName", "flat")
	d.end(name)
}

const owner = "f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7f1a7"

// moment is how S3 writes a time in XML.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// quote is how ETags are written.
func quote(etag string) string { return `"` + etag + `"` }

// printable replaces what XML cannot hold. It is for what people read: nobody may go by it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// encoder returns how the keys of a listing are written: an encoding-type of "url", or as
// they are.
func encoder(encodingType string) (func(string) string, error) {
	switch encodingType {
	case "":
		return func(s string) string { return s }, nil
	case "url":
		return func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }, nil
	}
	return nil, invalidArgument("Invalid Encoding Method specified in Request")
}
