package flat

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A claim is the checksum that a request says its body has; the zero value is none.
type claim struct{ algorithm, sum string }

// body reads the body of a request and makes sure that it is what the request says it is.
func (c *call) body() ([]byte, claim, error) {
	content, trailers, err := c.content()
	if err != nil {
		return nil, claim{}, err
	}
	if c.Size >= 0 && int64(len(content)) != c.Size {
		return nil, claim{}, incompleteBody
	}
	algorithm, sum, err := verify(content, c.r.Header, trailers)
	return content, claim{algorithm, sum}, err
}

// content reads the body without its framing, and the trailers.
func (c *call) content() ([]byte, http.Header, error) {
	if c.Size < 0 {
		return nil, nil, missingContentLength
	}
	var buffer bytes.Buffer
	buffer.Grow(int(min(c.Size, maxAhead)) + bytes.MinRead)
	if !strings.HasPrefix(c.r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		if _, err := buffer.ReadFrom(c.r.Body); err != nil {
			return nil, nil, incompleteBody
		}
		return buffer.Bytes(), nil, nil
	}
	trailers, err := unchunk(&buffer, bufio.NewReader(c.r.Body))
	if err != nil {
		return nil, nil, err
	}
	for name := range strings.SplitSeq(c.r.Header.Get("X-Amz-Trailer"), ",") {
		if name = strings.TrimSpace(name); name != "" && trailers.Get(name) == "" {
			return nil, nil, malformedTrailer
		}
	}
	return buffer.Bytes(), trailers, nil
}

// maxAhead is how much memory is taken before the bytes come that are to fill it.
const maxAhead = 64 << 20

// unchunk takes the framing of aws-chunked off: chunks that begin with their size in hex and may
// have a signature, an empty one at the end, and trailers.
func unchunk(to *bytes.Buffer, from *bufio.Reader) (http.Header, error) {
	for {
		line, err := textLine(from)
		if err != nil {
			return nil, incompleteBody
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(digits, 16, 40)
		if err != nil {
			return nil, incompleteBody
		}
		if size == 0 {
			return readTrailers(from)
		}
		if _, err := io.CopyN(to, from, int64(size)); err != nil {
			return nil, incompleteBody
		}
		if line, err := textLine(from); err != nil || line != "" {
			return nil, incompleteBody
		}
	}
}

// readTrailers reads what follows the last chunk, up to an empty line or the end.
func readTrailers(from *bufio.Reader) (http.Header, error) {
	trailers := make(http.Header)
	for {
		line, err := textLine(from)
		if line == "" && (err == nil || err == io.EOF) {
			return trailers, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || err != nil && err != io.EOF {
			return nil, malformedTrailer
		}
		if !strings.EqualFold(name, "X-Amz-Trailer-Signature") {
			trailers.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
}

// textLine reads a line without its end.
func textLine(from *bufio.Reader) (string, error) {
	line, err := from.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}
