// Package faults puts a proxy between a client of S3 and a real server, and has it lie as
// networks and servers do. It knows nothing of the client: it may stand before any program.
//
// The Host header is passed on, so that signatures stay valid, and requests name the bucket in
// the path. A request is forwarded whole or not at all. Once it is, the server carries it out to
// the end, whether its client is still there or not; [Proxy.Quiet] waits for that.
//
// What happens to a request is up to a [Plan], which is asked about each in the order in which
// they come.
package faults

import (
	"fmt"
	"net/http"
	"strings"
)

// A Kind is what happens to a request.
type Kind string

// The kinds. The server sees nothing of the request where it says so.
const (
	Pass Kind = "pass"

	Error500    Kind = "500"             // InternalError; the server sees nothing
	SlowDown    Kind = "503 slow down"   // the server sees nothing
	Timeout400  Kind = "400 timeout"     // RequestTimeout; the server sees nothing
	Expired     Kind = "expired token"   // 400 ExpiredToken; the server sees nothing
	Forbidden   Kind = "expired, 403"    // 403 ExpiredToken; the server sees nothing
	ResetBefore Kind = "reset before"    // the connection breaks; the server sees nothing
	ResetAfter  Kind = "reset after"     // the server does it, and the answer is lost
	FailAfter   Kind = "500 after"       // the server does it, and the answer is 500
	Cut         Kind = "body cut"        // the answer breaks off in the middle of its body
	Trickle     Kind = "body trickled"   // the answer comes in small pieces
	FlipAnswer  Kind = "answer bit"      // one bit of the body of the answer is another one
	FlipRequest Kind = "request bit"     // one bit of the body of the request is another one
	ErrorIn200  Kind = "200 error"       // status 200 and an error in the body; the server sees nothing
	ErrorAfter  Kind = "200 error after" // the server does it, and then the same
	Stall       Kind = "stall before"    // it stands still on its way to the server
	StallAfter  Kind = "stall after"     // the answer stands still on its way back

	// The hook of the fault is called, and the connection breaks.
	HookBefore Kind = "hook before" // the server sees nothing
	HookAfter  Kind = "hook after"  // the server has done it
	HookAmid   Kind = "hook amid"   // half of the answer's body has come
	HookLater  Kind = "hook later"  // the answer has gone out, up to some milliseconds ago
)

// A Fault is what happens to one request. The zero value lets it pass.
type Fault struct {
	Kind Kind
	At   uint64 // which bit, of those that there are
	Hook func()
}

// A Request is what a plan is told.
type Request struct {
	Number int // from 1
	Method string
	Path   string // with the bucket
	Query  string
	Copies bool // from another object
	Size   int64
}

// Writes reports whether the request changes the bucket.
func (r Request) Writes() bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// Lists reports whether it is about a bucket and not an object.
func (r Request) Lists() bool { return !strings.Contains(strings.TrimPrefix(r.Path, "/"), "/") }

// Reads reports whether it asks for the content of an object.
func (r Request) Reads() bool {
	return r.Method == http.MethodGet && !r.Lists() && r.Query == "" || strings.Contains(r.Query, "x-id=GetObject")
}

// Takes200 reports whether S3 may answer it with 200 before it is done.
func (r Request) Takes200() bool {
	return r.Method == http.MethodPost && strings.Contains(r.Query, "uploadId=") || r.Method == http.MethodPut && r.Copies
}

func (r Request) String() string {
	if r.Query == "" {
		return fmt.Sprintf("%s %s", r.Method, r.Path)
	}
	return fmt.Sprintf("%s %s?%s", r.Method, r.Path, r.Query)
}

// Applies reports whether a fault of the kind makes sense for a request.
func (k Kind) Applies(r Request) bool {
	switch k {
	case Cut, Trickle, FlipAnswer, HookAmid, HookLater:
		return r.Reads()
	case FlipRequest:
		return r.Method == http.MethodPut && r.Size > 0
	case ErrorIn200, ErrorAfter:
		return r.Takes200()
	}
	return true
}
