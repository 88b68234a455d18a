package bucket

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"
)

// The names that S3 gives to algorithms and to the absence of one.
const (
	algorithmCRC64 = "CRC64NVME"
	headerCRC64    = "X-Amz-Checksum-Crc64nvme"
	unsigned       = "UNSIGNED-PAYLOAD"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newSum returns the algorithm with the name that S3 gives it. Its Sum is what S3 writes in
// base64: the most significant byte first.
func newSum(name string) (hash.Hash, error) {
	switch name {
	case algorithmCRC64:
		return crc64nvme.New(), nil
	case "CRC32":
		return crc32.NewIEEE(), nil
	case "CRC32C":
		return crc32.New(castagnoli), nil
	case "SHA1":
		return sha1.New(), nil
	case "SHA256":
		return sha256.New(), nil
	case "SHA512":
		return sha512.New(), nil
	case "XXHASH64":
		return xxhash.New(), nil
	case "XXHASH3":
		return xxh3.New(), nil
	case "XXHASH128":
		return wide{xxh3.New()}, nil
	}
	return nil, fmt.Errorf("no checksum is called %q", name)
}

// A wide is XXH3 with 128 bits.
type wide struct{ *xxh3.Hasher }

// Sum implements [hash.Hash].
func (w wide) Sum(b []byte) []byte {
	sum := w.Sum128().Bytes()
	return append(b, sum[:]...)
}

// Size implements [hash.Hash].
func (wide) Size() int { return 16 }

// A seal is what a body is verified with: at its end by the server, and on the way by the
// signature.
type seal struct {
	algorithm string // by its name; empty: none
	named     bool   // the caller wants this one
	sum       string // as S3 writes it
	payload   string // what is signed in place of the body
}

// seal returns the seal of a body. It is read for that only where its checksum is asked for
// under a name, or where it is to be signed. crc is its CRC-64/NVME, if known: where the server
// is not to verify that, it is verified here.
func (s *S3) seal(body io.ReadSeeker, size int64, named string, crc uint64, known bool) (seal, error) {
	z := seal{algorithm: named, named: named != "", payload: unsigned}
	var sum, signed hash.Hash
	var check hash.Hash64
	var err error
	if known && (named == algorithmCRC64 || named == "" && s.checksums.Load()) {
		z.algorithm, z.sum = algorithmCRC64, encodeCRC64(crc)
	} else if named != "" {
		if sum, err = newSum(named); err != nil {
			return z, err
		}
		check = crc64nvme.New()
	}
	if s.signs {
		signed = sha256.New()
	}
	if err := digest(body, size, sum, signed, check); err != nil {
		return z, err
	}
	if sum != nil {
		z.sum = base64.StdEncoding.EncodeToString(sum.Sum(nil))
	}
	if signed != nil {
		z.payload = hex.EncodeToString(signed.Sum(nil))
	}
	if check != nil && known && check.Sum64() != crc {
		return z, fmt.Errorf("checksum of the body is %016x; want %016x", check.Sum64(), crc)
	}
	return z, nil
}

// digest gives size bytes of a body to those of the hashes that are not nil.
func digest(body io.ReadSeeker, size int64, hashes ...hash.Hash) error {
	var to []io.Writer
	for _, h := range hashes {
		if h != nil {
			to = append(to, h)
		}
	}
	if len(to) == 0 || size == 0 {
		return nil
	}
	p := &payload{from: body, size: size}
	if err := p.rewind(); err != nil {
		return err
	}
	_, err := io.Copy(io.MultiWriter(to...), p)
	return err
}

// write puts the checksum on a request that has the body.
func (z seal) write(h http.Header) {
	if z.named {
		set(h, "X-Amz-Sdk-Checksum-Algorithm", z.algorithm)
	}
	switch {
	case z.sum != "" && z.algorithm == algorithmCRC64:
		set(h, headerCRC64, z.sum)
	case z.sum != "":
		h.Set("X-Amz-Checksum-"+z.algorithm, z.sum)
	}
}

// setSum records the checksum of a part for the end of its upload.
func setSum(p *types.CompletedPart, algorithm, sum string) {
	if sum == "" {
		return
	}
	switch algorithm {
	case algorithmCRC64:
		p.ChecksumCRC64NVME = &sum
	case "CRC32":
		p.ChecksumCRC32 = &sum
	case "CRC32C":
		p.ChecksumCRC32C = &sum
	case "SHA1":
		p.ChecksumSHA1 = &sum
	case "SHA256":
		p.ChecksumSHA256 = &sum
	case "SHA512":
		p.ChecksumSHA512 = &sum
	case "XXHASH64":
		p.ChecksumXXHASH64 = &sum
	case "XXHASH3":
		p.ChecksumXXHASH3 = &sum
	case "XXHASH128":
		p.ChecksumXXHASH128 = &sum
	}
}

// sumOf is the checksum that the server has made of a copied part; nil for none.
func sumOf(r *types.CopyPartResult, algorithm string) *string {
	switch algorithm {
	case algorithmCRC64:
		return r.ChecksumCRC64NVME
	case "CRC32":
		return r.ChecksumCRC32
	case "CRC32C":
		return r.ChecksumCRC32C
	case "SHA1":
		return r.ChecksumSHA1
	case "SHA256":
		return r.ChecksumSHA256
	case "SHA512":
		return r.ChecksumSHA512
	case "XXHASH64":
		return r.ChecksumXXHASH64
	case "XXHASH3":
		return r.ChecksumXXHASH3
	case "XXHASH128":
		return r.ChecksumXXHASH128
	}
	return nil
}
