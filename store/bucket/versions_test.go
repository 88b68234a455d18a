package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

// What is overwritten and what is deleted can be looked at, read and copied as a version, with its
// headers and tags, in a bucket that keeps versions.
func TestVersions(t *testing.T) {
	server := buckettest.Start(t)
	real := server.Open(t, "versions")
	if err := real.KeepVersions(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]versioned{"server": real, "memory": &buckettest.Memory{Versions: true}} {
		t.Run(name, func(t *testing.T) { testVersions(t, s) })
	}
}

type versioned interface {
	bucket.Store
	bucket.Copier
	bucket.Tagger
}

func testVersions(t *testing.T, s versioned) {
	ctx := context.Background()
	put := func(body, tags string) bucket.Object {
		o := bucket.PutOptions{Headers: bucket.Headers{ContentType: "text/x", CacheControl: "of " + body}, Tags: tags}
		obj, err := s.Put(ctx, "dir/key +%", strings.NewReader(body), int64(len(body)), o)
		if err != nil || obj.Version == "" {
			t.Fatalf("%+v, %v", obj, err)
		}
		return obj
	}
	one, two := put("one", "a=1"), put("second", "b=2")
	if one.Version == two.Version {
		t.Fatalf("both versions are %s", one.Version)
	}
	if err := s.Delete(ctx, "dir/key +%", bucket.Condition{IfMatch: two.ETag}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(ctx, "dir/key +%", bucket.HeadOptions{}); !errors.Is(err, bucket.ErrNotFound) {
		t.Fatalf("after the delete: %v", err)
	}
	for want, v := range map[string]bucket.Object{"one": one, "second": two} {
		head, err := s.Head(ctx, "dir/key +%", bucket.HeadOptions{Version: v.Version})
		if err != nil || head.ETag != v.ETag || head.Size != int64(len(want)) || head.CacheControl != "of "+want {
			t.Errorf("%s: %+v, %v", want, head, err)
		}
		body, _, err := s.Get(ctx, "dir/key +%", bucket.GetOptions{Version: v.Version})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
		body.Close()
		made, err := s.Copy(ctx, bucket.Source{Key: "dir/key +%", Version: v.Version, IfMatch: v.ETag}, "dir/key +%", bucket.CopyOptions{})
		if err != nil || made.ETag != v.ETag || made.Version == v.Version {
			t.Fatalf("copy of %s: %+v, %v", want, made, err)
		}
		now, err := s.Head(ctx, "dir/key +%", bucket.HeadOptions{})
		if err != nil || now.ETag != v.ETag || now.CacheControl != "of "+want {
			t.Errorf("the copy of %s: %+v, %v", want, now, err)
		}
		if tags, err := s.Tags(ctx, "dir/key +%"); err != nil || tags != map[string]string{"one": "a=1", "second": "b=2"}[want] {
			t.Errorf("tags of the copy of %s: %q, %v", want, tags, err)
		}
	}
	if _, err := s.Copy(ctx, bucket.Source{Key: "dir/key +%", Version: one.Version, IfMatch: two.ETag}, "x", bucket.CopyOptions{}); !errors.Is(err, bucket.ErrChanged) {
		t.Errorf("a copy of another version than the one that is meant: %v", err)
	}
}

// An object that was deleted is stored again on the condition that there is none, also where the server
// takes the delete marker for an object; what is there is left alone.
func TestPutWhereADeleteLeftAMarker(t *testing.T) {
	server := buckettest.Start(t)
	none := bucket.PutOptions{Condition: bucket.Condition{IfNone: true}}
	whole := func(store *bucket.S3, key, body string) error {
		_, err := store.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), none)
		return err
	}
	parts := func(store *bucket.S3, key, body string) error {
		up, err := store.Upload(t.Context(), key, none)
		if err != nil {
			return err
		}
		if err := up.Part(t.Context(), 1, strings.NewReader(body), int64(len(body)), crc64nvme.Checksum([]byte(body))); err != nil {
			return err
		}
		_, err = up.Complete(t.Context())
		return err
	}
	for name, write := range map[string]func(s *bucket.S3, key, body string) error{"whole": whole, "parts": parts} {
		store := server.Open(t, "marked-"+name) // which has to find out by itself that it keeps versions
		if err := store.KeepVersions(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := write(store, name, "one"); err != nil {
			t.Fatal(name, err)
		}
		if err := write(store, name, "other"); !errors.Is(err, bucket.ErrChanged) {
			t.Errorf("%s: a put on an object: %v", name, err)
		}
		if err := store.Delete(t.Context(), name, bucket.Condition{}); err != nil {
			t.Fatal(name, err)
		}
		if err := write(store, name, "another"); err != nil {
			t.Errorf("%s: a put on a delete marker: %v", name, err)
		}
		if now, err := store.Head(t.Context(), name, bucket.HeadOptions{}); err != nil || now.Size != int64(len("another")) {
			t.Errorf("%s: %+v, %v", name, now, err)
		}
	}
}

// Over a delete marker nothing is written without a condition, which could arrive when there is an object again; nor
// on the condition of what somebody has stored since the marker was seen.
func TestPutPastAMarkerIsConditional(t *testing.T) {
	for _, c := range []struct {
		beneath string
		latest  bool // the marker
		puts    int
	}{{"e", true, 2}, {"", true, 1}, {"e", false, 1}} {
		var puts []string
		s := fake(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut && r.URL.Path == "/bucket/other":
				w.Header().Set("X-Amz-Version-Id", "v")
				w.Header().Set("ETag", `"o"`)
			case r.Method == http.MethodPut:
				puts = append(puts, r.Header.Get("If-None-Match")+r.Header.Get("If-Match"))
				if r.Header.Get("If-Match") != `"e"` {
					answer(w, http.StatusPreconditionFailed, "PreconditionFailed", "")
					return
				}
				w.Header().Set("ETag", `"n"`)
			case r.URL.Query().Has("versions"):
				fmt.Fprintf(w, "<ListVersionsResult><DeleteMarker><Key>k</Key><IsLatest>%v</IsLatest></DeleteMarker>", c.latest)
				if c.beneath != "" {
					io.WriteString(w, `<Version><Key>k</Key><ETag>"`+c.beneath+`"</ETag></Version><Version><Key>k</Key><ETag>"older"</ETag></Version>`)
				}
				io.WriteString(w, "</ListVersionsResult>")
			default:
				w.Header().Set("X-Amz-Delete-Marker", "true")
				answer(w, http.StatusNotFound, "NoSuchKey", "")
			}
		})
		put := func(key string) error {
			_, err := s.Put(t.Context(), key, strings.NewReader("x"), 1, bucket.PutOptions{Condition: bucket.Condition{IfNone: true}})
			return err
		}
		if err := put("other"); err != nil {
			t.Fatal(err)
		}
		err := put("k")
		if len(puts) != c.puts || slices.Contains(puts, "") || (err == nil) != (c.puts == 2) {
			t.Errorf("%+v: %q, %v", c, puts, err)
		}
	}
}

// A version is named in all requests of a copy, however large its source is.
func TestVersionsOnTheWire(t *testing.T) {
	asked := map[string]string{}
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		asked[r.Method+" "+r.URL.RawQuery] = r.Header.Get("X-Amz-Copy-Source")
		switch {
		case r.Method == http.MethodPut && r.URL.RawQuery == "x-id=CopyObject":
			answer(w, http.StatusBadRequest, "InvalidRequest", "The specified copy source is larger than the maximum allowable size")
		case r.Method == http.MethodHead:
			w.Header().Set("ETag", `"e"`)
			w.Header().Set("Content-Length", "3")
		case r.URL.Query().Has("tagging"):
			io.WriteString(w, "<Tagging><TagSet></TagSet></Tagging>")
		default:
			answer(w, http.StatusForbidden, "AccessDenied", "")
		}
	})
	s.Copy(t.Context(), bucket.Source{Key: "k", Version: "a+b/c"}, "dst", bucket.CopyOptions{})
	if got := asked["PUT x-id=CopyObject"]; got != "bucket/k?versionId=a%2Bb%2Fc" {
		t.Errorf("copied from %q", got)
	}
	for _, request := range []string{"HEAD versionId=a%2Bb%2Fc", "GET tagging=&versionId=a%2Bb%2Fc"} {
		if _, ok := asked[request]; !ok {
			t.Errorf("%s was not asked: %v", request, asked)
		}
	}
}
