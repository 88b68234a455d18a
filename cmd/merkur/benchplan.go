package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"merkur/lab"
	"merkur/store/catalog"
	"merkur/transfer"
	"merkur/transfer/filter"
)

// benchPlanCommand is what "merkur bench" measures: one dry run of sync that prints its plan for lab.
func benchPlanCommand() *command {
	return &command{
		name:   "bench-plan",
		hidden: true,
		usage:  "one measurement of merkur bench, which runs it",
		paths:  syncCommand().paths,
		about:  "Plans as merkur sync --dryrun does, and prints the plan for merkur bench.",
		options: append(planOptions(), group{"9. Measuring", []option{
			{name: "draft", kind: valued, ours: true, usage: "the manifest of the bucket is kept in `DIR`"},
			{name: "stands-for", kind: valued, ours: true, usage: "the local tree is a copy of `DIR`, which patterns are about"},
			{name: "leave", kind: valued, ours: true, usage: "`DIRS` that are no part of the tree"},
			{name: "clock-ahead", kind: valued, ours: true, usage: "files are older than they are by `TIME`"},
		}}),
		codes: []exitMeaning{{exitDone, "the plan has an end, be it an error"}, {exitFailed, "it has none"}},
		run:   runBenchPlan,
	}
}

// planOptions are those of sync that a bench may pass on.
func planOptions() table { return append(table{}, syncOptions...) }

func runBenchPlan(ctx context.Context, g *given, paths []string) (int, error) {
	g.values["dryrun"] = ""
	rec := lab.NewRecorder(os.Stdout)
	end, err := plan(ctx, g, paths, rec)
	if err != nil {
		end.Error = err.Error()
	}
	if err := rec.End(end); err != nil {
		return exitFailed, fmt.Errorf("print: %w", err)
	}
	return exitDone, nil
}

// plan carries out the dry run, and tells what it took.
func plan(ctx context.Context, g *given, paths []string, rec *lab.Recorder) (end lab.End, err error) {
	q, err := readRequest(g, paths)
	if err != nil {
		return end, err
	}
	if dir := g.text("stands-for"); dir != "" {
		remote := q.to
		if q.from.remote() {
			remote = q.from
		}
		q.options.Filters = filter.New(g.filters, filepath.ToSlash(dir), remote.root())
	}
	stores, err := q.open(ctx, func(string) {})
	if err != nil {
		return end, err
	}
	draft, err := q.putDraft()
	if err != nil {
		return end, err
	}
	defer func() {
		if end.Requests, end.Memory = requestsOf(stores), lab.PeakMemory(); draft != nil {
			end.Drawn = draft.Drawn()
		}
	}()
	closeCache, err := q.rehearse()
	if err != nil {
		return end, err
	}
	o := &q.options
	o.Report = func(e transfer.Event) {
		if e.Done != nil && e.Done.Verb != transfer.Delete && e.Done.Verb != transfer.Describe {
			rec.Transfer(e.Done.Key, e.Done.Size())
		}
	}
	sum, err := transfer.Sync(ctx, *o)
	closeCache()
	end.Read, end.Failed, end.Unsettled = sum.Scan.HashedBytes+sum.Looked, sum.Failed, sum.Scan.UnsettledFiles
	return end, err
}

// putDraft has the run go by the draft of a manifest, if there is one.
func (q *request) putDraft() (draft *catalog.Draft, err error) {
	dir := q.given.text("draft")
	if dir == "" {
		return nil, nil
	}
	side := &q.options.To
	if q.from.remote() {
		side = &q.options.From
	}
	if draft, err = catalog.DraftIn(side.Store, dir); err == nil {
		side.Store = draft
	}
	return draft, err
}

// rehearse has the run remember in the scratch directory. It takes no identity and moves no mark.
func (q *request) rehearse() (done func(), err error) {
	o, g := &q.options, q.given
	done = func() {}
	ahead, err := time.ParseDuration(g.text("clock-ahead"))
	if err != nil {
		return done, fmt.Errorf("--clock-ahead: %w", err)
	}
	o.Scan.Leave = filepath.SplitList(g.text("leave"))
	o.Scan.Now = func() time.Time { return time.Now().Add(ahead) }
	if o.Key != nil {
		dir, err := identityDir()
		if err != nil {
			return done, err
		}
		o.FromMark, o.ToMark = catalog.NewMark(dir, o.From.Place).Frozen(), catalog.NewMark(dir, o.To.Place).Frozen()
	}
	dir, err := g.cacheRoot()
	if err != nil {
		return done, err
	}
	about := q.from.dir + q.to.dir
	if about == "" {
		about = o.From.Place + " to " + o.To.Place
	}
	kept := openCache(dir, about)
	o.Scan.Cache, o.Pages, o.State = kept.Digests(), kept.Pages(), kept.State()
	return func() { kept.Close() }, nil
}
