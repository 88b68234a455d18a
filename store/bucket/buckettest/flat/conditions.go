package flat

import (
	"net/http"
	"strings"
	"time"
)

// names reports whether the header of a condition names an ETag.
func names(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) == etag {
			return true
		}
	}
	return false
}

// readable reports whether the conditions of a read hold; those of a copy's source have a
// prefix. The errors are preconditionFailed and notModified.
func readable(h http.Header, prefix string, o *Object) error {
	modified := o.Modified.Truncate(time.Second)
	match, none := h.Get(prefix+"If-Match"), h.Get(prefix+"If-None-Match")
	since, sinceErr := http.ParseTime(h.Get(prefix + "If-Modified-Since"))
	until, untilErr := http.ParseTime(h.Get(prefix + "If-Unmodified-Since"))
	switch {
	case match != "" && !names(match, o.ETag):
		return preconditionFailed
	case match == "" && untilErr == nil && modified.After(until):
		return preconditionFailed
	case none != "" && names(none, o.ETag):
		return notModified
	case none == "" && sinceErr == nil && !modified.After(since):
		return notModified
	}
	return nil
}

// writable reports whether the conditions of a write to a key hold. old is what the key holds,
// nil if that is nothing.
func writable(h http.Header, old *Object) error {
	match, none := h.Get("If-Match"), h.Get("If-None-Match")
	switch {
	case none != "" && none != "*":
		return notImplemented
	case none != "" && old != nil:
		return preconditionFailed
	case match != "" && old == nil:
		return noSuchKey
	case match != "" && !names(match, old.ETag):
		return preconditionFailed
	}
	return nil
}
