package output

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"merkur/transfer"
)

// The log has everything, whatever is told elsewhere, and grows from run to run.
func TestLog(t *testing.T) {
	onSlashes(t)
	file := filepath.Join(t.TempDir(), "log")
	run := func(o Options, code int, err error) {
		w, failed := OpenLog(file)
		if failed != nil {
			t.Fatal(failed)
		}
		defer w.Close()
		o.From, o.To, o.Log, o.Stdout, o.Stderr = tree, Remote("b", "p/"), w, io.Discard, io.Discard
		o.Now = func() time.Time { return start }
		p := New(o)
		a := action(transfer.Put, "a\nfake\x1b", 1)
		p.Event(transfer.Event{Done: &a})
		p.Event(transfer.Event{Failed: &transfer.Failure{Action: a, Err: refusal{}}})
		p.Warn("Skipping file x.")
		p.Note("well")
		s, requests := sum()
		p.Finish(s, requests, err)
		p.End(code, err)
	}
	run(Options{}, 0, nil)
	run(Options{Verbosity: Nothing, Summary: true}, 2, nil)
	run(Options{Verbosity: Troubles, JSON: true, DryRun: true}, 1, nil)
	run(Options{}, 1, errors.New("no such\nbucket"))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "log.golden", string(text))
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestOpenLog(t *testing.T) {
	if _, err := OpenLog(filepath.Join(t.TempDir(), "no", "log")); err == nil {
		t.Error("a log in no directory")
	}
}

// Each line is one write.
func TestLogWrites(t *testing.T) {
	var w pieces
	o := Options{From: tree, To: Remote("b", ""), Log: &w, Stdout: io.Discard, Stderr: io.Discard, Verbosity: Nothing}
	p := New(o)
	p.Note("one\ntwo")
	p.Finish(transfer.Summary{}, nil, nil)
	p.End(0, nil)
	if len(w) != 4 {
		t.Errorf("%q", w)
	}
	for _, piece := range w {
		if strings.Index(piece, "\n") != len(piece)-1 {
			t.Errorf("%q is not one line", piece)
		}
	}
}

type pieces []string

func (p *pieces) Write(b []byte) (int, error) {
	*p = append(*p, string(b))
	return len(b), nil
}

// A log that cannot be written is told of once.
func TestBrokenLog(t *testing.T) {
	for _, o := range []Options{{}, {JSON: true}} {
		var out, errs bytes.Buffer
		o.From, o.To, o.Log, o.Stdout, o.Stderr = tree, Remote("b", ""), broken{}, &out, &errs
		p := New(o)
		p.Note("one")
		if err := p.Finish(transfer.Summary{}, nil, nil); err != nil {
			t.Error(err)
		}
		p.End(0, nil)
		if all := out.String() + errs.String(); strings.Count(all, "Nothing more is written to the log") != 1 || (errs.Len() == 0) != o.JSON {
			t.Errorf("%q, %q", out.String(), errs.String())
		}
	}
}
