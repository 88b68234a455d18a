package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"merkur/cmd/merkur/settings"
)

// A kind is how an option takes its value.
type kind uint8

const (
	toggle   kind = iota // none
	valued               // one
	optional             // one of its choices, or none
	many                 // one or more
)

// An option is one of the command line.
type option struct {
	name    string
	kind    kind
	usage   string
	short   string            // a letter that stands for it behind one dash; empty: none
	choices []string          // the only values; nil: any
	takes   func(string) bool // whether what follows is the value of an optional one; nil: if it is a choice
	env     string            // a variable that gives the value too
	none    string            // the value of an optional one that is given none
	ours    bool              // aws does not have it
}

// A group is a heading of the help.
type group struct {
	title   string
	options []option
}

// A table is all options of a command: help, abbreviations, and what is refused come from it.
type table []group

// noEffect is said of options that aws takes for all of its commands and that change nothing in a
// sync, there as here.
const noEffect = "taken as by aws, where it has no effect on sync either"

// syncOptions are those of sync, from which other commands pick theirs.
var syncOptions = table{
	{"1. What to mirror", []option{
		{name: "exclude", kind: valued, usage: "leave out paths that match `PATTERN`; the last match of all --exclude and --include decides"},
		{name: "include", kind: valued, usage: "take in again paths that match `PATTERN`"},
		{name: "follow-symlinks", usage: "mirror what symbolic links point to (the default)"},
		{name: "no-follow-symlinks", usage: "leave symbolic links out"},
		{name: "delete", usage: "delete from the destination what the source does not have"},
		{name: "dryrun", usage: "show what would be done, and do nothing"},
		{name: "order", kind: valued, ours: true, choices: []string{"key", "site"}, usage: "`ORDER` of transfers: key; or site: web pages after all else, and only if nothing failed, then deletes"},
		{name: "force-glacier-transfer", usage: "try to read objects that are in GLACIER or DEEP_ARCHIVE"},
		{name: "ignore-glacier-warnings", usage: "leave such objects out without a warning"},
		{name: "case-conflict", kind: valued, choices: []string{"ignore", "skip", "warn", "error"}, usage: "what to do about downloads whose names differ in case only: ignore, skip, warn or error (`WHAT`)"},
	}},
	{"2. Comparing", []option{
		{name: "compare", kind: valued, ours: true, choices: []string{"content", "aws", "size", "exact", "etag"}, usage: "compare by `HOW`: content (the default), aws, size, exact, etag"},
		{name: "size-only", usage: "--compare size: files of equal size are equal"},
		{name: "exact-timestamps", usage: "--compare exact: as aws, but a download replaces a file of any other time"},
		{name: "no-overwrite", usage: "transfer only what the destination does not have at all"},
		{name: "no-cache", ours: true, usage: "remember nothing from run to run: hash every file"},
		{name: "cache-dir", kind: valued, ours: true, env: "MERKUR_CACHE_DIR", usage: "keep caches in `DIR`"},
		{name: "rehash", ours: true, usage: "hash every file, though the cache knows it"},
		{name: "rehash-share", kind: valued, ours: true, usage: "hash this `SHARE` of the files again that the cache knows, such as 0.01 or 1% (default: 0.1%)"},
		{name: "trust-stat", ours: true, usage: "trust size and times also on file systems that hide writes (tmpfs)"},
	}},
	{"3. Safety", []option{
		{name: "max-delete", kind: valued, ours: true, usage: "delete at most `N` files or objects, or N% of them (default: 50%, and always 100; where nothing was mirrored before: 10)"},
		{name: "allow-empty-source", ours: true, usage: "with --delete: let an empty source delete everything"},
		{name: "strict", ours: true, usage: "write only to servers that keep two writers apart by themselves"},
		{name: "manifest-key", kind: valued, ours: true, env: "MERKUR_MANIFEST_KEY", usage: "seal the manifest with the key in `FILE`, and believe no other: 32 bytes, or 64 hexadecimal digits"},
		{name: "accept-rollback", ours: true, usage: "with --manifest-key: take a manifest that is older than one seen before, or another one"},
		{name: "audit", kind: optional, ours: true, none: "5%", takes: isAudit, usage: "list a `SHARE` of the keys, such as 10% or 1/30, or full, and compare it with the manifest; each run goes on where the last one ended (default: 5%)"},
		{name: "sample-share", kind: valued, ours: true, env: "MERKUR_SAMPLE_SHARE", usage: "look at untouched objects, at most 16, a `SHARE` of as many as are transferred (default: 25%)"},
		{name: "adopt", ours: true, usage: "take over objects that somebody else has stored or changed, as if merkur had stored them"},
		{name: "overwrite-foreign", ours: true, usage: "replace such objects by what the source has"},
		{name: "delete-foreign", ours: true, usage: "with --delete: delete such objects that the source does not have"},
		{name: "backup-prefix", kind: valued, ours: true, usage: "before an object is replaced or deleted, copy it to `s3://BUCKET/PREFIX` on the same server, for merkur undo"},
		{name: "rebuild-manifest", ours: true, usage: "list the bucket and make a new manifest, whatever the present one says"},
	}},
	{"4. How objects are stored", []option{
		{name: "acl", kind: valued, choices: []string{"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read",
			"bucket-owner-read", "bucket-owner-full-control", "log-delivery-write"}, usage: "the canned `ACL`"},
		{name: "grants", kind: many, usage: "`PERMISSION=GRANTEE`...: read, readacl, writeacl or full, and id=, uri= or emailaddress="},
		{name: "storage-class", kind: valued, choices: []string{"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA",
			"INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"}, usage: "the storage `CLASS`"},
		{name: "sse", kind: optional, choices: []string{"AES256", "aws:kms"}, none: "AES256", usage: "encrypt on the server: AES256 or aws:kms"},
		{name: "sse-kms-key-id", kind: valued, usage: "with the KMS key `ID`"},
		{name: "sse-c", kind: optional, choices: []string{"AES256"}, none: "AES256", usage: "encrypt with a key of your own"},
		{name: "sse-c-key", kind: valued, usage: "that `KEY`, 32 bytes: fileb://PATH"},
		{name: "sse-c-copy-source", kind: optional, choices: []string{"AES256"}, none: "AES256", usage: "the objects that are copied are encrypted with a key of your own"},
		{name: "sse-c-copy-source-key", kind: valued, usage: "that `KEY`"},
		{name: "cache-control", kind: valued, usage: "the header Cache-Control (`TEXT`)"},
		{name: "content-type", kind: valued, usage: "the header Content-Type, in place of the guessed one (`TEXT`)"},
		{name: "content-encoding", kind: valued, usage: "the header Content-Encoding (`TEXT`)"},
		{name: "content-disposition", kind: valued, usage: "the header Content-Disposition (`TEXT`)"},
		{name: "content-language", kind: valued, usage: "the header Content-Language (`TEXT`)"},
		{name: "expires", kind: valued, usage: "the header Expires: an ISO 8601 `TIME`, or seconds since 1970"},
		{name: "metadata", kind: valued, usage: "user metadata: `K=V,K=V` or a JSON object"},
		{name: "website-redirect", kind: valued, usage: "redirect visitors of the web site to `URL`"},
		{name: "no-guess-mime-type", usage: "guess no Content-Type"},
		{name: "headers-from", kind: valued, ours: true, usage: "headers by pattern, from `FILE`; an object whose rules changed gets its new headers without an upload"},
		{name: "checksum-algorithm", kind: valued, choices: []string{"CRC64NVME", "CRC32", "SHA256", "SHA1", "CRC32C", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"}, usage: "have the server verify uploads by `NAME`"},
		{name: "checksum-mode", kind: valued, choices: []string{"ENABLED"}, usage: "`ENABLED`: verify the checksums of downloads (always done)"},
		{name: "metadata-directive", kind: valued, choices: []string{"COPY", "REPLACE"}, usage: "of copies: `COPY or REPLACE` metadata"},
		{name: "copy-props", kind: valued, choices: []string{"none", "metadata-directive", "default", "all"}, usage: "of copies: which `PROPERTIES` to take over: none, metadata-directive, default, all"},
	}},
	{"5. Output", []option{
		{name: "quiet", usage: "print nothing at all"},
		{name: "only-show-errors", usage: "print warnings and errors only"},
		{name: "no-progress", usage: "show no progress"},
		{name: "progress-frequency", kind: valued, usage: "print progress every `N` seconds, also where there is no terminal"},
		{name: "progress-multiline", usage: "print progress in lines of its own"},
		{name: "output", kind: valued, choices: []string{"json", "text", "table", "yaml", "yaml-stream", "off"}, usage: "`json`: one JSON object a line for each event"},
		{name: "summary", ours: true, env: "MERKUR_SUMMARY", usage: "print a closing line on stderr (the default on a terminal)"},
		{name: "log-file", kind: valued, ours: true, usage: "append every line with its time to `FILE`"},
		{name: "color", kind: valued, choices: []string{"on", "off", "auto"}, usage: "colour warnings and errors: on, off or auto (`WHEN`)"},
		{name: "debug", usage: "say on stderr why things are done, and each request"},
	}},
	{"6. Server", []option{
		{name: "endpoint-url", kind: valued, usage: "the server's `URL`"},
		{name: "region", kind: valued, usage: "the bucket's `REGION`"},
		{name: "profile", kind: valued, usage: "the `PROFILE` of the AWS configuration"},
		{name: "source-region", kind: valued, usage: "of copies: the `REGION` of the source"},
		{name: "source-endpoint-url", kind: valued, ours: true, usage: "of copies: the `URL` of the source's server"},
		{name: "source-profile", kind: valued, ours: true, usage: "of copies: the `PROFILE` for the source"},
		{name: "no-sign-request", usage: "send no credentials"},
		{name: "request-payer", kind: optional, choices: []string{"requester"}, none: "requester", usage: "pay for the requests"},
		{name: "page-size", kind: valued, usage: "list `N` keys a request"},
		{name: "no-verify-ssl", usage: "take any certificate"},
		{name: "ca-bundle", kind: valued, usage: "believe the certificates in `FILE`"},
		{name: "cli-read-timeout", kind: valued, usage: "give up after `SECONDS` without a byte (0: never)"},
		{name: "cli-connect-timeout", kind: valued, usage: "give up a connection after `SECONDS` (0: never)"},
		{name: "no-paginate", usage: noEffect},
		{name: "no-cli-pager", usage: noEffect},
		{name: "no-cli-auto-prompt", usage: noEffect},
		{name: "query", kind: valued, usage: noEffect},
		{name: "cli-binary-format", kind: valued, usage: noEffect},
	}},
	{"7. Transfers, also as s3 settings of ~/.aws/config", tuning()},
}

// tuning are the options that are settings as well.
func tuning() []option {
	usage := map[string]string{
		"max_concurrent_requests":   "make `N` requests at once (default: as many as are found to be good)",
		"max_queue_size":            "plan `N` transfers ahead",
		"multipart_threshold":       "move objects of `SIZE` and more in parts (default: 8MB)",
		"multipart_chunksize":       "of `SIZE` each (default: 8MB)",
		"io_chunksize":              "read `SIZE` of a download at once (default: 256KB)",
		"max_bandwidth":             "send and receive at most `RATE`, such as 50MB/s",
		"target_bandwidth":          "make no more requests at once when `RATE` is reached",
		"preferred_transfer_client": "`classic`: 10 requests at once, as aws does; auto or crt: adapt",
		"addressing_style":          "name the bucket in the host or in the path: auto, virtual or path (`STYLE`)",
		"use_accelerate_endpoint":   "use S3 Transfer Acceleration (true or false)",
		"use_dualstack_endpoint":    "use IPv6 where it is to be had (true or false)",
		"payload_signing_enabled":   "sign the bytes of uploads (true or false)",
	}
	var list []option
	for _, name := range settings.Names() {
		text, ok := usage[name]
		if !ok {
			continue // what only the C library behind aws knows of
		}
		o := option{name: strings.ReplaceAll(name, "_", "-"), kind: valued, usage: text, ours: true}
		if strings.Contains(text, "(true or false)") {
			o.kind, o.choices, o.none = optional, []string{"true", "false"}, "true"
		}
		list = append(list, o)
	}
	return list
}

// pick makes a group of some rows of the table, with the words that they have there.
func (t table) pick(title string, names ...string) group {
	g := group{title: title}
	for _, name := range names {
		o, ok := t.find(name)
		if !ok {
			panic("no option " + name)
		}
		g.options = append(g.options, o)
	}
	return g
}

// find returns the option of a name.
func (t table) find(name string) (option, bool) {
	for _, g := range t {
		for _, o := range g.options {
			if o.name == name {
				return o, true
			}
		}
	}
	return option{}, false
}

// flags are the options for the command-line library. All take their value as text.
func (t table) flags(given *given) []cli.Flag {
	var list []cli.Flag
	for _, g := range t {
		for _, o := range g.options {
			list = append(list, o.flag(g.title, given))
		}
	}
	return list
}

func (o option) flag(title string, g *given) cli.Flag {
	value := &setting{option: o, given: g}
	f := &cli.GenericFlag{Name: o.name, Category: title, Usage: o.usage, Value: value}
	if o.env != "" {
		f.EnvVars = []string{o.env}
	}
	if o.kind == toggle {
		return switchOption{f}
	}
	return f
}

// A switchOption is an option without a value; the help is to show it so.
type switchOption struct{ *cli.GenericFlag }

func (switchOption) TakesValue() bool { return false }
func (switchOption) GetValue() string { return "" }
func (o switchOption) String() string { return cli.FlagStringer(o) }
