package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
)

// Options say what to mirror, where to, and how.
type Options struct {
	Dir         string       // local tree
	Store       bucket.Store // the bucket
	Place       string       // names endpoint, bucket and prefix to the cache
	Prefix      string       // of the keys: empty, or ending in "/"
	Filters     *Filters     // nil: everything is selected
	Delete      bool         // remove objects that have no file
	DryRun      bool         // tell what would be done, and change nothing
	MaxDelete   Limit
	AllowEmpty  bool // an empty source may delete everything
	Rebuild     bool // list and rebuild where the manifest cannot be read
	Concurrency int  // transfers at once; 0: usualConcurrency

	Scan     hashing.Options // Select and Descend are set by Upload
	Pages    catalog.Space   // nil: none
	State    catalog.Space   // nil: none
	Identity catalog.Identity

	Report func(Event) // called by many goroutines, one at a time; nil: nobody listens
	Meter  *Meter      // nil: nobody looks
}

const usualConcurrency = 16

// maxRestarts bounds how often a run begins anew because another writer replaced the manifest
// while it was being read.
const maxRestarts = 5

// Upload makes the prefix equal to the local tree. Failures of single files are told as events
// and counted; the error is what kept the run from going on.
func Upload(ctx context.Context, o Options) (Summary, error) {
	r := newRun(o)
	err := r.mirror(ctx)
	for n := 0; errors.Is(err, catalog.ErrMoved) && n < maxRestarts; n++ {
		r.note("another run replaced the manifest; beginning anew")
		err = r.mirror(ctx)
	}
	r.close()
	return r.sum, err
}

// mirror is one run from open to commit.
func (r *run) mirror(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	objects := r.catalog.Root().Top.Files
	err := r.carryOut(ctx)
	r.sum.Scan = r.scan.Stats()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = guard(r.doomed.n, objects, r.emptied(), r.o.MaxDelete, r.o.AllowEmpty)
	}
	if err == nil && !r.o.DryRun {
		err = r.remove(ctx)
	}
	if err == nil && !within(r.intent, r.doubt) {
		_, err = r.commit(ctx, catalog.Edit{Range: r.doubt}) // nothing came after a look at the bucket
	}
	r.sum.Root = r.catalog.Root()
	return err
}

// emptied reports whether the source has nothing in it: no file, or, where filters may have
// hidden all files, not even a name.
func (r *run) emptied() bool {
	if r.local.Top.Files > 0 || !r.o.Filters.some() {
		return r.local.Top.Files == 0
	}
	names, err := os.ReadDir(r.o.Dir)
	return err == nil && len(names) == 0
}

// A run is the state of one call of Upload. It belongs to the goroutine of mirror, but for
// what transfers share.
type run struct {
	o       Options
	store   bucket.Store // o.Store, or a draft of it
	draft   *catalog.Draft
	catalog *catalog.Catalog
	scan    *hashing.Scan
	policy  policy
	powers  *catalog.Powers // nil until something is to be written
	local   manifest.Root   // of the local tree, once it has been folded
	intent  *manifest.Range // as it stands in the manifest
	doubt   *manifest.Range // keys of which it is not known what the bucket holds
	doomed  spool
	told    string // the greatest key of a problem that has been told
	memory  budget
	events  chan struct{} // holds one token: who has it may report
	sum     Summary
	sent    struct{ files, bytes, proved, failed, unexpected atomic.Int64 }
}

func newRun(o Options) *run {
	if o.Concurrency == 0 {
		o.Concurrency = usualConcurrency
	}
	if o.Report == nil {
		o.Report = func(Event) {}
	}
	if o.Meter == nil {
		o.Meter = &Meter{}
	}
	if o.Filters == nil {
		o.Filters = NewFilters(nil, o.Dir, o.Prefix)
	}
	r := &run{o: o, store: o.Store, events: make(chan struct{}, 1), memory: newBudget()}
	r.policy = policy{delete: o.Delete, selects: o.Filters.Select, unknown: unknown{}}
	return r
}

func (r *run) dropDraft() {
	if r.draft != nil {
		r.draft.Close()
	}
}

func (r *run) close() {
	r.doomed.close()
	r.dropDraft()
	r.sum.Uploaded, r.sum.Sent = r.sent.files.Load(), r.sent.bytes.Load()
	r.sum.Proved, r.sum.Failed = r.sent.proved.Load(), r.sent.failed.Load()
	r.sum.Unexpected = r.sent.unexpected.Load()
}

// report tells an event; events never overlap.
func (r *run) report(e Event) {
	r.events <- struct{}{}
	r.o.Report(e)
	<-r.events
}

func (r *run) note(format string, args ...any) { r.report(Event{Note: fmt.Sprintf(format, args...)}) }

func (r *run) fail(a Action, err error) {
	r.sent.failed.Add(1)
	if errors.Is(err, errForeign) {
		r.sent.unexpected.Add(1)
	}
	r.report(Event{Failed: &Failure{Action: a, Err: err}})
}

// fold scans the tree and yields its leaves. What cannot be read is told and remembered.
func (r *run) fold(ctx context.Context) iter.Seq2[*manifest.Page, error] {
	return func(yield func(*manifest.Page, error) bool) {
		stopped := errors.New("nobody takes the pages any more")
		b := manifest.NewBuilder(func(p *manifest.Page) (manifest.Location, error) {
			if p.Level == 0 && !yield(p, nil) {
				return manifest.Location{}, stopped
			}
			return manifest.Location{}, nil
		})
		err := r.addAll(ctx, b)
		if err == nil {
			r.local, err = b.Finish()
		}
		if err != nil && err != stopped {
			yield(nil, err)
		}
	}
}

func (r *run) addAll(ctx context.Context, b *manifest.Builder) error {
	for item, err := range r.scan.Items(ctx) {
		if err != nil {
			return fmt.Errorf("scan %s: %w", r.o.Dir, err)
		}
		if item.Problem != nil {
			r.problem(item.Problem)
			continue
		}
		r.o.Meter.Scanned.Add(1)
		if err := b.Add(item.Entry); err != nil {
			return err
		}
	}
	return nil
}

// problem notes a path that could not be read. Problems come in key order; one that an earlier
// attempt of this run told of is not told again.
func (r *run) problem(p *hashing.Problem) {
	if r.o.Delete {
		r.policy.unknown.add(p.Key)
	}
	if p.Twin {
		return
	}
	r.sum.Problems++
	if r.told == "" || p.Key > r.told {
		r.told = p.Key
		r.report(Event{Problem: p})
	}
}

// renewEvery is how often the intent of a long batch is written again, so that nobody takes it
// for abandoned.
const renewEvery = catalog.Lease / 3

// graceful returns a context that outlives an interrupt for as long as it takes to write down
// what has been done.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}
