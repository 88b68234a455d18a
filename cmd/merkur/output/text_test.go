package output

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/transfer"
	"merkur/transfer/drift"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with that of a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(strings.ReplaceAll(string(want), "\r\n", "\n"), "\n"), strings.Split(got, "\n")
	for i := range max(len(was), len(is)) {
		if i >= len(was) || i >= len(is) || was[i] != is[i] {
			t.Fatalf("%s differs from line %d on:\n%s", file, i+1, strings.Join(is[min(i, len(is)):min(i+3, len(is))], "\n"))
		}
	}
}

// start is when the runs of tests begin.
var start = time.Date(2026, 1, 2, 15, 4, 5, 678e6, time.UTC)

// tree is a local end whose name does not depend on the machine.
var tree = End{local: true, root: filepath.FromSlash("/tree"), shown: "tree"}

// ways are the ends of runs in all directions.
var ways = []struct {
	name     string
	from, to End
	verb     transfer.Verb
}{
	{"up", tree, Remote("b", "p/"), transfer.Put},
	{"down", Remote("b", "p/"), tree, transfer.Get},
	{"across", Remote("b", "p/"), Remote("b2", ""), transfer.Copy},
}

func action(v transfer.Verb, key string, size int64) transfer.Action {
	a := transfer.Action{Verb: v, Key: key}
	a.From.Size = size
	return a
}

func entry(size int64, etag string) *manifest.Entry {
	return &manifest.Entry{Size: size, Evidence: manifest.Evidence{ETag: etag}}
}

// A refusal is an error with a code of S3.
type refusal struct{}

func (refusal) Error() string     { return "An error occurred (AccessDenied)" }
func (refusal) ErrorCode() string { return "AccessDenied" }

// events are one of each kind.
func events(v transfer.Verb) []transfer.Event {
	move, remove, describe := action(v, "x/a", 12), action(transfer.Delete, "x/d", 0), action(transfer.Describe, "x/h", 0)
	refused := fmt.Errorf("reading x/a: %w", refusal{})
	told := []transfer.Event{
		{Done: &move}, {Done: &remove},
		{Failed: &transfer.Failure{Action: move, Err: refused}},
		{Failed: &transfer.Failure{Action: remove, Err: refused}},
		{Failed: &transfer.Failure{Action: action(transfer.Prove, "x/p", 3), Err: refused}},
		{Warning: &transfer.Warning{Key: "x/g", Text: "Skipping file s3://b/p/x/g. Object is of storage class GLACIER."}},
		{Warning: &transfer.Warning{Text: "Only for people.", Minor: true}},
		{Drift: &transfer.Drift{Class: drift.Changed, Key: "x/c", Known: entry(3, "one"), Seen: entry(4, "two"), Source: v == transfer.Get}},
		{Drift: &transfer.Drift{Class: drift.New, Key: "x/n", Seen: entry(4, "two"), Source: v == transfer.Get}},
		{Note: "another run is under way"},
		{Why: "syncing: tree/x/a -> s3://b/p/x/a, file does not exist at destination"},
	}
	if v != transfer.Get { // files have no headers, and what is in the source's bucket is never changed
		for action := drift.Adopt; action <= drift.Forget; action++ {
			told = append(told, transfer.Event{Drift: &transfer.Drift{Class: drift.Missing, Key: "x/m", Known: entry(3, "one"), Action: action}})
		}
		told = append(told, transfer.Event{Done: &describe}, transfer.Event{Failed: &transfer.Failure{Action: describe, Err: refused}})
	}
	return told
}

var problems = []hashing.Problem{
	{Key: "x/s", Path: "/tree/x/s", Reason: hashing.Special},
	{Key: "x/u/", Path: "/tree/x/u", Reason: hashing.Unreadable},
	{Key: "x/m", Path: "/tree/x/m", Reason: hashing.Missing},
	{Key: "x/l", Path: "/tree/x/l", Reason: hashing.Loop},
	{Key: "x/\xff", Path: "/tree/x/\xff", Reason: hashing.NotUTF8},
	{Key: "x/t", Path: "/tree/x/t", Reason: hashing.TooLong},
	{Key: "x/e", Path: "/tree/x/e", Reason: hashing.Failed, Err: errors.New("input/output error")},
}

func sum() (transfer.Summary, map[string]int64) {
	return transfer.Summary{
		Scan: hashing.Stats{
			Files: 7, Bytes: 7000, Dirs: 2, HashedFiles: 3, HashedBytes: 3000, TrustedFiles: 4, RehashedFiles: 1,
			FingerprintLies: 1, UnsettledFiles: 2, Problems: 7, FileSystem: "local",
		},
		Listed: 9, Transferred: 2, Bytes: 2048, Proved: 1, Described: 1, Deleted: 5, Failed: 4, Problems: 7, Warnings: 1,
		Audited: 6, Drift: drift.Count{New: 1, Missing: 2}, Run: "20261125T181500.042Z-5e6ca98c", Root: manifest.Root{Digest: manifest.Digest{0xab, 0xcd}},
	}, map[string]int64{"PutObject": 2, "GetObject": 1}
}

// told is all that a run in one of the ways prints.
func told(o Options, way int, err error) (stdout, stderr string) {
	var out, errs bytes.Buffer
	o.From, o.To, o.Stdout, o.Stderr = ways[way].from, ways[way].to, &out, &errs
	clock := start
	o.Now = func() time.Time { return clock }
	o.Hint = func(err error) string {
		if errors.As(err, &refusal{}) {
			return "may you?"
		}
		return ""
	}
	p := New(o)
	p.Start(&transfer.Meter{})
	for _, e := range events(ways[way].verb) {
		clock = clock.Add(time.Millisecond)
		p.Event(e)
	}
	if way == 0 {
		for i := range problems {
			p.Event(transfer.Event{Problem: &problems[i]})
		}
	}
	s, requests := sum()
	if failed := p.Finish(s, requests, err); failed != nil {
		panic(failed)
	}
	return out.String(), errs.String()
}

// lines has the text of a stream with its name before each line.
func lines(stream, text string) string {
	if text == "" {
		return stream + " is empty\n"
	}
	return stream + " " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+stream+" ") + "\n"
}

var levels = []string{"All", "Lines", "Troubles", "Nothing"}

// everything is what runs of all kinds print.
func everything(o Options) string {
	var b strings.Builder
	for way := range ways {
		for level, name := range levels {
			for _, o.DryRun = range []bool{false, true} {
				o.Verbosity = Level(level)
				fmt.Fprintf(&b, "== %s, %s, dry run: %v\n", ways[way].name, name, o.DryRun)
				stdout, stderr := told(o, way, nil)
				b.WriteString(lines("out", stdout) + lines("err", stderr))
			}
		}
	}
	b.WriteString("== a run that could not go on\n")
	stdout, stderr := told(Options{JSON: o.JSON, Summary: true, Verbosity: Troubles}, 1, fmt.Errorf("opening: %w", refusal{}))
	b.WriteString(lines("out", stdout) + lines("err", stderr))
	return b.String()
}

func onSlashes(t *testing.T) {
	if filepath.Separator != '/' {
		t.Skip("the golden files have paths with slashes")
	}
}

// A run that was ended has a closing line if it did something.
func TestSummaryOfTheUnfinished(t *testing.T) {
	for _, c := range []struct {
		sum  transfer.Summary
		want string
	}{{transfer.Summary{Listed: 9}, ""}, {transfer.Summary{Deleted: 1}, "deleted 1; not finished; "}, {transfer.Summary{Failed: 1}, "failed 1; not finished; "}} {
		var errs bytes.Buffer
		p := New(Options{Summary: true, Stdout: &bytes.Buffer{}, Stderr: &errs})
		p.Finish(c.sum, nil, errors.New("the end"))
		if got := errs.String(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q", c.sum, got)
		}
	}
}

func TestText(t *testing.T) {
	onSlashes(t)
	golden(t, "text.golden", everything(Options{Summary: true}))
}

// Whoever does not ask for a summary gets none, and whoever has nothing to do hears nothing.
func TestNothingToDo(t *testing.T) {
	var out, errs bytes.Buffer
	p := New(Options{From: tree, To: Remote("b", ""), Stdout: &out, Stderr: &errs})
	p.Start(&transfer.Meter{})
	if err := p.Finish(transfer.Summary{}, nil, nil); err != nil || out.Len()+errs.Len() > 0 {
		t.Errorf("%q, %q, %v", out.String(), errs.String(), err)
	}
}

// A pipe gets names as they are, as from aws.
func TestPipeIsRaw(t *testing.T) {
	var out bytes.Buffer
	p := New(Options{From: tree, To: Remote("b", ""), Stdout: &out, Stderr: io.Discard})
	a := action(transfer.Delete, "a\x1b[2J\nb\xff", 0)
	p.Event(transfer.Event{Done: &a})
	if got := out.String(); got != "delete: s3://b/a\x1b[2J\nb\xff\n" {
		t.Errorf("%q", got)
	}
}

// The sizes that aws shows.
func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 Bytes", 1: "1 Byte", 2: "2 Bytes", 1023: "1023 Bytes", 1024: "1.0 KiB", 1536: "1.5 KiB", 10240: "10.0 KiB",
		1048063: "1023.5 KiB", 1048064: "1.0 MiB", 1048575: "1.0 MiB", 1048576: "1.0 MiB",
		1073217535: "1023.5 MiB", 1073217536: "1.0 GiB", 123456789012: "115.0 GiB",
		1<<40 - 1: "1.0 TiB", 1 << 50: "1.0 PiB", 1 << 60: "1.0 EiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// A stream that cannot be written to is told of at the end, and once.
func TestBrokenStream(t *testing.T) {
	p := New(Options{From: tree, To: Remote("b", ""), Stdout: broken{}, Stderr: io.Discard})
	a := action(transfer.Put, "a", 1)
	p.Event(transfer.Event{Done: &a})
	p.Event(transfer.Event{Done: &a})
	if err := p.Finish(transfer.Summary{}, nil, nil); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fs.ErrClosed }
