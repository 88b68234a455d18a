package transfer

import (
	"bufio"
	"encoding/gob"
	"fmt"
	"io"
	"os"

	"merkur/manifest"
)

// spoolLeaf is how many actions a spool keeps in memory, and hands out at a time: as many as an
// intent can list.
const spoolLeaf = manifest.MaxPage

// A spool keeps actions in their order until their time comes: on disk, since there may be more
// of them than memory has room for. The zero value is empty.
type spool struct {
	n    uint64
	open []Action
	file *os.File
	w    *bufio.Writer
	enc  *gob.Encoder
}

func (s *spool) add(a Action) error {
	s.n++
	if s.open = append(s.open, a); len(s.open) < spoolLeaf {
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "merkur-spool-")
		if err != nil {
			return fmt.Errorf("keep a list of what is to be done: %w", err)
		}
		os.Remove(f.Name()) // where the system lets it go at once, nothing is left if this process dies
		s.file, s.w = f, bufio.NewWriter(f)
		s.enc = gob.NewEncoder(s.w)
	}
	if err := s.enc.Encode(s.open); err != nil {
		return fmt.Errorf("keep a list of what is to be done: %w", err)
	}
	s.open = nil
	return nil
}

// each calls do with the actions, at most spoolLeaf at a time.
func (s *spool) each(do func([]Action) error) error {
	if s.file != nil {
		if err := s.replay(do); err != nil {
			return err
		}
	}
	if len(s.open) == 0 {
		return nil
	}
	return do(s.open)
}

func (s *spool) replay(do func([]Action) error) error {
	err := s.w.Flush()
	if err == nil {
		_, err = s.file.Seek(0, io.SeekStart)
	}
	dec := gob.NewDecoder(bufio.NewReader(s.file))
	for err == nil {
		var leaf []Action
		if err = dec.Decode(&leaf); err == io.EOF {
			return nil
		}
		if err != nil {
			break
		}
		if err := do(leaf); err != nil {
			return err
		}
	}
	return fmt.Errorf("read the list of what is to be done: %w", err)
}

// drop takes actions out of the spool: those for which goes, which is asked about a leaf of them
// at a time, says so.
func (s *spool) drop(goes func(leaf []Action) []bool) error {
	var kept spool
	err := s.each(func(leaf []Action) error {
		for i, goes := range goes(leaf) {
			if !goes {
				if err := kept.add(leaf[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		kept.close()
		return err
	}
	s.close()
	*s = kept
	return nil
}

// close empties the spool.
func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
	*s = spool{}
}
