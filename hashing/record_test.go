package hashing

import (
	"bytes"
	"testing"
)

func someKnown() []known {
	return []known{
		{[]byte("a"), fingerprint{1, 2, 3, 4, 5, 6}, Sum([]byte("a"))},
		{[]byte("a.b"), fingerprint{^uint64(0), 0, 1<<63 - 1, -4, -1 << 63, 0}, Sum([]byte("b"))},
		{[]byte("\xff"), fingerprint{}, Sum(nil)},
	}
}

// files takes all files out of a record.
func files(t *testing.T, r record) (all []known) {
	for len(r.files) > 0 {
		n := int(r.files[0]) | int(r.files[1])<<8
		k, ok := r.find(r.files[2 : 2+n])
		if !ok {
			t.Fatal("a name that is there is not found")
		}
		all = append(all, k)
	}
	return all
}

func TestRecord(t *testing.T) {
	name := []byte("stamp/dir/\x00")
	for n := range len(someKnown()) + 1 {
		want := someKnown()[:n]
		b := encodeRecord(name, want)
		r, ok := openRecord(name, b)
		if !ok || r.count != n {
			t.Fatalf("%d files: not valid", n)
		}
		got := files(t, r)
		for i := range want {
			if !bytes.Equal(got[i].name, want[i].name) || got[i].print != want[i].print || got[i].digest != want[i].digest {
				t.Errorf("file %d: %+v, want %+v", i, got[i], want[i])
			}
		}
		for i := range b {
			broken := bytes.Clone(b)
			broken[i] ^= 0x10
			if _, ok := openRecord(name, broken); ok {
				t.Errorf("byte %d changed and not noticed", i)
			}
			if _, ok := openRecord(name, b[:i]); ok {
				t.Errorf("cut to %d bytes and not noticed", i)
			}
		}
		if _, ok := openRecord([]byte("stamp/dir2/\x00"), b); ok {
			t.Error("valid under another name")
		}
	}
}

func TestRecordFind(t *testing.T) {
	r, _ := openRecord(nil, encodeRecord(nil, someKnown()))
	for _, c := range []struct {
		name string
		want bool
	}{{"0", false}, {"a", true}, {"a-", false}, {"b", false}, {"\xff", true}, {"\xff\xff", false}} {
		if _, ok := r.find([]byte(c.name)); ok != c.want {
			t.Errorf("%q: found %v", c.name, ok)
		}
	}
}

func TestRecordRefused(t *testing.T) {
	k := func(names ...string) (all []known) {
		for _, n := range names {
			all = append(all, known{name: []byte(n)})
		}
		return all
	}
	for what, files := range map[string][]known{
		"names that do not ascend": k("b", "a"),
		"the same name twice":      k("a", "a"),
		"an empty name":            k(""),
		"a slash":                  k("a/b"),
		"NUL":                      k("a\x00"),
		"a negative size":          {{name: []byte("a"), print: fingerprint{size: -1}}},
	} {
		if _, ok := openRecord(nil, encodeRecord(nil, files)); ok {
			t.Errorf("%s: accepted", what)
		}
	}
}

// FuzzRecord proves that a record that is accepted encodes to the same bytes again. The
// checksum is put right first, because no fuzzer would ever guess one.
func FuzzRecord(f *testing.F) {
	for n := range len(someKnown()) + 1 {
		b := encodeRecord(nil, someKnown()[:n])
		f.Add(b[:len(b)-recordSum])
	}
	f.Add([]byte{})
	f.Add([]byte{recordVersion, 255, 255})
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, ok := openRecord(nil, body); ok && len(body) < recordHead+recordSum {
			t.Fatal("accepted without a checksum")
		}
		sealed := encodeRecord(nil, nil)[:0]
		sealed = append(sealed, body...)
		sum := recordCheck(nil, body)
		for i := range recordSum {
			sealed = append(sealed, byte(sum>>(8*i)))
		}
		r, ok := openRecord(nil, sealed)
		if ok && !bytes.Equal(encodeRecord(nil, files(t, r)), sealed) {
			t.Errorf("%x encodes to other bytes", sealed)
		}
	})
}
