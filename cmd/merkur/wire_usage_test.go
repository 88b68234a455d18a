package main

import (
	"strings"
	"testing"
)

// TestWireUsage refuses what is wrong before anything is asked of the server, with the exit codes
// of aws. A "|" separates arguments that hold spaces.
func TestWireUsage(t *testing.T) {
	w := newWire(t)
	w.write("d/a.txt", "text")
	w.write("short", strings.Repeat("k", 31))
	w.write("key1", key1)
	w.write("rules", "/*\n  X-Unheard-Of: x\n")
	w.write("bad", "[default]\ns3 =\n  multipart_threshold = 1.5MB\n")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		// Not a command line.
		{"", exitUsage, "no command is given"},
		{"frobnicate", exitUsage, "unknown command frobnicate: there is none but sync"},
		{"s3", exitUsage, "unknown command s3"},
		{"sync d", exitUsage, "sync takes two paths, not 1"},
		{"sync d s3://here x", exitUsage, "sync takes two paths, not 3: d, s3://here, x"},
		{"sync d e", exitUsage, "one of the two paths has to be an s3:// path"},
		{"sync d S3://here", exitUsage, "one of the two paths has to be an s3:// path"},
		{"sync d s3://", exitUsage, "names no bucket"},
		{"sync - s3://here", exitUsage, "sync does not stream"},
		{"sync d s3://here --recursive", exitUsage, "unknown option --recursive: sync is always recursive"},
		{"sync d s3://here --exlcude x", exitUsage, "did you mean --exclude?"},
		{"sync d s3://here --s", exitUsage, "option --s is ambiguous"},
		{"sync d s3://here --delete=no", exitUsage, "option --delete takes no value"},
		{"sync d s3://here --acl", exitUsage, "option --acl needs a value"},

		{"sync s3://here s3://there --source-profile none", exitConfig, "The config profile (none) could not be found"},

		// Values.
		{"sync d s3://here --acl open", exitUsage, "Invalid choice"},
		{"sync d s3://here --storage-class standard", exitUsage, "Invalid choice"},
		{"sync d s3://here --sse=aes256", exitUsage, "Invalid choice"},
		{"sync d s3://here --request-payer=me", exitUsage, "Invalid choice"},
		{"sync d s3://here --checksum-algorithm MD5", exitUsage, "Invalid choice"},
		{"sync d s3://here --copy-props some", exitUsage, "Invalid choice"},
		{"sync d s3://here --metadata-directive copy", exitUsage, "Invalid choice"},
		{"sync d s3://here --case-conflict x", exitUsage, "Invalid choice"},
		{"sync d s3://here --order z", exitUsage, "Invalid choice"},
		{"sync d s3://here --page-size many", exitUsage, "invalid int value: 'many'"},
		{"sync d s3://here --cli-read-timeout -1", exitUsage, "--cli-read-timeout"},
		{"sync d s3://here --expires|next week", exitUsage, "--expires"},
		{"sync d s3://here --metadata k", exitUsage, "--metadata"},
		{`sync d s3://here --metadata|{"k": 1}`, exitUsage, "--metadata"},
		{"sync d s3://here --metadata k=é", exitUsage, "not ASCII"},
		{"sync d s3://here --cache-control|a\nb", exitUsage, "cannot hold"},
		{"sync d s3://here --grants write=id=1", exitUsage, "--grants"},
		{"sync d s3://here --grants id", exitUsage, "--grants"},
		{"sync d s3://here --sse-c", exitUsage, "If --sse-c is specified, --sse-c-key must be specified as well."},
		{"sync d s3://here --sse-c-key fileb://key1", exitUsage, "If --sse-c-key is specified, --sse-c must be specified as well."},
		{"sync d s3://here --sse-c --sse-c-key fileb://short", exitUsage, "a key has 32 bytes, not 31"},
		{"sync d s3://here --sse-c --sse-c-key fileb://none", exitUsage, "--sse-c-key"},
		{"sync s3://here s3://there --sse-c-copy-source", exitUsage, "--sse-c-copy-source-key must be specified"},
		{"sync d s3://here --max-delete x%", exitUsage, "--max-delete"},
		{"sync d s3://here --headers-from rules", exitUsage, `rules:2: an object cannot have the header "X-Unheard-Of"`},
		{"sync d s3://here --headers-from none", exitUsage, "--headers-from"},

		// What does not go with the direction, or with each other.
		{"sync d s3://here --sse-c-copy-source --sse-c-copy-source-key fileb://key1", exitUsage, "--sse-c-copy-source is only supported for copy operations."},
		{"sync d s3://here --checksum-mode ENABLED", exitUsage, "Instead, received <LocalPath> <S3Uri>."},
		{"sync s3://here d --checksum-algorithm SHA256", exitUsage, "Instead, received <S3Uri> <LocalPath>."},
		{"sync s3://here d --headers-from rules", exitUsage, "--headers-from is for uploads"},
		{"sync s3://here d --order site", exitUsage, "--order site"},
		{"sync d s3://here --compare etag --size-only", exitUsage, "--compare does not go with"},

		// The commands that look.
		{"verify", exitUsage, "verify takes one or two paths, not 0"},
		{"verify d", exitUsage, "verify takes an s3:// path"},
		{"verify s3://here s3://there", exitUsage, "verify takes an s3:// path"},
		{"verify d s3://here --data", exitUsage, "with a local tree none is read"},
		{"verify s3://here --seed 1", exitUsage, "--seed goes with --data"},
		{"verify s3://here --data --seed x", exitUsage, "invalid int value: 'x'"},
		{"verify s3://here --data=2", exitUsage, "is not a share"},
		{"verify s3://here --exclude x", exitUsage, "go with a local tree"},
		{"verify s3://here --rehash", exitUsage, "--rehash goes with a local tree"},
		{"verify s3://here --sse-c", exitUsage, "If --sse-c is specified, --sse-c-key must be specified as well."},
		{"verify s3://here --sse-c-key fileb://key1", exitUsage, "If --sse-c-key is specified"},
		{"verify s3://here --delete", exitUsage, "unknown option --delete"},
		{"diff d", exitUsage, "diff takes two paths, not 1"},
		{"diff d -", exitUsage, "- is no path"},
		{"diff d s3://here --source-profile x", exitUsage, "goes with two s3:// paths"},
		{"explain d/a.txt d", exitUsage, "explain takes a local path and an s3:// path"},
		{"ls d", exitUsage, "ls lists an s3:// path"},
		{"ls s3://here/.merkur", exitUsage, "keeps its own objects"},
		{"root s3://here --exclude x", exitUsage, "go with a local tree"},
		{"root d --sub /", exitUsage, "--sub"},
		{"root nowhere", exitConfig, "does not exist"},
		{"diff nowhere s3://here", exitConfig, "does not exist"},

		// What is wrong elsewhere.
		{"sync nowhere s3://here", exitConfig, "The user-provided path nowhere does not exist."},
		{"sync||s3://here", exitConfig, "does not exist."},
		{"sync d s3://here --multipart-chunksize 1.5MB", exitConfig, "Invalid size value"},
		{"sync d s3://here --max-concurrent-requests 0", exitConfig, "must be a positive integer: 0"},
		{"sync d s3://here --max-bandwidth fast", exitConfig, "Invalid"},
		{"sync d s3://here --profile nobody", exitConfig, "(nobody) could not be found"},
	} {
		o := w.run(split(c.args)...)
		if o.code != c.code || !strings.Contains(o.errors, c.says) || o.out != "" {
			t.Errorf("%s: exit code %d, %s%s", c.args, o.code, o.errors, o.out)
		}
		if n := w.server.Counts(); len(n) > 0 {
			t.Errorf("%s: the server is asked for %v", c.args, n)
		}
	}
	w.set("AWS_CONFIG_FILE=" + w.path("bad"))
	if o := w.run("sync", "d", "s3://here"); o.code != exitConfig || !strings.Contains(o.errors, "Invalid size value") {
		t.Errorf("a wrong file: exit code %d, %s", o.code, o.errors)
	}
}

// split splits a command line at spaces, or behind a first "|" at those.
func split(line string) []string {
	words, rest, found := strings.Cut(line, "|")
	args := strings.Fields(words)
	if found {
		args = append(args, strings.Split(rest, "|")...)
	}
	return args
}

// TestWireForms runs command lines in the forms that aws takes.
func TestWireForms(t *testing.T) {
	for _, args := range []string{
		"sync d s3://here --exclude b --acl private",
		"s3 sync d s3://here --exclude b --acl private",
		"--region us-east-1 sync d s3://here --exclude b --acl private",
		"--debug s3 --no-verify-ssl sync --excl b d --acl=private s3://here",
		"sync --exclude=b --sse d s3://here --acl private --page-size 0",
		"sync --request-payer d --acl private --exclude * --include a.txt s3://here",
		"--query x --cli-binary-format raw-in-base64-out --no-cli-auto-prompt s3 --output text sync d s3://here --no-paginate --exclude b --acl private",
		"sync --grants full=id=1 d --exclude=b s3://here",
		"sync --grants read=id=1 full=id=1 -- d s3://here",
	} {
		t.Run(args, func(t *testing.T) {
			w := newWire(t)
			w.write("d/a.txt", "a")
			if !strings.Contains(args, "--grants read") {
				w.write("d/b", "b")
			}
			if o := w.run(strings.Fields(args)...); o.code != exitDone {
				t.Fatalf("exit code %d\n%s", o.code, o.errors)
			}
			w.asks("PutObject 1")
			for _, r := range w.asked(false) {
				if r.Header.Get("X-Amz-Acl") != "private" && r.Header.Get("X-Amz-Grant-Full-Control") != "id=1" {
					t.Errorf("PutObject says %v", headersOf(r))
				}
			}
		})
	}
}
