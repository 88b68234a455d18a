package main

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// TestWireSecrets says no key where it is not needed, and prints none.
func TestWireSecrets(t *testing.T) {
	w := newWire(t)
	w.tree()
	w.write("key1", key1)
	secrets := []string{key1, customer1["X-Amz-Server-Side-Encryption-Customer-Key"], "testtest", "Signature="}
	one := " --sse-c --sse-c-key fileb://key1 "
	for _, args := range []string{
		"d s3://here" + parts + one,
		"s3://here e" + parts + one,
		"s3://here s3://there --sse-c-copy-source --sse-c-copy-source-key fileb://key1" + parts,
		"d s3://there/x --sse-c --sse-c-key " + key1,
	} {
		o := w.sync(args + " --debug")
		for _, secret := range secrets {
			if strings.Contains(o.out+o.errors, secret) {
				t.Errorf("%s: prints %q", args, secret)
			}
		}
		for _, r := range w.server.Requests() {
			keyed := r.Header.Get("X-Amz-Server-Side-Encryption-Customer-Key") != ""
			needed := r.Operation != "ListObjectsV2" && r.Operation != "DeleteObject" && r.Operation != "GetObjectTagging"
			if keyed && (!needed || strings.Contains(r.Key, ".merkur/")) {
				t.Errorf("%s: %s %s has the key", args, r.Operation, r.Key)
			}
		}
	}
}

// TestWireKeptKeys gives an object that a key encrypts other headers under that key.
func TestWireKeptKeys(t *testing.T) {
	w := newWire(t)
	w.write("d/a.txt", "text")
	w.write("key1", key1)
	w.write("rules", "/*\n  Cache-Control: a\n")
	sync := "d s3://here --headers-from rules --sse-c --sse-c-key fileb://key1"
	w.sync(sync)
	w.write("rules", "/*\n  Cache-Control: b\n")
	w.sync(sync)
	w.says("HeadObject", "a.txt", customer1)
	w.says("CopyObject", "a.txt", customer1, customer1Source, plainText, said{
		"X-Amz-Copy-Source": "here/a.txt", "X-Amz-Metadata-Directive": "REPLACE", "Cache-Control": "b",
	})
}

// TestWireRelayKeys reads with the key of the source and writes with that of the destination.
func TestWireRelayKeys(t *testing.T) {
	w := newWire(t)
	w.tree()
	w.write("key1", key1)
	w.write("key2", key2)
	source := flat.Start(t, "here")
	w.sync("d s3://here --sse-c --sse-c-key fileb://key1 --endpoint-url " + source.URL)
	source.Reset()
	w.sync("s3://here s3://there --source-endpoint-url " + source.URL + parts +
		"--sse-c --sse-c-key fileb://key2 --sse-c-copy-source --sse-c-copy-source-key fileb://key1")
	w.says("PutObject", "a.txt", plainText, customer2)
	w.says("CreateMultipartUpload", "z.bin", octets, customer2)
	w.says("UploadPart", "z.bin", customer2)
	w.says("CompleteMultipartUpload", "z.bin", xmlBody, customer2)
	w.server = source
	w.says("GetObject", "a.txt", customer1)
	w.says("GetObject", "z.bin", customer1)
}

// TestWireChecksumSettings sends checksums, and asks for them, only where the settings of aws say
// so.
func TestWireChecksumSettings(t *testing.T) {
	for _, c := range []struct {
		name, env, args, put, mode string
	}{
		{name: "nothing", put: "X-Amz-Checksum-Crc64nvme", mode: "ENABLED"},
		{name: "requests", env: "AWS_REQUEST_CHECKSUM_CALCULATION=when_required", mode: "ENABLED"},
		{name: "required but named", env: "AWS_REQUEST_CHECKSUM_CALCULATION=when_required", args: "--checksum-algorithm SHA1", put: "X-Amz-Checksum-Sha1", mode: "ENABLED"},
		{name: "answers", env: "AWS_RESPONSE_CHECKSUM_VALIDATION=when_required", put: "X-Amz-Checksum-Crc64nvme"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t)
			w.tree()
			if c.env != "" {
				w.set(c.env)
			}
			w.sync("d s3://here" + parts + c.args)
			for _, r := range w.asked(false) {
				if r.Operation != "PutObject" && r.Operation != "UploadPart" {
					continue
				}
				got := ""
				for name := range r.Header {
					if strings.HasPrefix(name, "X-Amz-Checksum-") {
						got += name
					}
				}
				if got != c.put {
					t.Errorf("%s has the checksum %q, want %q", r.Operation, got, c.put)
				}
			}
			w.sync("s3://here e" + parts)
			for _, r := range w.asked(false) {
				if got := r.Header.Get("X-Amz-Checksum-Mode"); got != c.mode {
					t.Errorf("%s has the mode %q, want %q", r.Operation, got, c.mode)
				}
			}
		})
	}
}

// TestWireSignedBodies has signatures cover the bodies where that is asked for.
func TestWireSignedBodies(t *testing.T) {
	for args, want := range map[string]string{
		"": "UNSIGNED-PAYLOAD", "--payload-signing-enabled": fmt.Sprintf("%x", sha256.Sum256([]byte("text"))), "--payload-signing-enabled=false": "UNSIGNED-PAYLOAD",
	} {
		w := newWire(t)
		w.write("d/a.txt", "text")
		w.sync("d s3://here " + args)
		for _, r := range w.asked(false) {
			if got := r.Header.Get("X-Amz-Content-Sha256"); got != want {
				t.Errorf("%s: %s is signed for %q, want %q", args, r.Operation, got, want)
			}
		}
		w.asks("PutObject 1")
	}
}

// TestWireEndpoints asks the server that the command line or the environment names, the more
// telling one first; a source in a region of its own is not behind that of the command line.
func TestWireEndpoints(t *testing.T) {
	const nobody = "http://127.0.0.1:1"
	for _, c := range []struct{ env, args, destination string }{
		{"", "--endpoint-url SERVER", "SERVER"},
		{"AWS_ENDPOINT_URL=SERVER", "", "SERVER"},
		{"AWS_ENDPOINT_URL_S3=SERVER AWS_ENDPOINT_URL=" + nobody, "", "SERVER"},
		{"AWS_ENDPOINT_URL=" + nobody, "--endpoint-url SERVER", "SERVER"},
		{"AWS_ENDPOINT_URL=SERVER", "--endpoint-url OTHER --source-region us-west-2", "OTHER"},
	} {
		w := newWire(t)
		other := flat.Start(t, "there")
		name := strings.NewReplacer("SERVER", w.server.URL, "OTHER", other.URL)
		w.server.Put("here", "a.txt", flat.Object{Body: []byte("text")})
		other.Put("here", "a.txt", flat.Object{Body: []byte("text")})
		w.set("AWS_ENDPOINT_URL=")
		w.set(strings.Fields(name.Replace(c.env))...)
		w.sync("s3://here s3://there " + name.Replace(c.args))
		if asked := len(other.Requests()) > 0; asked != (c.destination == "OTHER") || len(w.server.Requests()) == 0 {
			t.Errorf("%s: %v, %v", c.args, w.server.Counts(), other.Counts())
		}
	}
}
