package bucket_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"merkur/store/bucket"
)

// A told is what a server is asked to delete.
type told struct {
	Object []struct{ Key, ETag string }
	Quiet  bool
}

// deleter opens a bucket at a server that answers the nth request to delete many objects, from 1, as it is
// told: with what stands inside the DeleteResult, or by itself if that is empty.
func deleter(t *testing.T, answer func(w http.ResponseWriter, n int, keys []string) string) (s *bucket.S3, asked func() []string) {
	var mu sync.Mutex
	var seen []string
	s = fake(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodDelete {
			seen = append(seen, "single "+r.URL.Path+r.Header.Get("If-Match"))
			w.WriteHeader(http.StatusNoContent)
			return
		}
		var in told
		sum := md5.Sum(body)
		if err := xml.Unmarshal(body, &in); err != nil || in.Quiet || r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("asked for %s with %v", body, r.Header)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum") || strings.HasPrefix(name, "X-Amz-Sdk") {
				t.Errorf("there is another checksum: %s", name)
			}
		}
		var keys, names []string
		for _, o := range in.Object {
			keys, names = append(keys, o.Key), append(names, o.Key+o.ETag)
		}
		seen = append(seen, strings.Join(names, " "))
		if text := answer(w, len(seen), keys); text != "" {
			fmt.Fprintf(w, "<DeleteResult>%s</DeleteResult>", text)
		}
	})
	return s, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

// gone answers that keys are deleted.
func gone(keys ...string) (text string) {
	for _, key := range keys {
		text += "<Deleted><Key>" + key + "</Key></Deleted>"
	}
	return text
}

// kept answers that a key is not deleted.
func kept(key, code string) string {
	return fmt.Sprintf("<Error><Key>%s</Key><Code>%s</Code><Message>so it is</Message></Error>", key, code)
}

// deletions are unconditional.
func deletions(keys ...string) (list []bucket.Deletion) {
	for _, key := range keys {
		list = append(list, bucket.Deletion{Key: key})
	}
	return list
}

func TestDeleteAllRetriesWhatIsLeft(t *testing.T) {
	s, asked := deleter(t, func(_ http.ResponseWriter, n int, keys []string) string {
		switch {
		case n == 2:
			return gone("good") + kept("slow", "SlowDown") + kept("bad", "AccessDenied") + kept("none", "NoSuchKey") + kept("other", "PreconditionFailed")
		case n < 4:
			return kept("slow", "SlowDown")
		}
		return gone(keys...)
	})
	list := append(deletions("good", "slow", "bad", "none"), bucket.Deletion{Key: "other", IfMatch: "e"}, bucket.Deletion{Key: "con\x01trol", IfMatch: "c"})
	failed := s.DeleteAll(t.Context(), list)
	if len(failed) != 2 || !errors.Is(failed["other"], bucket.ErrChanged) || errors.Is(failed["other"], bucket.ErrUncertain) ||
		failed["bad"] == nil || !strings.Contains(failed["bad"].Error(), "(AccessDenied) when calling the DeleteObjects operation: so it is") {
		t.Errorf("failed: %v", failed)
	}
	want := []string{`single /bucket/con` + "\x01" + `trol"c"`, `good slow bad none other"e"`, "slow", "slow"}
	if !slices.Equal(asked(), want) {
		t.Errorf("asked for %q; want %q", asked(), want)
	}
	if s.Throttled() != 2 {
		t.Errorf("throttled %d times", s.Throttled())
	}
}

// errDenied stands for an error that leaves no doubt and is none that a caller tells apart.
var errDenied = errors.New("denied")

// What an answer does not tell of, and what comes after an answer that was lost, is in doubt.
func TestDeleteAllInDoubt(t *testing.T) {
	lost := func(w http.ResponseWriter) string {
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		answer    func(w http.ResponseWriter, n int, keys []string) string
		a, b      error // with which "a" and "b" fail; nil: they do not
		requests  int
		uncertain bool // is the error of a meant to be in doubt
	}{
		"not told": {func(_ http.ResponseWriter, _ int, _ []string) string { return gone("a") }, nil, bucket.ErrUncertain, 1, false},
		"nothing":  {func(_ http.ResponseWriter, _ int, _ []string) string { return "<Other/>" }, bucket.ErrUncertain, bucket.ErrUncertain, 1, true},
		"empty":    {func(_ http.ResponseWriter, _ int, _ []string) string { return "" }, bucket.ErrUncertain, bucket.ErrUncertain, 1, true},
		"other words": {func(w http.ResponseWriter, _ int, _ []string) string {
			io.WriteString(w, "<html><body>welcome</body></html>")
			return ""
		}, bucket.ErrUncertain, bucket.ErrUncertain, 1, true},
		"cut": {func(w http.ResponseWriter, _ int, _ []string) string {
			io.WriteString(w, "<DeleteResult>"+gone("a", "b"))
			return ""
		}, bucket.ErrUncertain, bucket.ErrUncertain, 1, true},
		"lost, then gone": {func(w http.ResponseWriter, n int, keys []string) string {
			if n == 1 {
				return lost(w)
			}
			return gone(keys...)
		}, nil, nil, 2, false},
		"lost, then refused": {func(w http.ResponseWriter, n int, keys []string) string {
			if n == 1 {
				return lost(w)
			}
			return kept("a", "PreconditionFailed") + gone("b")
		}, bucket.ErrUncertain, nil, 2, true},
		"refused, then lost": {func(w http.ResponseWriter, n int, keys []string) string {
			if n > 1 {
				return lost(w)
			}
			return kept("a", "PreconditionFailed") + kept("b", "InternalError")
		}, bucket.ErrChanged, bucket.ErrUncertain, 5, false},
		"broken for one of them": {func(_ http.ResponseWriter, _ int, keys []string) string {
			return gone(keys[:len(keys)-1]...) + kept("b", "InternalError")
		}, nil, bucket.ErrUncertain, 5, false},
		"slow, then refused": {func(_ http.ResponseWriter, n int, keys []string) string {
			if n > 1 {
				return kept("a", "PreconditionFailed") + kept("b", "AccessDenied")
			}
			return kept("a", "SlowDown") + kept("b", "SlowDown")
		}, bucket.ErrUncertain, errDenied, 2, true},
		"broken and slow": {func(_ http.ResponseWriter, n int, keys []string) string {
			if n > 1 {
				return kept("a", "AccessDenied") + gone("b")
			}
			return kept("a", "InternalError") + kept("b", "SlowDown")
		}, bucket.ErrUncertain, nil, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, asked := deleter(t, c.answer)
			failed := s.DeleteAll(t.Context(), []bucket.Deletion{{Key: "a", IfMatch: "e"}, {Key: "b"}})
			for key, want := range map[string]error{"a": c.a, "b": c.b} {
				if (failed[key] == nil) != (want == nil) || !errors.Is(failed[key], want) && !(want == errDenied && !errors.Is(failed[key], bucket.ErrUncertain)) {
					t.Errorf("%s: %v; want %v", key, failed[key], want)
				}
			}
			if errors.Is(failed["a"], bucket.ErrUncertain) != c.uncertain || len(asked()) != c.requests {
				t.Errorf("%v after %q", failed, asked())
			}
		})
	}
}

// Servers that know no such request say so in their own ways.
func TestDeleteAllUnsupported(t *testing.T) {
	for status, code := range map[int]string{501: "NotImplemented", 405: "MethodNotAllowed", 400: "NotImplemented"} {
		s := fake(t, func(w http.ResponseWriter, r *http.Request) {
			answer(w, status, code, "A header you provided implies functionality")
		})
		failed := s.DeleteAll(t.Context(), deletions("a", "b"))
		if len(failed) != 2 || !errors.Is(failed["a"], bucket.ErrUnsupported) || !errors.Is(failed["b"], bucket.ErrUnsupported) || s.Requests()["DeleteObjects"] != 1 {
			t.Errorf("%d %s: %v, %v", status, code, failed, s.Requests())
		}
		if e := new(bucket.Error); !errors.As(failed["b"], &e) || e.Key != "b" {
			t.Errorf("the error of b is %+v", e)
		}
	}
}
