package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"merkur/manifest"
)

// A program is one that can be run in a world.
type program struct {
	name    string
	command []string
	// args adds what the program needs beside the arguments of the script.
	args func(w *world, args []string) []string
}

var aws = program{"aws", []string{"aws", "s3", "sync"}, func(_ *world, args []string) []string { return args }}

// merkur is this test binary, in the name that TestMain knows.
var merkur = program{"merkur", []string{"merkur", "sync"}, func(w *world, args []string) []string {
	args = append(args, w.options...)
	for _, a := range args {
		if strings.HasPrefix(a, "--siz") || strings.HasPrefix(a, "--exact") || a == "--compare" {
			return args
		}
	}
	return append(args, "--compare", "aws")
}}

// An outcome is all that can be seen of a script that was gone through, in lines: what each run
// printed, "!" before what went to stderr, and its exit code; then what there is in the end.
// Lines come in any order, so they are sorted.
type outcome []string

func parseOutcome(text string) outcome {
	return strings.Split(strings.TrimRight(text, "\n"), "\n")
}

func (o outcome) String() string { return strings.Join(o, "\n") + "\n" }

func (w *world) run(args []string) []string {
	w.t.Helper()
	p := w.program
	w.server.Reset()
	args = append(slices.Clone(p.args(w, args)), "--no-progress")
	cmd := exec.CommandContext(w.t.Context(), p.command[0], append(slices.Clone(p.command[1:]), args...)...)
	cmd.Dir = w.work
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=" + w.home,
		"GORACE=atexit_sleep_ms=0", // or else each run lasts a second longer
		"XDG_CACHE_HOME=" + filepath.Join(w.home, "cache"), "XDG_STATE_HOME=" + filepath.Join(w.home, "state")}, w.server.Env()...)
	if w.settings != "" {
		cmd.Env = append(cmd.Env, "AWS_CONFIG_FILE="+w.config())
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("%s: %v", p.name, err)
	}
	lines := w.lines(stdout.String(), "", func(line string) string { return line })
	lines = append(lines, withoutHints(w.lines(stderr.String(), "! ", class))...)
	if w.header != "" {
		lines = append(lines, "> "+w.header+" in "+strings.Join(w.carriers(w.header), ", "))
		w.header = ""
	}
	return append(lines, fmt.Sprint("exit ", cmd.ProcessState.ExitCode()))
}

// lines are those of an output, sorted.
func (w *world) lines(text, prefix string, of func(string) string) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = of(strings.ReplaceAll(line, w.work, "$WORK")); line != "" {
			lines = append(lines, prefix+line)
		}
	}
	slices.Sort(lines)
	return lines
}

// carriers are the kinds of requests that had a header, and those that had not.
func (w *world) carriers(header string) []string {
	var kinds []string
	for _, r := range w.server.Requests() {
		kind := strings.Replace(r.Operation, "DeleteObjects", "DeleteObject", 1)
		switch {
		case strings.Contains(r.Key, manifest.Reserved): // aws has no such objects
		case r.Header.Get(header) == "":
			kinds = append(kinds, "not "+kind)
		default:
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

var (
	trouble = regexp.MustCompile(`^(upload|download|copy|delete) failed: `)
	// reason is where the words of Python begin.
	reason = regexp.MustCompile(` (An error occurred \(|\[Errno |'utf-8' codec|Contents of stored object|Parameter validation failed|Bad value for).*`)
	// advice is where each program gives its own.
	advice = regexp.MustCompile(`( Object is of storage class| For more information, see) .*`)
)

// class is what is the same in both programs of a line of stderr. Why something failed is said
// in other words.
func class(line string) string {
	switch {
	case strings.HasPrefix(line, "warning: "):
		return advice.ReplaceAllString(line, "")
	case trouble.MatchString(line):
		return reason.ReplaceAllString(line, "")
	case strings.HasPrefix(line, "fatal error: "):
		return fatal
	case line == "":
		return ""
	}
	return words
}

// What stands for lines that are of a program's own making.
const (
	fatal = "fatal error"
	words = "words"
)

// withoutHints makes one line of all that is of a program's own making, and none where "fatal
// error" says enough.
func withoutHints(lines []string) []string {
	said := slices.Contains(lines, "! "+fatal)
	return slices.DeleteFunc(lines, func(line string) bool {
		again := said
		said = said || line == "! "+words
		return again && line == "! "+words
	})
}

// diff shows where an outcome is not the one that is wanted; empty: nowhere.
func (o outcome) diff(want outcome) string {
	got := o.heads(want)
	var b strings.Builder
	same := true
	for i, j := 0, 0; i < len(want) || j < len(got); {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			fmt.Fprintf(&b, "  %s\n", want[i])
			i, j = i+1, j+1
			continue
		case i < len(want) && (j == len(got) || !slices.Contains(got[j:], want[i])):
			fmt.Fprintf(&b, "- %s\n", want[i])
			i++
		default:
			fmt.Fprintf(&b, "+ %s\n", got[j])
			j++
		}
		same = false
	}
	if same {
		return ""
	}
	return b.String()
}

func (o outcome) equal(want outcome) bool { return o.diff(want) == "" }

// heads cuts lines about failures off behind what failed, which the other outcome knows.
func (o outcome) heads(other outcome) outcome {
	cut := slices.Clone(o)
	for i, line := range o {
		verb, said, failed := strings.Cut(line, " failed: ")
		if !failed || !trouble.MatchString(strings.TrimPrefix(line, "! ")) {
			continue
		}
		longest := ""
		for _, line := range other {
			for _, prefix := range []string{verb + " failed: ", strings.TrimPrefix(verb, "! ") + ": "} {
				what, ok := strings.CutPrefix(line, prefix)
				if ok && len(what) > len(longest) && strings.HasPrefix(said+" ", what+" ") {
					longest = what
				}
			}
		}
		if longest != "" {
			cut[i] = verb + " failed: " + longest
		}
	}
	return cut
}
