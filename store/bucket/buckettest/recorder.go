package buckettest

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"
)

// A Recorder is a proxy before an S3 server that keeps a record of the requests and spoils
// those that it is told to. It passes the Host header on, so that signatures stay valid, and
// understands requests that name the bucket in the path.
type Recorder struct {
	server *http.Server
	proxy  *httputil.ReverseProxy
	url    string
	done   chan struct{} // closed when server no longer serves

	mu       sync.Mutex
	fault    func(Request) Fault
	requests []Request
}

// A Request is one HTTP request as the Recorder saw it.
type Request struct {
	Kind   string // what S3 calls it, such as "PutObject"
	Method string
	Bucket string
	Key    string
	Query  string
	Header http.Header // those of S3 and HTTP's conditions and range; no credentials but customers' keys
	Size   int64       // of the body in bytes; -1 if it was not announced
	Status int         // of the server's answer; 0 if the server was not asked
}

// A Fault is what happens to a request.
type Fault int

// The faults.
const (
	Pass          Fault = iota
	DropRequest         // the connection breaks; the server sees nothing
	DropAnswer          // the server does it, then the connection breaks
	SlowDown            // answer 503 SlowDown; the server sees nothing
	InternalError       // answer 500 InternalError; the server sees nothing
	FailAfter           // the server does it, and the answer is 500 InternalError
	CutAnswer           // the answer breaks off in the middle of its body
)

// Record starts a Recorder before the server at target, on a free port of the loopback
// interface.
func Record(target string) (*Recorder, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("record requests to %q: %w", target, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("record requests to %q: %w", target, err)
	}
	r := &Recorder{url: "http://" + l.Addr().String(), done: make(chan struct{})}
	r.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = u.Scheme, u.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery
			p.Out.Host = p.In.Host
		},
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 128},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(r.done)
		r.server.Serve(l) // ends with Close
	}()
	return r, nil
}

// Close ends the Recorder and the connections to it.
func (r *Recorder) Close() {
	r.server.Close()
	<-r.done
	r.proxy.Transport.(*http.Transport).CloseIdleConnections()
}

// URL is the address to send requests to instead of the server's.
func (r *Recorder) URL() string { return r.url }

// SetFault has fault decide what happens to each request from now on; nil lets all pass. It is
// called by many goroutines at once.
func (r *Recorder) SetFault(fault func(Request) Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

// Requests returns the requests so far, in the order of their answers.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Counts returns how many requests there were so far, by kind.
func (r *Recorder) Counts() map[string]int {
	counts := make(map[string]int)
	for _, q := range r.Requests() {
		counts[q.Kind]++
	}
	return counts
}

// Reset forgets the requests so far.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

// ServeHTTP handles one request.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	q := describe(req)
	switch r.faultOf(q) {
	case Pass:
		r.proxy.ServeHTTP(&answer{ResponseWriter: w, note: r.note(q)}, req)
	case DropRequest:
		r.note(q)(0)
		reset(w)
	case DropAnswer:
		r.proxy.ServeHTTP(unheard(r.note(q)), req)
		reset(w)
	case SlowDown:
		r.note(q)(0)
		refuse(w, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	case InternalError:
		r.note(q)(0)
		refuse(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	case FailAfter:
		r.proxy.ServeHTTP(unheard(r.note(q)), req)
		refuse(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	case CutAnswer:
		r.proxy.ServeHTTP(&answer{ResponseWriter: w, note: r.note(q), cut: true}, req)
	}
}

func (r *Recorder) faultOf(q Request) Fault {
	r.mu.Lock()
	fault := r.fault
	r.mu.Unlock()
	if fault == nil {
		return Pass
	}
	return fault(q)
}

// note returns a function that records q. It is called before the client can know the answer,
// so that a client who has it finds the record.
func (r *Recorder) note(q Request) func(status int) {
	return func(status int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		q.Status = status
		r.requests = append(r.requests, q)
	}
}

// An answer notes its status when it begins.
type answer struct {
	http.ResponseWriter
	note func(status int)
	cut  bool // to be broken off in the middle of the body
}

func (a *answer) WriteHeader(status int) {
	if status >= http.StatusOK { // others announce the answer
		a.note(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.cut {
		a.ResponseWriter.Write(b[:len(b)/2])
		a.Unwrap().(http.Flusher).Flush()
		panic(http.ErrAbortHandler) // what package net/http wants for breaking off
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets package net/http flush.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// A blank takes an answer that nobody gets.
type blank struct{ header http.Header }

func (b blank) Header() http.Header         { return b.header }
func (b blank) WriteHeader(int)             {}
func (b blank) Write(p []byte) (int, error) { return len(p), nil }

func unheard(note func(int)) http.ResponseWriter {
	return &answer{ResponseWriter: blank{make(http.Header)}, note: note}
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
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}
