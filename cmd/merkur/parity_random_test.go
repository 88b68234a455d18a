package main

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
)

// An inventor makes up a script that does none of the things that merkur and aws are known to
// do in different ways.
type inventor struct {
	*rand.Rand
	lines    []string
	way      string // "up", "down" or "across"
	from, to string // where keys are, as the steps file and object name it, ending in "/"
	keys     []string
	filtered bool // there are patterns
	warns    bool // there is what may not be excluded, since only aws warns of it then
	odd      bool // there is what the two programs fetch in different ways
	hollow   bool // a run may empty a directory where a file is to be, which then gives way for merkur alone
}

// invent makes up a script.
func invent(rng *rand.Rand) string {
	v := &inventor{Rand: rng, way: pick(rng, "up", "down", "across")}
	v.add("merkur", "--max-delete", "100%", "--allow-empty-source")
	prefixes := []string{"here/", "here/p/", "here/p/q/", "here/a b/é/", "here/x//"}
	v.from, v.to = pick(rng, prefixes...), "there/"+strings.TrimPrefix(pick(rng, prefixes...), "here/")
	dirs := []string{"l/", "l/m/", "a b/é/"}
	switch v.way {
	case "up":
		v.from = pick(rng, dirs...)
	case "down":
		v.to = pick(rng, dirs...)
	}
	if v.way != "across" {
		v.add("dir", "l/")
	}
	if v.way == "up" {
		v.add("dir", v.from)
	}
	for range rng.IntN(pick(rng, 4, 12, 12, 40)) {
		v.key()
	}
	options := v.options()
	v.oddities()
	v.swaps()
	if v.way != "across" && v.chance(5) {
		v.add("config", "multipart_threshold", pick(rng, "40", "1KB", "5MB"))
		v.add("config", "multipart_chunksize", pick(rng, "5MB", "6MiB"))
	}
	if v.chance(3) {
		v.add("adopt", pick(rng, "here", "there", "here/p", "there/p/q"))
	}
	v.failures()
	v.sync(options)
	if v.chance(3) && !v.hollow {
		v.sync(options)
	}
	if v.chance(4) && !v.hollow {
		v.sync(v.options())
	}
	if v.chance(2) && !v.odd {
		v.from, v.to = v.to, v.from
		v.way = map[string]string{"up": "down", "down": "up", "across": "across"}[v.way]
		v.sync(v.options())
	}
	return strings.Join(v.lines, "\n") + "\n"
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// chance is true once in n times.
func (v *inventor) chance(n int) bool { return v.IntN(n) == 0 }

func (v *inventor) add(words ...string) { v.lines = append(v.lines, formatWords(words...)) }

// names sort in other ways than one would think, or are hard to write.
var names = []string{
	"a", "a.txt", "a.", "a-", "a0", "a/x", "a/y/z", "A", "A.txt", "b.html", "b.py", "sub/x", "sub/y.txt", "sub/deep/z.css", "sub.txt",
	"sub-1/q", "sub0", "sub!/w", "é", "e\u0301", "z z", "p+q", "50%", "50%25", "br[1]", "日本/x", "\U0001f600", "\ufffd", "~", "a b/c d.txt",
	"Ü.css", "#1", "x;y", "*", "q?.txt", "'quote", `"double"`, "back\\slash", "-dash", "--delete", "&", "<x>", ".hidden", ".d/x", "...", "sub/ ",
	" ", "=", "@", ":", "c:/x", "new\nline", "ctl\x01", "\x7f", "cr\rx", "tab\t/x", "a/a/a", "sub/sub/sub", "upload: x to y",
}

// strange are keys that are no names of files.
var strange = []string{"d//x", "/lead", "./dot", "d/./x", "d/../x", "..", ".", "e/", "e/f/", "d//"}

// key makes up a key and what there is of it at either end.
func (v *inventor) key() {
	key := pick(v.Rand, names...)
	if v.way == "across" && v.chance(5) {
		key = pick(v.Rand, strange...)
	}
	for _, k := range v.keys {
		if k == key || v.way != "across" && (strings.HasPrefix(k, key+"/") || strings.HasPrefix(key, k+"/")) {
			return
		}
	}
	v.keys = append(v.keys, key)
	sizes := []string{"", "x", "abc", "abcd", "50*x"}
	if v.way != "across" && v.chance(100) { // copies in parts are a departure
		sizes = []string{"8388608*x", "9000000*x", "8388607*x"}
	}
	size := v.IntN(len(sizes))
	source, dest := sizes[size], strings.ReplaceAll(sizes[size], "x", "y")
	if v.chance(4) {
		dest = sizes[v.IntN(len(sizes))]
	}
	times := []string{"0s", "0s", "-1h", "+30m", "+500ms", "-500ms", "+1ms", "-1ms", "+1s", "-1s", "+59m59.5s", "+1h", "+2h", "-100000h"}
	where := v.IntN(5)
	if where != 0 {
		v.put(v.from, key, source, pick(v.Rand, times...))
	}
	if where < 3 {
		v.put(v.to, key, dest, pick(v.Rand, times...))
	}
}

// put makes a file or an object.
func (v *inventor) put(place, key, body, when string) {
	if !strings.HasPrefix(place, "here/") && !strings.HasPrefix(place, "there/") {
		if v.chance(6) {
			when = pick(v.Rand, "+400ns", "+500ns", "+501ns", "+600ns", "-500ns", "-499ns", "+1.0005ms", "+1.5µs", "+2.5µs")
		}
		v.add("file", place+key, body, when)
		return
	}
	words := []string{"object", place + key, body, when}
	if v.chance(8) {
		words = append(words, "Class="+pick(v.Rand, "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "STANDARD_IA"))
	}
	if v.chance(8) {
		words = append(words, "X-Amz-Meta-K=v", "Content-Type=text/x", "Cache-Control=no-cache")
	}
	v.add(words...)
}

// options makes up the options of a run.
func (v *inventor) options() []string {
	var o []string
	some := func(n int, words ...string) {
		if !v.chance(n) {
			return
		}
		if len(words) == 2 && v.chance(3) {
			words = []string{words[0] + "=" + words[1]}
		}
		o = append(o, words...)
	}
	for !v.warns && v.chance(2) && len(o) < 6 {
		patterns := []string{"*", "*.txt", "a*", "sub/*", "*/x", "[!a]*", "?", "a?x", "*.*", "sub*", "[ab]*", "*b*", "A*", "é", "*[[]*", "*/", "", "/x", "./*", ".*", "*é*", "sub"}
		o = append(o, pick(v.Rand, "--exclude", "--exclude", "--include"), pick(v.Rand, patterns...))
		v.filtered = true
	}
	some(2, pick(v.Rand, "--delete", "--delete", "--del"))
	some(5, pick(v.Rand, "--dryrun", "--dry"))
	some(8, pick(v.Rand, "--size-only", "--siz"))
	some(6, "--exact-timestamps")
	some(12, pick(v.Rand, "--quiet", "--only-show-errors"))
	some(6, "--page-size", fmt.Sprint(1+v.IntN(3)))
	some(8, "--ignore-glacier-warnings")
	some(10, "--force-glacier-transfer")
	some(10, pick(v.Rand, "--follow-symlinks", "--no-follow-symlinks"))
	some(12, pick(v.Rand, "--acl", "--ac"), pick(v.Rand, "public-read", "bucket-owner-full-control"))
	some(20, "--grants", "read=id=1,id=2", "full=uri=http://acs.amazonaws.com/groups/global/AllUsers")
	some(12, "--storage-class", pick(v.Rand, "STANDARD", "STANDARD_IA", "GLACIER_IR"))
	some(15, "--sse", pick(v.Rand, "AES256", "aws:kms"))
	some(20, "--sse-kms-key-id", "k")
	some(15, "--request-payer", "requester")
	some(15, "--website-redirect", "/x y")
	if v.way == "down" {
		some(12, "--checksum-mode", "ENABLED")
	} else {
		some(12, "--checksum-algorithm", pick(v.Rand, "CRC32", "SHA1", "SHA256"))
	}
	if v.way == "up" {
		some(8, "--content-type", "text/y")
		some(12, "--cache-control", "max-age=5", "--content-language", "de")
		some(12, "--metadata", "m=n,o=p")
		some(12, "--no-guess-mime-type")
		some(15, "--expires", "2030-01-02T03:04:05Z")
		some(15, "--content-encoding", "gzip", "--content-disposition", "inline; filename=x")
	} else if v.way == "across" {
		some(8, "--metadata-directive", "REPLACE", "--content-type", "text/y", "--metadata", "m=n")
		some(12, "--metadata-directive", pick(v.Rand, "COPY", "REPLACE"))
		some(12, "--source-region", "eu-west-1")
	}
	return o
}

// oddities makes up what is neither a file nor an object like others.
func (v *inventor) oddities() {
	if v.way != "up" && v.chance(3) {
		v.add("object", v.from+pick(v.Rand, "sub/", "a/", "marker/", "")+"folder/", "", "0s")
	}
	if v.way != "down" {
		if v.chance(3) {
			v.add("object", v.to+pick(v.Rand, "sub/", "a/", "marker/")+"folder/", "", "0s")
		}
		if v.chance(6) {
			v.add("object", v.to+"full/", "x", "0s")
			v.odd = v.way == "up"
		}
		if v.chance(6) {
			v.add("object", v.to+pick(v.Rand, strange...), "x", "0s")
			v.odd = v.way == "up"
		}
	}
	if v.chance(3) && strings.HasPrefix(v.to, "there/") && v.to != "there/" {
		v.add("object", strings.TrimSuffix(v.to, "/")+pick(v.Rand, "", "0", "."), "beside", "0s")
	}
	switch {
	case v.way == "up":
		v.links()
	case v.way == "down" && v.chance(4):
		v.add("dir", v.to+"nothing/here")
	case v.way == "down" && v.chance(4):
		v.add("file", v.to+"target.bin", "abc", "-1h")
		v.add("object", v.from+"target.bin", "abc", "-1h") // or else the link would be broken later
		v.add("link", v.to+"link.bin", "target.bin")
		v.add("object", v.from+"link.bin", "abc", pick(v.Rand, "-2h", "0s"))
	}
}

// swaps makes up a directory at the destination where the source has a file, or the other way
// round.
func (v *inventor) swaps() {
	if v.way == "across" || !v.chance(6) {
		return
	}
	v.odd = true
	inside := []string{"swap", "swap/inside"}
	if v.chance(2) {
		inside[0], inside[1] = inside[1], inside[0]
	}
	v.hollow = v.way == "down" && inside[0] == "swap"
	v.put(v.from, inside[0], "abc", "0s")
	v.put(v.to, inside[1], "abc", "0s")
}

// links makes up links and FIFOs in a source.
func (v *inventor) links() {
	if v.chance(3) {
		v.odd = true // a download would lead out
		v.add("file", "elsewhere/l.txt", "link", pick(v.Rand, "0s", "-1h", "+2h"))
		v.add("link", v.from+"link.txt", "$WORK/elsewhere/l.txt")
		v.add("link", v.from+"links", "$WORK/elsewhere")
		if v.chance(2) {
			v.put(v.to, "link.txt", "LINK", "0s")
			v.put(v.to, "links/l.txt", "LINK", "0s")
		}
	}
	if !v.filtered && v.chance(4) {
		v.odd, v.warns = true, true
		v.add("link", v.from+"broken", "nowhere")
	}
	if !v.filtered && v.chance(4) {
		v.odd, v.warns = true, true
		v.add("fifo", v.from+"fifo")
	}
}

// failures makes up requests that are refused.
func (v *inventor) failures() {
	if len(v.keys) == 0 || !v.chance(5) {
		return
	}
	key := pick(v.Rand, v.keys...)
	_, source, _ := strings.Cut(v.from+key, "/")
	_, dest, _ := strings.Cut(v.to+key, "/")
	switch {
	case v.way == "up":
		v.add("deny", pick(v.Rand, "PutObject", "DeleteObject"), dest)
	case v.way == "across":
		v.add("deny", pick(v.Rand, "CopyObject", "DeleteObject"), dest)
	case !strings.Contains(key, "/"):
		v.add("deny", "GetObject", source)
	}
}

// sync runs the sync.
func (v *inventor) sync(options []string) {
	typed := func(place string) string {
		switch {
		case strings.HasPrefix(place, "here/"), strings.HasPrefix(place, "there/"):
			place = "s3://" + place
		case v.chance(4):
			place = "./" + place
		case v.chance(4):
			place = "$WORK/" + place
		}
		switch remote := strings.HasPrefix(place, "s3:"); {
		case !remote && v.chance(6):
			place += pick(v.Rand, "/", ".", "./", "../"+path.Base(place)+"/.")
		case v.chance(2) && !strings.HasSuffix(place, "//"):
			place = strings.TrimSuffix(place, "/")
		}
		return place
	}
	v.add(append([]string{"sync", typed(v.from), typed(v.to)}, options...)...)
}
