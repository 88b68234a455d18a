package lab

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"merkur/inspect"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/store/listing"
)

// Contents are what a side in a bucket holds, as it is known: a saved manifest of all objects, with a
// digest where the committed manifest has one and its evidence still holds.
type contents struct {
	*inspect.Saved
	side     Side
	manifest bool  // there is a committed manifest
	objects  int64 // in all
	known    int64 // whose digest the committed manifest has
	foreign  int64 // that are not what the committed manifest says, or not in it
}

// readContents lists a side and joins it with its manifest. The result is kept in a file.
func readContents(ctx context.Context, s Side, file string) (*contents, error) {
	c := &contents{side: s}
	committed, err := catalog.Open(ctx, s.Store, catalog.Options{Prefix: s.Prefix, Place: s.Place, Seal: s.Seal, Mark: s.Mark.Frozen()})
	if err != nil {
		return nil, err
	}
	c.manifest = committed.Exists()
	told := func(yield func(manifest.Entry, error) bool) {}
	if c.manifest {
		told = committed.Tree(ctx).Entries("")
	}
	view := inspect.Yielded(s.Name, func(ctx context.Context) iter.Seq2[manifest.Entry, error] {
		return c.count(witnessed(objects(ctx, s), told))
	}, nil)
	if _, err := inspect.Save(ctx, file, view, nil); err != nil {
		return nil, err
	}
	c.Saved, err = inspect.OpenFile(file)
	return c, err
}

// view is the side for inspect.
func (c *contents) view() *inspect.View {
	return inspect.Of(c.side.Name, c.Tree, &inspect.Bucket{Store: c.side.Store, Prefix: c.side.Prefix, Customer: c.side.Customer}, "")
}

// count counts the entries that pass.
func (c *contents) count(entries iter.Seq2[manifest.Entry, error]) iter.Seq2[manifest.Entry, error] {
	return func(yield func(manifest.Entry, error) bool) {
		for e, err := range entries {
			c.objects++
			switch {
			case !e.Unproven:
				c.known++
			case c.manifest:
				c.foreign++
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// objects are those of a side as entries, of which nothing is known but what the listing says.
func objects(ctx context.Context, s Side) iter.Seq2[manifest.Entry, error] {
	return func(yield func(manifest.Entry, error) bool) {
		for o, err := range listing.Objects(ctx, s.Store, listing.Options{Prefix: s.Prefix}) {
			if err != nil {
				yield(manifest.Entry{}, fmt.Errorf("list %s: %w", s.Name, err))
				return
			}
			key := strings.TrimPrefix(o.Key, s.Prefix)
			if key == "" || manifest.IsReserved(key) || o.Size == 0 && strings.HasSuffix(key, "/") {
				continue // ours, or the marker of a directory
			}
			if !yield(listed(o, key), nil) {
				return
			}
		}
	}
}

func listed(o bucket.Listed, key string) manifest.Entry {
	return manifest.Entry{
		Key: key, Size: o.Size, Digest: manifest.UnprovenDigest(o.ETag, o.Size), Unproven: true,
		Evidence: manifest.Evidence{ETag: o.ETag, Modified: o.Modified.Unix()},
	}
}

// witnessed puts the entry that a manifest tells in the place of an object that is listed, if it is
// still the one that is meant. Both ascend. It is pure.
func witnessed(objects, told iter.Seq2[manifest.Entry, error]) iter.Seq2[manifest.Entry, error] {
	return func(yield func(manifest.Entry, error) bool) {
		next, stop := iter.Pull2(told)
		defer stop()
		t, terr, more := next()
		for o, err := range objects {
			for more && terr == nil && t.Key < o.Key {
				t, terr, more = next()
			}
			if more && terr != nil {
				yield(o, terr)
				return
			}
			if err == nil && more && t.Key == o.Key && t.Evidence.ETag == o.Evidence.ETag && t.Size == o.Size {
				o = t
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// learn writes contents anew, with the digest of the local file where both were found to be equal. The
// files ascend as the entries do.
func (c *contents) learn(ctx context.Context, files iter.Seq2[manifest.Entry, error], equal func(key string) bool, file string) error {
	view := inspect.Yielded(c.side.Name, func(context.Context) iter.Seq2[manifest.Entry, error] {
		return learned(c.Tree.Entries(""), files, equal)
	}, nil)
	if _, err := inspect.Save(ctx, file, view, nil); err != nil {
		return err
	}
	saved, err := inspect.OpenFile(file)
	if err != nil {
		return err
	}
	c.Close()
	c.Saved = saved
	return nil
}

// learned gives objects of unknown content the digests of the files that they are equal to. It is pure.
func learned(objects, files iter.Seq2[manifest.Entry, error], equal func(key string) bool) iter.Seq2[manifest.Entry, error] {
	return func(yield func(manifest.Entry, error) bool) {
		next, stop := iter.Pull2(files)
		defer stop()
		f, ferr, more := next()
		for o, err := range objects {
			for more && ferr == nil && f.Key < o.Key {
				f, ferr, more = next()
			}
			if more && ferr != nil {
				yield(o, ferr)
				return
			}
			if more && f.Key == o.Key && o.Unproven && f.Size == o.Size && equal(o.Key) {
				o.Digest, o.Unproven = f.Digest, false
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// rehearse makes the manifest that says what the contents are, in a directory that a draft is read from.
func (c *contents) rehearse(ctx context.Context, dir string) error {
	draft, err := catalog.DraftIn(c.side.Store, dir)
	if err != nil {
		return err
	}
	k, err := catalog.Open(ctx, draft, catalog.Options{Prefix: c.side.Prefix, Place: c.side.Place, Seal: c.side.Seal})
	if err != nil {
		return err
	}
	var changes []manifest.Change
	for e, err := range c.Tree.Entries("") {
		if err != nil {
			return err
		}
		if changes = append(changes, manifest.Change{Key: e.Key, New: &e}); len(changes) == batchFiles {
			if _, err := k.Commit(ctx, catalog.Edit{Changes: changes}); err != nil {
				return err
			}
			changes = nil
		}
	}
	_, err = k.Commit(ctx, catalog.Edit{Changes: changes})
	return err
}

// batchFiles is how many entries are committed at once.
const batchFiles = 65_536

func (b *bench) file(name string) string { return filepath.Join(b.scratch, name) }
