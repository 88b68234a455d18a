package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// An Error is a request that failed. Its text is the one that aws prints for the same answer.
// The sentinels of this package are asked for with [errors.Is].
type Error struct {
	Op      string // name of the operation, such as "PutObject"
	Key     string // of the object; empty for a listing
	Code    string // what S3 calls the error, such as "NoSuchBucket"; empty if there was no answer
	Message string // what S3 says about it
	Status  int    // of the HTTP answer; 0 if there was none
	Retries int    // tries after the first one, if they were used up
	Err     error  // why there was no answer, or none that could be read

	kind      error  // the sentinel that this error is; nil for none
	doubt     bool   // a try of the request may have been carried out
	marker    bool   // the newest version of the object is a delete marker
	unreached string // the URL, if there was no connection
}

// ErrorCode returns what S3 calls the error, as the errors of the SDK do.
func (e *Error) ErrorCode() string { return e.Code }

// Error returns the text that aws prints, or what was attempted and why it got no answer.
func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.Code != "":
		fmt.Fprintf(&b, "An error occurred (%s) when calling the %s operation", e.Code, e.Op)
		if e.Retries > 0 {
			fmt.Fprintf(&b, " (reached max retries: %d)", e.Retries)
		}
		fmt.Fprintf(&b, ": %s", e.Message)
	case e.unreached != "":
		fmt.Fprintf(&b, "Could not connect to the endpoint URL: %q: %v", e.unreached, e.Err)
	case e.Key != "":
		fmt.Fprintf(&b, "%s %q: %v", e.Op, e.Key, e.Err)
	default:
		fmt.Fprintf(&b, "%s: %v", e.Op, e.Err)
	}
	if e.doubt {
		b.WriteString(" (but it may have been carried out)")
	}
	return b.String()
}

// Is reports whether e is the sentinel target.
func (e *Error) Is(target error) bool { return e.kind != nil && target == e.kind }

// Refused reports whether the server does not take the credentials, or not any more: then it refuses
// every request.
func (e *Error) Refused() bool {
	switch e.Code {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId", "RequestTimeTooSkewed":
		return true
	}
	return false
}

// Unwrap returns why there was no answer, or nil.
func (e *Error) Unwrap() error { return e.Err }

// describe turns what the SDK returned for a call into an Error.
func describe(c call, err error) *Error {
	e := &Error{Op: c.op, Key: c.key}
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		e.Status = answer.HTTPStatusCode()
	}
	if said := new(refused); errors.As(err, &said) {
		e.marker = said.marker
	}
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		e.Code, e.Message = api.ErrorCode(), api.ErrorMessage()
	case e.Status < 300:
		e.Err = cause(err)
		return e
	}
	e.kind = sentinel(c, e.Status, e.Code, e.Message)
	text := http.StatusText(e.Status)
	if c.op == headObject || e.Code == "" || e.Code == strings.ReplaceAll(text, " ", "") && e.Message == text {
		// An answer that has no body, or one that S3 did not write: the SDK makes a code from
		// the status, and aws another.
		e.Code, e.Message = strconv.Itoa(e.Status), text
	}
	return e
}

// cause strips the layers of the SDK from an error that is not an answer.
func cause(err error) error {
	var lost *smithyhttp.RequestSendError
	var canceled *smithy.CanceledError
	var garbled *smithy.DeserializationError
	var op *smithy.OperationError
	switch {
	case errors.As(err, &canceled):
		return canceled.Err
	case errors.As(err, &lost):
		return lost.Err
	case errors.As(err, &garbled):
		return garbled.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}

// sentinel maps an answer to the error of this package that a caller may want to tell apart;
// nil if it is none of them.
func sentinel(c call, status int, code, message string) error {
	switch {
	case code == "NoSuchBucket":
		return ErrNoBucket
	case status == http.StatusNotModified:
		return ErrNotModified
	case status == http.StatusPreconditionFailed, code == "PreconditionFailed", code == "ConditionalRequestConflict":
		return ErrChanged
	case code == "InvalidObjectState":
		return ErrArchived
	case code == "ExistingObjectIsDirectory", code == "ObjectParentIsFile", // versitygw
		code == "XMinioObjectExistsAsDirectory", code == "XMinioParentIsObject":
		return ErrInTheWay
	case code == "NoSuchKey" && c.match:
		return ErrChanged
	case code == "NoSuchKey", code == "NoSuchVersion", status == http.StatusNotFound && c.op == headObject:
		return ErrNotFound
	case c.op == deleteObjects && (status == http.StatusMethodNotAllowed || code == "MethodNotAllowed"):
		return ErrUnsupported
	case status == http.StatusNotImplemented, code == "NotImplemented", code == "MissingContentMD5", refusesChecksum(status, message):
		return ErrUnsupported
	}
	return nil
}

// refusesChecksum reports whether an answer says that the server does not know the kind of
// checksum, which every server says in its own words. A checksum that is known and wrong is
// another error.
func refusesChecksum(status int, message string) bool {
	m := strings.ToLower(message)
	if status != http.StatusBadRequest || !strings.Contains(m, "checksum") {
		return false
	}
	for _, word := range []string{"unsupported", "not supported", "not implemented", "algorithm"} {
		if strings.Contains(m, word) {
			return true
		}
	}
	return false
}

// overtaken reports whether an answer may be about what an earlier try of the same write has done.
func (e *Error) overtaken() bool { return e.kind == ErrChanged || e.Code == "NoSuchUpload" }

// settle makes e the final error of a call. A doubt about an earlier try outweighs whatever
// the last answer says: that answer may be about our own write.
func (e *Error) settle(doubt bool) *Error {
	if doubt {
		e.kind = ErrUncertain
		e.doubt = true
	}
	return e
}

// unproved is the error of a call that was answered with success but without the ETag that
// every store gives: by a proxy, perhaps.
func unproved(c call) error {
	return (&Error{Op: c.op, Key: c.key, Err: errors.New("answer without an ETag")}).settle(c.write)
}

// interrupted reports whether the caller gave up.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
