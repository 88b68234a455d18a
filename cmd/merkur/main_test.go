package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"merkur": main})
}

// The garbage collector is held to a limit and let loose below it, unless somebody says otherwise.
func TestMemoryLimit(t *testing.T) {
	limit, growth := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	defer debug.SetMemoryLimit(limit)
	defer debug.SetGCPercent(growth)
	for _, c := range []struct {
		limit, growth         string
		wantLimit, wantGrowth int
	}{{"", "", usualMemory, usualGrowth}, {"1GiB", "", 1 << 30, usualGrowth}, {"", "50", usualMemory, 50}} {
		t.Setenv("GOMEMLIMIT", c.limit)
		t.Setenv("GOGC", c.growth)
		debug.SetMemoryLimit(1 << 30) // what the runtime makes of the variables
		debug.SetGCPercent(50)
		run([]string{"merkur", "sync"})
		if got := debug.SetMemoryLimit(-1); got != int64(c.wantLimit) {
			t.Errorf("GOMEMLIMIT=%s: the limit is %d, want %d", c.limit, got, c.wantLimit)
		}
		if got := debug.SetGCPercent(100); got != c.wantGrowth {
			t.Errorf("GOGC=%s: the growth is %d, want %d", c.growth, got, c.wantGrowth)
		}
	}
}

// TestScripts tells stories of the program, each with a bucket of its own, named by $BUCKET, on
// one real S3 server behind a proxy that counts requests. Beside the commands of testscript
// there are:
//
//	exits CODE PROGRAM...  runs a program, which ends with the code
//	requests [KIND N]...   since the last call, there were N requests of each KIND, and no others
//	printed FILE           the lines of stdout are those of FILE, in any order, variables filled in
//	object KEY FILE        the object KEY is there and holds what FILE holds
//	! object KEY           the object is not there
//	store KEY FILE         somebody else stores FILE as KEY
//	copy KEY OTHER         somebody else copies KEY to OTHER
//	discard KEY            somebody else removes KEY
//	old PATH...            sets the times of files an hour back
//	fifo PATH              makes a FIFO
//	grow PATH N            makes a file of N bytes
//	flip KEY               somebody else changes one bit in the middle of KEY
//	exits CODE COMMAND...  runs a command, which ends with the exit code
//	versions               the bucket keeps versions from now on
//	kept FILE              writes into FILE what caches and state of this machine hold
//	reads                  since the last call of this or requests, nothing was asked but listings, heads and gets
//	ran VAR                puts the name of the run that stderr tells of into a variable
func TestScripts(t *testing.T) {
	server := buckettest.Start(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			proxy, err := buckettest.Record(server.URL())
			if err != nil {
				return err
			}
			e.Defer(proxy.Close)
			name := "b-" + strings.ToLower(filepath.Base(e.WorkDir))
			name = strings.NewReplacer("_", "-", "script-", "").Replace(name)
			if err := server.CreateBucket(context.Background(), name); err != nil {
				return err
			}
			config := server.Config()
			e.Values["proxy"] = proxy
			store, err := bucket.Open(context.Background(), config, name)
			if err != nil {
				return err
			}
			e.Values["store"] = store
			e.Vars = append(e.Vars, server.Env()...)
			e.Vars = append(e.Vars, "BUCKET="+name, "AWS_ENDPOINT_URL="+proxy.URL(), "MERKUR_SUMMARY=1", "MERKUR_SAMPLE_SHARE=0", "HOME="+e.WorkDir+"/home",
				"XDG_CACHE_HOME="+e.WorkDir+"/cache", "XDG_STATE_HOME="+e.WorkDir+"/state",
				"AWS_EC2_METADATA_DISABLED=true", "SERVER="+server.URL())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"requests": requests, "printed": printed, "object": object, "store": store, "copy": copyObject, "discard": discard,
			"old": old, "fifo": fifo, "grow": grow, "flip": flip, "exits": exits,
			"versions": versions, "ran": ranAs, "kept": kept, "reads": reads,
		},
	})
}

func requests(ts *testscript.TestScript, neg bool, args []string) {
	proxy := ts.Value("proxy").(*buckettest.Recorder)
	got := proxy.Counts()
	proxy.Reset()
	if neg || len(args)%2 != 0 {
		ts.Fatalf("usage: requests [KIND N]...")
	}
	for i := 0; i < len(args); i += 2 {
		if n := strconv.Itoa(got[args[i]]); n != args[i+1] {
			ts.Fatalf("%s %s requests, want %s; in all: %v", n, args[i], args[i+1], got)
		}
		delete(got, args[i])
	}
	if len(got) > 0 {
		ts.Fatalf("requests besides those wanted: %v", got)
	}
}

func reads(ts *testscript.TestScript, neg bool, args []string) {
	proxy := ts.Value("proxy").(*buckettest.Recorder)
	got := proxy.Counts()
	proxy.Reset()
	if neg || len(args) > 0 || len(got) == 0 {
		ts.Fatalf("usage: reads; counted: %v", got)
	}
	for kind := range got {
		if !slices.Contains([]string{"ListObjectsV2", "HeadObject", "GetObject"}, kind) {
			ts.Fatalf("not only reads: %v", got)
		}
	}
}

// kept describes the files below the directories of caches and state, but for how long ago they were read.
func kept(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kept FILE")
	}
	var b strings.Builder
	for _, variable := range []string{"HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"} {
		err := filepath.WalkDir(ts.Getenv(variable), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			fmt.Fprintln(&b, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
			return err
		})
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o666))
}

func printed(ts *testscript.TestScript, neg bool, args []string) {
	lines := func(text string) string {
		l := strings.Split(strings.TrimSpace(text), "\n")
		slices.Sort(l)
		return strings.Join(l, "\n")
	}
	want := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	if got := lines(ts.ReadFile("stdout")); got != lines(want) {
		ts.Fatalf("stdout has the lines\n%s\nwant\n%s", got, lines(want))
	}
}

func storeOf(ts *testscript.TestScript) *bucket.S3 { return ts.Value("store").(*bucket.S3) }

func object(ts *testscript.TestScript, neg bool, args []string) {
	body, _, err := storeOf(ts).Get(context.Background(), args[0], bucket.GetOptions{})
	if neg {
		if err == nil {
			body.Close()
			ts.Fatalf("object %s is there", args[0])
		}
		return
	}
	ts.Check(err)
	defer body.Close()
	got, err := io.ReadAll(body)
	ts.Check(err)
	if want := ts.ReadFile(args[1]); string(got) != want {
		ts.Fatalf("object %s holds %.200q, want %.200q", args[0], got, want)
	}
}

func store(ts *testscript.TestScript, neg bool, args []string) {
	body := ts.ReadFile(args[1])
	_, err := storeOf(ts).Put(context.Background(), args[0], strings.NewReader(body), int64(len(body)), bucket.PutOptions{})
	ts.Check(err)
}

func copyObject(ts *testscript.TestScript, neg bool, args []string) {
	_, err := storeOf(ts).Copy(context.Background(), bucket.Source{Key: args[0]}, args[1], bucket.CopyOptions{})
	ts.Check(err)
}

func discard(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(storeOf(ts).Delete(context.Background(), args[0], bucket.Condition{}))
}

func old(ts *testscript.TestScript, neg bool, args []string) {
	then := time.Now().Add(-time.Hour)
	for _, a := range args {
		ts.Check(os.Chtimes(ts.MkAbs(a), then, then))
	}
}

func versions(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(storeOf(ts).KeepVersions(context.Background()))
}

func ranAs(ts *testscript.TestScript, neg bool, args []string) {
	found := regexp.MustCompile(`; run (\S+)\n`).FindStringSubmatch(ts.ReadFile("stderr"))
	if found == nil {
		ts.Fatalf("stderr names no run: %s", ts.ReadFile("stderr"))
	}
	ts.Setenv(args[0], found[1])
}

func grow(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("0123456789abcdef\n", n/17+1)[:n]), 0o644))
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	body, _, err := storeOf(ts).Get(context.Background(), args[0], bucket.GetOptions{})
	ts.Check(err)
	b, err := io.ReadAll(body)
	body.Close()
	ts.Check(err)
	b[len(b)/2] ^= 4
	_, err = storeOf(ts).Put(context.Background(), args[0], bytes.NewReader(b), int64(len(b)), bucket.PutOptions{})
	ts.Check(err)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if neg || got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
