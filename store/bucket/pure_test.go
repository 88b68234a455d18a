package bucket

import (
	"io"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/minio/crc64nvme"
)

func TestCombineCRC64(t *testing.T) {
	data := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(data)
	sum := crc64nvme.Checksum
	for _, cut := range []int{0, 1, 7, 8, 9, 63, 64, 1000, 1<<16 + 3, 1<<20 - 1, 1 << 20} {
		if got := CombineCRC64(sum(data[:cut]), sum(data[cut:]), int64(len(data)-cut)); got != sum(data) {
			t.Errorf("cut at %d: %016x; want %016x", cut, got, sum(data))
		}
	}
	var whole uint64
	for from := 0; from < len(data); {
		to := min(len(data), from+int(random.Uint64()%200_000))
		whole = CombineCRC64(whole, sum(data[from:to]), int64(to-from))
		from = to
	}
	if whole != sum(data) {
		t.Errorf("many parts: %016x; want %016x", whole, sum(data))
	}
}

func TestWhole(t *testing.T) {
	tests := []struct {
		o      GetOptions
		answer string
		want   int64 // 0: an error
	}{
		{GetOptions{Offset: 2}, "bytes 2-9/10", 10},
		{GetOptions{Offset: 2, Length: 3}, "bytes 2-4/10", 10},
		{GetOptions{Offset: 2, Length: 30}, "bytes 2-9/10", 10},
		{GetOptions{Length: 1}, "bytes 0-0/10", 10},
		{GetOptions{Offset: -3}, "bytes 7-9/10", 10},
		{GetOptions{Offset: -30}, "bytes 0-9/10", 10},
		{GetOptions{Offset: 2}, "", 0},
		{GetOptions{Offset: 2}, "bytes 2-9/*", 0},
		{GetOptions{Offset: 2}, "bytes 2/10", 0},
		{GetOptions{Offset: 2}, "bytes 1-9/10", 0},
		{GetOptions{Offset: 2}, "bytes 2-8/10", 0},
		{GetOptions{Offset: 2, Length: 3}, "bytes 2-9/10", 0},
		{GetOptions{Offset: -3}, "bytes 0-2/10", 0},
	}
	for _, test := range tests {
		got, err := test.o.whole(test.answer)
		if got != test.want || (err == nil) != (test.want > 0) {
			t.Errorf("%+v answered with %q: %d, %v; want %d", test.o, test.answer, got, err, test.want)
		}
	}
}

// TestInTheWay knows the answers of servers that keep objects as files.
func TestInTheWay(t *testing.T) {
	for _, code := range []string{"ObjectParentIsFile", "ExistingObjectIsDirectory", "XMinioParentIsObject", "XMinioObjectExistsAsDirectory"} {
		if got := sentinel(call{op: putObject, write: true}, http.StatusConflict, code, ""); got != ErrInTheWay {
			t.Errorf("%s: %v", code, got)
		}
	}
}

func TestJudge(t *testing.T) {
	put := call{op: putObject, write: true}
	get := call{op: getObject}
	lost := try{sent: true, connected: true}
	broken := call{op: putObject, write: true, body: &payload{err: io.ErrUnexpectedEOF}}
	tests := []struct {
		name             string
		c                call
		e                Error
		t                try
		heard, transient bool
		again, doubt     bool
	}{
		{"no credentials", put, Error{}, try{}, true, true, false, false},
		{"unreadable file", broken, Error{}, lost, true, true, false, false},
		{"wrong address", put, Error{}, try{sent: true}, false, true, false, false},
		{"server away", put, Error{}, try{sent: true}, true, true, true, false},
		{"bad certificate later", put, Error{}, try{sent: true}, true, false, false, false},
		{"answer lost", put, Error{}, lost, true, true, true, true},
		{"answer lost, reading", get, Error{}, lost, true, true, true, false},
		{"answer cut short", put, Error{Err: io.ErrUnexpectedEOF}, lost, true, false, true, true},
		{"gave up", put, Error{}, lost, true, false, false, true},
		{"slow down", put, Error{Code: "SlowDown", Status: 503}, lost, true, true, true, false},
		{"too many", put, Error{Code: "429", Status: 429}, lost, true, false, true, false},
		{"internal", put, Error{Code: "InternalError", Status: 500}, lost, true, true, true, true},
		{"bad gateway", put, Error{Code: "502", Status: 502}, lost, true, true, true, true},
		{"forbidden", put, Error{Code: "AccessDenied", Status: 403}, lost, true, false, false, false},
		{"skewed clock", put, Error{Code: "RequestTimeTooSkewed", Status: 403}, lost, true, true, true, false},
		{"timeout of the server", put, Error{Code: "RequestTimeout", Status: 400}, lost, true, true, true, false},
		{"not implemented", put, Error{Code: "NotImplemented", Status: 501}, lost, true, false, false, false},
		{"conflict", put, Error{Code: "ConditionalRequestConflict", Status: 409}, lost, true, true, true, false},
		{"conflict at the end", call{op: completeMultipartUpload, write: true}, Error{Code: "ConditionalRequestConflict", Status: 409}, lost, true, true, false, false},
	}
	for _, test := range tests {
		again, doubt := judge(test.c, &test.e, test.t, test.heard, test.transient)
		if again != test.again || doubt != test.doubt {
			t.Errorf("%s: again %v, doubt %v; want %v, %v", test.name, again, doubt, test.again, test.doubt)
		}
	}
}

func TestAddressing(t *testing.T) {
	tests := []struct {
		a        Addressing
		endpoint string
		path     bool
	}{
		{AddressAuto, "", false},
		{AddressAuto, "https://s3.eu-west-1.amazonaws.com", false},
		{AddressAuto, "https://s3.cn-north-1.amazonaws.com.cn", false},
		{AddressAuto, "http://127.0.0.1:9000", true},
		{AddressAuto, "http://[::1]:9000", true},
		{AddressAuto, "http://localhost:9000", true},
		{AddressAuto, "https://minio.example.org", true},
		{AddressAuto, "https://notamazonaws.com", true},
		{AddressPath, "", true},
		{AddressHost, "http://localhost:9000", false},
	}
	for _, test := range tests {
		if got := test.a.path(test.endpoint); got != test.path {
			t.Errorf("%v at %q: path is %v", test.a, test.endpoint, got)
		}
	}
}

func TestExpectedRegion(t *testing.T) {
	for _, c := range []struct{ code, message, want string }{
		{"AuthorizationHeaderMalformed", "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'", "us-east-1"},
		{"AuthorizationHeaderMalformed", `the region "a" is wrong; expecting "b-2"`, "b-2"},
		{"AuthorizationHeaderMalformed", "The authorization header is malformed", ""},
		{"AccessDenied", "expecting 'us-east-1'", ""},
	} {
		if got := expected(&Error{Code: c.code, Message: c.message}); got != c.want {
			t.Errorf("%s, %s: %q, want %q", c.code, c.message, got, c.want)
		}
	}
}
