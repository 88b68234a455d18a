package main

import (
	"errors"
	"fmt"
	"regexp"
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
	if strings.HasPrefix(bucket, "arn:") {
		var err error
		if bucket, prefix, err = parseARN(strings.TrimPrefix(path, scheme)); err != nil {
			return location{}, err
		}
	}
	switch {
	case bucket == "":
		return location{}, fmt.Errorf("%s names no bucket", path)
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

// The ARNs that stand for a bucket: access points, and those on an outpost. Behind one, a key
// may follow.
var (
	accessPoint  = regexp.MustCompile(`^(arn:aws[^:]*:s3:[a-z0-9-]*:[0-9]{12}:accesspoint[:/][^/]+)(?:/(.*))?$`)
	outpostPoint = regexp.MustCompile(`^(arn:aws[^:]*:s3-outposts:[a-z0-9-]+:[0-9]{12}:outpost[/:][a-zA-Z0-9-]{1,63}[/:]accesspoint[/:][a-zA-Z0-9-]{1,63})(?:[/:](.*))?$`)
)

// parseARN cuts a path that begins with an ARN into what stands for the bucket and the prefix.
func parseARN(path string) (bucket, prefix string, err error) {
	for _, form := range []*regexp.Regexp{accessPoint, outpostPoint} {
		if m := form.FindStringSubmatch(path); m != nil {
			return m[1], m[2], nil
		}
	}
	switch {
	case strings.Contains(path, ":s3-object-lambda:"):
		//lint:ignore ST1005 these are the words of aws
		return "", "", errors.New("s3 commands do not support S3 Object Lambda resources. Use s3api commands instead.")
	case strings.Contains(path, ":s3-outposts:"):
		//lint:ignore ST1005 these are the words of aws
		return "", "", errors.New("s3 commands do not support Outpost Bucket ARNs. Use s3control commands instead.")
	}
	return "", "", fmt.Errorf("%s is not the ARN of an access point", path)
}

// overlaps reports whether one of two prefixes lies in the other.
func (l location) overlaps(m location) bool {
	return l.bucket == m.bucket && (strings.HasPrefix(l.prefix, m.prefix) || strings.HasPrefix(m.prefix, l.prefix))
}

func (l location) String() string { return scheme + l.bucket + "/" + l.prefix }
