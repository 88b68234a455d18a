package settings

import (
	"math"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
)

// suffixes are the units of sizes, in lower case. All are powers of 1024, as for aws.
var suffixes = []struct {
	text string
	unit int64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"tb", 1 << 40},
}

// ParseSize reads a size in bytes: an integer, or one with a suffix KB, MB, GB, TB, KiB, MiB,
// GiB or TiB, in any case, where K is always 1024. The integer may have a sign, white space
// around it and single underscores in it. What does not fit counts as the largest size there
// is. Errors are of type *[Error].
func ParseSize(text string) (int64, error) {
	lower := strings.ToLower(text)
	number, unit := lower, int64(1)
	for _, s := range suffixes {
		if rest, ok := strings.CutSuffix(lower, s.text); ok {
			number, unit = rest, s.unit
			break
		}
	}
	n, ok := integer(number)
	if !ok {
		return 0, &Error{text: "Invalid size value: " + lower}
	}
	return multiply(n, unit), nil
}

// ParseRate reads a rate in bytes per second: an integer; an integer or a size followed by B/s,
// such as 800B/s or 50MB/s; or the same in bits, with b/s. Only the case of the B matters. The
// numbers are those of [ParseSize]. Errors are of type *[Error].
func ParseRate(text string) (int64, error) {
	size, hasUnit := strings.CutSuffix(text, "/s")
	switch {
	case hasUnit && strings.HasSuffix(size, "B"):
		return parseTraffic(size)
	case hasUnit && strings.HasSuffix(size, "b"):
		n, err := parseTraffic(size)
		return n / 8, err
	}
	if n, ok := integer(text); ok {
		return n, nil
	}
	return 0, &Error{text: "Invalid rate: " + text + ". The value must be expressed as an integer in terms of bytes per second " +
		"(e.g. 10485760) or a rate in terms of bytes per second (e.g. 10MB/s or 800KB/s) or bits per second (e.g. 10Mb/s or 800Kb/s)"}
}

// parseTraffic reads a size, where the unit may also be a bare B.
func parseTraffic(size string) (int64, error) {
	if n, ok := integer(size[:len(size)-1]); ok {
		return n, nil
	}
	return ParseSize(size)
}

var decimal = regexp.MustCompile(`^[+-]?[0-9]+(_[0-9]+)*$`)

// integer reads a decimal number as Python does, but for digits that are not ASCII. What does
// not fit counts as the largest number, or the smallest.
func integer(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	if !decimal.MatchString(text) {
		return 0, false
	}
	// The only error that is left is that of the range, and it comes with the nearest number.
	n, _ := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	return n, true
}

// multiply is n times unit, or the nearest number that fits.
func multiply(n, unit int64) int64 {
	switch shift := bits.TrailingZeros64(uint64(unit)); {
	case n > math.MaxInt64>>shift:
		return math.MaxInt64
	case n < math.MinInt64>>shift:
		return math.MinInt64
	}
	return n * unit
}
