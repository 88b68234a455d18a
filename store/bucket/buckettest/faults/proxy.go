package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// A Proxy stands before one server.
type Proxy struct {
	// StallFor is how long a stall takes if the client does not give up before.
	StallFor time.Duration

	target    *url.URL
	server    *http.Server
	transport *http.Transport
	url       string
	done      chan struct{} // closed when server no longer serves
	under     sync.WaitGroup

	mu     sync.Mutex
	left   *sync.Cond // a connection has ended
	open   map[net.Conn]bool
	plan   Plan
	number int
	counts map[Kind]int
}

// Start starts a Proxy before the server at target, on a free port of the loopback interface.
func Start(target string) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("stand before %q: %w", target, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("stand before %q: %w", target, err)
	}
	p := &Proxy{
		StallFor: 10 * time.Second, target: u, url: "http://" + l.Addr().String(), done: make(chan struct{}),
		transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 128},
		counts:    map[Kind]int{},
	}
	p.left, p.open = sync.NewCond(&p.mu), map[net.Conn]bool{}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, ConnState: p.track}
	go func() {
		defer close(p.done)
		p.server.Serve(l) // ends with Close
	}()
	return p, nil
}

// Close ends the Proxy and the connections to it.
func (p *Proxy) Close() {
	p.server.Close()
	<-p.done
	p.under.Wait()
	p.transport.CloseIdleConnections()
}

// URL is the address to send requests to instead of the server's.
func (p *Proxy) URL() string { return p.url }

// Set has a plan decide from now on; nil lets all pass.
func (p *Proxy) Set(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.number = plan, 0
}

// track keeps the list of connections.
func (p *Proxy) track(c net.Conn, s http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s {
	case http.StateNew:
		p.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(p.open, c)
		p.left.Broadcast()
	}
}

// Quiet waits, when the clients have ended, until nothing that they have sent is under way any
// more, and no answer of the server is outstanding.
func (p *Proxy) Quiet() {
	// Connections are taken in the order in which they were made: when this one is answered, those
	// that a dead client has made are all known.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := client.Get(p.url + quietPath); err == nil {
		resp.Body.Close()
	}
	p.mu.Lock()
	for len(p.open) > 0 {
		p.left.Wait()
	}
	p.mu.Unlock()
	p.under.Wait()
}

// quietPath is asked for by Quiet, and by nobody else: there is no bucket of that name.
const quietPath = "/-"

// Counts returns how many requests there were so far by what happened to them.
func (p *Proxy) Counts() map[Kind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// decide asks the plan about a request.
func (p *Proxy) decide(in *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	p.under.Add(1)
	f := Fault{Kind: Pass}
	if p.plan != nil {
		f = p.plan(Request{
			Number: p.number, Method: in.Method, Path: in.URL.Path, Query: in.URL.RawQuery,
			Copies: in.Header.Get("X-Amz-Copy-Source") != "", Size: in.ContentLength,
		})
	}
	if f.Kind == "" {
		f.Kind = Pass
	}
	p.counts[f.Kind]++
	return f
}

// ServeHTTP handles one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	if in.URL.Path == quietPath {
		return
	}
	f := p.decide(in)
	defer p.under.Done()
	body, err := io.ReadAll(in.Body)
	if err != nil {
		reset(w) // the client went away before the request was whole
		return
	}
	if p.before(w, in, f) {
		return
	}
	if f.Kind == FlipRequest {
		flip(body, f.At)
	}
	out, answer, err := p.forward(in, body)
	if err != nil {
		reset(w)
		return
	}
	p.after(w, in, f, out, answer)
}

// before does what comes before a request is forwarded, and reports whether it is not to be.
func (p *Proxy) before(w http.ResponseWriter, in *http.Request, f Fault) (ended bool) {
	switch f.Kind {
	case Error500:
		refuse(w, in, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	case SlowDown:
		refuse(w, in, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	case Timeout400:
		w.Header().Set("Connection", "close")
		refuse(w, in, http.StatusBadRequest, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period.")
	case Expired:
		refuse(w, in, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
	case Forbidden:
		refuse(w, in, http.StatusForbidden, "ExpiredToken", "The provided token has expired.")
	case ErrorIn200:
		refuse(w, in, http.StatusOK, "InternalError", "We encountered an internal error. Please try again.")
	case HookBefore:
		f.Hook()
		reset(w)
	case ResetBefore:
		reset(w)
	case Stall:
		p.stall(in.Context())
		return false
	default:
		return false
	}
	return true
}

// forward has the server carry out a request, whatever becomes of the client, and returns the
// whole answer.
func (p *Proxy) forward(in *http.Request, body []byte) (*http.Response, []byte, error) {
	out := in.Clone(context.WithoutCancel(in.Context()))
	out.URL.Scheme, out.URL.Host = p.target.Scheme, p.target.Host
	out.RequestURI, out.Host = "", in.Host
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	out.GetBody = nil
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, answer, err
}

// after passes the answer on, in whatever state.
func (p *Proxy) after(w http.ResponseWriter, in *http.Request, f Fault, resp *http.Response, answer []byte) {
	switch f.Kind {
	case ResetAfter:
		reset(w)
		return
	case HookAfter:
		f.Hook()
		reset(w)
		return
	case FailAfter:
		refuse(w, in, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
		return
	case ErrorAfter:
		refuse(w, in, http.StatusOK, "InternalError", "We encountered an internal error. Please try again.")
		return
	case FlipAnswer:
		flip(answer, f.At)
	case StallAfter:
		p.stall(in.Context())
	}
	maps.Copy(w.Header(), resp.Header)
	if in.Method != http.MethodHead && resp.StatusCode != http.StatusNotModified && resp.StatusCode != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	}
	w.WriteHeader(resp.StatusCode)
	switch f.Kind {
	case Cut:
		p.half(w, answer)
		panic(http.ErrAbortHandler) // what package net/http wants for breaking off
	case HookAmid:
		p.half(w, answer)
		f.Hook()
		panic(http.ErrAbortHandler)
	case HookLater:
		w.Write(answer)
		http.NewResponseController(w).Flush()
		wait(in.Context(), time.Duration(f.At%8)*time.Millisecond/2)
		f.Hook()
	case Trickle:
		p.trickle(in.Context(), w, answer)
	default:
		w.Write(answer)
	}
}

func (p *Proxy) half(w http.ResponseWriter, b []byte) {
	w.Write(b[:len(b)/2])
	http.NewResponseController(w).Flush()
}

// trickle sends a body in pieces with pauses between them.
func (p *Proxy) trickle(ctx context.Context, w http.ResponseWriter, b []byte) {
	const pieces = 16
	for i := range pieces {
		w.Write(b[len(b)*i/pieces : len(b)*(i+1)/pieces])
		http.NewResponseController(w).Flush()
		wait(ctx, p.StallFor/10/pieces)
	}
}

func (p *Proxy) stall(ctx context.Context) { wait(ctx, p.StallFor) }

// wait returns after a while, or when the client is gone.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// flip changes one bit of a body that is not empty.
func flip(b []byte, at uint64) {
	if len(b) > 0 {
		at %= uint64(len(b)) * 8
		b[at/8] ^= 1 << (at % 8)
	}
}

// reset breaks the connection so that the client gets an error instead of an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// refuse answers as S3 does when it fails.
func refuse(w http.ResponseWriter, in *http.Request, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if in.Method != http.MethodHead {
		fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	}
}
