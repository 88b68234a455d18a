package main

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// TestWireUndo keeps copies of objects under odd keys and of large ones, with all that belongs to them,
// and puts them back.
func TestWireUndo(t *testing.T) {
	w := newWire(t)
	w.server.Fail(func(r flat.Request) *flat.Failure { // as of what has more than 5 GiB, which is copied in parts then
		if r.Operation == "CopyObject" && strings.HasSuffix(r.Key, "large") {
			return &flat.Failure{Status: 400, Code: "InvalidRequest", Message: "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"}
		}
		return nil
	})
	keys := []string{"../up", "a//b", "/lead", "dir", "dir/file", "ctl\x01", "é+%", "a?versionId=x", "large", "plain.html"}
	object := func(key, text string) flat.Object {
		body := text + key
		if key == "large" {
			body = strings.Repeat(text, 1000)
		}
		h := http.Header{"Content-Type": {"text/" + text}, "X-Amz-Meta-K": {text}, "Cache-Control": {"of " + text}}
		return flat.Object{Body: []byte(body), Headers: h, Tags: map[string]string{"t": text, "a b": "+"}}
	}
	for _, key := range keys {
		w.server.Put("here", "p/"+key, object(key, "old"))
		if key != "dir/file" { // which is deleted
			w.server.Put("there", "p/"+key, object(key, "newer"))
		}
	}
	w.server.Put("there", "p/created", object("created", "newer"))
	before := w.holds("p/")
	const mirror, kept = "s3://here/p", "--backup-prefix s3://there/kept"
	w.sync("s3://there/p " + mirror + " --delete --copy-props default " + kept)
	if now := w.holds("p/"); len(now) != len(keys) || now["p/large"] == before["p/large"] {
		t.Fatalf("after the sync: %v", slices.Sorted(maps.Keys(now)))
	}
	if n := w.server.Counts()["UploadPartCopy"]; n < 2 {
		t.Errorf("%d copies of parts", n)
	}
	copies := 0
	for _, key := range w.server.Keys("there") {
		if rest, ok := strings.CutPrefix(key, "kept/"); ok && !strings.Contains(rest, "/.merkur/") {
			copies++
		}
	}
	if copies != len(keys) {
		t.Errorf("%d copies of %d objects are kept", copies, len(keys))
	}
	for _, state := range []map[string]string{before, w.holds("p/"), before} {
		e := w.run(strings.Fields("undo --last " + mirror + " " + kept)...)
		if e.code != exitDone || strings.Count(e.out, "copy: s3://there/kept/2")+strings.Count(e.out, "delete: ") != len(keys)+1 {
			t.Fatalf("exit code %d\n%s%s", e.code, e.out, e.errors)
		}
		if now := w.holds("p/"); !reflect.DeepEqual(now, state) {
			for key := range state {
				if now[key] != state[key] {
					t.Errorf("%q: %.300s\nwant %.300s", key, now[key], state[key])
				}
			}
			t.Errorf("%d objects, want %d", len(now), len(state))
		}
	}
}

// holds is all that there is to objects below a prefix.
func (w *wire) holds(prefix string) map[string]string {
	all := map[string]string{}
	for _, key := range w.server.Keys("here") {
		if o, _ := w.server.Object("here", key); strings.HasPrefix(key, prefix) && !strings.Contains(key, "/.merkur/") {
			all[key] = fmt.Sprintf("%s %v %v %x", o.Class, o.Headers, o.Tags, o.Body)
		}
	}
	return all
}

// TestWireBackupCannot leaves alone what no copy can be made of, and says which request failed.
func TestWireBackupCannot(t *testing.T) {
	w := newWire(t)
	w.write("l/a", "new")
	w.server.Put("here", "p/a", flat.Object{Body: []byte("old")})
	w.server.Fail(func(r flat.Request) *flat.Failure {
		if r.Operation == "CopyObject" {
			return &flat.Failure{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return nil
	})
	e := w.run(strings.Fields("sync l s3://here/p --backup-prefix s3://there/kept")...)
	if want := "upload failed: l/a to s3://here/p/a keep a copy of it first: An error occurred (AccessDenied) when calling the CopyObject operation"; e.code != exitFailed || !strings.Contains(e.errors, want) {
		t.Errorf("exit code %d\n%s", e.code, e.errors)
	}
	if o, _ := w.server.Object("here", "p/a"); string(o.Body) != "old" {
		t.Errorf("replaced by %s", o.Body)
	}
	w.server.Fail(func(r flat.Request) *flat.Failure {
		if r.Bucket == "there" && r.Operation == "PutObject" {
			return &flat.Failure{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return nil
	})
	e = w.run(strings.Fields("sync l s3://here/p --backup-prefix s3://there/kept")...)
	if o, _ := w.server.Object("here", "p/a"); e.code != exitFailed || !strings.Contains(e.errors, "fatal error: store the record of the run kept/2") || string(o.Body) != "old" {
		t.Errorf("without a record: exit code %d, %s\n%s", e.code, o.Body, e.errors)
	}
}

// TestWireFirstRun knows a destination again where it was mirrored to before, and only there.
func TestWireFirstRun(t *testing.T) {
	w := newWire(t)
	for i := range 30 {
		w.write(fmt.Sprintf("l/%02d", i), "x")
	}
	w.server.Put("here", "p/29", flat.Object{Body: []byte("x")})
	for i := range 18 {
		w.server.Put("here", fmt.Sprintf("p/%02d", i), flat.Object{Body: []byte("x")})
	}
	e := w.run("sync", "s3://here/p", "l", "--delete")
	if want := "fatal error: too many deletes for a first run: 11 of 30 would be deleted, at most 10 may be\nhint: nothing was mirrored there before"; e.code != exitFailed || !strings.Contains(e.errors, want) {
		t.Fatalf("exit code %d\n%s", e.code, e.errors)
	}
	w.sync("s3://here/p l --no-cache")
	w.sync("s3://here/p l --delete --dryrun")
	w.set("XDG_STATE_HOME=" + w.path("another"))
	if e := w.run("sync", "s3://here/p", "l", "--delete", "--dryrun"); e.code != exitFailed || !strings.Contains(e.errors, "for a first run") {
		t.Fatalf("from another machine: exit code %d\n%s", e.code, e.errors)
	}
	w.sync("s3://here/p l --delete --max-delete 11")
}

// TestWireFirstRunTriedAgain takes the second try of a first run that did not come to its end for a first one
// too, where the manifest that it left cannot tell: of a copy from a listing, and for a strategy that lists.
func TestWireFirstRunTriedAgain(t *testing.T) {
	w := newWire(t)
	w.write("l/00", "ours")
	w.server.Put("here", "s/00", flat.Object{Body: []byte("ours")})
	for _, p := range []string{"p", "q"} {
		for i := range 11 {
			w.server.Put("here", fmt.Sprintf("%s/theirs/%02d", p, i), flat.Object{Body: []byte("theirs")})
		}
	}
	refused := func(line string) {
		t.Helper()
		if e := w.run(strings.Fields(line)...); e.code != exitFailed || !strings.Contains(e.errors, "for a first run: 11 of") {
			t.Fatalf("%s: exit code %d\n%s%s", line, e.code, e.out, e.errors)
		}
	}
	for from, to := range map[string]string{"s3://here/s": "s3://here/p", "l": "s3://here/q"} {
		for range 2 {
			refused("sync " + from + " " + to + " --delete")
		}
		refused("sync " + from + " " + to + " --delete --compare size")
		w.sync(from + " " + to)
		if e := w.sync(from + " " + to + " --delete"); strings.Count(e.out, "delete: ") != 11 {
			t.Errorf("after a run that came to its end:\n%s", e.out)
		}
	}
}
