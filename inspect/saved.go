package inspect

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"merkur/manifest"
)

// A Saved is a manifest in a file: one that [Save] wrote, or any root object that has all its pages in
// itself.
type Saved struct {
	Manifest *manifest.Manifest
	Tree     manifest.Tree
	file     *os.File
}

// OpenFile opens a saved manifest, which is read while its tree is. Errors: manifest.ErrCorrupt,
// manifest.ErrVersion, and those of the system.
func OpenFile(path string) (*Saved, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Saved{file: f}
	if err := s.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("read manifest %s: %w", path, err)
	}
	return s, nil
}

// Close closes the file.
func (s *Saved) Close() error { return s.file.Close() }

// tail is how much of the end of a file is read to find out how long its footer is.
const tail = 64 << 10

func (s *Saved) read() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a file", manifest.ErrCorrupt)
	}
	end := make([]byte, min(info.Size(), tail))
	if _, err := s.file.ReadAt(end, info.Size()-int64(len(end))); err != nil && err != io.EOF {
		return err
	}
	n, err := manifest.FooterSize(end)
	if err != nil {
		return err
	}
	if int64(n) > info.Size()-int64(manifest.HeadSize) {
		return fmt.Errorf("%w: footer is longer than the file", manifest.ErrCorrupt)
	}
	// Head and footer are checked together, as if the pages between them were not there.
	ends := make([]byte, manifest.HeadSize+n)
	if _, err := s.file.ReadAt(ends[:manifest.HeadSize], 0); err != nil {
		return err
	}
	if _, err := s.file.ReadAt(ends[manifest.HeadSize:], info.Size()-int64(n)); err != nil && err != io.EOF {
		return err
	}
	if s.Manifest, err = manifest.Open(ends); err != nil {
		return err
	}
	s.Tree = manifest.Tree{Root: s.Manifest.Root, Fetch: func(r manifest.Ref) ([]byte, error) { return s.fetch(r, info.Size()) }}
	return nil
}

func (s *Saved) fetch(r manifest.Ref, size int64) ([]byte, error) {
	if r.At.Pack != (manifest.PackName{}) {
		return nil, fmt.Errorf("read manifest %s: the page at %q lies in a pack of the bucket, not in the file", s.file.Name(), r.First)
	}
	if r.At.Off > uint64(size) || uint64(r.At.Len) > uint64(size)-r.At.Off {
		return nil, fmt.Errorf("%w: page at %q lies outside of %s", manifest.ErrCorrupt, r.First, s.file.Name())
	}
	frame := make([]byte, r.At.Len)
	if _, err := s.file.ReadAt(frame, int64(r.At.Off)); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return frame, nil
}

// Save writes what a view holds as a manifest into a file, which is there whole or not at all. What m
// says besides is taken over: which manifest it is, who wrote it and when, and what runs may have been
// changing. A nil m is a new manifest.
func Save(ctx context.Context, path string, v *View, m *manifest.Manifest) (manifest.Root, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".merkur-draft-*")
	if err != nil {
		return manifest.Root{}, fmt.Errorf("save manifest: %w", err)
	}
	root, err := save(ctx, f, v, m)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return root, fmt.Errorf("save manifest %s: %w", path, err)
	}
	return root, nil
}

func save(ctx context.Context, f io.Writer, v *View, m *manifest.Manifest) (root manifest.Root, err error) {
	saved := manifest.Manifest{Generation: 1}
	if m != nil {
		saved = *m
	} else {
		rand.Read(saved.UUID[:])
	}
	rand.Read(saved.Head[:])
	saved.Packs, saved.Retired, saved.Intents = nil, nil, nil
	if m != nil {
		for _, i := range m.Intents {
			i.Doomed, i.Meant = nil, nil // what these list is not in the tree
			saved.Intents = append(saved.Intents, i)
		}
	}
	w := bufio.NewWriter(f)
	off := uint64(manifest.HeadSize)
	w.Write(manifest.AppendHead(nil, saved.Head))
	b := manifest.NewBuilder(func(p *manifest.Page) (manifest.Location, error) {
		frame, at := manifest.AppendFrame(nil, p)
		at.Off = off
		off += uint64(at.Len)
		_, err := w.Write(frame)
		return at, err
	})
	for e, err := range v.Entries(ctx) {
		if err != nil {
			return root, err
		}
		if err := b.Add(e); err != nil {
			return root, err
		}
	}
	if root, err = b.Finish(); err != nil {
		return root, err
	}
	if v.tree != nil && v.tree.Root.Digest != root.Digest {
		return root, errors.New("its pages are not cut by the rule, so that its root cannot be kept")
	}
	saved.Root = root
	w.Write(saved.AppendFooter(nil))
	return root, w.Flush()
}
