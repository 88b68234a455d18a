package audit

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zeebo/blake3"
)

// An Object is one as the server keeps it: a file.
type Object struct {
	Path string
	ETag string // as the server remembers it; empty: not known
}

// Objects are those of one bucket, by key.
type Objects map[string]Object

// Bucket reads the directory in which versitygw keeps a bucket. The server has to be at rest.
func Bucket(dir string) (Objects, error) {
	objects := Objects{}
	err := walk(dir, func(key, path string) error {
		objects[key] = Object{Path: path, ETag: etagOf(path)}
		return nil
	})
	return objects, err
}

// Uploads counts the uploads in parts that are neither complete nor aborted, in such a directory,
// and those of them that have parts.
func Uploads(dir string) (all, withParts int, err error) {
	keys, err := os.ReadDir(filepath.Join(dir, tempName, "multipart"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	for _, key := range keys {
		ids, rerr := os.ReadDir(filepath.Join(dir, tempName, "multipart", key.Name()))
		err = errors.Join(err, rerr)
		for _, id := range ids {
			if !id.IsDir() {
				continue
			}
			all++
			parts, rerr := os.ReadDir(filepath.Join(dir, tempName, "multipart", key.Name(), id.Name()))
			if err = errors.Join(err, rerr); len(parts) > 0 {
				withParts++
			}
		}
	}
	return all, withParts, err
}

// tempName is where versitygw keeps what is no object yet.
const tempName = ".sgwtmp"

// walk calls visit for each file below dir, with its path below dir as key.
func walk(dir string, visit func(key, path string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == tempName {
				return fs.SkipDir
			}
			return nil
		}
		return visit(filepath.ToSlash(rel), path)
	})
}

func (o Object) bytes() ([]byte, error) { return os.ReadFile(o.Path) }

func (o Object) digest() (size uint64, sum [32]byte, err error) { return digestOf(o.Path) }

func digestOf(path string) (size uint64, sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, sum, err
	}
	defer f.Close()
	h := blake3.New()
	n, err := io.Copy(h, f)
	h.Sum(sum[:0])
	return uint64(n), sum, err
}

// A File is the content of one of a tree.
type File struct {
	Size   uint64
	Digest [32]byte
}

// A Tree are the files of a directory, by key.
type Tree map[string]File

// draftPrefix is how the names of files begin that a download has not finished.
const draftPrefix = ".merkur-draft-"

// Local reads a directory, and lists apart the drafts that are in it.
func Local(dir string) (tree Tree, drafts []string, err error) {
	tree = Tree{}
	err = walk(dir, func(key, path string) error {
		if strings.HasPrefix(filepath.Base(path), draftPrefix) {
			drafts = append(drafts, key)
			return nil
		}
		size, sum, err := digestOf(path)
		tree[key] = File{size, sum}
		return err
	})
	return tree, drafts, err
}

// Root is that of a manifest of the tree.
func (t Tree) Root() [32]byte {
	entries := make([]Entry, 0, len(t))
	for _, key := range slices.Sorted(maps.Keys(t)) {
		entries = append(entries, Entry{Key: key, Size: t[key].Size, Digest: t[key].Digest})
	}
	return Root(entries)
}

// Tree is what is below a prefix, without what is the mirror's own.
func (o Objects) Tree(prefix string) (Tree, error) {
	tree := Tree{}
	for key, object := range o {
		rest, ours := strings.CutPrefix(key, prefix)
		if !ours || own(key, prefix) {
			continue
		}
		size, sum, err := object.digest()
		if err != nil {
			return nil, err
		}
		tree[rest] = File{size, sum}
	}
	return tree, nil
}
