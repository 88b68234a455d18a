package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"merkur/cmd/merkur/output"
	"merkur/hashing"
	"merkur/inspect"
	"merkur/manifest"
	"merkur/transfer/compare"
	"merkur/transfer/filter"
)

// A why is all that a sync goes by for one path, and what it makes of it. It is printed as it is with
// --output json.
type why struct {
	Type    string `json:"type"` // explanation
	Key     string `json:"key"`
	Tree    string `json:"tree"`
	TreeBy  string `json:"tree_by"` // how the tree was found
	Objects string `json:"objects"` // s3:// URL that keys are below

	Filter   string `json:"filter,omitempty"` // the one that decides; empty: none matches
	Selected bool   `json:"selected"`

	Kind    string   `json:"kind"`              // file, directory, link, special, missing, unknown
	Target  string   `json:"target,omitempty"`  // of a link
	Problem string   `json:"problem,omitempty"` // why a scan leaves it out
	Local   *thing   `json:"local,omitempty"`   // as a scan finds it
	Cache   string   `json:"cache,omitempty"`   // why it was read, or not
	Differs []string `json:"fingerprint_differs,omitempty"`

	Generation uint64        `json:"generation,omitempty"` // of the manifest
	Written    string        `json:"written,omitempty"`
	Manifest   *thing        `json:"manifest,omitempty"` // what it says
	Unproven   bool          `json:"unproven,omitempty"`
	Running    []intentFacts `json:"in_progress,omitempty"`

	Object *thing `json:"object,omitempty"` // what the bucket has now
	Looked string `json:"object_error,omitempty"`
	Drift  string `json:"drift,omitempty"` // how that differs from the manifest, as verify calls it

	Up     map[string]string `json:"up,omitempty"` // by strategy
	Down   map[string]string `json:"down,omitempty"`
	Result string            `json:"result"` // what a sync of the tree to the prefix would do

	mirror *mirror
	entry  *manifest.Entry
	local  inspect.Local
	remote inspect.Remote
}

// gather looks at the path, the manifest and the object.
func (w *why) gather(ctx context.Context, l *look, b inspect.Bucket) (err error) {
	w.Selected = true
	f := filter.New(l.given.filters, filepath.ToSlash(w.Tree), strings.TrimPrefix(w.Objects, scheme))
	if by, some := f.Deciding(w.Key); some {
		w.Selected = by.Include
		w.Filter = map[bool]string{true: "--include ", false: "--exclude "}[by.Include] + by.Pattern
	}
	if err := w.atHome(ctx, l); err != nil {
		return err
	}
	if w.mirror != nil {
		key := w.mirror.sub + w.Key
		e, found, err := w.mirror.Tree(ctx).Get(key)
		if err != nil {
			return err
		}
		if found {
			w.entry, w.Manifest, w.Unproven = &e, entryThing(&e), e.Unproven
		}
		m := w.mirror.Manifest()
		w.Generation, w.Written = m.Generation, instant(time.Unix(0, m.Time))
		w.Running = intentsOf(inspect.Covering(m.Intents, key))
	}
	if w.remote, err = b.Ask(ctx, w.Key, w.entry); err != nil {
		return err
	}
	w.Object = objectThing(w.remote.Object)
	if w.mirror != nil {
		w.Drift = string(w.remote.Class)
	}
	if w.remote.Err != nil {
		w.Looked, w.Drift = w.remote.Err.Error(), ""
	}
	return nil
}

// atHome looks at the local side.
func (w *why) atHome(ctx context.Context, l *look) (err error) {
	o := l.scan(w.Tree)
	w.local, err = inspect.LookAt(ctx, w.Tree, w.Key, o)
	if err != nil {
		return err
	}
	w.Kind, w.Target, w.Local = w.local.Kind, w.local.Target, entryThing(w.local.Entry)
	for _, p := range append(w.local.Up, w.local.Problem) {
		if p != nil {
			w.Problem = fmt.Sprintf("%s: %v", p.Path, p.Reason)
			if p.Err != nil && p.Reason == hashing.Failed {
				w.Problem = fmt.Sprintf("%s: %v", p.Path, p.Err)
			}
		}
	}
	if a := w.local.Account; a != nil {
		w.Cache, w.Differs = remembered(*a, o)
	}
	return nil
}

// remembered says why a file is read, or not.
func remembered(a hashing.Account, o hashing.Options) (text string, differs []string) {
	if a.Known {
		differs = a.Then.Differs(a.Now)
	}
	left := fmt.Sprintf("it has not been left alone for %s, within which a write can leave no trace", a.Settle)
	if a.FileSystem == "memory" && !o.TrustStat {
		left = "its file system hides writes (--trust-stat believes it)"
	}
	switch {
	case o.Cache == nil:
		return "read: there is no cache (--no-cache)", nil
	case a.Trusted && o.Rehash:
		return "remembered, but read because of --rehash", nil
	case a.Trusted:
		return "remembered: nothing about the file has changed since it was read", nil
	case a.Known && len(differs) > 0:
		return "read: changed since it was remembered: " + strings.Join(differs, ", "), differs
	case !a.Settled:
		return "read: " + left, nil
	}
	return "read: it is not remembered yet", nil
}

// judge says what the strategies and a sync make of what was gathered.
func (w *why) judge(g *given) {
	w.Up, w.Down = map[string]string{}, map[string]string{}
	for _, name := range []compare.Name{compare.Content, compare.AWS, compare.Size, compare.Exact, compare.ETag} {
		w.Up[string(name)] = w.verdict(name, compare.Up)
		w.Down[string(name)] = w.verdict(name, compare.Down)
	}
	w.Result = w.result(g)
}

// verdict is what a strategy makes of the path and its object.
func (w *why) verdict(name compare.Name, way compare.Direction) string {
	act := map[compare.Direction]string{compare.Up: "upload", compare.Down: "download"}[way]
	file, there := w.local.Entry, w.there(name)
	switch {
	case file == nil && there == nil:
		return "nothing: neither side has it"
	case there == nil && way == compare.Up:
		return "upload: only the tree has it"
	case file == nil && way == compare.Down:
		return "download: only the bucket has it"
	case file == nil || there == nil:
		return "delete, with --delete"
	}
	here := compare.Facts{Size: file.Size, Time: compare.FileTime(file.MTime), Digest: file.Digest}
	from, to := here, *there
	if way == compare.Down {
		from, to = *there, here
	}
	switch name.Strategy()(way, from, to) {
	case compare.Same:
		return "nothing: equal"
	case compare.Unclear:
		return act + ", unless the bytes match ETag or CRC-64/NVME of the object"
	}
	return act + ": different"
}

// there is what a strategy sees of the object: content what the manifest says, if there is one.
func (w *why) there(name compare.Name) *compare.Facts {
	if name == compare.Content && w.mirror != nil {
		if w.entry == nil {
			return nil
		}
		f := compare.Facts{Size: w.entry.Size, ETag: w.entry.Evidence.ETag}
		if !w.entry.Unproven {
			f.Digest = w.entry.Digest
		}
		return &f
	}
	o := w.remote.Object
	if o == nil {
		return nil
	}
	return &compare.Facts{Size: o.Size, ETag: o.ETag, Time: compare.ObjectTime(o.Modified)}
}

// result is what a sync of the tree to the prefix would do about the path.
func (w *why) result(g *given) string {
	drifted := w.Drift != "" && w.Drift != string(inspect.Restamped)
	switch {
	case manifest.IsReserved(w.Key + "/"):
		return "never mirrored: names below .merkur/ are merkur's own"
	case hashing.IsDraft(w.Key):
		return "never mirrored: it is the draft of a download"
	case !w.Selected:
		return "left alone on both sides: " + w.Filter + " decides"
	case w.Problem != "":
		return "left out with a warning, and what the bucket has of it is not deleted: " + w.Problem
	case w.Kind == "directory" && w.local.Entry == nil:
		return "nothing: directories have no objects, only the files in them"
	case w.Kind == "link" && g.noFollow:
		return "left out: symbolic links are (--no-follow-symlinks)"
	case w.Kind == "link" && w.local.Entry == nil:
		return "the directory that it points to is walked"
	case len(w.Running) > 0:
		return "a run is changing it right now, or died while it did: the next sync looks at the object first; then: " + w.Up["content"]
	case drifted && w.Up["content"] != "nothing: equal" && !strings.HasPrefix(w.Up["content"], "nothing"):
		return "a conflict: " + w.Up["content"] + ", but somebody else has changed the bucket (" + w.Drift + "), which is not overwritten unnoticed"
	case drifted:
		return "the manifest and the tree agree, but somebody else has changed the bucket: " + w.Drift
	}
	return w.Up["content"]
}

// lines is the explanation for people.
func (w *why) lines() []string {
	var lines []string
	say := func(name, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-10s ", name)+fmt.Sprintf(format, args...))
	}
	say("key", "%s", w.Key)
	say("tree", "%s (%s)", w.Tree, w.TreeBy)
	switch {
	case w.Filter != "":
		say("filter", "%s: %s", map[bool]string{true: "taken in by", false: "left out by"}[w.Selected], w.Filter)
	default:
		say("filter", "none matches")
	}
	w.sayLocal(say)
	w.sayManifest(say)
	switch {
	case w.Looked != "":
		say("object", "cannot be looked at: %s", w.Looked)
	case w.Object == nil:
		say("object", "there is none")
	default:
		say("object", "%s", w.Object)
	}
	if w.Drift != "" {
		say("", "%s: not what the manifest says", w.Drift)
	}
	for _, name := range []compare.Name{compare.Content, compare.AWS, compare.Size, compare.Exact, compare.ETag} {
		say("--compare", "%-8s up: %s; down: %s", name, w.Up[string(name)], w.Down[string(name)])
	}
	say("sync", "%s", w.Result)
	return lines
}

func (w *why) sayLocal(say func(string, string, ...any)) {
	kind := w.Kind
	if w.Target != "" {
		kind += " to " + w.Target
	}
	switch {
	case w.Problem != "":
		say("file", "%s; %s", kind, w.Problem)
	case w.Local != nil:
		say("file", "%s, %s", kind, w.Local)
		say("digest", "%s", w.Cache)
	default:
		say("file", "%s", kind)
	}
}

func (w *why) sayManifest(say func(string, string, ...any)) {
	switch {
	case w.mirror == nil:
		say("manifest", "there is none; a sync that compares content makes it")
	case w.Manifest == nil:
		say("manifest", "generation %d of %s does not have the key", w.Generation, w.Written)
	case w.Unproven:
		say("manifest", "%s, content unproven; generation %d of %s", w.Manifest, w.Generation, w.Written)
	default:
		say("manifest", "%s; generation %d of %s", w.Manifest, w.Generation, w.Written)
	}
	for _, i := range w.Running {
		say("", "%s", i)
	}
}

// String is a thing for people.
func (t *thing) String() string {
	parts := []string{output.Size(t.Size)}
	for _, p := range [][2]string{
		{"digest ", t.Digest}, {"ETag ", t.ETag}, {"CRC-64/NVME ", t.CRC64}, {"stored ", t.Modified}, {"file of ", t.Time},
		{"mode ", t.Mode}, {"version ", t.Version}, {"class ", t.Class}, {"headers ", t.Headers},
	} {
		if p[1] != "" {
			parts = append(parts, p[0]+p[1])
		}
	}
	return strings.Join(parts, ", ")
}
