package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"merkur/benchmarks/torture/audit"
	"merkur/store/bucket/buckettest/faults"
)

// A tally counts what was tried and what came of it.
type tally struct {
	mu       sync.Mutex
	faults   map[faults.Kind]int
	kills    map[string]int // by boundary
	damage   map[string]int // of caches, by kind
	runs     map[string]int // by how they ended
	litter   int
	findings []string
	counts   map[string]int // of findings, by kind
}

func newTally() *tally {
	return &tally{
		faults: map[faults.Kind]int{}, kills: map[string]int{}, damage: map[string]int{}, runs: map[string]int{}, counts: map[string]int{},
	}
}

func (t *tally) add(in map[string]int, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in[what]++
}

func (t *tally) addFaults(counts map[faults.Kind]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for kind, n := range counts {
		t.faults[kind] += n
	}
}

// find notes something that must not be.
func (t *tally) find(kind, where, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[kind]++
	t.findings = append(t.findings, fmt.Sprintf("%s in %s: %s", kind, where, text))
}

// judge notes what an audit has found, and reports whether that is nothing.
func (t *tally) judge(where string, v audit.Verdict) bool {
	if len(v.False) > 0 {
		t.find("false", where, strings.Join(v.False, "\n\t"))
	}
	if len(v.Lost) > 0 {
		t.find("lost", where, strings.Join(v.Lost, "\n\t"))
	}
	return v.Good()
}

// bad are the kinds of findings.
var bad = []string{"lost", "false", "hung", "crashed", "stuck", "left behind"}

// print prints the tables and reports whether nothing was found.
func (t *tally) print(out io.Writer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	table(w, "fault", t.faults)
	table(w, "killed at", t.kills)
	table(w, "cache damaged", t.damage)
	table(w, "runs ended", t.runs)
	fmt.Fprintf(w, "\nfound\t\n")
	for _, kind := range bad {
		fmt.Fprintf(w, "  %s\t%d\n", kind, t.counts[kind])
	}
	fmt.Fprintf(w, "  litter (packs and probes that nobody names)\t%d\n", t.litter)
	w.Flush()
	for _, f := range t.findings {
		fmt.Fprintln(out, f)
	}
	return len(t.findings) == 0
}

func table[K ~string](w io.Writer, title string, counts map[K]int) {
	if len(counts) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\t\n", title)
	sum := 0
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "  %s\t%d\n", string(key), counts[key])
		sum += counts[key]
	}
	fmt.Fprintf(w, "  in all\t%d\n", sum)
}

func (t *tally) addLitter(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.litter += n
}
