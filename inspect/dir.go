package inspect

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/crc64nvme"
	"github.com/zeebo/blake3"

	"merkur/hashing"
	"merkur/manifest"
)

// A Dir is a local directory to be viewed.
type Dir struct {
	Path    string
	Sub     string                 // the directory in it whose keys are viewed, ending in "/"; empty: itself
	Scan    hashing.Options        // Select and Descend are asked about whole keys
	Problem func(*hashing.Problem) // told of what could not be read, in key order; nil: nobody is
	Done    func(hashing.Stats)    // told of each scan that came to its end; nil: nobody is
}

// A scanned is a directory that is viewed, and what is not known of it.
type scanned struct {
	Dir
	problems map[string]bool
}

// View views the directory. With Scan.Stat its entries have no digests.
func (d Dir) View() *View {
	s := &scanned{d, map[string]bool{}}
	v := &View{Name: d.Path, entries: s.items, unknown: s.unknown, look: s.look}
	if !d.Scan.Stat {
		v.leaves = s.leaves
	}
	return v
}

// items scans the directory.
func (s *scanned) items(ctx context.Context) iter.Seq2[manifest.Entry, error] {
	return func(yield func(manifest.Entry, error) bool) {
		scan, err := hashing.New(s.Path, s.options())
		if err != nil {
			yield(manifest.Entry{}, err)
			return
		}
		for item, err := range scan.Items(ctx) {
			switch {
			case err != nil:
				yield(manifest.Entry{}, err)
				return
			case item.Problem != nil:
				s.problems[strings.TrimPrefix(item.Problem.Key, s.Sub)] = true
				if s.Problem != nil && !item.Problem.Twin {
					s.Problem(item.Problem)
				}
				continue
			}
			item.Entry.Key = strings.TrimPrefix(item.Entry.Key, s.Sub)
			if !yield(item.Entry, nil) {
				return
			}
		}
		if s.Done != nil {
			s.Done(scan.Stats())
		}
	}
}

// options are those of the scan, which sees nothing outside of Sub.
func (s *scanned) options() hashing.Options {
	o := s.Scan
	if s.Sub == "" {
		return o
	}
	in := func(ask func(string) bool, key string) bool { return ask == nil || ask(key) }
	sel, descend := o.Select, o.Descend
	o.Select = func(key string) bool { return strings.HasPrefix(key, s.Sub) && in(sel, key) }
	o.Descend = func(key string) bool {
		return (strings.HasPrefix(key, s.Sub) || strings.HasPrefix(s.Sub, key)) && in(descend, key)
	}
	return o
}

// leaves folds what the scan finds.
func (s *scanned) leaves(ctx context.Context) iter.Seq2[*manifest.Page, error] {
	return func(yield func(*manifest.Page, error) bool) {
		stopped := errors.New("stopped")
		b := manifest.NewBuilder(func(p *manifest.Page) (manifest.Location, error) {
			if p.Level == 0 && !yield(p, nil) {
				return manifest.Location{}, stopped
			}
			return manifest.Location{}, nil
		})
		var err error
		for e, ierr := range s.items(ctx) {
			if err = ierr; err == nil {
				err = b.Add(e)
			}
			if err != nil {
				break
			}
		}
		if err == nil {
			_, err = b.Finish()
		}
		if err != nil && err != stopped {
			yield(nil, err)
		}
	}
}

// unknown reports whether a key is that of a problem, or below one.
func (s *scanned) unknown(key string) bool {
	if len(s.problems) == 0 {
		return false
	}
	for i := range len(key) {
		if key[i] == '/' && s.problems[key[:i+1]] {
			return true
		}
	}
	return s.problems[key]
}

// look reads the file of an entry, for all that an object can be compared by. If it is another one
// now, nothing is known.
func (s *scanned) look(ctx context.Context, e manifest.Entry, n need) (facts, error) {
	f, err := os.Open(filepath.Join(s.Path, filepath.FromSlash(s.Sub+e.Key)))
	if err != nil {
		return factsOf(&e), nil
	}
	defer f.Close()
	got, size, err := sum(ctx, f, n.part)
	if err != nil {
		return facts{}, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if size != e.Size || e.Digest != (manifest.Digest{}) && got.digest != e.Digest {
		return factsOf(&e), nil
	}
	return got, nil
}

// sum reads all of a file once. The ETag is the one that S3 gives an object that is stored at once, or in parts
// of a size if that is not 0.
func sum(ctx context.Context, r io.Reader, part int64) (f facts, size int64, err error) {
	digest, crc, whole := blake3.New(), crc64nvme.New(), md5.New()
	var parts []byte
	var of hash.Hash = whole
	buf := make([]byte, 256<<10)
	left := part // of the part at hand
	for err == nil && ctx.Err() == nil {
		b := buf
		if part > 0 && int64(len(b)) > left {
			b = b[:left]
		}
		var n int
		n, err = io.ReadFull(r, b)
		for _, h := range []io.Writer{digest, crc, of} {
			h.Write(b[:n])
		}
		size += int64(n)
		if left -= int64(n); part > 0 && (left == 0 || err != nil && left < part) {
			parts = of.Sum(parts)
			of.Reset()
			left = part
		}
	}
	if err == nil {
		return f, size, ctx.Err()
	}
	if err != io.EOF && err != io.ErrUnexpectedEOF {
		return f, size, err
	}
	digest.Sum(f.digest[:0])
	f.crc, f.hasCRC, f.partSize, f.isMD5 = crc.Sum64(), true, part, part == 0
	f.etag = hex.EncodeToString(whole.Sum(nil))
	if part > 0 {
		total := md5.Sum(parts)
		f.etag = fmt.Sprintf("%s-%d", hex.EncodeToString(total[:]), len(parts)/md5.Size)
	}
	return f, size, nil
}
