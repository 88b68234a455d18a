package flat

import (
	"bufio"
	"bytes"
	"fmt"
	"testing"
)

// FuzzUnchunk: what is framed comes out again, and what is not makes an error, not a panic.
func FuzzUnchunk(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint8(1))
	f.Add([]byte("5;chunk-signature=0\r\nhello\r\n0\r\nname:value\r\n\r\n"), uint8(7))
	f.Add([]byte("ffffffffff\r\n"), uint8(0))
	f.Add([]byte("0\r\n:\r\n"), uint8(255))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		var wild bytes.Buffer
		unchunk(&wild, bufio.NewReader(bytes.NewReader(data)))
		if wild.Len() > len(data) {
			t.Fatalf("%d bytes of %d", wild.Len(), len(data))
		}
		var framed, out bytes.Buffer
		for rest := data; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			fmt.Fprintf(&framed, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		framed.WriteString("0\r\nname: value\r\n\r\n")
		trailers, err := unchunk(&out, bufio.NewReader(&framed))
		if err != nil || !bytes.Equal(out.Bytes(), data) || trailers.Get("Name") != "value" {
			t.Fatalf("%q, %v, %v", out.Bytes(), trailers, err)
		}
	})
}
