package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Seconds are seconds in words: three digits at most.
func Seconds(s float64) string {
	switch {
	case s < 0.0995:
		return fmt.Sprintf("%.0f ms", s*1000)
	case s < 9.95:
		return fmt.Sprintf("%.2f s", s)
	case s < 99.5:
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%.0f s", s)
}

// Size is a number of bytes in words.
func Size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v /= 1024; v < 999.5 {
			if v < 9.95 {
				return fmt.Sprintf("%.1f %s", v, unit)
			}
			return fmt.Sprintf("%.0f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f PiB", v/1024)
}

// Dollars are dollars with as many digits as say something.
func Dollars(d float64) string {
	switch {
	case d == 0:
		return "$0"
	case d >= 100:
		return "$" + number(int64(math.Round(d)))
	case d >= 0.995:
		return fmt.Sprintf("$%.2f", d)
	}
	digits := int(math.Ceil(-math.Log10(d))) + 1
	text := strconv.FormatFloat(d, 'f', min(digits, 9), 64)
	return "$" + strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// number is a count with commas.
func number(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Count is a count of things in words.
func Count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}
