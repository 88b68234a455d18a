package flat

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// A call is one request under way.
type call struct {
	Request
	server *Server
	r      *http.Request
	w      http.ResponseWriter
	id     string
}

// ServeHTTP handles one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 && r.Header.Get("Expect") != "" {
		// Package net/http has nothing to ask for. S3 does, and without that aws misreads the next
		// answer on the connection.
		w.WriteHeader(http.StatusContinue)
	}
	c := &call{server: s, r: r, w: w, id: fmt.Sprintf("%016X", s.ids.Add(1))}
	bucket, key, err := target(r.URL.EscapedPath())
	q := r.URL.Query()
	c.Request = Request{Operation: operation(r, q, bucket, key), Bucket: bucket, Key: key, Query: q, Header: r.Header, Size: announced(r)}
	c.Header.Set("Host", r.Host)
	h := w.Header()
	h.Set("Server", "AmazonS3")
	h.Set("X-Amz-Request-Id", c.id)
	h.Set("X-Amz-Id-2", c.id+"/flat")
	if err == nil {
		err = c.run()
	}
	if err != nil {
		c.refuse(err)
	}
}

// run carries the request out and answers it, or returns why not.
func (c *call) run() error {
	c.server.mu.Lock()
	fail := c.server.fail
	c.server.mu.Unlock()
	if fail != nil {
		if f := fail(c.Request); f != nil {
			return f
		}
	}
	if c.server.RefuseAnonymous && !signed(c.r, c.Query) {
		return accessDenied
	}
	do := operations[c.Operation]
	if do == nil {
		return notImplemented
	}
	return do(c)
}

// announced is the size of a body without the framing of aws-chunked; -1 if it is not said.
func announced(r *http.Request) int64 {
	if n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
		return n
	}
	return r.ContentLength
}

// send answers the request. The record comes first, so that whoever has the answer finds it.
func (c *call) send(status int, body []byte) error {
	c.Status = status
	c.server.mu.Lock()
	c.server.requests = append(c.server.requests, c.Request)
	c.server.mu.Unlock()
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		c.w.Write(body) // fails only if nobody listens any more
	}
	return nil
}

// answer sends a document.
func (c *call) answer(d *document) error {
	c.w.Header().Set("Content-Type", "application/xml")
	return c.send(http.StatusOK, d.Bytes())
}

// refuse answers that the request was not carried out.
func (c *call) refuse(err error) {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{http.StatusInternalServerError, "InternalError", err.Error()}
	}
	if c.r.Header.Get("Expect") == "" {
		io.Copy(io.Discard, c.r.Body) // a client that is cut off while it sends gets no answer
	}
	if f.Status == http.StatusNotModified || c.r.Method == http.MethodHead {
		c.send(f.Status, nil)
		return
	}
	d := newDocument("Error")
	d.text("Code", f.Code)
	d.text("Message", f.Message)
	if c.Key != "" && f == noSuchKey {
		d.text("Key", printable(c.Key))
	}
	if c.Bucket != "" && f == noSuchBucket {
		d.text("BucketName", printable(c.Bucket))
	}
	d.text("RequestId", c.id)
	d.text("HostId", c.id+"/flat")
	d.end("Error")
	c.w.Header().Set("Content-Type", "application/xml")
	c.send(f.Status, d.Bytes())
}

// read reads the document of a request. Its bytes must be what their checksums say.
func (c *call) read(into any) error {
	body, _, err := c.body()
	if err != nil {
		return err
	}
	if xml.Unmarshal(body, into) != nil {
		return malformedXML
	}
	return nil
}

// number returns a number of the query that is not negative, or what stands for none.
func (c *call) number(name string, none int) (int, error) {
	text := c.Query.Get(name)
	if text == "" {
		return none, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, invalidArgument("Provided %s not an integer or within integer range", name)
	case n < 0:
		return 0, invalidArgument("Argument %s must be an integer between 0 and 2147483647", name)
	}
	return n, nil
}
