package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/cache"
	"merkur/store/catalog"
	"merkur/transfer"
)

func syncCommand(status *int) *cli.Command {
	follow, filters := true, []transfer.Filter(nil)
	given := ordered{&follow, &filters}
	return &cli.Command{
		Name:      "sync",
		Usage:     "make an S3 prefix equal to a local directory",
		ArgsUsage: "DIR s3://BUCKET[/PREFIX]",
		Description: "Hashes DIR, compares it with the manifest kept in the bucket, and sends what is different.\n" +
			"Options may stand before, after and between the paths.",
		HideHelpCommand: true, // a directory may have the name "help"
		Flags:           syncFlags(given),
		OnUsageError:    func(_ *cli.Context, err error, _ bool) error { return usage(err) },
		Action: func(c *cli.Context) error {
			s, err := readCommand(c, given)
			if err != nil {
				return err
			}
			*status, err = s.run(c.Context)
			return err
		},
	}
}

func syncFlags(given ordered) []cli.Flag {
	const selecting, compare, safety, output, server = "1. What to mirror", "2. Comparing", "3. Safety", "4. Output", "5. Server"
	return []cli.Flag{
		&cli.GenericFlag{Name: "exclude", Category: selecting, Usage: "leave out paths that match `PATTERN`; the last match of all --exclude and --include decides", Value: &filterFlag{given.filters, false}},
		&cli.GenericFlag{Name: "include", Category: selecting, Usage: "take in again paths that match `PATTERN`", Value: &filterFlag{given.filters, true}},
		switchOption{&cli.GenericFlag{Name: "follow-symlinks", Category: selecting, Usage: "mirror what symbolic links point to (the default)", Value: &switchFlag{given.follow, true}}},
		switchOption{&cli.GenericFlag{Name: "no-follow-symlinks", Category: selecting, Usage: "leave symbolic links out", Value: &switchFlag{given.follow, false}}},
		&cli.BoolFlag{Name: "delete", Category: selecting, Usage: "delete objects that have no file"},

		&cli.BoolFlag{Name: "no-cache", Category: compare, Usage: "remember nothing from run to run: hash every file"},
		&cli.StringFlag{Name: "cache-dir", Category: compare, Usage: "keep caches in `DIR`", EnvVars: []string{"MERKUR_CACHE_DIR"}},
		&cli.BoolFlag{Name: "rehash", Category: compare, Usage: "hash every file, though the cache knows it"},
		&cli.StringFlag{Name: "rehash-share", Category: compare, Usage: "hash this `SHARE` of the files again that the cache knows (such as 0.01 or 1%)", Value: "0.1%"},
		&cli.BoolFlag{Name: "trust-stat", Category: compare, Usage: "trust size and times also on file systems that hide writes (tmpfs)"},

		&cli.BoolFlag{Name: "dryrun", Category: safety, Usage: "show what would be done, and do nothing"},
		&cli.StringFlag{Name: "max-delete", Category: safety, Usage: "delete at most `N` objects, or N% of them (default: 50%, and always 100)"},
		&cli.BoolFlag{Name: "allow-empty-source", Category: safety, Usage: "with --delete: let an empty directory delete everything"},
		&cli.BoolFlag{Name: "rebuild-manifest", Category: safety, Usage: "list the bucket and make a new manifest, whatever the present one says"},

		&cli.BoolFlag{Name: "quiet", Category: output, Usage: "print nothing but what ends the run"},
		&cli.BoolFlag{Name: "only-show-errors", Category: output, Usage: "print warnings and errors only"},
		&cli.BoolFlag{Name: "no-progress", Category: output, Usage: "show no progress"},

		&cli.StringFlag{Name: "endpoint-url", Category: server, Usage: "the server's `URL`"},
		&cli.StringFlag{Name: "region", Category: server, Usage: "the bucket's `REGION`"},
		&cli.StringFlag{Name: "profile", Category: server, Usage: "the `PROFILE` of the AWS configuration"},
		&cli.BoolFlag{Name: "no-sign-request", Category: server, Usage: "send no credentials"},
	}
}

// ordered are the values of options of which several may be given, where their order counts.
type ordered struct {
	follow  *bool // symbolic links: the last of the two options decides
	filters *[]transfer.Filter
}

// A filterFlag appends to the filters of the command, so that their order is that of the
// command line.
type filterFlag struct {
	filters *[]transfer.Filter
	include bool
}

func (f *filterFlag) Set(pattern string) error {
	*f.filters = append(*f.filters, transfer.Filter{Include: f.include, Pattern: pattern})
	return nil
}

func (f *filterFlag) String() string { return "" }

// A switchFlag is one of two options without a value that set the same thing to its opposites.
type switchFlag struct {
	to *bool
	on bool
}

func (f *switchFlag) Set(value string) error {
	set, err := strconv.ParseBool(value)
	if err == nil {
		*f.to = f.on == set
	}
	return err
}

func (f *switchFlag) String() string { return "" }

// IsBoolFlag tells the flag package that no value follows.
func (f *switchFlag) IsBoolFlag() bool { return true }

// A switchOption is the option of a switchFlag; it tells the help, and permute, the same.
type switchOption struct{ *cli.GenericFlag }

func (switchOption) TakesValue() bool { return false }
func (switchOption) GetValue() string { return "" }
func (o switchOption) String() string { return cli.FlagStringer(o) }

// A syncRun is a sync as it was asked for.
type syncRun struct {
	options  transfer.Options
	from     string // as it was given
	to       location
	server   bucket.Config
	filters  []transfer.Filter
	cacheDir string
	noCache  bool
	printer  *printer
}

// readCommand turns the command line into a run. It finds all that is wrong with it before
// anything is done.
func readCommand(c *cli.Context, given ordered) (*syncRun, error) {
	if c.NArg() != 2 {
		return nil, usage(fmt.Errorf("sync takes a directory and an s3:// path, not %d paths", c.NArg()))
	}
	from, dest := c.Args().Get(0), c.Args().Get(1)
	if isRemote(from) || !isRemote(dest) {
		return nil, usage(fmt.Errorf("sync goes from a local directory to an s3:// path; %s to %s does not", from, dest))
	}
	to, err := parseLocation(dest)
	if err != nil {
		return nil, usage(err)
	}
	limit, err := parseLimit(c.String("max-delete"))
	if err != nil {
		return nil, usage(fmt.Errorf("--max-delete: %w", err))
	}
	share, err := parseShare(c.String("rehash-share"))
	if err != nil {
		return nil, usage(fmt.Errorf("--rehash-share: %w", err))
	}
	if from == "" {
		return nil, noSourceError{from} // and not the working directory
	}
	dir, err := filepath.Abs(from)
	if err != nil {
		return nil, err
	}
	s := &syncRun{
		from: from, to: to, filters: *given.filters, noCache: c.Bool("no-cache"), cacheDir: c.String("cache-dir"),
		server: bucket.Config{
			Endpoint: c.String("endpoint-url"), Region: c.String("region"), Profile: c.String("profile"),
			Anonymous: c.Bool("no-sign-request"),
		},
		printer: newPrinter(dir, to, verbosity(c), c.Bool("dryrun")),
	}
	s.options = transfer.Options{
		Dir: dir, Prefix: to.prefix, Delete: c.Bool("delete"), DryRun: c.Bool("dryrun"),
		MaxDelete: limit, AllowEmpty: c.Bool("allow-empty-source"), Rebuild: c.Bool("rebuild-manifest"),
		Scan: hashing.Options{
			Follow: *given.follow, Rehash: c.Bool("rehash"), RehashShare: share,
			TrustStat: c.Bool("trust-stat"), Seed: rand.Uint64(),
		},
	}
	return s, nil
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

// parseShare reads a share as a number from 0 to 1, or in percent.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	share, err := strconv.ParseFloat(number, 64)
	if percent {
		share /= 100
	}
	if err != nil || !(share >= 0 && share <= 1) {
		return 0, fmt.Errorf("%q is not a share such as 0.01 or 1%%", s)
	}
	return share, nil
}

// run carries out the sync and returns the exit code.
func (s *syncRun) run(ctx context.Context) (int, error) {
	switch info, err := os.Stat(s.options.Dir); {
	case errors.Is(err, fs.ErrNotExist):
		return exitFailed, noSourceError{s.from}
	case err != nil:
		return exitFailed, err
	case !info.IsDir():
		// As aws says it. There, with --delete, the source then counts as empty.
		s.printer.err(printTroubles, "warning: Skipping file "+s.options.Dir+"/. File does not exist.")
		return exitWarned, nil
	}
	store, err := bucket.Open(ctx, s.server, s.to.bucket)
	if err != nil {
		return exitFailed, err
	}
	o := &s.options
	o.Store = store
	o.Place = store.Endpoint() + " " + s.to.String()
	o.Filters = transfer.NewFilters(s.filters, filepath.ToSlash(o.Dir), s.to.bucket+"/"+s.to.prefix)
	done, err := s.remember()
	if err != nil {
		return exitFailed, err
	}
	defer done()
	o.Meter = s.printer.start()
	o.Report = s.printer.event
	sum, err := transfer.Upload(ctx, *o)
	s.printer.finish(sum, store.Requests(), err)
	switch {
	case err != nil:
		return exitFailed, err
	case sum.Failed > 0:
		return exitFailed, nil
	case sum.Problems > 0:
		return exitWarned, nil
	}
	return exitDone, nil
}

// remember opens what is kept from run to run. None of it is needed: what is wrong with it is
// told, and the run goes on without.
func (s *syncRun) remember() (done func(), err error) {
	dir := s.cacheDir
	if dir == "" {
		if dir, err = cache.DefaultDir(); err != nil {
			s.printer.note("no place for a cache: " + err.Error())
			return func() {}, nil
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	o := &s.options
	o.Scan.Leave = []string{dir}
	if o.Identity, err = catalog.Identify(identityDir(), o.Place); err != nil {
		s.printer.note("cannot tell who is writing: " + err.Error())
	}
	if s.noCache {
		return o.Identity.Release, nil
	}
	tag := manifest.TagOf([]byte(o.Dir))
	kept := cache.Open(filepath.Join(dir, fmt.Sprintf("tree-%x", tag[:8])), cache.Options{Identity: []byte(o.Dir)})
	o.Scan.Cache, o.Pages, o.State = kept.Digests(), kept.Pages(), kept.State()
	told := s.tell(kept.Notes())
	return func() {
		kept.Close()
		s.tell(kept.Notes()[told:])
		o.Identity.Release()
	}, nil
}

// identityDir is where the identities of writers are kept: not with the cache, which may be
// removed at any time. Without an identity, what a killed run leaves has to wait for its lease.
func identityDir() string {
	state := os.Getenv("XDG_STATE_HOME")
	if home, err := os.UserHomeDir(); state == "" && err == nil {
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "merkur", "writers")
}

// tell prints notes and returns how many they were.
func (s *syncRun) tell(notes []string) int {
	for _, n := range notes {
		s.printer.note(n)
	}
	return len(notes)
}
