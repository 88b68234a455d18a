package buckettest

import (
	"net/http"
	"strings"
)

// describe makes a Request of an HTTP request that names the bucket in its path.
func describe(r *http.Request) Request {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return Request{
		Kind:   kind(r, key != ""),
		Method: r.Method,
		Bucket: bucket,
		Key:    key,
		Query:  r.URL.RawQuery,
		Header: telling(r.Header),
		Size:   r.ContentLength,
	}
}

// telling picks the headers that say what a request means, and leaves the credentials out.
func telling(h http.Header) http.Header {
	picked := make(http.Header)
	for name, values := range h {
		switch {
		case name == "X-Amz-Security-Token":
		case strings.HasPrefix(name, "X-Amz-"), strings.HasPrefix(name, "If-"), strings.HasPrefix(name, "Content-"),
			name == "Range", name == "Cache-Control", name == "Expires", name == "Expect":
			picked[name] = values
		}
	}
	return picked
}

// kind is what S3 calls a request, as far as a store sends it; else the HTTP method.
func kind(r *http.Request, object bool) string {
	q := r.URL.Query()
	copies := r.Header.Get("X-Amz-Copy-Source") != ""
	switch {
	case !object:
		return bucketKind(r)
	case r.Method == http.MethodGet && q.Has("tagging"):
		return "GetObjectTagging"
	case r.Method == http.MethodPut && q.Has("tagging"):
		return "PutObjectTagging"
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return "ListParts"
	case r.Method == http.MethodGet:
		return "GetObject"
	case r.Method == http.MethodHead:
		return "HeadObject"
	case r.Method == http.MethodPut && q.Has("partNumber") && copies:
		return "UploadPartCopy"
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "UploadPart"
	case r.Method == http.MethodPut && copies:
		return "CopyObject"
	case r.Method == http.MethodPut:
		return "PutObject"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "CompleteMultipartUpload"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		return "DeleteObject"
	}
	return r.Method
}

// bucketKind is the kind of a request about a bucket.
func bucketKind(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && q.Has("list-type"):
		return "ListObjectsV2"
	case r.Method == http.MethodGet && q.Has("uploads"):
		return "ListMultipartUploads"
	case r.Method == http.MethodPost && q.Has("delete"):
		return "DeleteObjects"
	case r.Method == http.MethodHead:
		return "HeadBucket"
	case r.Method == http.MethodPut && r.URL.RawQuery == "":
		return "CreateBucket"
	case r.Method == http.MethodGet && (q.Has("prefix") || q.Has("delimiter") || q.Has("max-keys")):
		return "ListObjects"
	}
	return r.Method
}
