package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func aSeal() *Seal { return &Seal{Key: Key{1, 2, 3}, Place: "bucket/prefix/"} }

func TestSeal(t *testing.T) {
	m := aManifest()
	s := aSeal()
	sealed, plain := s.AppendFooter(nil, m), m.AppendFooter(nil)
	got, err := s.DecodeFooter(sealed)
	if err != nil || !bytes.Equal(s.AppendFooter(nil, got), sealed) {
		t.Fatalf("a sealed footer comes back as %+v, %v", got, err)
	}
	other, elsewhere := aSeal(), aSeal()
	other.Key[31]++
	elsewhere.Place = "bucket/other/"
	for name, c := range map[string]struct {
		seal *Seal
		b    []byte
		want error
		says string
	}{
		"no key":        {nil, sealed, ErrSealed, ""},
		"not sealed":    {s, plain, ErrUnsealed, ""},
		"another key":   {other, sealed, ErrSeal, "another key"},
		"another place": {elsewhere, sealed, ErrSeal, "belongs to s3://bucket/prefix/"},
	} {
		if _, err := c.seal.DecodeFooter(c.b); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever has no key can change nothing of a sealed footer, nor make one.
func TestEveryChangeOfASealedFooterIsRefused(t *testing.T) {
	s := aSeal()
	b := s.AppendFooter(nil, aManifest())
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if _, err := s.DecodeFooter(b); err == nil {
				t.Fatalf("bit %d of byte %d is flipped, and the footer passes", bit, i)
			}
			b[i] ^= 1 << bit
		}
	}
	// What is sealed closed as if it were not, and the other way round.
	forge := func(seal byte) []byte {
		forged := bytes.Clone(b)
		body := forged[frameHead : len(forged)-trailerSize-len(Digest{})]
		body[sealAt] = seal
		copy(forged[len(forged)-trailerSize-len(Digest{}):], (*Seal)(nil).check(body))
		return forged
	}
	for seal := range byte(3) {
		if _, err := s.DecodeFooter(forge(seal)); err == nil {
			t.Errorf("a footer closed in the way %d without the key passes", seal)
		}
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	s := Seal{Key: Key{0xab, 0xcd}, Place: "p"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, v := range []any{s, &s, s.Key, &s.Key} {
			if got := strings.ToLower(fmt.Sprintf(format, v)); strings.Contains(got, "abcd") || strings.Contains(got, "171") || strings.Contains(got, "0xab") {
				t.Errorf("%s of %T prints %s", format, v, got)
			}
		}
	}
}

func FuzzSealedFooter(f *testing.F) {
	s := aSeal()
	f.Add(s.AppendFooter(nil, aManifest()))
	f.Add(aManifest().AppendFooter(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := s.DecodeFooter(b); err == nil && !bytes.Equal(s.AppendFooter(nil, m), b) {
			t.Errorf("%x passes a seal", b)
		}
	})
}
