package settings_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"merkur/cmd/merkur/settings"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "+5": 5, "-5": -5, "1_000": 1000, " 7 ": 7,
		"8KB": 8 << 10, "8MB": 8 << 20, "8GB": 8 << 30, "8TB": 8 << 40,
		"8KiB": 8 << 10, "8MiB": 8 << 20, "8GiB": 8 << 30, "8TiB": 8 << 40,
		"8mb": 8 << 20, "8mIb": 8 << 20, "8 MB": 8 << 20, "-1MB": -1 << 20, "+1_0kB": 10 << 10,
		"8388607TB": 8388607 << 40, "8388608TB": math.MaxInt64, "-8388608TB": math.MinInt64, "-8388609TB": math.MinInt64,
		"99999999999999999999": math.MaxInt64, "-99999999999999999999KB": math.MinInt64,
	} {
		if got, err := settings.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "8B", "8XB", "1.5MB", "8M", "8MBB", "abc", "_1", "1_", "1__0", "+ 5", "--5", "+-5", "0x10", "1e3", "99999999999999999999a0", "8MB/s", "٣"} {
		_, err := settings.ParseSize(text)
		if err == nil || err.Error() != "Invalid size value: "+strings.ToLower(text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]int64{
		"50MB/s": 50 << 20, "800KB/s": 800 << 10, "1GiB/s": 1 << 30, "50mB/s": 50 << 20, "50 MB/s": 50 << 20,
		"1024B/s": 1024, "1024b/s": 128, "7b/s": 0, "10Mb/s": 10 << 20 / 8, "10kib/s": 10 << 10 / 8,
		"10485760": 10485760, "1_000": 1000, "-3": -3, "0B/s": 0,
		"9999999999TB/s": math.MaxInt64, "9999999999Tb/s": math.MaxInt64 / 8,
	} {
		if got, err := settings.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":        "Invalid rate: . The value must be expressed as an integer in terms of bytes per second (e.g. 10485760) or a rate in terms of bytes per second (e.g. 10MB/s or 800KB/s) or bits per second (e.g. 10Mb/s or 800Kb/s)",
		"50MB":    "Invalid rate: 50MB. ",
		"50MB/S":  "Invalid rate: 50MB/S. ",
		"fast":    "Invalid rate: fast. ",
		"/s":      "Invalid rate: /s. ",
		"B/s":     "Invalid size value: b",
		"MB/s":    "Invalid size value: mb",
		"1.5MB/s": "Invalid size value: 1.5mb",
	} {
		if _, err := settings.ParseRate(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
}

// clip is n as an int64, or the nearest one.
func clip(n *big.Int) int64 {
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func FuzzParseSize(f *testing.F) {
	for _, text := range []string{"0", "8MB", "-8 tib", "1_0", "99999999999999999999999", "8XB", "+", "B", "18700000000000000000A0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := settings.ParseSize(text)
		if err != nil {
			return
		}
		// What is accepted is the number that arithmetic without limits finds.
		number := strings.TrimRight(strings.ToLower(text), "kmgtib")
		n, ok := new(big.Int).SetString(strings.ReplaceAll(strings.TrimSpace(number), "_", ""), 10)
		if !ok {
			t.Fatalf("%q is accepted as %d", text, got)
		}
		unit := int64(1)
		if suffix := strings.ToLower(text)[len(number):]; suffix != "" {
			unit <<= 10 * (1 + strings.IndexByte("kmgt", suffix[0]))
		}
		if want := clip(n.Mul(n, big.NewInt(unit))); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	})
}

func FuzzParseRate(f *testing.F) {
	for _, text := range []string{"50MB/s", "50Mb/s", "8b/s", "8B/s", "10", "/s", "b/s", "KiB/s", "1__0B/s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := settings.ParseRate(text)
		size, err2 := settings.ParseSize(strings.TrimSuffix(text, "/s"))
		switch {
		case err != nil || err2 != nil:
		case strings.HasSuffix(text, "b/s"):
			if got != size/8 {
				t.Errorf("%q: %d bytes/s, but %d bits", text, got, size)
			}
		case got != size:
			t.Errorf("%q: %d bytes/s, but %d bytes", text, got, size)
		}
	})
}
