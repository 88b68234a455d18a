package main

import (
	"strings"
	"testing"
)

// What every upload says of a type; what else a row says comes on top.
var (
	plainText = said{"Content-Type": "text/plain"}
	octets    = said{"Content-Type": "application/octet-stream"}
	xmlBody   = said{"Content-Type": "application/xml"} // of the SDK, for what it sends itself
)

// TestWireUpload uploads a small file, and one in parts, with each option that has an effect on
// the requests.
func TestWireUpload(t *testing.T) {
	for _, c := range []struct {
		name, args string
		object     said // of the requests that begin an object: PutObject and CreateMultipartUpload
		typed      bool // object has the type
		rest       said // of the others about the upload
		own        said // of the manifest
	}{
		{name: "nothing"},
		{name: "acl", args: "--acl public-read", object: said{"X-Amz-Acl": "public-read"}},
		{
			name: "acl of the owner", args: "--acl=bucket-owner-full-control",
			object: said{"X-Amz-Acl": "bucket-owner-full-control"}, own: said{"X-Amz-Acl": "bucket-owner-full-control"},
		},
		{
			name: "grants", args: "--grants read=id=1 full=id=2,id=3 readacl=uri=http://acs.amazonaws.com/groups/global/AllUsers writeacl=id=4",
			object: said{
				"X-Amz-Grant-Read": "id=1", "X-Amz-Grant-Full-Control": "id=2,id=3",
				"X-Amz-Grant-Read-Acp": "uri=http://acs.amazonaws.com/groups/global/AllUsers", "X-Amz-Grant-Write-Acp": "id=4",
			},
		},
		{
			name: "encryption without a value", args: "--sse",
			object: said{"X-Amz-Server-Side-Encryption": "AES256"}, own: said{"X-Amz-Server-Side-Encryption": "AES256"},
		},
		{
			name: "encryption", args: "--sse AES256",
			object: said{"X-Amz-Server-Side-Encryption": "AES256"}, own: said{"X-Amz-Server-Side-Encryption": "AES256"},
		},
		{
			name: "encryption with a key", args: "--sse aws:kms --sse-kms-key-id k",
			object: said{"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "k"},
			own:    said{"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "k"},
		},
		{name: "key of the customer", args: "--sse-c --sse-c-key fileb://key1", object: customer1, rest: customer1},
		{name: "key at home", args: "--sse-c AES256 --sse-c-key fileb://~/key1", object: customer1, rest: customer1},
		{name: "class", args: "--storage-class STANDARD_IA", object: said{"X-Amz-Storage-Class": "STANDARD_IA"}},
		{
			name: "headers",
			args: "--cache-control max-age=1 --content-type text/x --content-encoding gzip --content-disposition inline --content-language la " +
				"--expires 2099-01-01T00:00:00Z --metadata k=v,Other=w --website-redirect http://x/",
			object: said{
				"Cache-Control": "max-age=1", "Content-Type": "text/x", "Content-Encoding": "gzip", "Content-Disposition": "inline",
				"Content-Language": "la", "Expires": "Thu, 01 Jan 2099 00:00:00 GMT", "X-Amz-Meta-K": "v", "X-Amz-Meta-Other": "w",
				"X-Amz-Website-Redirect-Location": "http://x/",
			},
			typed: true,
		},
		{
			name: "other forms of headers", args: `--expires 4070908800 --metadata {"k":"v=1,2"} --website-redirect /x --cache-control=file://$HOME/text`,
			object: said{
				"Expires": "Thu, 01 Jan 2099 00:00:00 GMT", "X-Amz-Meta-K": "v=1,2",
				"X-Amz-Website-Redirect-Location": "/x", "Cache-Control": "of the file",
			},
		},
		{name: "no types", args: "--no-guess-mime-type", typed: true},
		{
			name: "who pays", args: "--request-payer", object: said{"X-Amz-Request-Payer": "requester"},
			rest: said{"X-Amz-Request-Payer": "requester"}, own: said{"X-Amz-Request-Payer": "requester"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t)
			w.tree()
			w.write("key1", key1)
			w.write("text", "of the file")
			w.sync("d s3://here/p" + parts + c.args)
			small, big := plainText, octets
			if c.typed {
				small, big = nil, nil
			}
			w.says("PutObject", "p/a.txt", small, c.object)
			w.says("CreateMultipartUpload", "p/z.bin", big, c.object)
			w.says("UploadPart", "p/z.bin", c.rest)
			w.says("CompleteMultipartUpload", "p/z.bin", xmlBody, c.rest)
			w.saysOfItself(c.own)
		})
	}
}

// TestWireChecksums has the server verify uploads by each algorithm that it knows.
func TestWireChecksums(t *testing.T) {
	for _, name := range []string{"CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256", "SHA512"} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			w.tree()
			w.sync("d s3://here" + parts + "--checksum-algorithm " + name)
			header := checksumHeader(name)
			o, _ := w.server.Object("here", "a.txt")
			w.says("PutObject", "a.txt", plainText, said{"X-Amz-Sdk-Checksum-Algorithm": name, header: o.Checksums[name]})
			create := said{"X-Amz-Checksum-Algorithm": name}
			if name == "CRC64NVME" {
				create["X-Amz-Checksum-Type"] = "FULL_OBJECT"
			}
			w.says("CreateMultipartUpload", "z.bin", octets, create)
			for _, r := range w.asked(false) {
				if r.Operation == "UploadPart" && (r.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != name || r.Header.Get(header) == "") {
					t.Errorf("UploadPart says %v", headersOf(r))
				}
			}
			o, _ = w.server.Object("here", "z.bin")
			if len(o.Parts) != 1 || o.Checksums[name] == "" {
				t.Errorf("there are %d parts, and the checksums %v", len(o.Parts), o.Checksums)
			}
		})
	}
}

// TestWireNewChecksums names the algorithms that the server in memory does not know. The sums are
// those that are published for no bytes at all.
func TestWireNewChecksums(t *testing.T) {
	for name, sum := range map[string]string{"XXHASH64": "70bbN1HY6Zk=", "XXHASH3": "LQaABTjTlMI=", "XXHASH128": "maoG0wFHmNhgAcMkRo1Jfw=="} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			w.write("d/empty.txt", "")
			w.write("d/z.bin", long)
			w.run(strings.Fields("sync d s3://here" + parts + "--checksum-algorithm " + name)...)
			w.says("PutObject", "empty.txt", plainText, said{"X-Amz-Sdk-Checksum-Algorithm": name, checksumHeader(name): sum})
			w.says("CreateMultipartUpload", "z.bin", octets, said{"X-Amz-Checksum-Algorithm": name})
		})
	}
}

func checksumHeader(algorithm string) string {
	return "X-Amz-Checksum-" + algorithm[:1] + strings.ToLower(algorithm[1:])
}

// TestWireTypes guesses types by extensions.
func TestWireTypes(t *testing.T) {
	w := newWire(t)
	types := map[string]string{
		"a.html": "text/html", "a.css": "text/css", "a.js": "text/javascript", "a.JSON": "application/json", "a.png": "image/png",
		"a.svg": "image/svg+xml", "a.tar.gz": "application/x-tar", "a.woff2": "font/woff2", "none": "", "a.unheardof": "",
	}
	for name := range types {
		w.write("d/"+name, "x")
	}
	w.sync("d s3://here")
	for name, want := range types {
		s := said{"Content-Type": want}
		if want == "" {
			s = nil
		}
		w.says("PutObject", name, s)
	}
}

// TestWireParts moves objects in parts of the size that the settings say, wherever they stand.
func TestWireParts(t *testing.T) {
	for _, c := range []struct {
		name, config, args string
		env                []string
		want               int // parts; 0: the object is put at once
	}{
		{name: "nothing said"},
		{name: "options", args: twoParts, want: 2},
		{name: "threshold above", args: "--multipart-threshold 6MB"},
		{name: "parts larger", args: "--multipart-threshold 5MB --multipart-chunksize 6MB", want: 1},
		{name: "file", config: "[default]\ns3 =\n  multipart_threshold = 5MB\n  multipart_chunksize = 5MB\n", want: 2},
		{name: "file and profile", config: "[default]\n[profile p]\naws_access_key_id = k\naws_secret_access_key = s\ns3 =\n  multipart_threshold = 5MB\n  multipart_chunksize = 5MB\n", args: "--profile p", want: 2},
		{name: "other profile", config: "[default]\n[profile p]\ns3 =\n  multipart_threshold = 5MB\n", args: ""},
		{name: "environment", env: []string{"AWS_MULTIPART_THRESHOLD=5MB", "AWS_MULTIPART_CHUNKSIZE=5242880"}, want: 2},
		{name: "environment over file", config: "[default]\ns3 =\n  multipart_threshold = 5MB\n", env: []string{"AWS_MULTIPART_THRESHOLD=6MB"}},
		{name: "option over all", config: "[default]\ns3 =\n  multipart_threshold = 1GB\n", env: []string{"AWS_MULTIPART_THRESHOLD=1GB"}, args: twoParts, want: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t)
			w.write("d/z.bin", large)
			w.write("config", c.config)
			w.set("AWS_CONFIG_FILE=" + w.path("config"))
			w.set(c.env...)
			w.sync("d s3://here " + c.args)
			if o, ok := w.server.Object("here", "z.bin"); !ok || len(o.Parts) != c.want || len(o.Body) != len(large) {
				t.Errorf("the object has %d bytes in %v, want %d parts", len(o.Body), o.Parts, c.want)
			}
			n := w.server.Counts()
			if got := n["UploadPart"]; got != c.want || c.want == 0 && n["CreateMultipartUpload"] > 0 {
				t.Errorf("the requests were %v", n)
			}
		})
	}
}
