package output

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"merkur/hashing"
	"merkur/transfer"
)

func TestJSON(t *testing.T) {
	onSlashes(t)
	golden(t, "json.golden", everything(Options{JSON: true, Summary: true, Progress: Always}))
}

// Every line is an object with a time and a type, and the last one is the summary.
func TestJSONLines(t *testing.T) {
	stdout, stderr := told(Options{JSON: true}, 0, nil)
	if stderr != "" {
		t.Errorf("on stderr: %s", stderr)
	}
	last := ""
	for line := range strings.Lines(stdout) {
		var o struct{ Time, Type string }
		if err := json.Unmarshal([]byte(line), &o); err != nil || o.Time == "" || o.Type == "" {
			t.Fatalf("%s: %v", line, err)
		}
		last = o.Type
	}
	if last != "summary" {
		t.Errorf("the last object is a %s", last)
	}
}

// A path that is not UTF-8 can be had from its bytes.
func TestJSONPath(t *testing.T) {
	for _, path := range []string{"/tree/a", "/tree/\xff", "/tree/\xe9\x1b\u202e�"} {
		o := Options{JSON: true}
		setDefaults(&o)
		line := encode(o.object(transfer.Event{Problem: &hashing.Problem{Key: path[6:], Path: path, Reason: hashing.NotUTF8}}))
		var got struct {
			Path   string
			Base64 []byte `json:"path_base64"`
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if is := got.Path; is != path && string(got.Base64) != path || (is == path) != (got.Base64 == nil) {
			t.Errorf("%q becomes %s", path, line)
		}
	}
}

// What is encoded can be decoded, and holds nothing that drives a terminal.
func FuzzJSON(f *testing.F) {
	for _, key := range []string{"a", "a\x1b[2J", "\u0085\u202e\x7f", "<&>\"\\", "\u2028"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		var out bytes.Buffer
		p := New(Options{JSON: true, From: Remote("a", ""), To: Remote("b", ""), Stdout: &out, Stderr: io.Discard})
		a := action(transfer.Copy, key, 1)
		p.Event(transfer.Event{Done: &a})
		line := strings.TrimSuffix(out.String(), "\n")
		if strings.IndexFunc(line, hidden) >= 0 {
			t.Errorf("%q", line)
		}
		var got object
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		size := int64(1)
		key = strings.ToValidUTF8(key, "\uFFFD")
		want := object{Time: got.Time, Type: "copy", Key: got.Key, Source: "s3://a/" + got.Key, Destination: "s3://b/" + got.Key, Size: &size}
		// Runs of bytes that are not UTF-8 become one U+FFFD here, and one each there.
		if !reflect.DeepEqual(got, want) || !strings.Contains(key, "\uFFFD") && got.Key != key {
			t.Errorf("%q becomes %+v", key, got)
		}
	})
}
