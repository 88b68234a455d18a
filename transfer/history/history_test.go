package history

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"merkur/manifest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestNames(t *testing.T) {
	at := time.Date(2026, 11, 25, 18, 15, 0, 42_999_999, time.FixedZone("", 3600))
	name := NewName(at, [4]byte{0x5e, 0x6c, 0xa9, 0x8c})
	if name != "20261125T171500.042Z-5e6ca98c" {
		t.Error(name)
	}
	if got, err := ParseName(name); err != nil || !got.Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("%v, %v", got, err)
	}
	if later := NewName(at.Add(time.Second), [4]byte{}); later <= name {
		t.Errorf("%s is later than %s", later, name)
	}
	for _, wrong := range []string{
		"", "x", "20261125T171500.042Z", "20261125T171500.042Z-", "20261125T171500.042Z-5e6ca98", "20261125T171500.042Z-5e6ca98c0",
		"20261125T171500.042Z-5E6CA98C", "20261125T171500Z-5e6ca98c", "20261325T171500.042Z-5e6ca98c", "20261125T171500.042Z-5e6ca98c/", "../x",
	} {
		if _, err := ParseName(wrong); err == nil {
			t.Errorf("%q is a name", wrong)
		}
	}
}

func TestLabels(t *testing.T) {
	for name, want := range map[string]Label{
		"000001-0-0-0":               {Number: 1},
		"000007-12-3-1-end":          {Number: 7, Counts: Counts{12, 3, 1}, End: true},
		"1234567-0-16384-123456-end": {Number: 1234567, Counts: Counts{0, 16384, 123456}, End: true},
	} {
		if got, err := ParseLabel(name); err != nil || got != want || got.String() != name {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, wrong := range []string{"", "000000-0-0-0", "1-0-0-0", "000001-0-0", "000001-0-0-0-", "000001-0-0-0-end-end", "000001--1-0-0", "000001-00-0-0", "00000a-0-0-0"} {
		if _, err := ParseLabel(wrong); err == nil {
			t.Errorf("%q is a label", wrong)
		}
	}
}

// sample has every field that there is.
func sample() *Record {
	old := &manifest.Entry{
		Key: "b", Size: 3, Mode: 0o644, MTime: 1_700_000_000_123_456_789, Headers: 1<<63 + 5,
		Evidence: manifest.Evidence{ETag: "0123456789abcdef0123456789abcdef", CRC64: 0xfeed, HasCRC64: true, Modified: 1_700_000_001, Version: "null"},
	}
	old.Digest[0] = 0xab
	blind := &manifest.Entry{Key: "c\xff", Size: 9, Unproven: true, Evidence: manifest.Evidence{ETag: "e-2"}}
	blind.Digest = manifest.UnprovenDigest("e-2", 9)
	now := &manifest.Entry{Key: "x", Size: 1, Evidence: manifest.Evidence{ETag: "x", Version: "v\x01"}}
	return &Record{
		Run: "20261125T181500.042Z-5e6ca98c", Number: 7, Of: "s3://bucket/ü/", Undoes: "20261124T181500.042Z-00000000", Kept: Versions,
		Done: []Outcome{{Key: "x", New: now}, {Key: "y"}, {Key: "z<>", Doubt: true}},
		Steps: []Step{
			{Deed: Create, Key: "a", Want: &manifest.Entry{Key: "a", Size: 5, Digest: old.Digest}},
			{Deed: Replace, Key: "b", Old: old, Want: &manifest.Entry{Key: "b", Size: 0}},
			{Deed: Delete, Key: "c\xff", Old: blind, Stray: true},
			{Deed: Headers, Key: "d", Old: &manifest.Entry{Key: "d"}},
		},
	}
}

// The format does not change unnoticed.
func TestGolden(t *testing.T) {
	b, err := sample().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/record.jsonl"
	plain := unzip(t, b)
	if *update {
		if err := os.WriteFile(file, plain, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(plain, want) {
		t.Errorf("%v, the record is\n%s\nwant\n%s", err, plain, want)
	}
	if got, err := Read(bytes.NewReader(zipped(want))); err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v, %v", got, err)
	}
	head, err := ReadHead(bytes.NewReader(b))
	if err != nil || head.Run != sample().Run || head.Undoes != sample().Undoes || head.Of != sample().Of || head.Done != nil {
		t.Errorf("%+v, %v", head, err)
	}
}

func unzip(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func zipped(plain []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(plain)
	z.Close()
	return b.Bytes()
}

// What is cut short or has a bit that is wrong is refused.
func TestDamage(t *testing.T) {
	b, err := sample().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := Read(bytes.NewReader(b[:n])); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: %v", n, err)
		}
		for bit := range 8 {
			if n > 3 && n < 10 {
				continue // time, flags for the reader and system in the head of gzip: they say nothing about the bytes
			}
			bad := bytes.Clone(b)
			bad[n] ^= 1 << bit
			if got, err := Read(bytes.NewReader(bad)); err == nil && !reflect.DeepEqual(got, sample()) {
				t.Errorf("bit %d of %d: %+v", bit, n, got)
			}
		}
	}
	broken := errors.New("broken")
	if _, err := Read(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(b)))); !errors.Is(err, iotest.ErrTimeout) || errors.Is(err, ErrCorrupt) {
		t.Errorf("a reader that breaks off: %v", err)
	}
	if _, err := Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a reader that is broken: %v", err)
	}
}

// Lines that no run would write are refused.
func TestHostile(t *testing.T) {
	const head = `{"merkur":"record","format":1,"run":"20261125T181500.042Z-5e6ca98c","number":1,"of":"s3://b/","kept":"backup"}` + "\n"
	if _, err := Read(bytes.NewReader(zipped([]byte(head + `{"step":"create","key":"a"}`)))); err != nil {
		t.Errorf("a legal record: %v", err)
	}
	for _, text := range []string{
		"", "\n", "{}", "[]", head + "{}", head + "null", head + `{"step":"create"}`, head + `{"step":"paint","key":"a"}`,
		head + `{"step":"create","key":"a","old":{"size":1}}`, head + `{"step":"delete","key":"a"}`, head + `{"step":"create","key":""}`,
		head + `{"step":"create","key":".merkur/manifest"}`, head + `{"step":"create","key":"b"}` + "\n" + `{"step":"create","key":"a"}`,
		head + `{"step":"create","key":"a"}` + "\n" + `{"done":"b"}`, head + `{"done":"b"}` + "\n" + `{"done":"b"}`,
		head + `{"step":"create","key":"a","more":1}`, head + `{"step":"create","key":"a"}{}`, head + `{"step":"create","key":"` + strings.Repeat("a", 1025) + `"}`,
		head + `{"step":"delete","key":"a","old":{"size":-1}}`, head + `{"step":"delete","key":"a","old":{"size":1,"digest":"AB"}}`,
		head + `{"step":"delete","key":"a","old":{"size":1,"crc64":"1"}}`, head + `{"step":"delete","key":"a","old":{"size":1,"unproven":true}}`,
		head + `{"step":"create","key":"` + strings.Repeat("a", maxLine) + `"}`, strings.Replace(head, `"backup"`, `"nothing"`, 1),
		strings.Replace(head, `"number":1`, `"number":0`, 1), strings.Replace(head, "5e6ca98c", "../../..", 1),
		strings.Replace(head, `"kept"`, `"undoes":"x","kept"`, 1), head + head,
	} {
		if _, err := Read(bytes.NewReader(zipped([]byte(text)))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%.300q: %v", text, err)
		}
	}
	newer := strings.Replace(head, `"format":1`, `"format":2`, 1)
	if _, err := Read(bytes.NewReader(zipped([]byte(newer)))); !errors.Is(err, ErrVersion) {
		t.Errorf("a newer format: %v", err)
	}
	many := []byte(head)
	for i := range MaxSteps + 1 {
		many = fmt.Appendf(many, `{"step":"create","key":"%06d"}`+"\n", i)
	}
	if _, err := Read(bytes.NewReader(zipped(many))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("too many steps: %v", err)
	}
}

// Whatever the bytes, a record that can be read can be written, and is then read as the same.
func FuzzRecord(f *testing.F) {
	b, err := sample().Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	z, _ := gzip.NewReader(bytes.NewReader(b))
	plain, _ := io.ReadAll(z)
	f.Add(plain)
	f.Add([]byte(`{"merkur":"record","format":1,"run":"20261125T181500.042Z-5e6ca98c","number":1,"of":"","kept":"backup"}` + "\n" + `{"done":{"base64":"/w=="}}`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		r, err := Read(bytes.NewReader(zipped(plain)))
		if err != nil {
			return
		}
		b, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(bytes.NewReader(b))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v becomes %+v, %v", r, again, err)
		}
	})
}
