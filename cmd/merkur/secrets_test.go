package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"merkur/store/bucket/buckettest/flat"
)

// The secrets of a user, each of which can be told from all else.
const (
	secretKey      = "qUiEtSeCrEt/kEy+wItH/sIgNs0123456789abcd"
	secretToken    = "FwoGqUiEtToKeN//////////wEaDPlus+and/Equals=="
	secretCustomer = "qUiEt+CuStOmEr/kEy+0123456789abc"
	secretSource   = "qUiEt+SoUrCe/cUsToMeR+kEy+012345"
	secretSeal     = "qUiEt+SeAl/oF+mAnIfEsTs+01234567"
	secretDoor     = "qUiEt-dOoR-pAsSwOrD" // in the URL of an endpoint
	secretProxy    = "qUiEt-pRoXy-pAsSwOrD"
)

var secrets = map[string]string{
	"secret access key": secretKey, "session token": secretToken, "customer's key": secretCustomer,
	"source's customer's key": secretSource, "key of manifests": secretSeal, "password of the endpoint": secretDoor,
	"password of the proxy": secretProxy,
}

// formsOf are the ways in which a secret may be written.
func formsOf(secret string) [][]byte {
	b := []byte(secret)
	lower := hex.EncodeToString(b)
	return [][]byte{
		b, []byte(lower), []byte(strings.ToUpper(lower)),
		[]byte(base64.RawStdEncoding.EncodeToString(b)), []byte(base64.RawURLEncoding.EncodeToString(b)),
		[]byte(url.QueryEscape(secret)), []byte(url.PathEscape(secret)),
	}
}

// A safe watches that no secret comes out.
type safe struct {
	*wire
	done, failed int
}

// clean fails if there is a secret in some text, or in what it holds compressed, or a signature.
func (s *safe) clean(where string, text []byte) {
	s.t.Helper()
	for _, text := range append(unpacked(text), text) {
		for name, secret := range secrets {
			for _, form := range formsOf(secret) {
				if at := bytes.Index(text, form); at >= 0 {
					s.t.Errorf("%s shows the %s: %q", where, name, text[max(at-100, 0):min(at+100, len(text))])
					break
				}
			}
		}
		for _, mark := range []string{"Signature=", "X-Amz-Security-Token", "Authorization"} {
			if bytes.Contains(text, []byte(mark)) {
				s.t.Errorf("%s shows %s", where, mark)
			}
		}
	}
}

// unpacked are all frames of zstd in some bytes.
func unpacked(b []byte) (texts [][]byte) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20))
	if err != nil {
		return nil
	}
	defer d.Close()
	magic := []byte{0x28, 0xb5, 0x2f, 0xfd}
	for at := bytes.Index(b, magic); at >= 0; {
		text, _ := d.DecodeAll(b[at:], nil) // what follows the frame is an error, and the text is there
		texts = append(texts, text)
		next := bytes.Index(b[at+1:], magic)
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return texts
}

// try runs a command, which may fail, and looks at what it prints, in words and in JSON.
func (s *safe) try(line string) {
	s.t.Helper()
	for _, more := range []string{" --debug", " --output json --debug", ""} {
		args := strings.Fields(line + more)
		if args[0] == "sync" {
			args = append(args, "--log-file", "log", "--summary")
		}
		o := s.run(args...)
		s.clean(line+more, []byte(o.out+o.errors))
		if s.done++; o.code != exitDone {
			s.failed++
		}
		if more == "" && strings.HasPrefix(o.errors, "panic") {
			s.t.Errorf("%s: %s", line, o.errors)
		}
	}
}

// everywhere looks at all files that were made, and at all objects of the program itself, which have
// to be a few.
func (s *safe) everywhere(least int, servers ...*flat.Server) {
	s.t.Helper()
	seen := 0
	for _, dir := range []string{"cache", "state", "log", "tmp", "saved"} {
		filepath.WalkDir(s.path(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // not made
			}
			b, err := os.ReadFile(path)
			if err != nil {
				s.t.Error(err)
			}
			seen++
			s.clean(path, b)
			return nil
		})
	}
	for _, server := range servers {
		for _, bucket := range []string{"here", "there"} {
			for _, key := range server.Keys(bucket) {
				o, _ := server.Object(bucket, key)
				seen++
				s.clean(key, o.Body)
				s.clean(key, []byte(strings.Join(headersInWords(o), "\n")))
			}
		}
	}
	if seen < least {
		s.t.Errorf("only %d files and objects were looked at", seen)
	}
}

func headersInWords(o flat.Object) (words []string) {
	for name, values := range o.Headers {
		if !strings.Contains(name, "Customer-Key") { // the double keeps what a server keeps to itself
			words = append(words, name+": "+strings.Join(values, ","))
		}
	}
	return words
}

func newSafe(t *testing.T) *safe {
	s := &safe{wire: newWire(t)}
	s.tree()
	s.write("key1", secretCustomer)
	s.write("key2", secretSource)
	s.write("seal", secretSeal)
	s.write("seal.hex", hex.EncodeToString([]byte(secretSeal)))
	s.write("seal.bad", secretSeal+"and too much")
	if err := os.Mkdir(s.path("tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"seal", "seal.hex"} {
		if err := os.Chmod(s.path(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.set("TMPDIR="+s.path("tmp"), "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_SESSION_TOKEN="+secretToken)
	return s
}

// TestSecretsStayIn runs all kinds of commands that succeed and that fail, and looks for the secrets
// that they are given in everything that is printed, logged, kept and stored.
func TestSecretsStayIn(t *testing.T) {
	s := newSafe(t)
	other := flat.Start(t, "here", "there")
	door := strings.Replace(s.server.URL, "://", "://user:"+secretDoor+"@", 1)
	customer := " --sse-c --sse-c-key fileb://key1"
	for _, line := range []string{
		"sync d s3://here/a --sample-share 1 --audit=full",
		"sync d s3://here/a --delete --dryrun --rebuild-manifest",
		"sync d s3://here/c" + customer + parts,
		"sync s3://here/c e" + customer,
		"sync d s3://here/s --manifest-key seal",
		"sync d s3://here/s --manifest-key seal.hex --rehash",
		"sync s3://here/s f --manifest-key seal",
		"sync s3://here/s s3://here/t --manifest-key seal",
		"sync s3://here/c s3://there/c" + customer + " --sse-c-copy-source --sse-c-copy-source-key fileb://key1",
		"sync s3://here/a s3://there/r --source-endpoint-url " + door + " --endpoint-url " + other.URL,
		"sync s3://here/a s3://here/u --endpoint-url " + door,
		"sync d s3://here/v --endpoint-url " + door,
		"sync s3://here/a g --endpoint-url " + door + " --no-sign-request",
		"sync d s3://here/l --compare etag" + customer,
		"verify s3://here/a --data", "verify s3://here/c" + customer + " --data", "verify d s3://here/a --endpoint-url " + door,
		"diff d s3://here/a --endpoint-url " + door, "ls s3://here/a --endpoint-url " + door, "root s3://here/a", "explain d/a.txt s3://here/a --endpoint-url " + door,
		"root s3://here/a --save saved",

		"sync d s3://here/c --sse-c --sse-c-key fileb://key2",
		"sync s3://here/c h --sse-c --sse-c-key fileb://key2",
		"sync d s3://here/c --sse-c --sse-c-key " + secretCustomer + "x",
		"sync d s3://here/c --sse-c --sse-c-keys=" + secretCustomer,
		"sync d s3://here/c --sse-c=" + secretCustomer,
		"sync d s3://here/c --sse-c-key=" + secretCustomer,
		"sync s3://here/c s3://here/x --sse-c-copy-source-key " + secretSource,
		"sync d s3://here/s --manifest-key " + secretSeal,
		"sync d s3://here/s --manifest-key " + hex.EncodeToString([]byte(secretSeal)),
		"sync d s3://here/s --manifest-key seal.bad",
		"sync d s3://here/s",
		"sync d s3://here/v --endpoint-url http://user:" + secretDoor + "@127.0.0.1:1",
		"sync d s3://here/v --endpoint-url http://user:" + secretDoor + "@127.0.0.1:port",
		"sync d s3://here/v --endpoint-url http://user:" + secretDoor + "@127.0.0.1:1/%zz",
		"sync d s3://here/v --endpoint-url http://user:" + secretDoor + "@[::1",
		"sync d s3://here/v --endpoint-url user:" + secretDoor + "@127.0.0.1",
		"sync d s3://here/v --endpoint-url ftp://user:" + secretDoor + "@127.0.0.1",
		"ls s3://here/v --endpoint-url http://user:" + secretDoor + "@127.0.0.1:port",
		"verify s3://here/v --endpoint-url ftp://user:" + secretDoor + "@127.0.0.1",
		"sync s3://here/a s3://there/r --source-endpoint-url http://user:" + secretDoor + "@127.0.0.1:1",
		"sync s3://here/a s3://there/r --source-endpoint-url http://user:" + secretDoor + "@127.0.0.1:port",
	} {
		s.try(line)
	}
	if s.failed < 15 || s.done-s.failed < 30 {
		t.Errorf("of %d commands %d fail", s.done, s.failed)
	}
	s.everywhere(50, s.server, other)
}

// TestSecretsStayInWithBadServers has the server, the network, the proxy and the files of aws be what
// they should not.
func TestSecretsStayInWithBadServers(t *testing.T) {
	s := newSafe(t)
	s.sync("d s3://here/a --manifest-key seal")
	for _, f := range []*flat.Failure{
		{Status: 403, Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match the signature you provided."},
		{Status: 400, Code: "ExpiredToken", Message: "The provided token has expired."},
		{Status: 301, Code: "PermanentRedirect", Message: "elsewhere"},
	} {
		s.server.Fail(func(r flat.Request) *flat.Failure {
			if r.Header.Get("X-Amz-Security-Token") == "" {
				t.Error("the token is not sent, so that nothing is tried here")
			}
			return f
		})
		s.try("sync d s3://here/a --manifest-key seal")
		s.try("sync s3://here/a e")
		s.try("ls s3://here/a")
	}
	s.server.Fail(nil)

	s.child = true // a process reads its proxies once
	s.set("AWS_ENDPOINT_URL=http://s3.invalid")
	for _, proxy := range []string{"http://user:" + secretProxy + "@127.0.0.1:1", "http://user:" + secretProxy + "@127.0.0.1:port", "ftp://user:" + secretProxy + "@127.0.0.1:1"} {
		s.set("HTTP_PROXY="+proxy, "http_proxy="+proxy)
		s.try("sync d s3://here/a")
		s.try("sync s3://here/a e")
	}
	s.set("HTTP_PROXY=", "http_proxy=", "AWS_ENDPOINT_URL="+s.server.URL, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=")
	for _, text := range []string{
		"[default]\naws_access_key_id = test\naws_secret_access_key " + secretKey + "\n",
		"[default\naws_secret_access_key = " + secretKey + "\n",
		"aws_secret_access_key = " + secretKey + "\n",
		"[default]\naws_access_key_id = test\naws_secret_access_key = " + secretKey + "\naws_session_token\n = " + secretToken + "\n",
		"[default]\naws_access_key_id = " + secretKey + "\n",
		"[default]\ncredential_process = sh -c \"echo '" + secretKey + "'; exit 1\"\n",
		"[default]\ncredential_process = sh -c \"echo '{" + secretKey + "}'\"\n",
		"[default]\ns3 =\n  aws_secret_access_key = " + secretKey + "\n  max_bandwidth\n = " + secretKey + "\n",
		"[default]\nendpoint_url = http://user:" + secretDoor + "@127.0.0.1:port\naws_access_key_id = test\naws_secret_access_key = " + secretKey + "\n",
	} {
		s.write("aws", text)
		s.set("AWS_SHARED_CREDENTIALS_FILE="+s.path("aws"), "AWS_CONFIG_FILE="+s.path("aws"))
		s.try("sync d s3://here/a")
		s.try("ls s3://here/a")
	}
	s.set("AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_ENDPOINT_URL=http://user:"+secretDoor+"@127.0.0.1:port")
	s.try("sync d s3://here/a")
	s.try("ls s3://here/a")
	s.everywhere(5)
}
