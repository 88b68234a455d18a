package bucket

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// A wire carries the requests of one S3 and keeps the books on them. It is the HTTP client of
// the SDK and follows no redirect.
type wire struct {
	transport *http.Transport
	heard     atomic.Bool   // some answer has come
	limit     *rate.Limiter // of bodies; nil: none
	debug     func(string)  // nil: nobody listens

	sent, received atomic.Int64 // bytes, with headers and encryption

	mu       sync.Mutex
	requests map[string]int64 // by operation
}

// idleConns is how many connections wait for the next request: as many as there are requests
// at once, and some more for the moments in between.
const idleConns = 128

// atOnce is how many bytes are read or written at once. A body of half as many goes with its headers, if
// nothing stands between it and the transport.
const atOnce = 64 << 10

// newWire tunes a transport of the SDK, which brings the proxy and the certificates.
func newWire(t *http.Transport, c Config) *wire {
	w := &wire{transport: t, limit: c.Limit, debug: c.Debug, requests: make(map[string]int64)}
	connect, read := timeout(c.ConnectTimeout), timeout(c.ReadTimeout)
	dialer := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, wire: w, patience: read}, nil
	}
	t.TLSHandshakeTimeout = connect
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost = idleConns, idleConns, 0
	t.IdleConnTimeout = 50 * time.Second
	t.ReadBufferSize, t.WriteBufferSize = atOnce, atOnce
	t.DisableCompression = true // an object is what is stored, and its size is that
	// HTTP/2 would put all requests on one connection.
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	return w
}

type tryKey struct{}

// watch has the wire fill in t during the next request made with the context.
func watch(ctx context.Context, t *try) context.Context {
	ctx = context.WithValue(ctx, tryKey{}, t)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { t.connected, t.conn = true, plain(info.Conn) },
	})
}

// before tells what became of the tries before the one that the context is for: whether one may have been
// carried out, and whether one was turned away.
func before(ctx context.Context) (doubt, turned bool) {
	if t, ok := ctx.Value(tryKey{}).(*try); ok {
		return t.doubt, t.turned
	}
	return false, false
}

// Do sends one request.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	t, ok := r.Context().Value(tryKey{}).(*try)
	if !ok {
		t = &try{op: "other"}
	}
	t.sent, t.url = true, r.URL
	w.mu.Lock()
	w.requests[t.op]++
	w.mu.Unlock()
	w.slow(r, t)
	retract := w.tell(r, t)
	start := time.Now()
	resp, err := w.transport.RoundTrip(r)
	w.report(r, resp, err, time.Since(start))
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		retract()
	}
	if err != nil {
		return resp, err
	}
	w.heard.Store(true)
	t.status, t.region, t.date = resp.StatusCode, resp.Header.Get("X-Amz-Bucket-Region"), resp.Header.Get("Date")
	w.slowAnswer(r.Context(), resp, t)
	w.tellAnswer(r.Context(), resp, t)
	return resp, nil
}

// counts returns a copy of the number of requests by operation.
func (w *wire) counts() map[string]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.requests)
}

// A conn gives up when nothing has moved for as long as patience, in whichever direction: a
// deadline for the whole request would punish large objects, and one for reads alone would
// end an upload that takes longer. Zero is endless patience.
type conn struct {
	net.Conn
	wire     *wire
	patience time.Duration

	mu   sync.Mutex // of held and the deadlines
	held bool       // it is us who make it stand still
}

// expect has a connection that is not held wait for so long as patience, by what set sets.
func (c *conn) expect(set func(time.Time) error) {
	if c.patience <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held {
		set(time.Now().Add(c.patience)) // fails only on a closed connection, as what follows then does
	}
}

// hold has the connection wait without end, also in a Read that is yet to begin, until it is held no more.
func (c *conn) hold(held bool) {
	c.mu.Lock()
	c.held = held
	if held {
		c.SetDeadline(time.Time{})
	}
	c.mu.Unlock()
	c.expect(c.SetDeadline)
}

// plain is our connection under what encrypts it; nil if there is none.
func plain(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	ours, _ := c.(*conn)
	return ours
}

// hold has the connection of a try wait without end, until extend: it is us who make it stand
// still.
func (t *try) hold() {
	if t.conn != nil {
		t.conn.hold(true)
	}
}

// extend has the connection of a try begin to wait anew.
func (t *try) extend() {
	if t.conn != nil {
		t.conn.hold(false)
	}
}

// Read reads from the connection.
func (c *conn) Read(b []byte) (int, error) {
	c.expect(c.SetReadDeadline)
	n, err := c.Conn.Read(b)
	c.wire.received.Add(int64(n))
	return n, err
}

// Write writes to the connection, and lets a Read that waits meanwhile wait longer.
func (c *conn) Write(b []byte) (int, error) {
	c.expect(c.SetDeadline)
	n, err := c.Conn.Write(b)
	c.wire.sent.Add(int64(n))
	return n, err
}
