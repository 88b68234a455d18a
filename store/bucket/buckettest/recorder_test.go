package buckettest

import (
	"net/http"
	"testing"
)

func TestKind(t *testing.T) {
	tests := []struct{ method, target, source, want string }{
		{"GET", "/b/k", "", "GetObject"},
		{"GET", "/b/k?versionId=1", "", "GetObject"},
		{"GET", "/b/k?uploadId=1", "", "ListParts"},
		{"GET", "/b/k?tagging", "", "GetObjectTagging"},
		{"PUT", "/b/k?tagging=", "", "PutObjectTagging"},
		{"HEAD", "/b/k/l", "", "HeadObject"},
		{"PUT", "/b/k?x-id=PutObject", "", "PutObject"},
		{"PUT", "/b/k", "b/src", "CopyObject"},
		{"PUT", "/b/k?partNumber=1&uploadId=2", "", "UploadPart"},
		{"PUT", "/b/k?partNumber=1&uploadId=2", "b/src", "UploadPartCopy"},
		{"POST", "/b/k?uploads=", "", "CreateMultipartUpload"},
		{"POST", "/b/k?uploadId=2", "", "CompleteMultipartUpload"},
		{"DELETE", "/b/k?uploadId=2", "", "AbortMultipartUpload"},
		{"DELETE", "/b/k", "", "DeleteObject"},
		{"POST", "/b?delete=", "", "DeleteObjects"},
		{"POST", "/b/?delete", "", "DeleteObjects"},
		{"GET", "/b?list-type=2&prefix=a/", "", "ListObjectsV2"},
		{"GET", "/b/?uploads", "", "ListMultipartUploads"},
		{"HEAD", "/b", "", "HeadBucket"},
		{"PUT", "/b", "", "CreateBucket"},
		{"GET", "/", "", "GET"},
	}
	for _, test := range tests {
		r, err := http.NewRequest(test.method, "http://host"+test.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.source != "" {
			r.Header.Set("X-Amz-Copy-Source", test.source)
		}
		if got := describe(r).Kind; got != test.want {
			t.Errorf("%s %s is %s; want %s", test.method, test.target, got, test.want)
		}
	}
}

func TestRequestHasNoCredentials(t *testing.T) {
	r, err := http.NewRequest("PUT", "http://host/bucket/some%20dir/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Authorization", "X-Amz-Security-Token", "Cookie"} {
		r.Header.Set(name, "secret")
	}
	r.Header.Set("If-None-Match", "*")
	q := describe(r)
	if len(q.Header) != 1 || q.Header.Get("If-None-Match") != "*" || q.Bucket != "bucket" || q.Key != "some dir/key" {
		t.Errorf("described as %+v", q)
	}
}
