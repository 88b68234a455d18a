package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"merkur/cmd/merkur/output"
	"merkur/cmd/merkur/settings"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/cache"
	"merkur/store/catalog"
	"merkur/transfer"
	"merkur/transfer/drift"
	"merkur/transfer/pace"
)

func syncCommand() *command {
	return &command{
		name:  "sync",
		usage: "make one of two trees equal to the other",
		paths: "DIR s3://BUCKET[/PREFIX] | s3://BUCKET[/PREFIX] DIR | s3://BUCKET[/PREFIX] s3://BUCKET[/PREFIX]",
		about: "Makes the second path equal to the first: up, down, or from bucket to bucket. Compares content,\n" +
			"through the manifest that it keeps in the bucket, and transfers what is different.\n" +
			"Options may stand before, after and between the paths.",
		options: syncOptions,
		meant: map[string]string{
			"recursive":     "sync is always recursive",
			"expected-size": "only cp takes it",
			"summarize":     "--summary prints a closing line",
			"checksum":      "content is compared without it",
			"dry-run":       "--dryrun is meant",
			"size":          "--size-only is meant",
		},
		codes: []exitMeaning{
			{exitDone, "all is done, or there was nothing to do"},
			{exitFailed, "a transfer failed, or the run could not go on"},
			{exitWarned, "nothing failed, but paths were left out (each named in a warning)"},
			{exitDrift, "nothing failed, but somebody else has changed what is in a bucket (each key named in a line drift:)"},
		},
		run: runSync,
	}
}

func runSync(ctx context.Context, g *given, paths []string) (int, error) {
	q, err := readRequest(g, paths)
	if err != nil {
		return exitFailed, err
	}
	code, err := q.run(ctx)
	if err != nil && g.on("quiet") {
		return code, silentError{err}
	}
	return code, err
}

// A silentError ended a run that was to print nothing.
type silentError struct{ error }

func (e silentError) Unwrap() error { return e.error }

// run carries out the sync and returns the exit code.
func (q *request) run(ctx context.Context) (code int, err error) {
	printer, closeLog, err := q.printer()
	if err != nil {
		return exitFailed, err
	}
	defer func() {
		err = cancelled(ctx, err)
		printer.End(exitCode(code, err), err)
		closeLog()
	}()
	q.tellSharedKey(printer)
	if done, code, err := q.checkLocal(printer); done || err != nil {
		return code, err
	}
	stores, err := q.open(ctx, func(line string) { printer.Event(transfer.Event{Why: line}) })
	if err != nil {
		return exitFailed, err
	}
	done, err := q.remember(printer)
	if err != nil {
		return exitFailed, err
	}
	o := &q.options
	o.Meter = &transfer.Meter{}
	printer.Start(o.Meter)
	o.Report = printer.Event
	known := q.recall(o)
	if o.Known, o.Begun = known.isKnown(), known.isBegun(); !o.Known {
		o.First = known.begin
	}
	sum, err := transfer.Sync(ctx, *o)
	err = cancelled(ctx, err)
	if err == nil && !o.DryRun {
		known.remember()
	}
	// All notes come before the summary, which ends what is printed.
	if sum.Drift.New+sum.Drift.Changed > 0 && q.to.remote() && o.Foreign == (drift.Options{}) {
		printer.Note("--adopt takes over what somebody else has changed, --overwrite-foreign replaces it")
	}
	done()
	return conclude(printer, sum, stores, err)
}

// conclude prints the end of a run, which comes after all notes, and returns its exit code.
func conclude(p *output.Printer, sum transfer.Summary, stores []*bucket.S3, err error) (int, error) {
	if werr := p.Finish(sum, requestsOf(stores), err); err == nil && werr != nil && !brokenPipe(werr) {
		err = fmt.Errorf("print: %w", werr)
	}
	switch {
	case err != nil:
		return exitFailed, err
	case sum.Failed > 0:
		return exitFailed, nil
	case sum.Drift.Total() > 0:
		return exitDrift, nil
	case sum.Problems+sum.Warnings > 0:
		return exitWarned, nil
	}
	return exitDone, nil
}

func (q *request) tellSharedKey(p *output.Printer) {
	if q.sharedKey {
		p.Warn("The key in " + q.given.text("manifest-key") + " can be read by others than its owner.")
	}
}

// checkLocal looks at the local end. A source that is a file is told of as aws does it; there,
// with --delete, it then counts as empty. A destination is made if it is not there.
func (q *request) checkLocal(p *output.Printer) (done bool, code int, err error) {
	if q.to.dir != "" {
		return false, exitFailed, os.MkdirAll(q.to.dir, 0o777)
	}
	if q.from.dir == "" {
		return false, exitDone, nil
	}
	switch isDir, err := isDir(q.from); {
	case err != nil:
		return true, exitFailed, err
	case !isDir:
		p.Warn("Skipping file " + q.from.dir + "/. File does not exist.")
		return true, exitWarned, nil
	}
	return false, exitDone, nil
}

// printer makes what prints. The caller closes the log in the end.
func (q *request) printer() (*output.Printer, func(), error) {
	g := q.given
	o := output.Options{
		From: q.from.shown(), To: q.to.shown(), DryRun: g.on("dryrun"), JSON: g.text("output") == "json",
		Summary: g.on("summary") || term.IsTerminal(int(os.Stderr.Fd())), ProgressMultiline: g.on("progress-multiline"), Hint: hintOfSync,
	}
	seconds, err := g.number("progress-frequency", 0)
	if err != nil {
		return nil, nil, usage(err)
	}
	if o.ProgressFrequency = time.Duration(seconds) * time.Second; g.has("progress-frequency") {
		o.Progress = output.Always
	}
	switch {
	case g.on("quiet"):
		o.Verbosity = output.Nothing
	case g.on("only-show-errors"):
		o.Verbosity = output.Troubles
	case g.on("no-progress"):
		o.Verbosity = output.Lines
	}
	switch g.text("color") {
	case "on":
		o.Color = output.Always
	case "off":
		o.Color = output.Never
	}
	if !g.has("log-file") {
		return output.New(o), func() {}, nil
	}
	log, err := output.OpenLog(g.text("log-file"))
	if err != nil {
		return nil, nil, err
	}
	o.Log = log
	return output.New(o), func() { log.Close() }, nil
}

// shown is an end as lines show it.
func (e end) shown() output.End {
	if e.remote() {
		return output.Remote(e.bucket, e.prefix)
	}
	return output.Local(e.dir)
}

// open opens the ends that are in buckets, and makes the two sides of the run. With --debug, each
// request is told to debug.
func (q *request) open(ctx context.Context, debug func(line string)) ([]*bucket.S3, error) {
	if q.given.on("debug") {
		q.source.Debug, q.dest.Debug = debug, debug
		q.explainSettings(debug)
	}
	var stores []*bucket.S3
	side := func(e end, c bucket.Config, key *bucket.CustomerKey) (transfer.Side, error) {
		if !e.remote() {
			return transfer.Side{Dir: e.dir}, nil
		}
		s, err := bucket.Open(ctx, c, e.bucket)
		if err != nil {
			return transfer.Side{}, err
		}
		stores = append(stores, s)
		return transfer.Side{
			Store: s, Bucket: e.bucket, Prefix: e.prefix, Customer: key, Place: s.Endpoint() + " " + e.location.String(),
		}, nil
	}
	o := &q.options
	if q.backup != nil {
		// The server copies, so that this is reached as the destination is.
		s, err := side(end{location: *q.backup}, q.dest, o.Terms.Customer)
		if err != nil {
			return stores, err
		}
		o.Backup = &s
	}
	sourceKey, err := q.given.customerKey("sse-c-copy-source")
	if err == nil && !q.to.remote() {
		sourceKey = o.Terms.Customer
	}
	if err == nil {
		o.From, err = side(q.from, q.source, sourceKey)
	}
	if err == nil {
		o.To, err = side(q.to, q.dest, o.Terms.Customer)
	}
	if o.Gate == nil {
		o.Gate = pace.Adaptive(pace.Options{Target: q.settings.TargetBandwidth, Most: mostAtOnce, Throttled: func() (n int64) {
			for _, s := range stores {
				n += s.Throttled()
			}
			return n
		}})
	}
	return stores, err
}

// mostAtOnce is how many requests move data at once where nobody set it: each holds a file and
// a connection, and there may be no more than 256 of them.
const mostAtOnce = 64

// explainSettings says in debug lines where settings come from.
func (q *request) explainSettings(debug func(string)) {
	for _, name := range settings.Names() {
		if origin, ok := q.settings.Origin[name]; ok {
			debug(fmt.Sprintf("setting %s is taken from %s", name, origin))
			switch name {
			case "should_stream", "disk_throughput", "direct_io":
				debug(fmt.Sprintf("setting %s is for the C client of aws and has no effect here", name))
			}
		}
	}
	for _, err := range q.settings.Skipped {
		debug(err.Error())
	}
}

// requestsOf are those of all stores, by kind.
func requestsOf(stores []*bucket.S3) map[string]int64 {
	sum := map[string]int64{}
	for _, s := range stores {
		for kind, n := range maps.All(s.Requests()) {
			sum[kind] += n
		}
	}
	return sum
}

// remember opens what is kept from run to run. None of it is needed: what is wrong with it is
// told, and the run goes on without. The caller calls done in the end.
func (q *request) remember(p *output.Printer) (done func(), err error) {
	o := &q.options
	if err := q.identify(); err != nil {
		p.Note("cannot tell who is writing: " + err.Error())
	}
	release := func() {
		o.Uploads.Close()
		o.Identity.Release()
	}
	dir, err := q.given.cacheRoot()
	if err != nil {
		p.Note("no place for a cache: " + err.Error())
		return release, nil
	}
	o.Scan.Leave = []string{dir}
	if q.given.on("no-cache") {
		return release, nil
	}
	about := q.from.dir + q.to.dir
	if about == "" {
		about = o.From.Place + " to " + o.To.Place
	}
	kept := openCache(dir, about)
	o.Scan.Cache, o.Pages, o.State = kept.Digests(), kept.Pages(), kept.State()
	told := tell(p, kept.Notes())
	return func() {
		kept.Close()
		tell(p, kept.Notes()[told:])
		release()
	}, nil
}

// identify takes the identity of the writer to the destination, with its journal of uploads, and opens
// what is remembered of the manifests of both ends.
func (q *request) identify() error {
	dir, err := identityDir()
	if err != nil {
		return err
	}
	o := &q.options
	if q.from.remote() {
		o.FromMark = catalog.NewMark(dir, o.From.Place)
	}
	if q.to.remote() {
		o.ToMark = catalog.NewMark(dir, o.To.Place)
		o.Identity, err = catalog.Identify(dir, o.To.Place)
	}
	if s, ok := o.To.Store.(bucket.Resumer); ok && !o.DryRun {
		if o.Uploads = o.Identity.Journal(); o.Uploads != nil {
			s.KeepJournal(o.Uploads)
		}
	}
	return err
}

// cacheRoot is the directory, absolute, in which caches are kept.
func (g *given) cacheRoot() (dir string, err error) {
	if dir = g.text("cache-dir"); dir == "" {
		if dir, err = cache.DefaultDir(); err != nil {
			return "", err
		}
	}
	return filepath.Abs(dir)
}

// openCache opens the cache of what it is about: a directory, or else places in buckets.
func openCache(root, about string) *cache.Cache {
	return cache.Open(cachePath(root, about), cache.Options{Identity: []byte(about)})
}

func cachePath(root, about string) string {
	tag := manifest.TagOf([]byte(about))
	return filepath.Join(root, fmt.Sprintf("tree-%x", tag[:8]))
}

// identityDir is where the identities of writers are kept: not with the cache, which may be
// removed at any time. Without an identity, what a killed run leaves has to wait for its lease.
func identityDir() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "merkur", "writers"), nil
}

// tell prints notes and returns how many they were.
func tell(p *output.Printer, notes []string) int {
	for _, n := range notes {
		p.Note(n)
	}
	return len(notes)
}
