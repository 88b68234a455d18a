package bucket_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"merkur/store/bucket"
)

// The sums of "" and "123456789", as those who made the algorithms publish them.
func TestSums(t *testing.T) {
	tests := []struct{ name, empty, digits string }{
		{"CRC32", "00000000", "cbf43926"},
		{"CRC32C", "00000000", "e3069283"},
		{"CRC64NVME", "0000000000000000", "ae8b14860a799888"},
		{"SHA1", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"},
		{"SHA256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"},
		{"SHA512", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
			"d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85"},
		{"XXHASH64", "ef46db3751d8e999", "8cb841db40e6ae83"},
		{"XXHASH3", "2d06800538d394c2", ""},
		{"XXHASH128", "99aa06d3014798d86001c324468d497f", ""},
	}
	for _, test := range tests {
		for text, want := range map[string]string{"": test.empty, "123456789": test.digits} {
			sum, err := bucket.NewSum(test.name)
			if err != nil {
				t.Fatal(err)
			}
			sum.Write([]byte(text))
			got := sum.Sum(nil)
			if want != "" && hex.EncodeToString(got) != want || len(got) != sum.Size() {
				t.Errorf("%s of %q is %x; want %s", test.name, text, got, want)
			}
		}
	}
	if _, err := bucket.NewSum("MD5"); err == nil {
		t.Error("a sum that S3 does not take")
	}
}

// Every sum that can be asked for is sent with the body and with each part.
func TestNamedSumsOnTheWire(t *testing.T) {
	for _, name := range []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"} {
		s, r := observe(t, bucket.Config{}, obliging)
		sum, err := bucket.NewSum(name)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write([]byte("123456789"))
		want := base64.StdEncoding.EncodeToString(sum.Sum(nil))
		o := bucket.PutOptions{}
		o.Checksum = name
		if _, err := s.Put(t.Context(), "key", strings.NewReader("123456789"), 9, o); err != nil {
			t.Fatal(err)
		}
		u, err := s.Upload(t.Context(), "key", o)
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Part(t.Context(), 1, strings.NewReader("123456789"), 9, 0xae8b14860a799888); err != nil {
			t.Fatal(err)
		}
		if err := u.Part(t.Context(), 2, strings.NewReader("123456780"), 9, 0xae8b14860a799888); err == nil && name != "CRC64NVME" {
			t.Errorf("%s: a part with a wrong checksum is sent", name)
		}
		if _, err := u.Complete(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, q := range r.Requests() {
			if q.Method != "PUT" || q.Query == "partNumber=2&uploadId=id&x-id=UploadPart" {
				continue
			}
			if got := q.Header.Get("X-Amz-Checksum-" + name); got != want || q.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != name || q.Size != 9 {
				t.Errorf("%s: %s says %q, %v; want %q", name, q.Kind, got, q.Header, want)
			}
		}
		begun := said(t, r, "CreateMultipartUpload")
		if kind := begun["X-Amz-Checksum-Type"]; begun["X-Amz-Checksum-Algorithm"] != name || (kind == "FULL_OBJECT") != (name == "CRC64NVME") {
			t.Errorf("begun with %v", begun)
		}
	}
}
