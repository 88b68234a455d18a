package transfer

import (
	"strings"

	"merkur/store/bucket"
	"merkur/transfer/headers"
)

// Order is the order of transfers.
type Order uint8

// The orders.
const (
	ByKey     Order = iota // as the keys are
	PagesLast              // web pages after all else, and only if nothing else has failed
)

// asked returns the headers that an object is to have because somebody asked for them.
func (r *run) asked(key string) headers.Set {
	if r.o.Rules == nil {
		return r.o.Headers
	}
	return r.o.Rules.For(key).Over(r.o.Headers)
}

// headers returns all headers that an object is stored with.
func (r *run) headers(key string) bucket.Headers {
	h := r.asked(key)
	if h.ContentType == "" && !r.o.NoGuess {
		h.ContentType = headers.Guess(key)
	}
	return bucket.Headers(h)
}

// putOptions are those of an upload.
func (r *run) putOptions(key string) bucket.PutOptions {
	return bucket.PutOptions{Headers: r.headers(key), Terms: r.o.Terms}
}

// page reports whether a browser shows the object as a page, which refers to other objects.
func (r *run) page(key string) bool {
	kind, _, _ := strings.Cut(r.headers(key).ContentType, ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "text/html", "application/xhtml+xml":
		return true
	}
	return false
}
