package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/drift"
	"merkur/transfer/filter"
	"merkur/transfer/headers"
	"merkur/transfer/local"
	"merkur/transfer/pace"
)

// Options say what to mirror, where to, and how.
type Options struct {
	From, To Side

	// What is compared, and how.
	Compare     compare.Name    // empty: content
	NoOverwrite bool            // what is at the destination stays, whatever it is
	Filters     *filter.Filters // nil: everything is selected
	Scan        hashing.Options // of the local side; Select, Descend and Stat are set by Sync

	// What is deleted.
	Delete     bool // remove from the destination what the source does not have
	MaxDelete  Limit
	AllowEmpty bool // an empty source may delete everything

	// What is stored, and how.
	Headers headers.Set    // for all objects
	Rules   *headers.Rules // for some; they come before Headers. Nil: none
	NoGuess bool           // guess no content type
	Terms   bucket.Terms
	Props   Props   // of objects that are copied from bucket to bucket
	Relay   bool    // the destination's server cannot read the source: copy through this machine
	Archive Archive // what becomes of objects that are in an archive
	Case    CaseConflict
	Order   Order
	Parts   Parts
	Gate    *pace.Gate // how many requests move data at once; nil: as many as are found to be good
	Buffer  int64      // bytes read at once of a download; 0: usualBuffer
	Ahead   int        // actions planned ahead, from firstFiles to batchFiles; 0: batchFiles

	// What is looked after, and what becomes of it.
	Audit   float64       // the share of the keys to compare with the manifest by a listing; 0: none
	Sample  float64       // how many untouched objects to look at for each transfer; 0: none
	Foreign drift.Options // what may be done to objects that somebody else has changed

	// Backup is where copies are kept of what the run replaces or deletes in a bucket: a prefix on the
	// same server, outside of the mirrored one. Nil: none are.
	Backup *Side
	// Known says that this source was mirrored to this destination before. Where it is not, and
	// there is no manifest either, little may be deleted.
	Known bool
	// Begun says that a run from here to where there was no manifest did not come to its end: the
	// manifest that it left does not make what it found there the mirror's. First is called by such
	// a run before it stores anything; nil: nobody remembers it.
	Begun bool
	First func()

	DryRun bool // tell what would be done, and change nothing
	Strict bool // write only to a server that keeps two writers apart by its conditions
	// Key is what manifests are sealed with, that of the source too: then nothing is believed but
	// what they say. Nil: none.
	Key *manifest.Key
	// What this machine has seen of the manifests before; nil: nothing. AcceptRollback takes what
	// is there all the same.
	FromMark, ToMark *catalog.Mark
	AcceptRollback   bool
	Rebuild          bool // list and rebuild where the manifest cannot be read

	Pages    catalog.Space // nil: none
	State    catalog.Space // nil: none
	Identity catalog.Identity
	Uploads  *catalog.Journal // of uploads in parts to the destination; nil: none

	Report  func(Event) // called by many goroutines, one at a time; nil: nobody listens
	Explain bool        // report also why things are done
	Meter   *Meter      // nil: nobody looks
}

// maxRestarts bounds how often a run begins anew because another writer replaced the manifest
// while it was being read.
const maxRestarts = 5

// Sync makes the destination equal to the source. Failures of single files are told as events
// and counted; the error is what kept the run from going on.
func Sync(ctx context.Context, o Options) (Summary, error) {
	r, err := newRun(o)
	if err != nil {
		return Summary{}, err
	}
	err = r.mirror(ctx)
	for n := 0; errors.Is(err, catalog.ErrMoved) && n < maxRestarts; n++ {
		r.note("another run replaced the manifest; beginning anew")
		if r.sum.Run != "" {
			r.note("what was done so far is run %s", r.sum.Run)
		}
		err = r.mirror(ctx)
	}
	r.close()
	return r.sum, err
}

// mirror is one run from open to commit.
func (r *run) mirror(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return r.leave(ctx, err)
	}
	err := r.carryOut(ctx, r.planAll)
	if r.scan != nil {
		r.sum.Scan = r.scan.Stats()
	}
	if err == nil {
		err = r.lookAround(ctx)
	}
	if err == nil {
		err = errors.Join(r.spareStrays(), ctx.Err())
	}
	if err == nil && r.doomed.n+r.strays.n > 0 && r.o.Order == PagesLast && r.flawed() {
		r.note("nothing is deleted, since something could not be transferred")
	} else if err == nil {
		c, serr := r.circumstances()
		refused := errors.Join(serr, guard(r.doomed.n+r.strays.n, r.present(), c, r.o.MaxDelete, r.o.AllowEmpty))
		if refused == nil && !r.o.DryRun {
			err = r.remove(ctx)
		}
		if err == nil {
			err = errors.Join(refused, r.transferPostponed(ctx))
		}
	}
	if err == nil && !within(r.intent.keys, r.doubt.keys) {
		_, err = r.commit(ctx, r.doubt.of(catalog.Edit{})) // nothing came after a look at the bucket
	}
	if err == nil {
		r.audited()
	}
	if err == nil && r.catalog != nil && !r.o.DryRun {
		if _, err := r.catalog.Sweep(ctx); err != nil {
			r.note("%v", err) // it is tried again
		}
	}
	if err == nil && !r.o.DryRun {
		r.discardLeft(ctx)
	}
	return r.leave(ctx, err)
}

// leave ends the record of a run, also of one that ends with an error.
func (r *run) leave(ctx context.Context, err error) error {
	safe, cancel := graceful(ctx)
	defer cancel()
	return errors.Join(err, r.recordEnd(safe, err == nil))
}

// flawed reports whether something was not transferred.
func (r *run) flawed() bool {
	return r.sent.failed.Load()+r.sent.left.Load()+r.sent.warned.Load()+r.sum.Problems > 0
}

// A run is the state of one call of Sync. While carryOut goes on, what finds pairs and plans (seen,
// policy, cases, told and the spools) belongs to the one that plans, intent and doubt to the one that
// carries out; before and after, all belongs to the goroutine of mirror.
type run struct {
	o       Options
	way     compare.Direction
	store   bucket.Store     // of the destination, or a draft of it; nil if that is local
	draft   *catalog.Draft   // nil but in a dry run
	catalog *catalog.Catalog // of the destination; nil: there is none to be kept true
	source  *catalog.Catalog // of the source; nil: there is none to go by
	tree    *local.Tree      // of the destination, if that is local
	scan    *hashing.Scan    // of the local side, if there is one
	lead    *lead            // where that is, if there is one
	unread  bool             // files are not read before they are sent
	policy  policy
	powers  *catalog.Powers // of the destination; nil until something is to be written
	proven  bool            // one request has deleted many objects
	apart   bool            // none does
	atFirst uint64          // entries of the catalog when the run began
	seen    struct{ from, to uint64 }
	intent  claim  // as it stands in the manifest
	doubt   claim  // keys of which it is not known what the bucket holds
	ledger  ledger // what is told of the run, for who wants to undo it
	past    *Past  // the run that this one undoes; nil: none
	new     bool   // the destination had no manifest when the run began
	doomed  spool  // deletes, for the end
	strays  spool  // more of them, of objects that no manifest names
	late    spool  // transfers that come after all others
	odd     spool  // downloads whose keys are no paths
	blocked struct {
		actions []Action // transfers that may be possible after the deletes
		closed  bool     // no more are taken: the deletes are done
	}
	cases  cases
	links  *links // directories of a local destination that links stand for
	told   string // the greatest key of a problem that has been told
	gate   *pace.Gate
	memory budget
	left   leftovers
	events chan struct{} // holds one token: who has it may report
	// What is to be stated in the intent before a transfer goes on. Who renews it takes them.
	statements chan statement
	sum        Summary
	sent       struct {
		files, bytes, proved, looked, described, failed, left, warned atomic.Int64
	}
	// What somebody else has changed. Who has the token of events may use toldOf and met.
	toldOf        map[toldKey]told          // what was told
	met           []encounter               // that nobody has thought about yet
	expected      map[string]manifest.Entry // strays that transfers will meet
	sample        []suspect                 // untouched, to be looked at
	picked        bool                      // the sample has been picked
	auditFirst    string                    // where the audit began
	auditNext     *auditPlace               // where the next one begins; nil: there was none
	listedObjects atomic.Int64
}

func newRun(o Options) (*run, error) {
	if o.Compare == "" {
		o.Compare = compare.Content
	}
	if o.Report == nil {
		o.Report = func(Event) {}
	}
	if o.Meter == nil {
		o.Meter = &Meter{}
	}
	o.Parts = o.Parts.usual()
	if o.Buffer == 0 {
		o.Buffer = usualBuffer
	}
	if o.Ahead == 0 {
		o.Ahead = batchFiles
	}
	o.Ahead = min(max(o.Ahead, firstFiles), batchFiles) // each batch is a commit, and lies in memory
	if o.Gate == nil {
		o.Gate = pace.Adaptive(pace.Options{Throttled: throttled(o.From.Store, o.To.Store)})
	}
	switch {
	case o.From.local() && o.To.local():
		return nil, errors.New("one of the two sides has to be in a bucket")
	case o.Key != nil && o.Compare != compare.Content:
		return nil, errors.New("listings, which are not sealed, do not go with a key")
	case o.Key != nil && o.Rebuild && o.To.local():
		return nil, errors.New("a listing, which is not sealed, does not go with a key")
	case o.Backup != nil && o.To.local():
		return nil, errors.New("copies can be kept of objects in a bucket only")
	case o.Rebuild && o.Compare != compare.Content:
		return nil, errors.New("a manifest can be rebuilt only where content is compared")
	}
	o.Foreign.Delete = o.Foreign.Delete && o.Delete
	o.Foreign.Overwrite = o.Foreign.Overwrite && !o.NoOverwrite
	r := &run{o: o, way: way(o.From, o.To), store: o.To.Store, gate: o.Gate, events: make(chan struct{}, 1), memory: newBudget(o.Parts),
		toldOf: map[toldKey]told{}, statements: make(chan statement)}
	r.left.keep(o.Uploads.Left())
	r.policy = policy{way: r.way, same: o.Compare.Strategy(), delete: o.Delete, selects: o.Filters.Select}
	r.policy.learns = r.way == compare.Across && o.Compare == compare.Content && !o.NoOverwrite
	if o.NoOverwrite {
		r.policy.same = compare.Never
	}
	if r.way != compare.Up {
		r.o.Rules = nil // a download has no headers, and a copy has those of its source
	}
	if r.o.Rules != nil && o.Compare == compare.Content && !o.NoOverwrite {
		r.policy.headers = func(key string) uint64 { return r.asked(key).Tag() }
	}
	return r, nil
}

// throttled counts how often the servers asked for patience.
func throttled(stores ...bucket.Store) func() int64 {
	var counters []interface{ Throttled() int64 }
	for _, s := range stores {
		if c, ok := s.(interface{ Throttled() int64 }); ok {
			counters = append(counters, c)
		}
	}
	return func() (n int64) {
		for _, c := range counters {
			n += c.Throttled()
		}
		return n
	}
}

// dir is the path of the local side.
func (r *run) dir() string {
	if r.o.From.local() {
		return r.o.From.Dir
	}
	return r.o.To.Dir
}

func (r *run) dropDraft() {
	if r.draft != nil {
		r.draft.Close()
	}
}

func (r *run) close() {
	for _, s := range []*spool{&r.doomed, &r.strays, &r.late, &r.odd} {
		s.close()
	}
	r.dropDraft()
	r.tree.Close()
	r.release()
	switch {
	case r.catalog != nil:
		r.sum.Root = r.catalog.Root()
	case r.source != nil:
		r.sum.Root = r.source.Root()
	}
	r.sum.Listed = r.listedObjects.Load()
	r.sum.Transferred, r.sum.Bytes = r.sent.files.Load(), r.sent.bytes.Load()
	r.sum.Proved, r.sum.Failed, r.sum.Looked = r.sent.proved.Load(), r.sent.failed.Load(), r.sent.looked.Load()
	r.sum.Described, r.sum.Warnings = r.sent.described.Load(), r.sent.warned.Load()
}

// release gives up the lease, also after an interrupt. One that stays only keeps others waiting.
func (r *run) release() {
	if r.catalog == nil {
		return
	}
	safe, cancel := graceful(context.Background())
	defer cancel()
	if err := r.catalog.Release(safe); err != nil {
		r.note("the lease stays until it runs out: %v", err)
	}
}

// report tells an event; events never overlap.
func (r *run) report(e Event) {
	r.events <- struct{}{}
	r.o.Report(e)
	<-r.events
}

func (r *run) note(format string, args ...any) { r.report(Event{Note: fmt.Sprintf(format, args...)}) }

func (r *run) warn(w Warning) {
	if !w.Minor {
		r.sent.warned.Add(1)
	}
	r.report(Event{Warning: &w})
}

func (r *run) fail(a Action, err error) {
	if r.past != nil && errors.Is(err, errForeign) {
		r.overtakenSince(a.Key, a.Old, r.seenNow(a.Key))
		return
	}
	r.sent.failed.Add(1)
	r.report(Event{Failed: &Failure{Action: a, Err: err}})
}

// done tells of a transfer that was carried out.
func (r *run) done(a Action, bytes int64) {
	a.becomes(altered)
	r.sent.files.Add(1)
	r.sent.bytes.Add(bytes)
	r.report(Event{Done: &a})
}

// renewEvery is how often the intent of a long batch is written again, so that nobody takes it
// for abandoned.
const renewEvery = catalog.Lease / 3

// graceful returns a context that outlives an interrupt for as long as it takes to write down
// what has been done.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}
