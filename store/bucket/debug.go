package bucket

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// report tells who listens about one try.
func (w *wire) report(r *http.Request, resp *http.Response, err error, took time.Duration) {
	if w.debug == nil {
		return
	}
	var outcome any = err
	if err == nil {
		outcome = resp.StatusCode
	}
	w.debug(fmt.Sprintf("%s %s: %v in %v", r.Method, target(r.URL), outcome, took.Round(10*time.Microsecond)))
}

// target is a URL without what proves who asks.
func target(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	q := u.Query()
	for _, secret := range []string{"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token"} {
		if q.Has(secret) {
			q.Del(secret)
			shown.RawQuery = q.Encode()
		}
	}
	return shown.String()
}

// reportRetry tells who listens that a call is tried once more, and why.
func (s *S3) reportRetry(c call, n int, delay time.Duration, failed *Error) {
	if s.debug != nil {
		s.debug(fmt.Sprintf("%s %q: retry %d in %v after: %v", c.op, c.key, n, delay.Round(time.Millisecond), failed))
	}
}
