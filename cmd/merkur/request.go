package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"merkur/cmd/merkur/settings"
	"merkur/hashing"
	"merkur/store/bucket"
	"merkur/transfer"
	"merkur/transfer/compare"
	"merkur/transfer/filter"
	"merkur/transfer/headers"
	"merkur/transfer/pace"
)

// A request is a sync as it was asked for, with all that is wrong with it found before anything
// is done.
type request struct {
	given    *given
	settings settings.Settings
	from, to end
	options  transfer.Options
	source   bucket.Config // of an end in a bucket
	dest     bucket.Config
	// sharedKey is set if others can read the key of the manifest.
	sharedKey bool
	backup    *location // where copies are kept of what is replaced or deleted; nil: nowhere
}

// An end is a path of the command line.
type end struct {
	typed    string
	location        // of an s3:// path
	dir      string // absolute; empty for an s3:// path
}

func (e end) remote() bool { return e.dir == "" }

// readRequest turns a command line into a request. Errors are usage errors, or those of a
// configuration that cannot be read.
func readRequest(g *given, paths []string) (*request, error) {
	q := &request{given: g}
	var err error
	if q.settings, err = loadSettings(g); err != nil {
		return nil, err
	}
	if q.from, q.to, err = readPaths(paths); err != nil {
		return nil, err
	}
	for _, read := range []func() error{
		q.checkTogether, q.checkForeign, q.readSelection, q.readSeal, q.readDrift, q.readStored, q.readTuning, q.readServers, q.readBackup,
	} {
		if err := read(); err != nil {
			return nil, usage(err)
		}
	}
	return q, nil
}

func readPaths(paths []string) (from, to end, err error) {
	if len(paths) != 2 {
		given := ""
		if len(paths) > 0 {
			given = ": " + strings.Join(paths, ", ")
		}
		return from, to, usage(fmt.Errorf("sync takes two paths, not %d%s", len(paths), given))
	}
	if from, err = readEnd(paths[0]); err != nil {
		return from, to, err
	}
	if to, err = readEnd(paths[1]); err != nil {
		return from, to, err
	}
	if !from.remote() && !to.remote() {
		return from, to, usage(fmt.Errorf("one of the two paths has to be an s3:// path: %s and %s are not", paths[0], paths[1]))
	}
	return from, to, nil
}

func readEnd(path string) (e end, err error) {
	e.typed = path
	switch {
	case isRemote(path):
		if e.location, err = parseLocation(path); err != nil {
			return e, usage(err)
		}
	case path == "-":
		return e, usage(errors.New("sync does not stream; - is no path"))
	case path == "":
		return e, noSourceError{path} // and not the working directory
	default:
		e.dir, err = filepath.Abs(path)
	}
	return e, err
}

// checkTogether finds options that do not go with each other or with the direction.
func (q *request) checkTogether() error {
	g := q.given
	if err := g.pairs(); err != nil {
		return err
	}
	across := q.from.remote() && q.to.remote()
	down := q.from.remote() && !q.to.remote()
	switch {
	case g.has("sse-c-copy-source") && !across:
		//lint:ignore ST1005 aws says so
		return errors.New("--sse-c-copy-source is only supported for copy operations.")
	case g.has("checksum-mode") && !down:
		return q.wrongWay("checksum-mode", "<S3Uri> <LocalPath>")
	case g.has("checksum-algorithm") && down:
		return q.wrongWay("checksum-algorithm", "<LocalPath> <S3Uri>, <S3Uri> <S3Uri>")
	case g.has("headers-from") && q.from.remote():
		return errors.New("--headers-from is for uploads")
	case g.text("order") == "site" && !q.to.remote():
		return errors.New("--order site is for web sites, which are in a bucket")
	case g.on("rebuild-manifest") && q.strategy() != compare.Content:
		return errors.New("--rebuild-manifest goes with --compare content only")
	case g.text("manifest-key") != "" && q.strategy() != compare.Content:
		return errors.New("--manifest-key goes with --compare content only: what a listing says is not sealed")
	case g.text("manifest-key") != "" && g.on("rebuild-manifest") && down:
		return errors.New("--rebuild-manifest lists the source, and what a listing says is not sealed: it does not go with --manifest-key here")
	case g.on("strict") && q.strategy() != compare.Content:
		return errors.New("--strict goes with --compare content only: without a manifest nothing keeps two writers apart")
	case g.text("compare") != "" && (g.on("size-only") || g.on("exact-timestamps")):
		return errors.New("--compare does not go with --size-only and --exact-timestamps: each of them says how to compare")
	}
	return nil
}

// pairs finds options of which one needs the other.
func (g *given) pairs() error {
	for _, pair := range [][2]string{{"sse-c", "sse-c-key"}, {"sse-c-copy-source", "sse-c-copy-source-key"}} {
		for i, name := range pair {
			if other := pair[1-i]; g.has(name) && !g.has(other) {
				//lint:ignore ST1005 aws says so
				return fmt.Errorf("If --%s is specified, --%s must be specified as well.", name, other)
			}
		}
	}
	return nil
}

// wrongWay are the words of aws for an option that goes with other paths.
func (q *request) wrongWay(name, formats string) error {
	kind := func(e end) string {
		if e.remote() {
			return "<S3Uri>"
		}
		return "<LocalPath>"
	}
	//lint:ignore ST1005 aws says so
	return fmt.Errorf("Expected %s parameter to be used with one of following path formats: %s. Instead, received %s %s.",
		name, formats, kind(q.from), kind(q.to))
}

// readSeal reads which manifests are believed, and which servers.
func (q *request) readSeal() (err error) {
	g, o := q.given, &q.options
	o.Strict, o.AcceptRollback = g.on("strict"), g.on("accept-rollback")
	switch name := g.text("manifest-key"); {
	case name == "" && o.AcceptRollback:
		return errors.New("--accept-rollback goes with --manifest-key")
	case name == "":
		return nil
	default:
		if o.Key, q.sharedKey, err = readKey(name); err != nil {
			return fmt.Errorf("--manifest-key: %w", err)
		}
	}
	return nil
}

// readSelection reads what is mirrored, how it is compared and what is deleted.
func (q *request) readSelection() (err error) {
	g, o := q.given, &q.options
	o.Delete, o.DryRun, o.NoOverwrite = g.on("delete"), g.on("dryrun"), g.on("no-overwrite")
	o.AllowEmpty, o.Rebuild, o.Explain = g.on("allow-empty-source"), g.on("rebuild-manifest"), g.on("debug")
	o.Compare = q.strategy()
	if o.MaxDelete, err = parseLimit(g.text("max-delete")); err != nil {
		return fmt.Errorf("--max-delete: %w", err)
	}
	share := "0.1%"
	if g.has("rehash-share") {
		share = g.text("rehash-share")
	}
	o.Scan = hashing.Options{Follow: !g.noFollow, Rehash: g.on("rehash"), TrustStat: g.on("trust-stat"), Seed: rand.Uint64()}
	if o.Scan.RehashShare, err = parseShare(share); err != nil {
		return fmt.Errorf("--rehash-share: %w", err)
	}
	if g.text("order") == "site" {
		o.Order = transfer.PagesLast
	}
	switch {
	case g.on("force-glacier-transfer"):
		o.Archive = transfer.ArchiveForce
	case g.on("ignore-glacier-warnings"):
		o.Archive = transfer.ArchiveQuiet
	}
	o.Case = map[string]transfer.CaseConflict{
		"skip": transfer.CaseSkip, "warn": transfer.CaseWarn, "error": transfer.CaseError,
	}[g.text("case-conflict")]
	first, second := q.from.root(), q.to.root()
	if q.from.remote() && !q.to.remote() {
		first, second = second, first
	}
	o.Filters = filter.New(g.filters, first, second)
	return nil
}

// root is what the keys of an end are put behind when filters look at them.
func (e end) root() string {
	if e.remote() {
		return e.bucket + "/" + e.prefix
	}
	return filepath.ToSlash(e.dir)
}

// strategy is how equal keys are compared. Of the options of aws the last one in its order wins.
func (q *request) strategy() compare.Name {
	switch g := q.given; {
	case g.has("compare"):
		return compare.Name(g.text("compare"))
	case g.on("exact-timestamps"):
		return compare.Exact
	case g.on("size-only"):
		return compare.Size
	}
	return compare.Content
}

// readStored reads how objects are stored.
func (q *request) readStored() error {
	g, o := q.given, &q.options
	set, err := g.headers()
	if err != nil {
		return err
	}
	if o.Terms, err = g.terms(); err != nil {
		return err
	}
	o.Headers, o.NoGuess = set, g.on("no-guess-mime-type")
	if name := g.text("headers-from"); name != "" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("--headers-from: %w", err)
		}
		defer f.Close()
		matcher := func(pattern string) func(string) bool { return filter.Match(pattern).MatchString }
		if o.Rules, err = headers.ParseRules(f, name, matcher); err != nil {
			return err
		}
	}
	o.Props = map[string]transfer.Props{
		"none": transfer.PropsNone, "metadata-directive": transfer.PropsMetadataDirective, "all": transfer.PropsAll,
	}[g.text("copy-props")]
	switch g.text("metadata-directive") {
	case "COPY":
		o.Props = transfer.DirectiveCopy
	case "REPLACE":
		o.Props = transfer.DirectiveReplace
	}
	return nil
}

// readTuning reads how objects are moved.
func (q *request) readTuning() error {
	s, o := q.settings, &q.options
	o.Parts = transfer.Parts{Threshold: s.MultipartThreshold, Size: s.MultipartChunksize}
	o.Buffer, o.Ahead = min(s.IOChunkSize, 8<<20), s.MaxQueueSize
	switch {
	case s.MaxConcurrentRequests > 0:
		o.Gate = pace.Fixed(s.MaxConcurrentRequests)
	case s.PreferredClient == "classic":
		o.Gate = pace.Fixed(10)
	}
	return nil
}

// readBackup reads where copies are kept. They are no part of what is mirrored, on either side.
func (q *request) readBackup() error {
	if !q.given.has("backup-prefix") {
		return nil
	}
	typed := q.given.text("backup-prefix")
	if !isRemote(typed) {
		return fmt.Errorf("--backup-prefix: %q is not an s3:// path", typed)
	}
	if !q.to.remote() {
		return errors.New("--backup-prefix is for destinations in a bucket")
	}
	l, err := parseLocation(typed)
	if err != nil {
		return fmt.Errorf("--backup-prefix: %w", err)
	}
	sides := []end{q.to}
	if q.from.remote() && !q.options.Relay {
		sides = append(sides, q.from)
	}
	for _, e := range sides {
		if l.overlaps(e.location) {
			return fmt.Errorf("--backup-prefix: neither of %s and %s may lie in the other", l, e.location)
		}
	}
	q.backup = &l
	return nil
}

// parseLimit reads a number of objects, or a share of them in percent.
func parseLimit(s string) (transfer.Limit, error) {
	if s == "" {
		return transfer.Limit{}, nil
	}
	number, percent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || percent && n > 100 {
		return transfer.Limit{}, fmt.Errorf("%q is neither a number of objects nor a share such as 10%%", s)
	}
	if percent {
		return transfer.Limit{Percent: n, Given: true}, nil
	}
	return transfer.Limit{Count: n, Given: true}, nil
}
