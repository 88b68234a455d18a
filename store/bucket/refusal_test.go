package bucket

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzRefusal takes any answer for one of no success: an error with its status comes of it, and no more of
// the answer is read than is bearable.
func FuzzRefusal(f *testing.F) {
	for _, body := range []string{
		"", "<Error/>", "<Error><Code>NoSuchKey</Code><Message>m</Message></Error>", "<html>not S3</html>", "<Error><Code>a</Code><Code>b</Code>",
		strings.Repeat("<Error>", 5000), "<?xml version='1.0' encoding='utf-16'?><Error/>", "<!DOCTYPE x [<!ENTITY e 'e'>]><Error><Code>&e;</Code></Error>",
		"<Error><Message>" + strings.Repeat("m", maxRefusal) + "</Message></Error>", "<Error><Code>\xff\x00</Code></Error>",
	} {
		f.Add(404, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		whole := io.MultiReader(bytes.NewReader(body), strings.NewReader(strings.Repeat(" ", 2*maxRefusal)))
		rest := &io.LimitedReader{R: whole, N: int64(len(body) + 2*maxRefusal)}
		err := refusal(&http.Response{StatusCode: status, Body: io.NopCloser(rest)})
		var said *refused
		if !errors.As(err, &said) || said.status != status || len(said.code)+len(said.message) > 4*maxRefusal {
			t.Errorf("%v", err)
		}
		if int64(len(body)+2*maxRefusal)-rest.N > maxRefusal {
			t.Error("more is read than is bearable")
		}
		if e := describe(call{op: headObject}, err); e.Error() == "" {
			t.Error("nothing is told")
		}
	})
}
