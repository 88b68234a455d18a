package bucket_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// sourceSays are the headers of an object that is copied.
func sourceSays(w http.ResponseWriter, size string) {
	h := w.Header()
	for name, value := range headersSaid {
		h.Set(name, value)
	}
	h.Set("ETag", `"m"`)
	h.Set("Content-Length", size)
}

// large is a server whose objects are too large to be copied in one request, and have tags.
func large(tags string, tagging int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.Method == http.MethodHead:
			sourceSays(w, "25")
		case q.Has("tagging") && r.Method == http.MethodGet:
			io.WriteString(w, "<Tagging><TagSet><Tag><Key>k</Key><Value>"+tags+"</Value></Tag></TagSet></Tagging>")
		case q.Has("tagging") && tagging != http.StatusOK:
			answer(w, tagging, "AccessDenied", "Access Denied")
		case r.Header.Get("X-Amz-Copy-Source") != "" && !q.Has("partNumber"):
			answer(w, http.StatusBadRequest, "InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
		default:
			obliging(w, r)
		}
	}
}

// kinds are the requests of each kind in order of the first ones.
func kinds(r *buckettest.Recorder) (names []string) {
	for _, q := range r.Requests() {
		if !slices.Contains(names, q.Kind) {
			names = append(names, q.Kind)
		}
	}
	return names
}

func TestLargeCopyTakesOver(t *testing.T) {
	short, long := strings.Repeat("v", 100), strings.Repeat("v", 2100)
	begun := map[string]string{
		"Content-Type": "text/plain", "Content-Encoding": "gzip", "Content-Language": "la", "Content-Disposition": "inline",
		"Cache-Control": "no-store", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT", "X-Amz-Meta-A": "b", "X-Amz-Meta-Empty": "",
		"X-Amz-Storage-Class": "STANDARD_IA",
	}
	other := map[string]string{"Content-Type": "text/html", "X-Amz-Storage-Class": "STANDARD_IA"}
	tagged := func(h map[string]string, tags string) map[string]string {
		return together(h, map[string]string{"X-Amz-Tagging": tags})
	}
	usual := []string{"CopyObject", "HeadObject", "GetObjectTagging", "CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"}
	tests := []struct {
		name          string
		tags          string
		tagging       int
		meta, replace string
		begun         map[string]string
		kinds         []string
		fails         bool
	}{
		{"all", short, 200, "", "", tagged(begun, "k="+short), usual, false},
		{"long tags", long, 200, "", "COPY", begun, append(slices.Clone(usual), "PutObjectTagging"), false},
		{"long tags refused", long, 403, "COPY", "", begun, append(slices.Clone(usual), "PutObjectTagging", "DeleteObject"), true},
		{"other headers", short, 200, "REPLACE", "", tagged(other, "k="+short), usual, false},
		{"other tags", short, 200, "", "REPLACE", tagged(begun, "a=1"), slices.DeleteFunc(slices.Clone(usual), func(k string) bool { return k == "GetObjectTagging" }), false},
	}
	for _, test := range tests {
		s, r := observe(t, bucket.Config{}, large(test.tags, test.tagging))
		var o bucket.CopyOptions
		o.MetadataDirective, o.TaggingDirective, o.Tags = test.meta, test.replace, "a=1"
		o.ContentType, o.Class = "text/html", "STANDARD_IA"
		_, err := s.Copy(t.Context(), bucket.Source{Bucket: "other", Key: "src", Customer: sourceCustomer}, "dst", o)
		if (err != nil) != test.fails {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := said(t, r, "CreateMultipartUpload"); !maps.Equal(got, test.begun) {
			t.Errorf("%s: begun with\n%s; want\n%s", test.name, sortedLines(got), sortedLines(test.begun))
		}
		if got := kinds(r); !slices.Equal(got, test.kinds) {
			t.Errorf("%s: asked %v; want %v", test.name, got, test.kinds)
		}
		head := together(map[string]string{"X-Amz-Checksum-Mode": "ENABLED"})
		for name, value := range sourceSaid {
			head["X-Amz-"+strings.TrimPrefix(name, "X-Amz-Copy-Source-")] = value
		}
		if got := said(t, r, "HeadObject"); !maps.Equal(got, head) {
			t.Errorf("%s: source is asked for with\n%s", test.name, sortedLines(got))
		}
	}
}

func TestPartsOfCopyOnTheWire(t *testing.T) {
	var completed string
	s, r := observe(t, bucket.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			body, _ := io.ReadAll(r.Body)
			completed = string(body)
		}
		obliging(w, r)
	})
	o := bucket.CopyOptions{PutOptions: everything(), PartSize: 10}
	o.Tags = "a=1"
	if _, err := s.Copy(t.Context(), bucket.Source{Bucket: "other", Key: "src", IfMatch: "m", Size: 25, Customer: sourceCustomer}, "dst", o); err != nil {
		t.Fatal(err)
	}
	begun := together(headersSaid, termsSaid, customerSaid, map[string]string{"X-Amz-Tagging": "a=1", "X-Amz-Checksum-Algorithm": "SHA256"})
	if got := said(t, r, "CreateMultipartUpload"); !maps.Equal(got, begun) {
		t.Errorf("begun with\n%s; want\n%s", sortedLines(got), sortedLines(begun))
	}
	var ranges []string
	for _, q := range r.Requests() {
		if q.Kind != "UploadPartCopy" {
			continue
		}
		ranges = append(ranges, q.Header.Get("X-Amz-Copy-Source-Range"))
		for name, value := range together(customerSaid, sourceSaid, map[string]string{"X-Amz-Copy-Source": "other/src", "X-Amz-Copy-Source-If-Match": `"m"`}) {
			if got := q.Header.Get(name); got != value {
				t.Errorf("%s of a part is %q; want %q", name, got, value)
			}
		}
	}
	slices.Sort(ranges)
	if want := []string{"bytes=0-9", "bytes=10-19", "bytes=20-24"}; !slices.Equal(ranges, want) {
		t.Errorf("ranges are %q; want %q", ranges, want)
	}
	if n := strings.Count(completed, "<ChecksumSHA256>of the part</ChecksumSHA256>"); n != 3 {
		t.Errorf("completed with %s", completed)
	}
	if got := said(t, r, "CompleteMultipartUpload"); got["X-Amz-Server-Side-Encryption-Customer-Algorithm"] != "AES256" {
		t.Errorf("completed with\n%s", sortedLines(got))
	}
}

func TestArchived(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class")
	})
	_, _, err := s.Get(t.Context(), "key", bucket.GetOptions{})
	if !errors.Is(err, bucket.ErrArchived) || s.Requests()["GetObject"] != 1 {
		t.Errorf("get: %v, %v", err, s.Requests())
	}
	if _, err := s.Copy(t.Context(), bucket.Source{Key: "src"}, "key", bucket.CopyOptions{}); !errors.Is(err, bucket.ErrArchived) {
		t.Errorf("copy: %v", err)
	}
}

// The bucket of a source may be in another region. What is learned of that one is not taken for
// this one's.
func TestLargeCopyFromAnotherRegion(t *testing.T) {
	refused := large("v", http.StatusOK)
	s, r := observe(t, bucket.Config{}, func(w http.ResponseWriter, r *http.Request) {
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=key/")
		home := "us-east-1"
		if strings.HasPrefix(r.URL.Path, "/other/") {
			home = "eu-central-1"
		}
		w.Header().Set("X-Amz-Bucket-Region", home)
		if strings.Split(scope, "/")[1] != home {
			answer(w, http.StatusMovedPermanently, "PermanentRedirect", "")
			return
		}
		refused(w, r)
	})
	for range 2 {
		if _, err := s.Copy(t.Context(), bucket.Source{Bucket: "other", Key: "src"}, "dst", bucket.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	counts := r.Counts()
	if counts["HeadObject"] != 3 || counts["GetObjectTagging"] != 2 || counts["CreateMultipartUpload"] != 2 {
		t.Errorf("asked %v", counts)
	}
}
