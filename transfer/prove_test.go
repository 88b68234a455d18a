package transfer

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"testing"

	"github.com/minio/crc64nvme"
)

func sumCRC(s string) uint64 { return crc64nvme.Checksum([]byte(s)) }

// The ETag of an object stored in parts, against the definition.
func TestSumsOf(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 100)
	for _, part := range []int64{0, 1, 7, 100, 333, 999, 1000, 1001} {
		want := fmt.Sprintf("%x", md5.Sum(body))
		if part > 0 {
			var whole []byte
			n := 0
			for rest := body; len(rest) > 0; n++ {
				head := rest[:min(int(part), len(rest))]
				sum := md5.Sum(head)
				whole, rest = append(whole, sum[:]...), rest[len(head):]
			}
			want = fmt.Sprintf("%x-%d", md5.Sum(whole), n)
		}
		for _, chunk := range []int{1, 64, 4096} {
			got, err := sumsOf(context.Background(), bytes.NewReader(body), make([]byte, chunk), part)
			if err != nil || got.etag != want {
				t.Errorf("parts of %d read by %d: %s, %v, want %s", part, chunk, got.etag, err, want)
			}
		}
	}
}
