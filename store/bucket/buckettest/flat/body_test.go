package flat_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket/buckettest/flat"
)

// sum is the checksum of a body as it stands in a header.
func sum(algorithm, body string) string {
	h := map[string]hash.Hash{
		"MD5": md5.New(), "CRC32": crc32.NewIEEE(), "CRC32C": crc32.New(crc32.MakeTable(crc32.Castagnoli)),
		"SHA1": sha1.New(), "SHA256": sha256.New(), "CRC64NVME": crc64nvme.New(),
	}[algorithm]
	io.WriteString(h, body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func TestChecksums(t *testing.T) {
	s := flat.Start(t, "bucket")
	for _, algorithm := range []string{"CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"} {
		name := "X-Amz-Checksum-" + algorithm
		right, wrong := sum(algorithm, "hello"), sum(algorithm, "other")
		run(t, s, []step{
			{"PUT", algorithm, "", headers{name, wrong}, "hello", "400 BadDigest"},
			{"GET", algorithm, "", nil, "", "404 NoSuchKey"},
			{"PUT", algorithm, "", headers{name, right[:4]}, "hello", "400 InvalidRequest"},
			{"PUT", algorithm, "", headers{name, right, "X-Amz-Sdk-Checksum-Algorithm", algorithm}, "hello", "200"},
		})
		_, h, _ := send(t, s, "HEAD", algorithm, "", headers{"X-Amz-Checksum-Mode", "ENABLED"}, "")
		if o, _ := s.Object("bucket", algorithm); h.Get(name) != right || o.Checksums[algorithm] != right || len(o.Checksums) != 1 {
			t.Errorf("%s: %v, %v", algorithm, h, o.Checksums)
		}
	}
	run(t, s, []step{
		{"PUT", "k", "", headers{"Content-Md5", sum("MD5", "hello")}, "hello", "200"},
		{"PUT", "k", "", headers{"Content-Md5", sum("MD5", "other")}, "hello", "400 BadDigest"},
		{"PUT", "k", "", headers{"Content-Md5", "hello"}, "hello", "400 InvalidDigest"},
		{"PUT", "k", "", headers{"X-Amz-Content-Sha256", strings.Repeat("0", 64)}, "hello", "400 XAmzContentSHA256Mismatch"},
		{"PUT", "k", "", headers{"X-Amz-Checksum-Xxhash3", "aaaa"}, "hello", "400 InvalidRequest"},
		{"PUT", "k", "", headers{"X-Amz-Sdk-Checksum-Algorithm", "CRC32"}, "hello", "400 InvalidRequest"},
		{"PUT", "k", "", headers{"X-Amz-Checksum-Crc32", sum("CRC32", "hello"), "X-Amz-Checksum-Sha1", sum("SHA1", "hello")}, "hello", "400 InvalidRequest"},
	})
}

// chunked frames a body in chunks of a few bytes.
func chunked(body string, signed bool, trailers ...string) string {
	var b strings.Builder
	chunk := func(data string) {
		fmt.Fprintf(&b, "%x", len(data))
		if signed {
			b.WriteString(";chunk-signature=" + strings.Repeat("0", 64))
		}
		b.WriteString("\r\n" + data)
	}
	for rest := body; rest != ""; {
		n := min(7, len(rest))
		chunk(rest[:n])
		b.WriteString("\r\n")
		rest = rest[n:]
	}
	chunk("")
	for _, line := range trailers {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

func TestChunked(t *testing.T) {
	s := flat.Start(t, "bucket")
	body := "a body with 0\r\n\r\nin it"
	crc := "x-amz-checksum-crc32:" + sum("CRC32", body)
	digest := sha256.Sum256(nil)
	framing := func(kind string, more ...string) headers {
		return append(headers{"X-Amz-Content-Sha256", kind, "Content-Encoding", "aws-chunked", "X-Amz-Decoded-Content-Length", fmt.Sprint(len(body))}, more...)
	}
	const unsigned, plain, signed = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	trailer := []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}
	good := []step{
		{"PUT", "unsigned", "", framing(unsigned, trailer...), chunked(body, false, crc), "200"},
		{"PUT", "plain", "", framing(plain), chunked(body, true), "200"},
		{"PUT", "signed", "", framing(signed, trailer...), chunked(body, true, crc, "x-amz-trailer-signature:"+hex.EncodeToString(digest[:])), "200"},
		{"PUT", "no last line", "", framing(unsigned, trailer...), strings.TrimSuffix(chunked(body, false, crc), "\r\n"), "200"},
	}
	run(t, s, good)
	for _, q := range good {
		if o, _ := s.Object("bucket", q.key); string(o.Body) != body || o.Headers.Get("Content-Encoding") != "" || (o.Checksums["CRC32"] == "") == (q.key != "plain") {
			t.Errorf("%s: %q, %v, %v", q.key, o.Body, o.Headers, o.Checksums)
		}
	}
	framed := chunked(body, false, crc)
	run(t, s, []step{
		{"PUT", "bad", "", framing(unsigned, trailer...), chunked(body, false, "x-amz-checksum-crc32:"+sum("CRC32", "x")), "400 BadDigest"},
		{"PUT", "bad", "", framing(unsigned, trailer...), chunked(body, false), "400 MalformedTrailerError"},
		{"PUT", "bad", "", framing(unsigned, trailer...), chunked(body, false, "nonsense"), "400 MalformedTrailerError"},
		{"PUT", "bad", "", framing(unsigned), chunked(body+"x", false), "400 IncompleteBody"},
		{"PUT", "bad", "", framing(unsigned), framed[:20], "400 IncompleteBody"},
		{"PUT", "bad", "", framing(unsigned), body, "400 IncompleteBody"},
		{"PUT", "bad", "", framing(unsigned), "7\r\n1234567x\r\n0\r\n\r\n", "400 IncompleteBody"},
		{"GET", "bad", "", nil, "", "404 NoSuchKey"},
	})
}
