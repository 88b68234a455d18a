package bucket

import (
	"encoding/base64"
	"encoding/binary"
)

// S3 calls this checksum CRC64NVME and writes it as the base64 of its eight bytes, the most
// significant one first.

func encodeCRC64(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

// decodeCRC64 reports false where there is no checksum, or none of a whole object.
func decodeCRC64(s string) (uint64, bool) {
	if s == "" {
		return 0, false
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// CombineCRC64 returns the CRC-64/NVME of two strings of bytes that follow each other, out of
// the sum of each and the length of the second in bytes.
func CombineCRC64(first, second uint64, length int64) uint64 {
	return mulCRC64(first, zerosCRC64(length)) ^ second
}

// A sum stands for a polynomial over GF(2), the coefficient of x^0 in the top bit. To append n
// bytes multiplies what came before by x^(8n), modulo the polynomial of the checksum. The
// conditioning of the sum, all ones before and after, cancels out.

const polyCRC64 = 0x9a6c9329ac4bc9b5

// zerosCRC64 returns x^(8n) by repeated squaring.
func zerosCRC64(n int64) uint64 {
	power := uint64(1) << 63        // x^0
	square := uint64(1) << (63 - 8) // x^8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			power = mulCRC64(power, square)
		}
		square = mulCRC64(square, square)
	}
	return power
}

// mulCRC64 multiplies two polynomials, one bit at a time: it runs once a part.
func mulCRC64(a, b uint64) uint64 {
	var product uint64
	for ; a != 0; a <<= 1 {
		if a>>63 != 0 {
			product ^= b
		}
		b = b>>1 ^ polyCRC64&-(b&1)
	}
	return product
}
