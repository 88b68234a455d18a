package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"merkur/manifest"
)

// An Identity is who writes to one place. It outlives the process, so that a run can tell the
// intents that an earlier run of its own left behind from those of somebody else; and no two
// processes have it at once, so that such a run is surely no more.
type Identity struct {
	Writer manifest.ID
	file   *os.File
}

// identitySuffix is how the name of the file of an identity ends.
const identitySuffix = ".writer"

// errLocked is what lock returns if another process holds the lock.
var errLocked = errors.New("locked by another process")

// Identify takes the identity that dir keeps for a place, and holds it until Release or the
// end of the process, however it ends. If another process holds it, or dir cannot be written,
// the identity is a new one that nobody will have again; then err says why, and nothing else
// is lost but that intents that it leaves have to wait for their lease to run out.
func Identify(dir, place string) (id Identity, err error) {
	id = Identity{Writer: newID()}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return id, err
	}
	tag := manifest.TagOf([]byte(place))
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%x%s", tag[:], identitySuffix)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return id, err
	}
	if err := lock(f); err != nil {
		f.Close()
		if errors.Is(err, errLocked) {
			err = errors.New("another run to the same place has the identity of this machine")
		}
		return id, err
	}
	here := origin(f)
	kept := make([]byte, len(id.Writer)+len(here))
	if _, err := io.ReadFull(f, kept); err == nil && bytes.Equal(kept[len(id.Writer):], here[:]) {
		return Identity{Writer: manifest.ID(kept), file: f}, nil
	}
	if _, err := f.WriteAt(append(id.Writer[:], here[:]...), 0); err != nil {
		f.Close()
		return id, err
	}
	id.file = f
	return id, nil
}

// origin tells this file from a copy of it, in the image of a machine or on another one. The
// lock of a copy says nothing about the process that holds the original.
func origin(f *os.File) manifest.Tag {
	host, _ := os.Hostname()
	return manifest.TagOf(fmt.Appendf(nil, "%s %d", host, inode(f)))
}

// Release lets the next process have the identity.
func (id Identity) Release() {
	if id.file != nil {
		id.file.Close()
	}
}
