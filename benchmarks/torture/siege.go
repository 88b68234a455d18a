package main

import (
	"context"
	"fmt"
	"slices"

	"merkur/store/bucket/buckettest/faults"
)

// anything are the faults that may strike any request.
var anything = []faults.Kind{
	faults.Error500, faults.SlowDown, faults.Timeout400, faults.ResetBefore, faults.ResetAfter, faults.FailAfter, faults.Cut,
	faults.Trickle, faults.FlipAnswer, faults.FlipRequest, faults.ErrorIn200, faults.ErrorAfter, faults.Stall, faults.StallAfter,
}

// siege has the program run again and again over a changing tree while the network and the server
// do what they can. After each run that ends well nothing may be missing; after any nothing false.
func (g *rig) siege(ctx context.Context, seed uint64, rounds int) error {
	c := courses[seed%uint64(len(courses))]
	w, err := g.world(ctx, "siege-"+string(c), seed)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.people(ctx, c); err != nil {
		return err
	}
	for round := range rounds {
		if w.dead || w.over(ctx) {
			return ctx.Err()
		}
		if err := w.round(ctx, c, round); err != nil {
			return fmt.Errorf("%s, round %d: %w", w.name, round, err)
		}
	}
	return nil
}

// people makes the first files. Some trees are large enough for several batches and pages, and some
// buckets were filled by somebody who makes no manifest.
func (w *world) people(ctx context.Context, c course) error {
	n := w.rng.IntN(40)
	if w.rng.IntN(6) == 0 {
		n = 300 + w.rng.IntN(400)
	}
	if err := w.tree.grow(n); err != nil || w.rng.IntN(4) > 0 {
		return err
	}
	return w.fill(ctx, c)
}

// fill has another tool fill the bucket that the course is about.
func (w *world) fill(ctx context.Context, c course) error {
	args := w.args(up, "--compare", "size")
	if c == across {
		args[2] = w.url("b")
	}
	o, err := w.run(ctx, nil, args...)
	if err == nil {
		w.endedWell("filling", o)
	}
	return err
}

func (w *world) round(ctx context.Context, c course, round int) error {
	if err := w.tree.changes(w.rng.IntN(12)); err != nil {
		return err
	}
	if err := w.prepare(ctx, c); err != nil || w.dead {
		return err
	}
	for try := range 1 + w.rng.IntN(3) {
		if err := w.storm(ctx, c, fmt.Sprintf("round %d, try %d", round, try)); err != nil || w.dead {
			return err
		}
	}
	if w.rng.IntN(4) == 0 {
		// Not the state: without its identity a run has to wait for the lease of what it left itself.
		if err := w.spoil("cache"); err != nil {
			return err
		}
	}
	if w.rng.IntN(2) == 0 {
		return w.settle(ctx, c, fmt.Sprintf("round %d, settling", round))
	}
	return nil
}

// storm is one run with faults, and what is to be said of it.
func (w *world) storm(ctx context.Context, c course, where string) error {
	before, err := w.destination(c)
	if err != nil {
		return err
	}
	options, content := w.options(c)
	w.proxy.Set(w.plan())
	env := []string{fmt.Sprintf("AWS_MAX_ATTEMPTS=%d", 1+w.rng.IntN(5))}
	o, err := w.run(ctx, env, w.args(c, options...)...)
	if err != nil {
		return err
	}
	where = fmt.Sprintf("%s, %q", where, options)
	if !w.endedWell(where, o) {
		return nil
	}
	deletes := slices.Contains(options, "--delete")
	dry := slices.Contains(options, "--dryrun")
	if err := w.honest(c, where, before, deletes); err != nil || w.dead {
		return err
	}
	if o.code == 0 && content && deletes && !dry {
		return w.exact(c, where+", done")
	}
	return nil
}

// plan is what befalls the requests of one run.
func (w *world) plan() faults.Plan {
	rate := []float64{0.02, 0.1, 0.3}[w.rng.IntN(3)]
	plan := faults.Random(w.rng.Uint64(), rate, anything...)
	every := func(faults.Request) bool { return true }
	switch w.rng.IntN(8) {
	case 0: // the credentials run out
		kind := faults.Expired
		if w.rng.IntN(2) == 0 {
			kind = faults.Forbidden
		}
		return faults.First(faults.From(w.rng.IntN(60), every, faults.Fault{Kind: kind}), plan)
	case 1: // the process dies
		kind := []faults.Kind{faults.HookBefore, faults.HookAfter}[w.rng.IntN(2)]
		dies, _ := faults.Nth(1+w.rng.IntN(60), every, faults.Fault{Kind: kind, Hook: w.kill})
		return faults.First(dies, plan)
	case 2: // one kind only
		return faults.Random(w.rng.Uint64(), 0.3, anything[w.rng.IntN(len(anything))])
	case 3, 4: // one operation only, each time or some
		return w.against()
	}
	return plan
}

// against strikes the requests of one sort, all of them or some in a row.
func (w *world) against() faults.Plan {
	one := func(of ...string) string { return of[w.rng.IntN(len(of))] }
	rule := faults.Rule{
		Method: one("PUT", "PUT", "DELETE", "POST", "GET", "HEAD", ""),
		Path:   one("", "manifest", "/p/[^.]", "probe", "partNumber", "uploadId", "uploads", "list-type"),
		Skip:   w.rng.IntN(4), Times: []int{0, 1, 3, 8}[w.rng.IntN(4)],
		Fault: faults.Fault{Kind: anything[w.rng.IntN(len(anything))], At: w.rng.Uint64()},
	}
	struck := faults.Rules(rule)
	return func(r faults.Request) (f faults.Fault) {
		if rule.Fault.Kind.Applies(r) {
			f = struck(r)
		}
		return f
	}
}

// options are those of one run. It compares content, or at least goes by something else that finds
// all changes.
func (w *world) options(c course) (options []string, content bool) {
	one := func(n int, o ...string) {
		if w.rng.IntN(n) == 0 {
			options = append(options, o...)
		}
	}
	content = true
	if w.rng.IntN(8) > 0 {
		options = append(options, "--delete")
	}
	one(10, "--no-cache")
	one(20, "--rehash")
	one(15, "--order", "site")
	one(3, "--max-concurrent-requests", fmt.Sprint(1+w.rng.IntN(12)))
	one(12, "--dryrun")
	one(25, "--page-size", "3")
	if c == across {
		one(4, "--source-endpoint-url", w.proxy.URL())
	}
	if w.rng.IntN(10) == 0 {
		options, content = append(options, "--compare", []string{"aws", "size", "exact", "etag"}[w.rng.IntN(4)]), false
	}
	if c == down && slices.Contains(options, "site") {
		options = slices.DeleteFunc(options, func(o string) bool { return o == "site" || o == "--order" })
	}
	return options, content
}
