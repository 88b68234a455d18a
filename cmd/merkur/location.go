package main

import (
	"errors"
	"fmt"
	"strings"

	"merkur/manifest"
)

// A location is an s3://bucket/prefix of the command line.
type location struct {
	bucket string
	prefix string // empty, or ending in "/"
}

const scheme = "s3://"

func isRemote(path string) bool { return strings.HasPrefix(path, scheme) }

// parseLocation reads an s3:// path. A prefix is a directory: it gets its "/" if it has none.
func parseLocation(path string) (location, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(path, scheme), "/")
	switch {
	case bucket == "":
		return location{}, fmt.Errorf("%s names no bucket", path)
	case strings.HasPrefix(bucket, "arn:"):
		return location{}, errors.New("access points are not supported; give the name or alias of a bucket")
	case strings.HasSuffix(bucket, "--x-s3"):
		return location{}, errors.New("cannot use sync with a directory bucket: it is not listed in the order of keys")
	}
	if strings.Contains("/"+prefix+"/", "/"+manifest.Reserved) {
		return location{}, fmt.Errorf("%s lies where merkur keeps its own objects", path)
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return location{bucket, prefix}, nil
}

func (l location) String() string { return scheme + l.bucket + "/" + l.prefix }
