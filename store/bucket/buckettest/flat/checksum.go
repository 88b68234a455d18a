package flat

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"

	"github.com/minio/crc64nvme"
)

// crc64NVME is the algorithm of objects that come without a checksum.
const crc64NVME = "CRC64NVME"

// algorithms are the names of the checksums that the server knows.
var algorithms = []string{"CRC32", "CRC32C", "SHA1", "SHA256", crc64NVME, "SHA512"}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "CRC32":
		return crc32.NewIEEE()
	case "CRC32C":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "SHA1":
		return sha1.New()
	case "SHA256":
		return sha256.New()
	case "SHA512":
		return sha512.New()
	}
	return crc64nvme.New()
}

// checksum is that of a body, in base64.
func checksum(algorithm string, body []byte) string {
	h := newHash(algorithm)
	h.Write(body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// composite is the checksum of the checksums of parts.
func composite(algorithm string, sums []string) string {
	h := newHash(algorithm)
	for _, sum := range sums {
		raw, _ := base64.StdEncoding.DecodeString(sum) // we wrote it
		h.Write(raw)
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(sums))
}

// The names of headers that begin a checksum's, and of those that begin so and are none.
const checksumPrefix = "X-Amz-Checksum-"

var noChecksums = []string{"Algorithm", "Type", "Mode"}

// claimed returns the checksum that headers or trailers name; empty if they name none.
func claimed(h http.Header) (algorithm, sum string, err error) {
	for name, values := range h {
		kind, ok := strings.CutPrefix(name, checksumPrefix)
		if !ok || slices.Contains(noChecksums, kind) {
			continue
		}
		if algorithm != "" {
			return "", "", invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		algorithm, sum = strings.ToUpper(kind), values[0]
	}
	switch {
	case algorithm == "":
		return "", "", nil
	case !slices.Contains(algorithms, algorithm):
		return "", "", unknownChecksum()
	}
	whole, _, _ := strings.Cut(sum, "-")
	if raw, err := base64.StdEncoding.DecodeString(whole); err != nil || len(raw) != newHash(algorithm).Size() {
		return "", "", invalidRequest("Value for x-amz-checksum-%s header is invalid.", strings.ToLower(algorithm))
	}
	return algorithm, sum, nil
}

// verify holds a body against all that a request says of it, in its headers and in the trailers
// that came with it. It returns the checksum that was claimed; both empty if none was.
func verify(body []byte, h, trailers http.Header) (algorithm, sum string, err error) {
	if err := verifyDigests(body, h); err != nil {
		return "", "", err
	}
	all := pick(h, func(name string) bool { return strings.HasPrefix(name, checksumPrefix) })
	for name, values := range trailers {
		all[name] = append(all[name], values...)
	}
	if algorithm, sum, err = claimed(all); err != nil {
		return "", "", err
	}
	asked := strings.ToUpper(h.Get("X-Amz-Sdk-Checksum-Algorithm"))
	switch {
	case asked != "" && !slices.Contains(algorithms, asked):
		return "", "", unknownChecksum()
	case asked != "" && algorithm == "" && h.Get("Content-Md5") == "":
		return "", "", invalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case asked != "" && algorithm != "" && asked != algorithm:
		return "", "", invalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	case algorithm != "" && sum != checksum(algorithm, body):
		return "", "", badChecksum(algorithm)
	}
	return algorithm, sum, nil
}

// verifyDigests holds a body against the MD5 and the SHA-256 that all requests may have.
func verifyDigests(body []byte, h http.Header) error {
	if text := h.Get("Content-Md5"); text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != md5.Size {
			return invalidDigest
		}
		if md5.Sum(body) != [md5.Size]byte(raw) {
			return badMD5
		}
	}
	if text := h.Get("X-Amz-Content-Sha256"); len(text) == 2*sha256.Size {
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != text {
			return badSHA256
		}
	}
	return nil
}
