package catalog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"merkur/manifest"
)

// An Identity is who writes to one place. It outlives the process, so that a run can tell the
// intents that an earlier run of its own left behind from those of somebody else.
type Identity struct {
	Writer manifest.ID
	// Alone means that no other process has this identity now.
	Alone bool
	file  *os.File
}

// errLocked is what lock returns if another process holds the lock.
var errLocked = errors.New("locked by another process")

// Identify takes the identity that dir keeps for a place, and holds it until Release or the
// end of the process, however it ends. If another process holds it, or dir cannot be written,
// the identity is a new one that nobody will have again; then err says why, and nothing else
// is lost but that abandoned intents have to wait for their lease to run out.
func Identify(dir, place string) (id Identity, err error) {
	id = Identity{Writer: newID()}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return id, err
	}
	tag := manifest.TagOf([]byte(place))
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%x.writer", tag[:])), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return id, err
	}
	if err := lock(f); err != nil {
		f.Close()
		if errors.Is(err, errLocked) {
			err = errors.New("another run to the same place is under way")
		}
		return id, err
	}
	var kept manifest.ID
	if _, err := io.ReadFull(f, kept[:]); err == nil && kept != (manifest.ID{}) {
		return Identity{Writer: kept, Alone: true, file: f}, nil
	}
	if _, err := f.WriteAt(id.Writer[:], 0); err != nil {
		f.Close()
		return id, err
	}
	id.Alone, id.file = true, f
	return id, nil
}

// Release lets the next process have the identity.
func (id Identity) Release() {
	if id.file != nil {
		id.file.Close()
	}
}
