package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"merkur/hashing"
	"merkur/lab/edits"
	"merkur/lab/report"
	"merkur/manifest"
)

// A bench is the state of one call of Run.
type bench struct {
	o         Options
	direction string
	scratch   string
	contents  [2]*contents // of the source and the destination; nil: that side is local
	base      *truth       // of the tree as it is
	digests   *memoir      // of local files; nil: nobody wants to know
	scanned   hashing.Stats
	reads     reads
	asked     map[string]int64 // requests of the processes
	draft     string           // the directory of the rehearsed manifest; empty: none
	young     int64            // files of the tree as it is that are too young to be trusted
	notes     []string
	report    report.Report
}

// Run measures and judges. It changes nothing but its scratch directory, which is gone in the end.
func Run(ctx context.Context, o Options) (r report.Report, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &bench{o: o, direction: direction(o.From, o.To), asked: map[string]int64{}}
	b.reads.digests = map[string]manifest.Digest{}
	if b.direction == "copy" && len(o.Wishes) > 0 {
		return r, errors.New("there is no local tree that could be copied and edited")
	}
	if b.scratch, err = os.MkdirTemp(o.Scratch, "merkur-bench-*"); err != nil {
		return r, fmt.Errorf("make a scratch directory: %w", err)
	}
	defer func() {
		b.close()
		if rerr := os.RemoveAll(b.scratch); err == nil && rerr != nil {
			err = fmt.Errorf("remove the scratch directory: %w", rerr)
		}
	}()
	if b.scratch, err = filepath.Abs(b.scratch); err != nil {
		return r, err
	}
	b.o.Leave = append(b.o.Leave, b.scratch)
	for _, step := range []func(context.Context) error{b.look, b.measureAsIs, b.simulate} {
		if err := step(ctx); err != nil {
			return r, err
		}
	}
	b.finish()
	return b.report, nil
}

func direction(from, to Side) string {
	switch {
	case from.local():
		return "upload"
	case to.local():
		return "download"
	}
	return "copy"
}

func (b *bench) close() {
	for _, c := range b.contents {
		if c != nil && c.Saved != nil {
			c.Close()
		}
	}
}

func (b *bench) tell(format string, args ...any) {
	if b.o.Tell != nil {
		b.o.Tell(fmt.Sprintf(format, args...))
	}
}

// ask counts requests of a process.
func (b *bench) ask(requests map[string]int64) {
	for name, n := range requests {
		b.asked[name] += n
	}
}

// dir is the path of the local side; empty if there is none.
func (b *bench) dir() string { return b.o.From.Dir + b.o.To.Dir }

// look finds out what both sides hold and what is true of them.
func (b *bench) look(ctx context.Context) (err error) {
	unknown := false
	for i, s := range []Side{b.o.From, b.o.To} {
		if s.local() {
			continue
		}
		b.tell("listing %s", s.Name)
		if b.contents[i], err = readContents(ctx, s, b.file(fmt.Sprintf("contents-%d", i))); err != nil {
			return err
		}
		unknown = unknown || b.contents[i].known < b.contents[i].objects
	}
	if unknown && b.dir() != "" {
		b.digests = &memoir{records: map[string][]byte{}}
	}
	b.tell("comparing %s and %s by content", b.o.From.Name, b.o.To.Name)
	if b.base, err = b.truth(ctx, b.dir()); err != nil {
		return err
	}
	b.describe()
	if err := b.learn(ctx, b.base, b.dir()); err != nil {
		return err
	}
	b.digests = nil
	b.report.Truth.Spent = report.Counted(b.o.Asked())
	return b.rehearse(ctx)
}

// rehearse makes the manifest that a first run would leave, where a local tree says what objects hold.
func (b *bench) rehearse(ctx context.Context) error {
	c := b.keeper()
	if c == nil || c.manifest {
		return nil
	}
	b.draft = b.file("draft")
	if err := os.Mkdir(b.draft, 0o700); err != nil {
		return err
	}
	if err := c.rehearse(ctx, b.draft); err != nil {
		return fmt.Errorf("rehearse a manifest: %w", err)
	}
	b.note("The bucket has no manifest. One was made for this bench as a run of merkur would leave it, and put aside.")
	return nil
}

// keeper is the side whose manifest the strategy content goes by; nil of two buckets.
func (b *bench) keeper() *contents {
	switch b.direction {
	case "upload":
		return b.contents[1]
	case "download":
		return b.contents[0]
	}
	return nil
}

func (b *bench) note(text string) { b.notes = append(b.notes, text) }

// describe says what the sides are, and how the truth is known.
func (b *bench) describe() {
	r := &b.report
	*r = report.Report{
		Type: "bench", Time: b.o.Now().UTC().Format(time.RFC3339), Source: b.o.From.Name, Destination: b.o.To.Name, Direction: b.direction,
		Files: b.scanned.Files, Bytes: b.scanned.Bytes, FileSystem: b.scanned.FileSystem,
		Rounds: b.o.Rounds, Seed: b.o.Seed, Prices: b.o.Prices,
	}
	if from := b.contents[0]; from != nil {
		r.Files, r.Bytes = int64(from.Manifest.Root.Top.Files), int64(from.Manifest.Root.Top.Bytes)
	}
	t, whole, proofs := &r.Truth, true, -b.base.alone
	for _, c := range b.contents {
		if c == nil {
			continue
		}
		whole = whole && c.manifest
		t.Objects, t.ByWord, t.Foreign = t.Objects+c.objects, t.ByWord+c.known, t.Foreign+c.foreign
		proofs += c.objects - c.known
	}
	t.Manifest, t.Unknown = whole, int64(len(b.base.Unknown))
	t.ByRead, t.ReadSize = int64(len(b.reads.digests)), b.reads.bytes
	t.ByProof = max(0, proofs-t.ByRead-t.Unknown)
}

// measureAsIs measures all strategies on the tree as it is.
func (b *bench) measureAsIs(ctx context.Context) error {
	var list []*contender
	for i, s := range b.o.Strategies {
		for _, state := range b.states(i) {
			c := &contender{strategy: s, state: state, needs: b.base.Needs, spec: Spec{Strategy: s}}
			if state == report.Then {
				c.spec.Draft = b.draft
			}
			list = append(list, c)
		}
	}
	return b.contest(ctx, report.AsItIs, 0, b.base, list)
}

// states are those in which a strategy is measured: the one with a manifest and a cache in two.
func (b *bench) states(strategy int) []string {
	switch {
	case strategy > 0:
		return []string{""}
	case b.draft != "":
		return []string{report.First, report.Then}
	case !b.report.Truth.Manifest:
		return []string{report.First}
	}
	return []string{report.Cold, report.Warm}
}

// contest primes contenders and measures them in turn; who begins is another one in each round.
func (b *bench) contest(ctx context.Context, name string, edited int, t *truth, list []*contender) error {
	for _, c := range list {
		b.tell("%s: %s, not counted", name, c.strategy)
		if err := b.prime(ctx, c); err != nil {
			return err
		}
	}
	return b.rounds(ctx, name, edited, t, list)
}

func (b *bench) rounds(ctx context.Context, name string, edited int, t *truth, list []*contender) error {
	for round := range b.o.Rounds {
		for i := range list {
			c := list[(i+round)%len(list)]
			if c.failed != "" {
				continue
			}
			b.tell("%s: %s, round %d of %d", name, c.strategy, round+1, b.o.Rounds)
			if err := b.measure(ctx, c); err != nil {
				return err
			}
		}
	}
	result := report.Case{Name: name, Edits: edited, Needed: int64(len(t.Needed)), NeededBytes: t.bytes, Unknown: int64(len(t.Unknown))}
	for _, c := range list {
		result.Outcomes = append(result.Outcomes, b.outcome(c))
	}
	b.report.Cases = append(b.report.Cases, result)
	return nil
}

// keeps reports whether a run of a contender keeps a manifest at the destination true.
func (b *bench) keeps(c *contender) bool {
	to := b.contents[1]
	return to != nil && (c.strategy == b.o.Strategies[0] || to.manifest)
}

// simulate edits a copy of the local tree in each way that is wished for, and measures.
func (b *bench) simulate(ctx context.Context) error {
	if len(b.o.Wishes) == 0 {
		return nil
	}
	b.tell("copying %s", b.dir())
	r := &replica{from: b.dir(), dir: b.file("tree")}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return err
	}
	if err := r.fill(ctx, b.scanOptions(), b.o.Limit); err != nil {
		return err
	}
	for _, w := range b.o.Wishes {
		if err := b.simulateOne(ctx, r, w); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) simulateOne(ctx context.Context, r *replica, w edits.Wish) error {
	var list []*contender
	states := b.states(0)
	for i, s := range b.o.Strategies {
		c := &contender{strategy: s, spec: Spec{Strategy: s, Dir: r.dir, Ahead: old}}
		if i == 0 {
			c.state, c.spec.Draft = states[len(states)-1], b.draft
		}
		list = append(list, c)
		if i > 0 && len(b.report.Cases) > 1 {
			continue // its cache knows nothing of files, and so is as it was before the last edits
		}
		b.tell("%s: %s, not counted", w, s)
		if err := b.prime(ctx, c); err != nil {
			return err
		}
	}
	steps := edits.Plan(w, b.o.Seed, r.files)
	if err := r.apply(ctx, steps); err != nil {
		return err
	}
	b.tell("%s: comparing by content", w)
	t, err := b.truth(ctx, r.dir)
	if err != nil {
		return err
	}
	if len(b.report.Cases) == 1 && b.scanned.FileSystem == "memory" && b.report.FileSystem != "memory" {
		b.note("The scratch directory lies in memory, where a write may leave no trace: content reads all files of the copy in every run. --scratch names another.")
	}
	for _, c := range list {
		c.needs = t.Needs
	}
	if err := b.rounds(ctx, w.String(), len(steps), t, list); err != nil {
		return err
	}
	return r.undo(ctx, steps)
}

// finish draws the conclusions.
func (b *bench) finish() {
	r := &b.report
	asked := maps.Clone(b.asked)
	for name, n := range b.o.Asked() {
		asked[name] += n
	}
	r.Spent = report.Counted(asked)
	r.SpentPrice = b.o.Prices.Of(r.Spent, b.reads.bytes)
	if r.FileSystem == "memory" && b.young > 0 {
		b.note("The local tree lies in memory, where a write may leave no trace: content reads all files in every run. --trust-stat has it trust size and times there.")
	}
	if b.young > 0 && r.FileSystem != "memory" {
		b.note(report.Count(b.young, "file") + " changed so short a while ago that content reads them again in each run; after two minutes it does not.")
	}
	r.Conclusion, r.Notes = report.Conclude(*r), b.notes
}
