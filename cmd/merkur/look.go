package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"merkur/cmd/merkur/output"
	"merkur/cmd/merkur/settings"
	"merkur/hashing"
	"merkur/inspect"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/cache"
	"merkur/store/catalog"
	"merkur/transfer/filter"
)

// A look is what the commands have in common that look and change nothing.
type look struct {
	given   *given
	out     *output.Answer
	root    string // where caches are kept; empty: nowhere
	configs [2]bucket.Config
	filters *filter.Filters
	key     *manifest.Key // that manifests have to be sealed with; nil: none
	kept    []*cache.Cache
	seen    map[string]*cache.Cache // by what it is about
	closers []func() error
}

// exitDiffers: all went well, and something is not as it should be.
const exitDiffers = 3

// lookCodes are the exit codes of the commands that compare.
var lookCodes = []exitMeaning{
	{exitDone, "all is equal"},
	{exitFailed, "it could not be found out"},
	{exitWarned, "nothing was found to differ, but something could not be looked at"},
	{exitDiffers, "something differs; each is named"},
}

// lookOptions are the options of a command that looks: its own, and those that they all have.
func lookOptions(own ...group) table {
	t := append(own,
		group{"Seal", []option{
			{name: "manifest-key", kind: valued, env: "MERKUR_MANIFEST_KEY", ours: true, usage: "believe only manifests that are sealed with the key in `FILE`"},
		}},
		syncOptions.pick("Output", "quiet", "output", "color", "debug"),
		syncOptions.pick("Server", "endpoint-url", "region", "profile", "no-sign-request", "request-payer", "page-size", "no-verify-ssl",
			"ca-bundle", "cli-read-timeout", "cli-connect-timeout", "max-bandwidth", "addressing-style", "use-accelerate-endpoint",
			"use-dualstack-endpoint", "no-paginate", "no-cli-pager", "no-cli-auto-prompt", "cli-binary-format"),
	)
	for i := range t {
		t[i].title = fmt.Sprintf("%d. %s", i+1, t[i].title) // the library sorts them
	}
	return t
}

// Groups that several of them have.
var (
	scanOptions = syncOptions.pick("Local trees", "exclude", "include", "follow-symlinks", "no-follow-symlinks", "rehash", "trust-stat")
	keepOptions = syncOptions.pick("Cache", "no-cache", "cache-dir")
	keyOptions  = group{"Objects", []option{
		{name: "sse-c", kind: optional, choices: []string{"AES256"}, none: "AES256", usage: "they are encrypted with a key of your own"},
		{name: "sse-c-key", kind: valued, usage: "that `KEY`, 32 bytes: fileb://PATH"},
	}}
)

// looking runs what a command that looks does, once its command line is understood.
func looking(ctx context.Context, g *given, ends []end, do func(context.Context, *look) (int, error)) (code int, err error) {
	if err := lookTogether(g, ends); err != nil {
		return exitFailed, usage(err)
	}
	l := &look{given: g, seen: map[string]*cache.Cache{}}
	s, err := loadSettings(g)
	if err != nil {
		return exitFailed, err
	}
	remote := func(i int) bool { return i < len(ends) && ends[i].remote() }
	if l.configs[0], l.configs[1], err = servers(g, s, remote(0) && remote(1)); err != nil {
		return exitFailed, usage(err)
	}
	roots := [2]string{}
	for i, e := range ends {
		roots[i] = e.root()
	}
	if remote(0) && len(ends) > 1 && !remote(1) {
		roots[0], roots[1] = roots[1], roots[0]
	}
	if name := g.text("manifest-key"); name != "" {
		if l.key, _, err = readKey(name); err != nil {
			return exitFailed, usage(fmt.Errorf("--manifest-key: %w", err))
		}
	}
	l.filters = filter.New(g.filters, roots[0], roots[1])
	l.open(s)
	defer func() {
		told := err != nil && !wrongLine(err) && (l.out.Fail(err) || g.on("quiet"))
		if cerr := l.close(); err == nil && cerr != nil {
			code, err = exitFailed, fmt.Errorf("print: %w", cerr)
		}
		if told || brokenPipe(err) { // nobody is there to be told, or wants to be
			err = silentError{err}
		}
	}()
	return do(ctx, l)
}

// lookTogether finds options that do not go with each other or with the paths.
func lookTogether(g *given, ends []end) error {
	local := slices.ContainsFunc(ends, func(e end) bool { return !e.remote() })
	for _, name := range []string{"follow-symlinks", "no-follow-symlinks", "rehash", "trust-stat"} {
		if g.has(name) && !local {
			return fmt.Errorf("--%s goes with a local tree", name)
		}
	}
	for _, name := range []string{"source-region", "source-endpoint-url", "source-profile"} {
		if g.has(name) && local {
			return fmt.Errorf("--%s goes with two s3:// paths", name)
		}
	}
	return g.pairs()
}

// wrongLine reports whether an error is about the command line, which is told in any case.
func wrongLine(err error) bool {
	var wrong usageError
	return errors.As(err, &wrong)
}

func (l *look) open(s settings.Settings) {
	g := l.given
	o := output.Options{JSON: g.text("output") == "json", Hint: hintOfLook}
	if g.on("quiet") {
		o.Verbosity = output.Nothing
	}
	switch g.text("color") {
	case "on":
		o.Color = output.Always
	case "off":
		o.Color = output.Never
	}
	l.out = output.NewAnswer(o)
	if g.on("debug") {
		l.configs[0].Debug, l.configs[1].Debug = l.out.Debug, l.out.Debug
		for _, err := range s.Skipped {
			l.out.Debug(err.Error())
		}
	}
	var err error
	if l.root, err = g.cacheRoot(); err != nil {
		l.out.Note("no place for a cache: " + err.Error())
	}
}

func (l *look) close() error {
	for _, c := range l.closers {
		if err := c(); err != nil {
			l.out.Note(err.Error())
		}
	}
	for _, c := range l.kept {
		c.Close()
		for _, note := range c.Notes() {
			l.out.Note(note)
		}
	}
	return l.out.Close()
}

// cache opens the cache of what it is about, once; nil where there is to be none.
func (l *look) cache(about string) *cache.Cache {
	if l.given.on("no-cache") || l.root == "" {
		return nil
	}
	if l.seen[about] == nil {
		l.seen[about] = openCache(l.root, about)
		l.kept = append(l.kept, l.seen[about])
	}
	return l.seen[about]
}

// scan are the options of a scan of a directory.
func (l *look) scan(dir string) hashing.Options {
	g := l.given
	o := hashing.Options{
		Follow: !g.noFollow, Rehash: g.on("rehash"), TrustStat: g.on("trust-stat"),
		Select: l.filters.Select, Descend: l.filters.Descend,
	}
	if c := l.cache(dir); c != nil {
		o.Cache = c.Digests()
	}
	if l.root != "" {
		o.Leave = []string{l.root}
	}
	return o
}

// seal is what the manifest of a place has to be sealed with; nil: nothing.
func (l *look) seal(at location) *manifest.Seal {
	if l.key == nil {
		return nil
	}
	return &manifest.Seal{Key: *l.key, Place: at.bucket + "/" + at.prefix}
}

// A mirror is a committed manifest that tells of a place in a bucket.
type mirror struct {
	*catalog.Catalog
	store  *bucket.S3
	at     location // of the manifest
	sub    string   // the place below it: empty, or ending in "/"
	single bool     // the place is a file, whose key is sub without the "/"
}

// mirror finds the manifest that tells of a place: its own, or that of a mirror which the place is a directory,
// or maybe a file, of. A local directory that is given shares its cache with it.
func (l *look) mirror(ctx context.Context, s *bucket.S3, at location, dir string) (*mirror, error) {
	var barred error
	about := dir
	if about == "" {
		about = "looks at " + s.Endpoint() + " " + scheme + at.bucket
	}
	for prefix := at.prefix; ; prefix = above(prefix) {
		base := location{at.bucket, prefix}
		o := catalog.Options{Prefix: prefix, Place: s.Endpoint() + " " + base.String(), Seal: l.seal(base)}
		if dir, err := identityDir(); err == nil && l.key != nil {
			o.Mark = catalog.NewMark(dir, o.Place).Frozen()
		}
		if c := l.cache(about); c != nil {
			o.Pages, o.State = c.Pages(), c.State()
		}
		c, err := catalog.Open(ctx, s, o)
		switch {
		case denied(err):
			barred = err // who may not list is not told whether there is one
		case err != nil:
			return nil, err
		case c.Exists():
			m := &mirror{Catalog: c, store: s, at: base, sub: strings.TrimPrefix(at.prefix, prefix)}
			if tells, err := m.tells(ctx); tells || err != nil {
				return m, err
			}
		}
		if prefix == "" {
			break
		}
	}
	if barred != nil {
		return nil, barred
	}
	return nil, fmt.Errorf("%s: %w", at, inspect.ErrNoManifest)
}

// directory finds the manifest that tells of a place, which must not be a file.
func (l *look) directory(ctx context.Context, s *bucket.S3, at location, dir string) (*mirror, error) {
	m, err := l.mirror(ctx, s, at, dir)
	if err == nil && m.single {
		return nil, fmt.Errorf("%s is a file of the mirror %s, not a directory", strings.TrimSuffix(at.String(), "/"), m.at)
	}
	return m, err
}

// tells reports whether the manifest says something of the place.
func (m *mirror) tells(ctx context.Context) (bool, error) {
	if m.sub == "" {
		return true, nil
	}
	t := m.Tree(ctx)
	for e, err := range t.Entries(m.sub) {
		if err != nil {
			return false, err
		}
		if strings.HasPrefix(e.Key, m.sub) {
			return true, nil
		}
		break
	}
	_, found, err := t.Get(strings.TrimSuffix(m.sub, "/"))
	m.single = found
	return found, err
}

// above is the prefix of the directory that a prefix lies in.
func above(prefix string) string {
	return prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "/"), '/')+1]
}

// denied reports whether the server does not allow what was asked.
func denied(err error) bool {
	var e *bucket.Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden
}

// place reads a path of a command that looks.
func place(path string) (e end, err error) {
	if path == "-" {
		return e, usage(errors.New("- is no path"))
	}
	return readEnd(path)
}

// isDir reports whether a local path is a directory. There is nothing at "file/", nor at "missing/..", as for aws,
// which looks at the path as it was typed.
func isDir(e end) (bool, error) {
	info, err := os.Stat(e.typed)
	if err == nil {
		info, err = os.Stat(e.dir)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, noSourceError{e.typed}
	}
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
}

// subdir is the value of --sub, as the prefix of keys.
func (g *given) subdir() (string, error) {
	sub := g.text("sub")
	if sub == "" {
		return "", nil
	}
	clean := filepath.ToSlash(filepath.Clean(sub))
	if clean == "." {
		return "", nil
	}
	if strings.HasPrefix(clean, "/") || clean == ".." || strings.HasPrefix(clean, "../") || manifest.IsReserved(clean+"/") {
		return "", usage(fmt.Errorf("--sub: %q is no directory of the tree", sub))
	}
	return clean + "/", nil
}
