package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"merkur/store/bucket/buckettest/flat"
)

// TestWirePayer says in every request who pays.
func TestWirePayer(t *testing.T) {
	w := newWire(t)
	w.tree()
	payer := func(operations ...string) {
		t.Helper()
		w.every("X-Amz-Request-Payer", "requester", operations...)
	}
	w.sync("d s3://here --request-payer" + parts)
	payer("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "ListObjectsV2")
	w.sync("s3://here s3://there --request-payer --cache-control x" + parts)
	payer("CopyObject", "UploadPartCopy", "HeadObject", "GetObjectTagging")
	w.sync("s3://there e --request-payer=requester" + parts)
	payer("GetObject")
	w.write("none/a.txt", "other")
	w.sync("none s3://there --request-payer --delete")
	payer("PutObject", "DeleteObject")
	w.sync("none s3://here")
	w.every("X-Amz-Request-Payer", "")
}

// TestWireUnsigned signs nothing, and needs no credentials.
func TestWireUnsigned(t *testing.T) {
	w := newWire(t)
	w.tree()
	w.set("AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
	w.sync("d s3://here --no-sign-request" + parts)
	w.every("Authorization", "", "PutObject", "UploadPart", "CompleteMultipartUpload", "ListObjectsV2")
	w.sync("s3://here s3://there --no-sign-request" + parts)
	w.every("Authorization", "", "CopyObject", "UploadPartCopy")
	w.sync("s3://there e --no-sign-request" + parts)
	w.every("Authorization", "", "GetObject")
	if o := w.run("sync", "d", "s3://here"); o.code != exitFailed || !strings.Contains(o.errors, "Unable to locate credentials") {
		t.Errorf("without credentials: exit code %d, %s", o.code, o.errors)
	}
}

// TestWirePages lists as many keys at once as asked for, on both sides.
func TestWirePages(t *testing.T) {
	w := newWire(t)
	for i := range 5 {
		w.server.Put("here", fmt.Sprintf("p/foo +%d", i), flat.Object{Body: []byte("x")})
		w.server.Put("there", fmt.Sprintf("foo +%d", i), flat.Object{Body: []byte("x")})
	}
	w.sync("s3://here/p s3://there --page-size 2 --compare size")
	lists := map[string]int{}
	for _, r := range w.server.Requests() {
		q := r.Query
		if r.Operation != "ListObjectsV2" || strings.HasPrefix(q.Get("prefix"), ".merkur") || strings.HasPrefix(q.Get("prefix"), "p/.merkur") {
			continue
		}
		lists[r.Bucket]++
		if q.Get("max-keys") != "2" || q.Get("encoding-type") != "url" || q.Has("continuation-token") != (lists[r.Bucket] > 1) {
			t.Errorf("the listing asks for %v", q)
		}
	}
	if want := map[string]int{"here": 3, "there": 3}; !maps.Equal(lists, want) {
		t.Errorf("there were %v listings, want %v; %v", lists, want, w.server.Counts())
	}
}

// scope is for whom and for what region a request is signed.
func scope(r flat.Request) string {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	parts := strings.Split(rest, "/")
	if len(parts) < 4 {
		return "nobody"
	}
	return parts[0] + " " + parts[2]
}

// TestWireRegions signs for the region of each side.
func TestWireRegions(t *testing.T) {
	w := newWire(t)
	w.sources(nil)
	for _, c := range []struct{ args, source, destination string }{
		{"", "test us-east-1", "test us-east-1"},
		{"--region eu-west-1", "test eu-west-1", "test eu-west-1"},
		{"--source-region us-west-2", "test us-west-2", "test us-east-1"},
		{"--source-region us-west-2 --region eu-west-1", "test us-west-2", "test eu-west-1"},
	} {
		w.server.Put("there", "p/old", flat.Object{Body: []byte("x")})
		w.sync("s3://here/p s3://there/p --cache-control x --delete --rebuild-manifest --max-delete 100% " + c.args)
		seen := map[string]bool{}
		for _, r := range w.server.Requests() {
			want := c.destination
			if r.Bucket == "here" {
				want = c.source
			}
			if got := scope(r); got != want {
				t.Errorf("%s: %s in %s is signed for %s, want %s", c.args, r.Operation, r.Bucket, got, want)
			}
			seen[r.Bucket+" "+r.Operation] = true
		}
		if !seen["here ListObjectsV2"] || !seen["there DeleteObject"] {
			t.Errorf("%s: the requests were %v", c.args, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// another runs a second server, with what is to be copied from it.
func (w *wire) another() *flat.Server {
	first := w.server
	w.server = flat.Start(w.t, "here")
	w.sources(nil)
	defer func() { w.server = first }()
	return w.server
}

// TestWireRelay copies from another server: what belongs to the objects arrives, and nobody is
// asked for what only one's own server can do.
func TestWireRelay(t *testing.T) {
	for _, c := range []struct {
		args  string
		small said
		tags  bool
	}{
		{"", ofSource, true},
		{"--content-type text/x --metadata new=x", said{"Content-Type": "text/x", "X-Amz-Meta-New": "x"}.over(without(ofSource, "X-Amz-Meta-")), true},
		{"--acl private --storage-class ONEZONE_IA --sse", said{
			"X-Amz-Acl": "private", "X-Amz-Storage-Class": "ONEZONE_IA", "X-Amz-Server-Side-Encryption": "AES256",
		}.over(ofSource), true},
		{"--copy-props metadata-directive", ofSource, false},
		{"--copy-props none --content-language x", said{"Content-Language": "x"}, false},
	} {
		t.Run(c.args, func(t *testing.T) {
			w := newWire(t)
			source := w.another()
			w.sync("s3://here/p s3://there/q --source-endpoint-url " + source.URL + parts + c.args)
			// Tags may come with the object, or after it.
			tags := said{}
			for _, r := range w.asked(false) {
				if tagging := r.Header.Get("X-Amz-Tagging"); tagging != "" {
					tags["X-Amz-Tagging"] = tagging
				}
			}
			w.says("PutObject", "q/a.txt", c.small, tags)
			w.says("CreateMultipartUpload", "q/z.bin", c.small, tags)
			for key, body := range map[string]string{"q/a.txt": "text", "q/z.bin": long} {
				o, _ := w.server.Object("there", key)
				if string(o.Body) != body || (len(o.Tags) > 0) != c.tags || c.tags && (o.Tags["tag"] != "a b" || o.Tags["plus"] != "+") {
					t.Errorf("%s has %d bytes and the tags %v", key, len(o.Body), o.Tags)
				}
			}
			for op := range source.Counts() {
				if !slices.Contains([]string{"ListObjectsV2", "GetObject", "HeadObject", "GetObjectTagging"}, op) {
					t.Errorf("the source is asked for %s", op)
				}
			}
			if n := w.counts(); strings.Contains(n, "Copy") {
				t.Errorf("the destination is asked for %s", n)
			}
		})
	}
}

// TestWireRelayWithoutTags copies from a server that knows no tags.
func TestWireRelayWithoutTags(t *testing.T) {
	w := newWire(t)
	source := w.another()
	source.Fail(func(r flat.Request) *flat.Failure {
		if r.Operation == "GetObjectTagging" {
			return &flat.Failure{Status: 501, Code: "NotImplemented", Message: "There are no tags here"}
		}
		return nil
	})
	w.sync("s3://here/p s3://there --source-endpoint-url " + source.URL + parts)
	w.says("PutObject", "a.txt", ofSource)
	w.says("CreateMultipartUpload", "z.bin", ofSource)
}

// TestWireProfiles reaches either side with a profile of its own, which says server, region and
// credentials.
func TestWireProfiles(t *testing.T) {
	w := newWire(t)
	w.child = true
	source := w.another()
	w.write(".aws/config", "[profile from]\nregion = us-west-2\nendpoint_url = "+source.URL+
		"\n[profile to]\nregion = eu-west-1\nendpoint_url = "+w.server.URL+"\n")
	w.write(".aws/credentials", "[from]\naws_access_key_id = FROM\naws_secret_access_key = x\n[to]\naws_access_key_id = TO\naws_secret_access_key = x\n")
	w.set("AWS_CONFIG_FILE=", "AWS_SHARED_CREDENTIALS_FILE=", "AWS_ENDPOINT_URL=", "AWS_REGION=", "AWS_DEFAULT_REGION=")
	w.sync("s3://here/p s3://there --source-profile from --profile to")
	for want, server := range map[string]*flat.Server{"FROM us-west-2": source, "TO eu-west-1": w.server} {
		if len(server.Requests()) == 0 {
			t.Errorf("nobody is %s", want)
		}
		for _, r := range server.Requests() {
			if scope(r) != want {
				t.Errorf("%s is signed by %s, want %s", r.Operation, scope(r), want)
			}
		}
	}
	if got := w.server.Keys("there"); !slices.Contains(got, "a.txt") || !slices.Contains(got, "z.bin") {
		t.Errorf("what is there is %q", got)
	}
}

// TestWireAtOnce makes as many requests at once as the setting says, and no more.
func TestWireAtOnce(t *testing.T) {
	for _, c := range []struct {
		n, args     string
		most, least int64
	}{{"1", "", 1, 1}, {"4", "", 5, 2}, {"4", "--max-concurrent-requests 1", 1, 1}} {
		t.Run(c.n+c.args, func(t *testing.T) {
			w := newWire(t)
			for i := range 12 {
				w.write(fmt.Sprintf("d/%d", i), fmt.Sprint(i))
			}
			w.write("d/z.bin", large)
			var now, most atomic.Int64
			slow := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/.merkur/probe/") { // races itself, once a week
					w.server.ServeHTTP(out, r)
					return
				}
				for n := now.Add(1); ; {
					if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				answer := httptest.NewRecorder()
				time.Sleep(2 * time.Millisecond) // the way there and back
				w.server.ServeHTTP(answer, r)
				now.Add(-1) // who has the answer may ask again
				maps.Copy(out.Header(), answer.Header())
				out.WriteHeader(answer.Code)
				out.Write(answer.Body.Bytes())
			}))
			defer slow.Close()
			w.set("AWS_ENDPOINT_URL="+slow.URL, "AWS_MAX_CONCURRENT_REQUESTS="+c.n)
			within := func(what string) {
				t.Helper()
				if n := most.Swap(0); n < c.least || n > c.most {
					t.Errorf("%s: %d requests at once, want %d to %d", what, n, c.least, c.most)
				}
			}
			w.sync("d s3://here " + twoParts + c.args)
			within("upload")
			w.sync("s3://here s3://there" + twoParts + c.args)
			within("copy")
			w.sync("s3://there e" + twoParts + c.args)
			within("download")
			w.write("new/a", "")
			w.sync("new s3://there --delete --max-delete 100% " + c.args)
			within("delete")
		})
	}
}

// TestWireAddressing names the bucket where the setting says. The proxy sees the names, which
// nobody has to resolve.
func TestWireAddressing(t *testing.T) {
	for _, c := range []struct{ style, host, path string }{
		{"path", "s3.example.test", "/here/a.txt"}, {"virtual", "here.s3.example.test", "/a.txt"},
	} {
		t.Run(c.style, func(t *testing.T) {
			w := newWire(t)
			w.write("d/a.txt", "text")
			var put atomic.Pointer[string]
			proxy := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/a.txt") && r.Method == http.MethodPut {
					at := r.Host + r.URL.Path
					put.Store(&at)
				}
				if !strings.HasPrefix(r.URL.Path, "/here") {
					r.URL.Path = "/here" + r.URL.Path
				}
				w.server.ServeHTTP(out, r)
			}))
			defer proxy.Close()
			w.set("AWS_ENDPOINT_URL=http://s3.example.test", "HTTP_PROXY="+proxy.URL, "NO_PROXY=", "AWS_CONFIG_FILE=")
			w.write(".aws/config", "[default]\ns3 =\n  addressing_style = "+c.style+"\n")
			w.child = true
			w.sync("d s3://here")
			if at := put.Load(); at == nil || *at != c.host+c.path {
				t.Errorf("the object is put at %v, want %s", at, c.host+c.path)
			}
		})
	}
}

// TestWireTrust believes the certificates that the command line, the environment or the configuration says, or any.
func TestWireTrust(t *testing.T) {
	w := newWire(t)
	w.child = true
	w.write("d/a.txt", "text")
	front := httptest.NewUnstartedServer(http.HandlerFunc(w.server.ServeHTTP))
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // of certificates that were refused
	front.StartTLS()
	defer front.Close()
	w.write("good.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})))
	w.write("config", "[default]\nca_bundle = "+w.path("good.pem")+"\n")
	w.set("AWS_ENDPOINT_URL="+front.URL, "AWS_MAX_ATTEMPTS=1")
	for _, c := range []struct {
		args, env string
		code      int
	}{
		{"", "", exitFailed},
		{"--no-verify-ssl", "", exitDone},
		{"--ca-bundle good.pem", "", exitDone},
		{"", "AWS_CA_BUNDLE=" + w.path("good.pem"), exitDone},
		{"", "AWS_CONFIG_FILE=" + w.path("config"), exitDone},
		{"--ca-bundle none.pem", "", exitFailed},
	} {
		t.Run(c.args+c.env, func(t *testing.T) {
			if name, value, some := strings.Cut(c.env, "="); some {
				t.Setenv(name, value)
			}
			if o := w.run(strings.Fields("sync d s3://here --no-cache " + c.args)...); o.code != c.code {
				t.Errorf("exit code %d, want %d\n%s", o.code, c.code, o.errors)
			}
		})
	}
}

// TestWireReadTimeout gives a server that does not answer up after the time that the command line says.
func TestWireReadTimeout(t *testing.T) {
	w := newWire(t)
	w.child = true
	w.write("d/a.txt", "text")
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	w.set("AWS_ENDPOINT_URL="+silent.URL, "AWS_MAX_ATTEMPTS=1")
	if o := w.run("sync", "d", "s3://here", "--cli-read-timeout", "1"); o.code != exitFailed || !strings.Contains(o.errors, "timeout") {
		t.Errorf("exit code %d, %s", o.code, o.errors)
	}
}

// TestWireHosts asks the host of Amazon that the options mean. The proxy hears its name, and lets nothing through.
func TestWireHosts(t *testing.T) {
	w := newWire(t)
	w.child = true
	w.write("d/a.txt", "text")
	var host atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		host.Store(r.Host)
		out.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	w.set("AWS_ENDPOINT_URL=", "HTTPS_PROXY="+proxy.URL, "NO_PROXY=", "AWS_REGION=eu-west-1", "AWS_MAX_ATTEMPTS=1")
	for _, c := range []struct{ args, env, want string }{
		{"", "", "here.s3.eu-west-1.amazonaws.com:443"},
		{"--region cn-north-1", "", "here.s3.cn-north-1.amazonaws.com.cn:443"},
		{"--addressing-style path", "", "s3.eu-west-1.amazonaws.com:443"},
		{"--use-dualstack-endpoint", "", "here.s3.dualstack.eu-west-1.amazonaws.com:443"},
		{"", "AWS_USE_DUALSTACK_ENDPOINT=true", "here.s3.dualstack.eu-west-1.amazonaws.com:443"},
		{"--use-accelerate-endpoint", "", "here.s3-accelerate.amazonaws.com:443"},
		{"--use-accelerate-endpoint --use-dualstack-endpoint=false", "AWS_USE_DUALSTACK_ENDPOINT=true", "here.s3-accelerate.amazonaws.com:443"},
		{"", "AWS_USE_FIPS_ENDPOINT=true", "here.s3-fips.us-east-1.amazonaws.com:443"},
	} {
		t.Run(c.args+c.env, func(t *testing.T) {
			if name, value, some := strings.Cut(c.env, "="); some {
				t.Setenv(name, value)
			}
			if strings.Contains(c.env, "FIPS") {
				t.Setenv("AWS_REGION", "us-east-1") // there are none in Europe
			}
			host.Store("nobody")
			o := w.run(strings.Fields("sync d s3://here --no-cache " + c.args)...)
			if got := host.Load(); o.code != exitFailed || got != c.want {
				t.Errorf("it asks %v, want %s; exit code %d, %s", got, c.want, o.code, o.errors)
			}
		})
	}
	if o := w.run("sync", "d", "s3://here", "--use-accelerate-endpoint", "--endpoint-url", w.server.URL); o.code != exitConfig && o.code != exitUsage {
		t.Errorf("S3 Accelerate at an endpoint of one's own: exit code %d, %s", o.code, o.errors)
	}
}
