package main

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// TestWireRules gives objects headers by pattern, and other ones by a copy of the object to
// itself when the rules change.
func TestWireRules(t *testing.T) {
	w := newWire(t)
	for _, name := range []string{"index.html", "img/a.png", "style.css"} {
		w.write("d/"+name, name)
	}
	cached, meta := said{"Cache-Control": "max-age=1"}, said{"X-Amz-Meta-Team": "web"}
	page, image, style := said{"Content-Type": "text/html"}, said{"Content-Type": "image/png"}, said{"Content-Type": "text/css"}
	class := said{"X-Amz-Storage-Class": "STANDARD_IA"}
	rules := "/*\n  Cache-Control: max-age=1\n  X-Amz-Meta-Team: web\n"
	w.write("rules", rules)
	sync := "d s3://here/p --headers-from rules --content-language la "
	said1 := said{"Content-Language": "la"}
	w.sync(sync + "--storage-class STANDARD_IA")
	for key, s := range map[string]said{"p/index.html": page, "p/img/a.png": image, "p/style.css": style} {
		w.says("PutObject", key, s, cached, meta, said1, class)
	}

	// The same rules again, and in other words.
	w.sync(sync)
	w.asks("")
	w.write("rules", "# pages and all else\n/*\n  x-amz-meta-team: web\n\n*\n\tcache-control:   max-age=1\n")
	w.sync(sync)
	w.asks("")

	// One rule more, for pages.
	w.write("rules", rules+"/*.html\n  Cache-Control: no-cache\n  Content-Type: text/html; charset=utf-8\n")
	w.sync(sync)
	w.asks("CopyObject 1, HeadObject 1")
	self := said{"X-Amz-Copy-Source": "here/p/index.html", "X-Amz-Metadata-Directive": "REPLACE"}
	w.says("CopyObject", "p/index.html", self, said{"Cache-Control": "no-cache", "Content-Type": "text/html; charset=utf-8"}, meta, said1, class)
	w.sync(sync)
	w.asks("")

	// A file of another content is put, and gets the headers with it.
	w.write("d/index.html", "new")
	w.sync(sync)
	w.asks("PutObject 1")
	w.says("PutObject", "p/index.html", said{"Cache-Control": "no-cache", "Content-Type": "text/html; charset=utf-8"}, meta, said1)

	// The rule is taken back.
	w.write("rules", rules)
	w.sync(sync)
	w.asks("CopyObject 1, HeadObject 1")
	w.says("CopyObject", "p/index.html", self, page, cached, meta, said1)

	// Terms that are asked for are those of the copies, and nothing is copied in a dry run.
	w.write("rules", rules+"/*.css\n  Expires: 0\n")
	w.sync(sync + "--dryrun")
	w.asks("")
	w.sync(sync + "--acl public-read --sse")
	terms := said{"X-Amz-Acl": "public-read", "X-Amz-Server-Side-Encryption": "AES256"}
	self["X-Amz-Copy-Source"] = "here/p/style.css"
	w.says("CopyObject", "p/style.css", self, style, cached, meta, said1, class, terms, said{"Expires": "Thu, 01 Jan 1970 00:00:00 GMT"})
	if o, _ := w.server.Object("here", "p/style.css"); string(o.Body) != "style.css" || o.Class != "STANDARD_IA" {
		t.Errorf("the object is %+v", o)
	}

	// Metadata are taken back like all else.
	w.write("rules", "/*\n  Cache-Control: max-age=1\n/*.css\n  Expires: 0\n")
	w.sync(sync)
	w.asks("CopyObject 3, HeadObject 3")
	self["X-Amz-Copy-Source"] = "here/p/img/a.png"
	w.says("CopyObject", "p/img/a.png", self, image, cached, said1, class)

	// Without the option headers are nobody's business.
	w.sync("d s3://here/p")
	w.asks("")
}

// asks checks what requests there were about objects of the tree.
func (w *wire) asks(want string) {
	w.t.Helper()
	if got := w.counts(); got != want {
		w.t.Errorf("the requests were %q, want %q", got, want)
	}
}

// TestWireSite transfers pages when all else is there, and deletes at the end.
func TestWireSite(t *testing.T) {
	w := newWire(t)
	for _, name := range []string{"a.html", "b/c.xhtml", "img/z.png", "m.js", "z.html", "zz.css"} {
		w.write("d/"+name, name)
	}
	w.server.Put("here", "old.html", flat.Object{Body: []byte("x")})
	w.server.Put("here", "old.css", flat.Object{Body: []byte("x")})
	w.sync("d s3://here --order site --delete")
	stage, last := map[string]int{"PutObject": 0, "DeleteObject": 2}, 0
	for _, r := range w.server.Requests() {
		if strings.HasPrefix(r.Key, ".merkur/") || r.Operation != "PutObject" && r.Operation != "DeleteObject" {
			continue
		}
		now := stage[r.Operation]
		if r.Operation == "PutObject" && strings.HasSuffix(r.Key, "html") {
			now = 1
		}
		if now < last {
			t.Errorf("%s %s comes too late", r.Operation, r.Key)
		}
		last = now
	}
	w.asks("DeleteObject 2, PutObject 6")
}

// TestWireSiteHeldBack fails to put an asset: then no page that may need it is put, and nothing
// is deleted.
func TestWireSiteHeldBack(t *testing.T) {
	w := newWire(t)
	for _, name := range []string{"a.html", "m.js", "zz.css"} {
		w.write("d/"+name, name)
	}
	w.server.Put("here", "old.css", flat.Object{Body: []byte("x")})
	w.server.Fail(func(r flat.Request) *flat.Failure {
		if r.Operation == "PutObject" && r.Key == "zz.css" {
			return &flat.Failure{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return nil
	})
	o := w.run(strings.Fields("sync d s3://here --order site --delete")...)
	if o.code != exitFailed || !strings.Contains(o.errors, "upload failed: d/zz.css") {
		t.Errorf("exit code %d\n%s%s", o.code, o.out, o.errors)
	}
	for _, key := range []string{"a.html", "old.css"} {
		if _, ok := w.server.Object("here", key); ok != (key == "old.css") {
			t.Errorf("that %s is there is %v", key, ok)
		}
	}
	w.server.Fail(nil)
	w.sync("d s3://here --order site --delete")
	w.asks("DeleteObject 1, PutObject 2")
}

// TestWireDryRun writes nothing, in any direction.
func TestWireDryRun(t *testing.T) {
	w := newWire(t)
	w.tree()
	w.write("rules", "/*\n  Cache-Control: x\n")
	w.write("here/old", "x")
	w.server.Put("here", "old", flat.Object{Body: []byte("x")})
	w.sources(nil)
	w.server.Put("there", "k", flat.Object{Body: []byte("k")})
	w.write("k/a.txt", "text")
	w.sync("k s3://there/kept")
	w.write("k/a.txt", "changed")
	before := w.files()
	for _, args := range []string{
		"d s3://here", "d s3://here --delete", "d s3://there/kept --delete", "k s3://there/kept --headers-from rules", "d s3://there --delete --rebuild-manifest",
		"s3://here here", "s3://here here --delete", "s3://here/p k", "s3://there/kept k --delete",
		"s3://here s3://there", "s3://here s3://there/kept --delete", "s3://here/p s3://there --cache-control x",
		"d s3://here --order site", "d s3://here --compare aws --delete", "s3://here here --compare exact --delete",
	} {
		o := w.sync(args + " --dryrun --max-delete 100% --allow-empty-source" + parts)
		for op, n := range w.server.Counts() {
			if !slices.Contains([]string{"ListObjectsV2", "GetObject", "HeadObject"}, op) {
				t.Errorf("%s: %d %s", args, n, op)
			}
		}
		for line := range strings.Lines(o.out) {
			if !strings.HasPrefix(line, "(dryrun) ") {
				t.Errorf("%s: prints %q", args, line)
			}
		}
		if o.out == "" {
			t.Errorf("%s: has nothing to do", args)
		}
	}
	if after := w.files(); !slices.Equal(before, after) {
		t.Errorf("there are other files: %.2000q", after)
	}
}

// TestWireNoOverwrite transfers only what the destination does not have, in any direction and
// whatever else says how to compare; and sends no condition for that, as aws does not.
func TestWireNoOverwrite(t *testing.T) {
	for _, how := range []string{"", " --compare aws", " --size-only", " --exact-timestamps"} {
		w := newWire(t)
		for _, name := range []string{"both", "missing"} {
			w.write("d/"+name, "longer")
			w.server.Put("here", name, flat.Object{Body: []byte("longer")})
		}
		w.write("e/both", "old")
		w.server.Put("there", "up/both", flat.Object{Body: []byte("old")})
		w.server.Put("there", "across/both", flat.Object{Body: []byte("old")})
		for paths, want := range map[string]string{
			"d s3://there/up": "PutObject missing", "s3://here e": "GetObject missing", "s3://here s3://there/across": "CopyObject missing",
		} {
			w.sync(paths + " --no-overwrite" + how)
			var got []string
			for _, r := range w.asked(false) {
				if r.Operation != "HeadObject" {
					got = append(got, r.Operation+" "+path.Base(r.Key))
				}
				if how != "" && r.Header.Get("If-None-Match") != "" {
					t.Errorf("%s%s: %s has a condition", paths, how, r.Operation)
				}
			}
			if !slices.Equal(got, []string{want}) {
				t.Errorf("%s%s: asks for %q, want %s", paths, how, got, want)
			}
		}
		if got := w.read("e/both") + w.read("e/missing"); got != "oldlonger" {
			t.Errorf("%s: the files hold %q", how, got)
		}
	}
}

// files are those in the directory of the program with what is in them, but for what the program
// keeps for itself.
func (w *wire) files() []string {
	var list []string
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == "cache", d.Name() == "state":
			return filepath.SkipDir
		case d.IsDir():
			list = append(list, path)
			return nil
		}
		body, err := os.ReadFile(path)
		list = append(list, path+" "+string(body))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// TestWireRanges moves a large object in parts that are of one object, and names what it
// replaces and deletes.
func TestWireRanges(t *testing.T) {
	w := newWire(t)
	w.write("d/a.txt", "text")
	w.write("d/z.bin", large)
	w.sync("d s3://here" + twoParts)
	etag := func(bucket, key string) string { o, _ := w.server.Object(bucket, key); return `"` + o.ETag + `"` }
	ranges := map[string]bool{"bytes=0-5242879": true, "bytes=5242880-5242880": true}
	w.sync("s3://here s3://there" + twoParts)
	got := map[string]bool{}
	for _, r := range w.asked(false) {
		if r.Operation == "UploadPartCopy" {
			got[r.Header.Get("X-Amz-Copy-Source-Range")] = r.Header.Get("X-Amz-Copy-Source-If-Match") == etag("here", "z.bin")
		}
	}
	if !maps.Equal(got, ranges) {
		t.Errorf("copied are the parts %v", got)
	}
	w.sync("s3://there e" + twoParts)
	got = map[string]bool{}
	for _, r := range w.asked(false) {
		if r.Operation == "GetObject" && r.Key == "z.bin" {
			got[r.Header.Get("Range")] = r.Header.Get("If-Match") == etag("there", "z.bin")
		}
	}
	if !maps.Equal(got, ranges) {
		t.Errorf("downloaded are the parts %v", got)
	}
	old := map[string]string{"a.txt": etag("here", "a.txt"), "z.bin": etag("here", "z.bin")}
	w.write("new/z.bin", large[1:]+"?")
	w.sync("new s3://here --delete" + twoParts)
	for _, r := range w.asked(false) {
		if r.Operation == "DeleteObject" || r.Operation == "CompleteMultipartUpload" {
			if got := r.Header.Get("If-Match"); got != old[r.Key] {
				t.Errorf("%s %s is made if there is %s, want %s", r.Operation, r.Key, got, old[r.Key])
			}
			delete(old, r.Key)
		}
	}
	if len(old) > 0 {
		t.Errorf("nothing is done about %v", old)
	}
}
