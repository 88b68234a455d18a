package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"merkur/store/bucket/buckettest/flat"
)

// A policy is one of IAM, as far as SECURITY.md makes use of them.
type policy struct {
	Version   string
	Statement []struct {
		Effect           string
		Action, Resource texts
		Condition        map[string]map[string]texts
	}
}

// texts are one text or several in JSON.
type texts []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// like reports whether one of them, which may end in a "*", is like the text.
func (t texts) like(text string) bool {
	return slices.ContainsFunc(t, func(pattern string) bool {
		begin, open := strings.CutSuffix(pattern, "*")
		return text == pattern || open && strings.HasPrefix(text, begin)
	})
}

// An act is something that a policy may allow: an action on a resource, with the prefix of a listing.
type act struct{ action, resource, prefix string }

func (p policy) allows(a act) bool {
	for _, s := range p.Statement {
		if s.Effect != "Allow" || !s.Action.like(a.action) || !s.Resource.like("arn:aws:s3:::"+a.resource) {
			continue
		}
		if within, some := s.Condition["StringLike"]["s3:prefix"]; !some || within.like(a.prefix) {
			return true
		}
	}
	return false
}

// actions are all that a policy speaks of.
func (p policy) actions() map[string]bool {
	all := map[string]bool{}
	for _, s := range p.Statement {
		for _, a := range s.Action {
			all[a] = true
		}
	}
	return all
}

// actionsOf are the actions that S3 asks for, by operation. A copy asks for those on its source as well.
var actionsOf = map[string]string{
	"GetObject": "s3:GetObject", "HeadObject": "s3:GetObject", "PutObject": "s3:PutObject", "CopyObject": "s3:PutObject",
	"CreateMultipartUpload": "s3:PutObject", "UploadPart": "s3:PutObject", "UploadPartCopy": "s3:PutObject", "CompleteMultipartUpload": "s3:PutObject",
	"AbortMultipartUpload": "s3:AbortMultipartUpload", "DeleteObject": "s3:DeleteObject",
	"GetObjectTagging": "s3:GetObjectTagging", "PutObjectTagging": "s3:PutObjectTagging",
}

// A guarded is a server that does what a policy allows, and nothing else.
type guarded struct {
	*wire
	policy policy

	mu   sync.Mutex
	used map[string]bool // actions
	also func(flat.Request) *flat.Failure
}

// acts are what a request comes to; none: nobody knows.
func (g *guarded) acts(r flat.Request) (list []act) {
	object := r.Bucket + "/" + r.Key
	if r.Operation == "ListObjectsV2" {
		return []act{{"s3:ListBucket", r.Bucket, r.Query.Get("prefix")}}
	}
	action, known := actionsOf[r.Operation]
	if !known {
		return nil
	}
	list = append(list, act{action: action, resource: object})
	if r.Header.Get("X-Amz-Tagging") != "" {
		list = append(list, act{action: "s3:PutObjectTagging", resource: object})
	}
	if r.Header.Get("X-Amz-Acl") != "" {
		list = append(list, act{action: "s3:PutObjectAcl", resource: object})
	}
	if from := r.Header.Get("X-Amz-Copy-Source"); from != "" {
		from, _ = url.PathUnescape(strings.TrimPrefix(from, "/"))
		list = append(list, act{action: "s3:GetObject", resource: from})
		bucket, key, _ := strings.Cut(from, "/")
		if o, _ := g.server.Object(bucket, key); len(o.Tags) > 0 && r.Operation == "CopyObject" {
			list = append(list, act{action: "s3:GetObjectTagging", resource: from}, act{action: "s3:PutObjectTagging", resource: object})
		}
	}
	return list
}

// check refuses what the policy does not allow. As at S3, who may not list is not told what is missing.
func (g *guarded) check(r flat.Request) *flat.Failure {
	if r.Operation == "DeleteObjects" {
		return nil // each of the objects is asked about by itself
	}
	denied := &flat.Failure{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
	acts := g.acts(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range acts {
		if !g.policy.allows(a) {
			return denied
		}
		g.used[a.action] = true
	}
	if len(acts) == 0 {
		return denied
	}
	if acts[0].action == "s3:GetObject" && !g.policy.allows(act{"s3:ListBucket", r.Bucket, r.Key}) {
		if _, there := g.server.Object(r.Bucket, r.Key); !there {
			return denied
		}
	}
	if g.also != nil {
		return g.also(r)
	}
	return nil
}

// allowed does what follows under the policy.
func (g *guarded) allowed(do func()) {
	g.server.Fail(g.check)
	do()
	g.server.Fail(nil)
}

// quiet runs a command that must succeed, and say nothing of what it may not do.
func (g *guarded) quiet(line string) {
	g.t.Helper()
	o := g.run(strings.Fields(line)...)
	if said := strings.ToLower(o.errors); o.code != exitDone || strings.Contains(said, "denied") || strings.Contains(said, "allow") || strings.Contains(said, "warning") {
		g.t.Errorf("%s: exit code %d\n%s%s", line, o.code, o.out, o.errors)
	}
}

// broken has an upload in parts fail, which has to be cleaned up.
func (g *guarded) broken(line string, operation string) {
	g.t.Helper()
	g.also = func(r flat.Request) *flat.Failure {
		if r.Operation == operation {
			return &flat.Failure{Status: 400, Code: "InvalidRequest", Message: "not now"}
		}
		return nil
	}
	o := g.run(strings.Fields(line)...)
	g.also = nil
	if left := g.server.Uploads("my-bucket"); o.code != exitFailed || len(left) > 0 {
		g.t.Errorf("%s: exit code %d, uploads left: %v\n%s", line, o.code, left, o.errors)
	}
}

// policies are those of SECURITY.md, by the headings that they stand under.
func policies(t *testing.T) map[string]policy {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]policy{}
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		_, rest, ok := strings.Cut(rest, "```json\n")
		body, _, closed := strings.Cut(rest, "```")
		var p policy
		if err := json.Unmarshal([]byte(body), &p); err != nil || !ok || !closed || p.Version != "2012-10-17" {
			t.Fatalf("SECURITY.md: policy %q: %v", name, err)
		}
		found[name] = p
	}
	return found
}

// policyRuns are what each policy of SECURITY.md is to be enough for. Another policy is a row here.
var policyRuns = map[string]func(g *guarded){
	"push": func(g *guarded) {
		g.allowed(func() { g.pushes("") })
	},
	"push with --delete": func(g *guarded) {
		g.allowed(func() {
			g.pushes(" --delete")
			if _, there := g.server.Object("my-bucket", "my-prefix/gone"); there {
				g.t.Error("it deletes nothing")
			}
			g.deletesMany()
		})
	},
	"pull": func(g *guarded) {
		g.sync("d s3://my-bucket/my-prefix")
		g.allowed(func() { g.pulls() })
	},
	"pull without a manifest": func(g *guarded) {
		g.server.Put("my-bucket", "my-prefix/a.txt", flat.Object{Body: []byte("text")})
		g.server.Put("my-bucket", "my-prefix/z.bin", flat.Object{Body: []byte(long)})
		g.allowed(func() { g.pulls() })
	},
	"copy": func(g *guarded) {
		for key, body := range map[string]string{"a.txt": "text", "z.bin": large, "gone": "1"} {
			g.server.Put("source-bucket", "source-prefix/"+key, flat.Object{Body: []byte(body), Tags: map[string]string{"k": "v"}})
		}
		copies := "sync s3://source-bucket/source-prefix s3://my-bucket/my-prefix --delete" + twoParts
		g.allowed(func() {
			g.broken(copies, "UploadPartCopy")
			g.quiet(copies)
			g.quiet(copies)
		})
		g.server.Put("source-bucket", "source-prefix/a.txt", flat.Object{Body: []byte("changed")})
		if code := g.run("sync", g.path("d"), "s3://source-bucket/source-prefix", "--delete").code; code != exitDone {
			g.t.Errorf("exit code %d", code) // and now the source has a manifest
		}
		g.allowed(func() {
			g.broken(copies+" --rebuild-manifest", "CopyObject")
			g.quiet(copies + " --copy-props metadata-directive --storage-class STANDARD_IA")
			g.quiet("sync s3://source-bucket/source-prefix s3://my-bucket/my-prefix/again" + twoParts)
		})
	},
	"push with --backup-prefix, and undo": func(g *guarded) {
		backup := " s3://my-bucket/my-prefix --backup-prefix s3://my-bucket/my-backup"
		g.write("d/gone", "1")
		g.allowed(func() {
			g.quiet("sync d --delete" + backup)
			g.write("d/a.txt", "changed")
			g.write("d/new", "2")
			if err := os.Remove(g.path("d/gone")); err != nil {
				g.t.Fatal(err)
			}
			g.quiet("sync d --delete" + backup)
			g.quiet("undo --list" + backup)
			g.quiet("undo --last" + backup)
		})
		_, gone := g.server.Object("my-bucket", "my-prefix/gone")
		_, added := g.server.Object("my-bucket", "my-prefix/new")
		if !gone || added {
			g.t.Errorf("what was deleted is back: %v; what was added is there: %v", gone, added)
		}
	},
	"verify": func(g *guarded) {
		g.sync("d s3://my-bucket/my-prefix")
		g.allowed(func() {
			g.quiet("verify s3://my-bucket/my-prefix")
			g.quiet("verify d s3://my-bucket/my-prefix")
			g.quiet("ls s3://my-bucket/my-prefix")
		})
	},
	"verify --data": func(g *guarded) {
		g.sync("d s3://my-bucket/my-prefix")
		g.allowed(func() { g.quiet("verify s3://my-bucket/my-prefix --data") })
	},
}

// pushes makes uploads of all kinds: the first, one of nothing, edits, and one that fails.
func (g *guarded) pushes(more string) {
	push := "sync d s3://my-bucket/my-prefix" + twoParts + more
	g.write("d/large", large)
	g.broken(push, "UploadPart")
	g.write("d/gone", "1")
	g.quiet(push)
	g.quiet(push)
	g.write("d/a.txt", "edited")
	if err := os.Remove(g.path("d/gone")); err != nil {
		g.t.Fatal(err)
	}
	g.quiet(push)
	g.quiet(push + " --audit=full --rehash")
	g.quiet(push + " --rebuild-manifest --no-cache")
}

// deletesMany deletes so many objects that they go together.
func (g *guarded) deletesMany() {
	push := "sync d s3://my-bucket/my-prefix --delete --max-delete 200"
	for i := range 120 {
		g.write(fmt.Sprintf("d/many/%03d", i), fmt.Sprint(i))
	}
	g.quiet(push)
	if err := os.RemoveAll(g.path("d/many")); err != nil {
		g.t.Fatal(err)
	}
	g.server.Reset()
	g.quiet(push)
	if n := g.server.Counts(); n["DeleteObjects"] != 3 || n["DeleteObject"] > 0 {
		g.t.Errorf("two batches of a probe and one of 120 objects are to be sent: %v", n)
	}
}

// pulls makes downloads of all kinds.
func (g *guarded) pulls() {
	pull := "sync s3://my-bucket/my-prefix e"
	g.quiet(pull)
	g.quiet(pull + parts)
	g.write("e/a.txt", "edited")
	g.write("e/stray", "1")
	g.quiet(pull + " --delete" + parts)
	if got := fmt.Sprint(g.read("e/a.txt"), g.read("e/stray"), len(g.read("e/z.bin"))); got != fmt.Sprint("text", "(none)", len(long)) {
		g.t.Errorf("downloaded: %s", got)
	}
}

// TestPolicies runs the program under each policy that SECURITY.md says is enough. All that a policy allows
// has to be made use of.
func TestPolicies(t *testing.T) {
	all := policies(t)
	if !slices.Equal(slices.Sorted(maps.Keys(all)), slices.Sorted(maps.Keys(policyRuns))) {
		t.Errorf("SECURITY.md has the policies %v; tried are %v", slices.Sorted(maps.Keys(all)), slices.Sorted(maps.Keys(policyRuns)))
	}
	for name, run := range policyRuns {
		t.Run(name, func(t *testing.T) {
			w := newWire(t)
			w.server = flat.Start(t, "my-bucket", "source-bucket")
			w.set(w.server.Env()...)
			w.set("MERKUR_SAMPLE_SHARE=")
			w.tree()
			g := &guarded{wire: w, policy: all[name], used: map[string]bool{}}
			run(g)
			if want := g.policy.actions(); !maps.Equal(g.used, want) {
				t.Errorf("actions that were made use of: %v; that are allowed: %v", slices.Sorted(maps.Keys(g.used)), slices.Sorted(maps.Keys(want)))
			}
		})
	}
}
