package main

import (
	"slices"
	"strings"
	"testing"
)

// FuzzPermute takes any command line: it is refused, or comes out as options that are written out, in a form
// that comes out the same once more.
func FuzzPermute(f *testing.F) {
	for _, line := range []string{
		"", "sync", "sync a s3://b", "s3 sync --delete a s3://b --exclude *", "--debug sync -h", "sync --exclude", "sync a -- --b s3://c",
		"sync --grants read=uri=x full=id=y a s3://b", "sync --audit 5% a s3://b", "sync --sse-c a s3://b", "sync --no a b", "verify --data=1% s3://b",
		"sync --exclude=-x -1 --=x", "explain a s3://b/c", "ls -l s3://b", "--", "s3", "sync --dryrun=x", "sync --\xff=\x00",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := append([]string{"merkur"}, strings.Split(line, "\n")...)
		all := commands()
		c := named(all, args)
		if c == nil {
			c = all[0]
		}
		once, err := permute(c, args)
		// Of several lists of grants the last counts; and what is no command is refused later on.
		if err != nil || strings.Contains(line, "--gr") || len(once) < 2 || commandOf(all, once[1]) == nil {
			return
		}
		twice, err := permute(c, once)
		if err != nil || !slices.Equal(once, twice) {
			t.Errorf("%q becomes %q, and that %q, %v", args, once, twice, err)
		}
	})
}

// FuzzLocation takes any path of the command line. What is taken for a place in a bucket is written as it
// is read.
func FuzzLocation(f *testing.F) {
	for _, path := range []string{
		"s3://", "s3://b", "s3://b/", "s3://b/p//q", "s3:///p", "s3://b/.merkur/x", "s3://b--x-s3/p", "s3://arn:",
		"s3://arn:aws:s3:us-east-1:123456789012:accesspoint/name/p", "s3://arn:aws:s3:us-east-1:123456789012:accesspoint:name",
		"s3://arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1/accesspoint/a/p", "s3://arn:aws:s3-object-lambda:r:1:accesspoint/a",
		"s3://b/\xff", "s3://b/../x",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !isRemote(path) {
			return
		}
		l, err := parseLocation(path)
		if err != nil {
			return
		}
		if again, err := parseLocation(l.String()); err != nil || again != l {
			t.Errorf("%q is %+v, and that is %+v, %v", path, l, again, err)
		}
		if l.bucket == "" || l.prefix != "" && !strings.HasSuffix(l.prefix, "/") {
			t.Errorf("%q is %+v", path, l)
		}
	})
}

// FuzzAmounts takes any value of the options that take a share, a number or a key.
func FuzzAmounts(f *testing.F) {
	for _, text := range []string{"", "5%", "1/30", "full", "0.1", "-1", "1e400", "NaN", "Inf%", "1/0", "100%", "18446744073709551616", " 5", strings.Repeat("0", 64)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, parse := range map[string]func(string) (float64, error){"share": parseShare, "audit": parseAudit} {
			if x, err := parse(text); err == nil && !(x >= 0 && x <= 1) {
				t.Errorf("the %s %q is %v", name, text, x)
			}
		}
		if l, err := parseLimit(text); err == nil && (l.Percent > 100 || !l.Given && l.Count > 0) {
			t.Errorf("the limit %q is %+v", text, l)
		}
		if key, err := parseKey([]byte(text)); (err == nil) != (key != nil) {
			t.Errorf("the key %q is %v, %v", text, key, err)
		}
	})
}
