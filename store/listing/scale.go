package listing

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A scale places keys on a line, so that one can say how far two are apart and what lies between.
// It reads a key as a number whose digits are its characters. The digits that are possible at
// each place are those that were seen there, and, at the places that count most, others of their
// kind: after 0 to 3, also 4 to 9. So numbers, dates and hashes lie about evenly on the line.
//
// The line is a guess. Keys that do not fit keep about their place, no more.
type scale struct {
	now, before []column // of the current generation and the one before
	digits      []column // what both make; nil: to be made
}

// A column holds the characters that are possible at one place of a key, ascending. The end of a
// key is a character too, less than all others.
type column []rune

const (
	keyEnd   = rune(-1)
	maxKey   = 1024 // bytes
	sampling = 11   // one key in so many is looked at
)

// learn looks at the n keys of a page, one or more.
func (s *scale) learn(n int, key func(int) string) {
	for i := 0; i < n; i += sampling {
		s.see(key(i))
	}
	s.see(key(n - 1))
}

// see looks at a key.
func (s *scale) see(key string) {
	n := 0
	for _, r := range key {
		s.add(n, r)
		n++
	}
	s.add(n, keyEnd)
}

func (s *scale) add(n int, r rune) {
	if n == len(s.now) {
		s.now = append(s.now, nil)
	}
	if i, found := slices.BinarySearch(s.now[n], r); !found {
		s.now[n] = slices.Insert(s.now[n], i, r)
		s.digits = nil
	}
}

// columns returns the digits of each place.
func (s *scale) columns() []column {
	if s.digits == nil {
		s.digits = complete(union(s.now, s.before))
	}
	return s.digits
}

// union returns what either may hold at each place.
func union(a, b []column) []column {
	u := make([]column, max(len(a), len(b)))
	for i := range u {
		if i < len(a) {
			u[i] = append(u[i], a[i]...)
		}
		if i < len(b) {
			u[i] = append(u[i], b[i]...)
		}
		slices.Sort(u[i])
		u[i] = slices.Compact(u[i])
	}
	return u
}

// complete adds the characters that are likely to come. From behind the first place at which the
// keys differ, all that there are were seen. There and before, others of their kind follow. Two
// characters are not enough to tell: the keys may lie to both sides of where one gives way to the
// next.
func complete(columns []column) []column {
	first := slices.IndexFunc(columns, func(c column) bool { return len(c) > 2 })
	if first < 0 {
		first = len(columns)
	}
	hex := false // the place to the right holds a hexadecimal digit
	for i := len(columns) - 1; i >= 0; i-- {
		c := columns[i]
		digits, lower, upper := c.count('0', '9'), c.count('a', 'f'), c.count('A', 'F')
		all := digits+lower == len(c) || digits+upper == len(c)
		hex = all && (hex || digits > 0 && lower+upper > 0)
		switch {
		case i > first:
		case hex && upper > 0:
			columns[i] = c.fill('0', '9').fill('A', 'F')
		case hex:
			columns[i] = c.fill('0', '9').fill('a', 'f')
		default:
			columns[i] = c.complete('0', '9').complete('a', 'z').complete('A', 'Z')
		}
		// Of other scripts, what follows the last.
		if n := len(c); i <= first && n > 0 && c[n-1] > unicode.MaxASCII {
			columns[i] = columns[i].fill(c[n-1], c[n-1]+1024)
		}
	}
	return columns
}

// count returns how many of some characters there are.
func (c column) count(lo, hi rune) int {
	i, _ := slices.BinarySearch(c, lo)
	j, _ := slices.BinarySearch(c, hi+1)
	return j - i
}

// complete adds all of some characters if there is one of them.
func (c column) complete(lo, hi rune) column {
	if c.count(lo, hi) == 0 {
		return c
	}
	return c.fill(lo, hi)
}

// fill adds all of some characters.
func (c column) fill(lo, hi rune) column {
	for r := lo; r <= hi; r++ {
		if utf8.ValidRune(r) {
			c = append(c, r)
		}
	}
	slices.Sort(c)
	return slices.Compact(c)
}

// number returns the place of a key on the line.
func (s *scale) number(key string) *big.Int {
	n, radix, digit := new(big.Int), new(big.Int), new(big.Int)
	ended := false
	for _, c := range s.columns() {
		d := 0
		if !ended {
			r, size := utf8.DecodeRuneInString(key)
			if ended = size == 0; ended {
				r = keyEnd
			}
			key = key[size:]
			d, _ = slices.BinarySearch(c, r)
			d = min(d, len(c)-1)
		}
		if len(c) > 1 {
			n.Mul(n, radix.SetInt64(int64(len(c))))
			n.Add(n, digit.SetInt64(int64(d)))
		}
	}
	return n
}

// span returns how much of the scale lies between two keys. At least 1.
func (s *scale) span(from, to string) *big.Int {
	n := s.number(to)
	if n.Sub(n, s.number(from)); n.Sign() <= 0 {
		n.SetInt64(1)
	}
	return n
}

// size returns the length of the line.
func (s *scale) size() *big.Int {
	n, radix := big.NewInt(1), new(big.Int)
	for _, c := range s.columns() {
		n.Mul(n, radix.SetInt64(int64(len(c))))
	}
	return n
}

// key returns the key at a place, which must be on the line.
func (s *scale) key(n *big.Int) string {
	columns := s.columns()
	runes := make([]rune, len(columns))
	n = new(big.Int).Set(n)
	radix, digit := new(big.Int), new(big.Int)
	for i := len(columns) - 1; i >= 0; i-- {
		n.QuoRem(n, radix.SetInt64(int64(len(columns[i]))), digit)
		runes[i] = columns[i][digit.Int64()]
	}
	if i := slices.Index(runes, keyEnd); i >= 0 {
		runes = runes[:i]
	}
	return string(runes)
}

// between returns the key at a place if it lies between two others (hi exclusive; empty: none),
// and can be sent. If lo is printable ASCII, so is the key.
func (s *scale) between(lo string, place *big.Int, hi string) (string, bool) {
	if place.Cmp(s.size()) >= 0 {
		return "", false
	}
	key := s.key(place)
	if strings.IndexFunc(lo, unprintable) < 0 {
		if i := strings.IndexFunc(key, unprintable); i >= 0 {
			key = key[:i]
		}
	}
	for len(key) > maxKey {
		_, size := utf8.DecodeLastRuneInString(key)
		key = key[:len(key)-size]
	}
	return key, key > lo && (hi == "" || key < hi)
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// log2 returns the binary logarithm of a number; of 0, minus infinity.
func log2(n *big.Int) float64 {
	f := new(big.Float).SetInt(n)
	mant := new(big.Float)
	exp := f.MantExp(mant)
	m, _ := mant.Float64()
	return math.Log2(m) + float64(exp)
}

// exp2 returns a power of two, rounded down.
func exp2(x float64) *big.Int {
	whole, frac := math.Modf(max(x, 0))
	f := new(big.Float).SetMantExp(big.NewFloat(math.Exp2(frac)), int(whole))
	n, _ := f.Int(nil)
	return n
}
