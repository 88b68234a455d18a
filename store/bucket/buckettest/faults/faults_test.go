package faults

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A server answers with the body of the request, or with "content".
type server struct {
	mu     sync.Mutex
	bodies []string
	host   string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.bodies, s.host = append(s.bodies, string(b)), r.Host
	s.mu.Unlock()
	if r.Method == http.MethodGet {
		b = []byte("content")
	}
	w.Write(b)
}

func start(t *testing.T) (*server, *Proxy) {
	t.Helper()
	s := &server{}
	behind := httptest.NewServer(s)
	t.Cleanup(behind.Close)
	p, err := Start(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.StallFor = time.Millisecond
	return s, p
}

// ask makes one request over a connection of its own, and returns status and body, or "broken".
func ask(t *testing.T, p *Proxy, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, p.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "the.bucket.test"
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "broken"
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, "broken after " + string(b)
	}
	return resp.StatusCode, string(b)
}

func TestKinds(t *testing.T) {
	calls := 0
	for _, c := range []struct {
		kind         Kind
		method, body string
		status       int
		answer       string // or a part of it
		seen         string // by the server; "-": nothing
		calls        int
	}{
		{Pass, "PUT", "body", 200, "body", "body", 0},
		{Error500, "PUT", "body", 500, "<Code>InternalError", "-", 0},
		{SlowDown, "PUT", "body", 503, "<Code>SlowDown", "-", 0},
		{Timeout400, "PUT", "body", 400, "<Code>RequestTimeout", "-", 0},
		{Expired, "PUT", "body", 400, "<Code>ExpiredToken", "-", 0},
		{Forbidden, "PUT", "body", 403, "<Code>ExpiredToken", "-", 0},
		{ResetBefore, "PUT", "body", 0, "broken", "-", 0},
		{ResetAfter, "PUT", "body", 0, "broken", "body", 0},
		{FailAfter, "PUT", "body", 500, "<Code>InternalError", "body", 0},
		{ErrorIn200, "PUT", "body", 200, "<Error><Code>InternalError", "-", 0},
		{ErrorAfter, "PUT", "body", 200, "<Error><Code>InternalError", "body", 0},
		{FlipRequest, "PUT", "body", 200, "jody", "jody", 0},
		{FlipAnswer, "GET", "", 200, "kontent", "", 0},
		{Cut, "GET", "", 200, "broken after con", "", 0},
		{Trickle, "GET", "", 200, "content", "", 0},
		{Stall, "GET", "", 200, "content", "", 0},
		{StallAfter, "GET", "", 200, "content", "", 0},
		{HookBefore, "PUT", "body", 0, "broken", "-", 1},
		{HookAfter, "PUT", "body", 0, "broken", "body", 1},
		{HookAmid, "GET", "", 200, "broken after con", "", 1},
		{HookLater, "GET", "", 200, "content", "", 1},
	} {
		s, p := start(t)
		calls = 0
		p.Set(Rules(Rule{Fault: Fault{Kind: c.kind, At: 3, Hook: func() { calls++ }}}))
		status, answer := ask(t, p, c.method, "/bucket/key", c.body)
		p.Quiet()
		seen := strings.Join(s.bodies, ",")
		if len(s.bodies) == 0 {
			seen = "-"
		}
		if status != c.status || !strings.Contains(answer, c.answer) || seen != c.seen || calls != c.calls {
			t.Errorf("%s: %d %q, the server saw %q, %d calls; want %+v", c.kind, status, answer, seen, calls, c)
		}
		if seen != "-" && s.host != "the.bucket.test" {
			t.Errorf("%s: the host is %q", c.kind, s.host)
		}
		if n := p.Counts()[c.kind]; n != 1 {
			t.Errorf("%s is counted %d times", c.kind, n)
		}
	}
}

func TestRules(t *testing.T) {
	plan := Rules(
		Rule{Method: "PUT", Path: "^/b/x", Skip: 1, Times: 1, Fault: Fault{Kind: Error500}},
		Rule{Path: "list-type", Fault: Fault{Kind: SlowDown}},
	)
	var got []Kind
	for _, r := range []Request{
		{Method: "PUT", Path: "/b/x"}, {Method: "GET", Path: "/b/x"}, {Method: "PUT", Path: "/b/xy"}, {Method: "PUT", Path: "/b/x"},
		{Method: "GET", Path: "/b", Query: "list-type=2"},
	} {
		got = append(got, plan(r).Kind)
	}
	if want := []Kind{"", "", Error500, "", SlowDown}; !slices.Equal(got, want) {
		t.Errorf("faults are %q, want %q", got, want)
	}
}

func TestPlansThatCount(t *testing.T) {
	put, get := Request{Method: "PUT"}, Request{Method: "GET"}
	nth, seen := Nth(2, Request.Writes, Fault{Kind: Error500})
	from := From(2, Request.Writes, Fault{Kind: SlowDown})
	both := First(nth, from)
	var got []Kind
	for _, r := range []Request{put, get, put, get, put} {
		got = append(got, both(r).Kind)
	}
	if want := []Kind{"", "", Error500, SlowDown, SlowDown}; !slices.Equal(got, want) || seen() != 3 {
		t.Errorf("faults are %q, want %q; %d writes", got, want, seen())
	}
}

// The same seed has the same faults, and each is of a kind that applies.
func TestRandom(t *testing.T) {
	requests := []Request{
		{Method: "GET", Path: "/b/k", Query: "x-id=GetObject"}, {Method: "PUT", Path: "/b/k", Size: 5}, {Method: "PUT", Path: "/b/k", Copies: true},
		{Method: "GET", Path: "/b", Query: "list-type=2"}, {Method: "POST", Path: "/b/k", Query: "uploadId=1"},
	}
	kinds := []Kind{FlipAnswer, FlipRequest, ErrorIn200, SlowDown}
	a, b := Random(7, 0.5, kinds...), Random(7, 0.5, kinds...)
	struck := map[Kind]int{}
	for i := range 1000 {
		r := requests[i%len(requests)]
		f := a(r)
		if g := b(r); f.Kind != g.Kind || f.At != g.At {
			t.Fatalf("%v and %v of one seed", f, g)
		}
		if f.Kind != "" && !f.Kind.Applies(r) {
			t.Fatalf("%s of %s", f.Kind, r)
		}
		struck[f.Kind]++
	}
	for _, k := range kinds {
		if struck[k] < 20 || struck[""] < 400 {
			t.Errorf("struck %v", struck)
		}
	}
}

// Once a request is with the server, Quiet waits for its end, though its client is gone.
func TestQuiet(t *testing.T) {
	arrived, let := make(chan struct{}), make(chan struct{})
	var done atomic.Bool
	behind := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-let
		done.Store(true)
	}))
	defer behind.Close()
	p, err := Start(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, p.URL()+"/b/k", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	<-arrived
	leave()
	<-gone
	go close(let)
	if p.Quiet(); !done.Load() {
		t.Error("the server has not come to its end")
	}
}
