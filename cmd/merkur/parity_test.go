package main

import (
	"cmp"
	commandline "flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tests of this file hold merkur to what "aws s3 sync" does, where it compares as aws does.
//
// A case is a file in testdata/parity: first the script (see parity_script_test.go), which sets
// up local trees and buckets and runs syncs; then, in the section "aws", what aws has done. In the
// cases of the table departures merkur means to do something else, which the section "merkur"
// shows.
//
// TestRecorded runs merkur on all cases. TestParity runs aws too, and so finds out whether the
// records are right; and it runs both on cases that it makes up.

var update = commandline.Bool("update", false, "TestParity writes down what aws does, and merkur's departures from it")

// A record is a case as it is kept.
type record struct {
	name   string
	script []step
	text   string  // of the script
	aws    outcome // what is recorded
	merkur outcome // nil: what aws does
}

// TestRecorded runs merkur on the recorded cases. It does not need aws.
func TestRecorded(t *testing.T) {
	t.Parallel()
	onLinux(t)
	records := readRecords(t)
	for _, r := range records {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if _, known := departures[r.name]; known != (r.merkur != nil) {
				t.Fatalf("it departs from aws in the table: %v; in its file: %v", known, r.merkur != nil)
			}
			want := r.aws
			if r.merkur != nil {
				want = r.merkur
				if r.merkur.equal(r.aws) {
					t.Error("it does not depart from aws any more")
				}
			}
			got := play(t, merkur, r.script)
			if diff := got.diff(want); diff != "" {
				t.Errorf("%s\nwant (-) and got (+):\n%s", r.text, diff)
			}
		})
	}
	for name := range departures {
		if !slices.ContainsFunc(records, func(r record) bool { return r.name == name }) {
			t.Errorf("the departure %s has no case", name)
		}
	}
}

// TestParity compares merkur with the aws on PATH. MERKUR_PARITY sets on how many random cases,
// beside all that are recorded; without it, on a few, and a quarter of those that are recorded.
// MERKUR_PARITY_SEED is the seed of the first.
func TestParity(t *testing.T) {
	t.Parallel()
	onLinux(t)
	if testing.Short() {
		t.Skip("aws takes its time")
	}
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("aws is not on PATH: merkur is held only to what was recorded")
	}
	if out, err := exec.Command("aws", "--version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "aws-cli/1.") {
		t.Skipf("the records are of version 1 of aws, and this is %s (%v)", out, err)
	}
	seed := uint64(numberFrom("MERKUR_PARITY_SEED", int(rand.Uint32())))
	for i, r := range readRecords(t) {
		if os.Getenv("MERKUR_PARITY") == "" && !*update && uint64(i)%4 != seed%4 {
			continue // to be done in a minute; all of them are looked at in four runs
		}
		t.Run("recorded/"+r.name, func(t *testing.T) {
			t.Parallel()
			checkRecord(t, r)
		})
	}
	for i := range uint64(numberFrom("MERKUR_PARITY", 6)) {
		t.Run(fmt.Sprintf("random/%d", seed+i), func(t *testing.T) {
			t.Parallel()
			checkRandom(t, seed+i)
		})
	}
}

// onLinux skips a test elsewhere: the cases have names that other systems know only one of, or
// none.
func onLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the cases were recorded on Linux")
	}
}

// numberFrom is a number that the environment may set.
func numberFrom(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// checkRecord finds out whether aws does what is recorded, or writes down what it does.
func checkRecord(t *testing.T, r record) {
	got := play(t, aws, r.script)
	if !*update {
		if diff := got.diff(r.aws); diff != "" {
			t.Errorf("%s\nrecorded (-) and done by aws (+):\n%s", r.text, diff)
		}
		return
	}
	text := strings.TrimRight(r.text, "\n") + "\n\n-- aws --\n" + got.String()
	if _, departs := departures[r.name]; departs {
		text += "-- merkur --\n" + play(t, merkur, r.script).heads(got).String()
	}
	if err := os.WriteFile(recordFile(r.name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// checkRandom runs both programs on a case that is made up.
func checkRandom(t *testing.T, seed uint64) {
	text := invent(rand.New(rand.NewPCG(seed, 0)))
	script, err := parseScript(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	want, got := play(t, aws, script), play(t, merkur, script)
	if diff := got.diff(want); diff != "" {
		t.Errorf("MERKUR_PARITY_SEED=%d\n%s\naws (-) and merkur (+):\n%s", seed, text, diff)
	}
}

func recordFile(name string) string { return filepath.Join("testdata", "parity", name+".txt") }

func readRecords(t *testing.T) []record {
	t.Helper()
	files, err := filepath.Glob(recordFile("*"))
	if err != nil || len(files) < 60 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	var records []record
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := record{name: strings.TrimSuffix(filepath.Base(file), ".txt")}
		rest, ours, departs := strings.Cut(string(data), "-- merkur --\n")
		if departs {
			r.merkur = parseOutcome(ours)
		}
		text, theirs, recorded := strings.Cut(rest, "-- aws --\n")
		if r.text, r.aws = text, parseOutcome(theirs); !recorded && !*update {
			t.Fatalf("%s records nothing", file)
		}
		if r.script, err = parseScript(text); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(a.name, b.name) })
	return records
}
