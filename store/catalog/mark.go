package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"merkur/manifest"
)

// ErrRolledBack says that a sealed manifest is not the one that this machine has seen before, nor
// a later one: somebody may have put an old one back.
var ErrRolledBack = errors.New("the manifest is older than one seen before, or another one")

// ErrMark says that what this machine has kept of the manifest it has seen last cannot be read any more: so
// nobody can tell whether a sealed one goes back.
var ErrMark = errors.New("what this machine has kept of the manifest it has seen last is damaged")

// A Mark is what this machine has seen last of the manifest of one place. It lies with the
// identity of the writer, not with the cache: who loses it does not notice that somebody has put
// back an older manifest, which was true once and passes its seal. A nil Mark knows nothing.
type Mark struct {
	file   string
	frozen bool // it is looked at and not moved
	synced bool // it outlives a loss of power
}

// NewMark returns the mark that dir keeps for a place.
func NewMark(dir, place string) *Mark {
	tag := manifest.TagOf([]byte(place))
	return &Mark{file: filepath.Join(dir, fmt.Sprintf("%x.seen", tag[:]))}
}

// Frozen returns a mark that stays where it is: a dry run sees what never was.
func (m *Mark) Frozen() *Mark {
	if m == nil {
		return nil
	}
	return &Mark{m.file, true, m.synced}
}

// sealed is the mark for what is sealed, which no manifest moves that is not.
func (m *Mark) sealed() *Mark {
	if m == nil {
		return nil
	}
	return &Mark{m.file + "-sealed", m.frozen, true}
}

// A sighting is a manifest that was seen.
type sighting struct {
	uuid, head manifest.ID
	generation uint64
}

func (s *snapshot) sighting() sighting { return sighting{s.m.UUID, s.m.Head, s.m.Generation} }

const sightingBytes = 16 + 16 + 8

func (s sighting) encode() []byte {
	b := append(append([]byte(nil), s.uuid[:]...), s.head[:]...)
	b = binary.LittleEndian.AppendUint64(b, s.generation)
	tag := manifest.TagOf(b)
	return append(b, tag[:]...)
}

// last returns what was seen last; nil if nothing was.
func (m *Mark) last() (*sighting, error) {
	if m == nil {
		return nil, nil
	}
	b, err := os.ReadFile(m.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b) != sightingBytes+len(manifest.Tag{}) || manifest.TagOf(b[:sightingBytes]) != manifest.Tag(b[sightingBytes:]) {
		return nil, fmt.Errorf("%w: %s", ErrMark, m.file)
	}
	return &sighting{manifest.ID(b), manifest.ID(b[16:]), binary.LittleEndian.Uint64(b[32:])}, nil
}

// move keeps a sighting, unless a later one of the same manifest is kept already.
func (m *Mark) move(now sighting) error {
	if m == nil {
		return nil
	}
	if old, err := m.last(); err == nil && old != nil && old.uuid == now.uuid && old.generation >= now.generation {
		return nil
	}
	return m.set(now)
}

// set keeps a sighting, whatever was kept.
func (m *Mark) set(now sighting) error {
	if m == nil || m.frozen {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(m.file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(m.file), "seen-*")
	if err != nil {
		return err
	}
	_, err = f.Write(now.encode())
	if m.synced {
		err = errors.Join(err, f.Sync())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), m.file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// doubt says in what way a manifest cannot be a successor of the one that was seen before. Now is nil
// if there is none.
func (old *sighting) doubt(now *sighting) string {
	switch {
	case old == nil:
		return ""
	case now == nil:
		return "there is none any more"
	case now.uuid != old.uuid:
		return "it is another one"
	case now.generation < old.generation:
		return fmt.Sprintf("its generation was %d and is %d", old.generation, now.generation)
	case now.generation == old.generation && now.head != old.head:
		return fmt.Sprintf("there are two of generation %d", now.generation)
	}
	return ""
}

// recognise compares the root that was read with what was seen before that, and moves the mark.
// Where the manifest is sealed a doubt is an error, else it is kept to be told.
func (c *Catalog) recognise(old *sighting, cur *snapshot) error {
	var now *sighting
	if cur != nil {
		seen := cur.sighting()
		now = &seen
	}
	doubt := old.doubt(now)
	switch {
	case doubt == "" || c.o.AcceptRollback:
	case c.o.Seal != nil:
		return fmt.Errorf("%w: %s", ErrRolledBack, doubt)
	default:
		c.doubt = doubt
	}
	if now == nil {
		return nil
	}
	move := c.o.Mark.move
	if doubt != "" {
		move = c.o.Mark.set
	}
	err := move(*now)
	if err != nil && c.o.Seal != nil {
		return fmt.Errorf("keep in mind which manifest was seen: %w", err)
	}
	return nil
}

// lastSeen returns what to compare the root with. It is asked for before the root is read, since
// another process of this machine may move the mark on meanwhile.
func (c *Catalog) lastSeen() (*sighting, error) {
	old, err := c.o.Mark.last()
	if err != nil && (c.o.Seal == nil || c.o.AcceptRollback) {
		return nil, nil
	}
	return old, err
}

// Doubt says in what way an unsealed manifest cannot be a successor of the one that this machine
// has seen before; empty: it can.
func (c *Catalog) Doubt() string { return c.doubt }
