package flat

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// operations are all that the server does, under the names that S3 has for them.
var operations = map[string]func(*call) error{
	"ListBuckets":             (*call).listBuckets,
	"CreateBucket":            (*call).createBucket,
	"HeadBucket":              (*call).headBucket,
	"GetBucketLocation":       (*call).getBucketLocation,
	"ListObjectsV2":           (*call).listObjects,
	"ListMultipartUploads":    (*call).listUploads,
	"DeleteObjects":           (*call).deleteObjects,
	"GetObject":               (*call).getObject,
	"HeadObject":              (*call).getObject,
	"PutObject":               (*call).putObject,
	"CopyObject":              (*call).copyObject,
	"DeleteObject":            (*call).deleteObject,
	"GetObjectTagging":        (*call).getTagging,
	"PutObjectTagging":        (*call).putTagging,
	"DeleteObjectTagging":     (*call).deleteTagging,
	"GetObjectAcl":            (*call).getACL,
	"PutObjectAcl":            (*call).putACL,
	"CreateMultipartUpload":   (*call).createUpload,
	"UploadPart":              (*call).uploadPart,
	"UploadPartCopy":          (*call).uploadPartCopy,
	"ListParts":               (*call).listParts,
	"CompleteMultipartUpload": (*call).completeUpload,
	"AbortMultipartUpload":    (*call).abortUpload,
}

// A rule names the operation of requests with a method and a parameter in the query.
type rule struct{ method, parameter, operation string }

// The rules about objects and about buckets. The first that fits counts.
var (
	objectRules = []rule{
		{http.MethodGet, "uploadId", "ListParts"},
		{http.MethodGet, "tagging", "GetObjectTagging"},
		{http.MethodGet, "acl", "GetObjectAcl"},
		{http.MethodGet, "", "GetObject"},
		{http.MethodHead, "", "HeadObject"},
		{http.MethodPut, "partNumber", "UploadPart"},
		{http.MethodPut, "tagging", "PutObjectTagging"},
		{http.MethodPut, "acl", "PutObjectAcl"},
		{http.MethodPut, "", "PutObject"},
		{http.MethodPost, "uploads", "CreateMultipartUpload"},
		{http.MethodPost, "uploadId", "CompleteMultipartUpload"},
		{http.MethodDelete, "uploadId", "AbortMultipartUpload"},
		{http.MethodDelete, "tagging", "DeleteObjectTagging"},
		{http.MethodDelete, "", "DeleteObject"},
	}
	bucketRules = []rule{
		{http.MethodGet, "list-type", "ListObjectsV2"},
		{http.MethodGet, "location", "GetBucketLocation"},
		{http.MethodGet, "uploads", "ListMultipartUploads"},
		{http.MethodHead, "", "HeadBucket"},
		{http.MethodPut, "", "CreateBucket"},
		{http.MethodPost, "delete", "DeleteObjects"},
	}
	copies = map[string]string{"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}
)

// subresources are parameters that make another operation of a request, one that is not ours.
var subresources = []string{
	"accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory", "legal-hold",
	"lifecycle", "list-type", "location", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy",
	"policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select", "tagging",
	"torrent", "uploads", "versioning", "versions", "website",
}

// operation returns what S3 calls a request; empty if it is nothing that the server does.
func operation(r *http.Request, q url.Values, bucket, key string) string {
	rules := objectRules
	switch {
	case bucket == "" && r.Method == http.MethodGet:
		return "ListBuckets"
	case key == "":
		rules = bucketRules
	}
	for _, rule := range rules {
		if rule.method != r.Method || rule.parameter != "" && !q.Has(rule.parameter) {
			continue
		}
		if rule.parameter == "" && other(q) {
			return ""
		}
		if copied := copies[rule.operation]; copied != "" && r.Header.Get("X-Amz-Copy-Source") != "" {
			return copied
		}
		return rule.operation
	}
	return ""
}

// other reports whether a query asks for an operation that the rules do not know.
func other(q url.Values) bool {
	for _, name := range subresources {
		if q.Has(name) {
			return true
		}
	}
	return false
}

// target takes a path apart as it came, escaped.
func target(escaped string) (bucket, key string, err error) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(escaped, "/"), "/")
	if bucket, err = url.PathUnescape(bucket); err != nil {
		return "", "", invalidURI
	}
	if key, err = url.PathUnescape(key); err != nil {
		return "", "", invalidURI
	}
	return bucket, key, checkKey(key)
}

// maxKey is how many bytes a key may have.
const maxKey = 1024

func checkKey(key string) error {
	switch {
	case !utf8.ValidString(key):
		return invalidURI
	case len(key) > maxKey:
		return keyTooLong
	}
	return nil
}

// signed reports whether a request has a signature, be it a wrong one.
func signed(r *http.Request, q url.Values) bool {
	return r.Header.Get("Authorization") != "" || q.Has("X-Amz-Signature") || q.Has("Signature")
}

// A Request is one that the server was sent.
type Request struct {
	Operation   string // what S3 calls it, such as "PutObject"; empty: none that the server knows
	Bucket, Key string
	Query       url.Values
	Header      http.Header // with Host
	Status      int         // of the answer; 0 while there is none
	Size        int64       // of the body in bytes, as announced, without the framing of aws-chunked; -1: not announced
}

// Fail has fail say what happens to each request from now on: it is carried out if fail returns
// nil, else nothing is done and the failure is the answer. nil has all requests carried out. It
// is called by many goroutines at once. As S3 asks for permission, of each object that a request for
// DeleteObjects names it is asked as if that were a DeleteObject of its own, too.
func (s *Server) Fail(fail func(Request) *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// Requests returns the requests so far, in the order of their answers. A client that has an
// answer finds the request here.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Request, len(s.requests))
	for i, r := range s.requests {
		r.Header, r.Query = r.Header.Clone(), maps.Clone(r.Query)
		list[i] = r
	}
	return list
}

// Counts returns how many requests there were so far, by operation.
func (s *Server) Counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]int)
	for _, r := range s.requests {
		counts[r.Operation]++
	}
	return counts
}

// Reset forgets the requests so far.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}
