package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"merkur/manifest"
)

// An Identity is who writes to one place. It outlives the process, so that a run can tell the
// intents that an earlier run of its own left behind from those of somebody else; and no two
// processes have it at once, so that such a run is surely no more. A machine has several for a place,
// if several of its processes were there at once.
type Identity struct {
	Writer manifest.ID
	file   *os.File
	files  []string // of all that this machine may have for the place
}

// identitySuffix is how the name of the file of an identity ends.
const identitySuffix = ".writer"

// identities is how many processes of a machine have an identity for one place at once.
const identities = 16

// errLocked is what lock returns if another process holds the lock.
var errLocked = errors.New("locked by another process")

// Identify takes the first identity that dir keeps for a place and no other process holds, and holds it
// until Release or the end of the process, however it ends. If other processes hold all, or dir cannot be
// written, the identity is a new one that nobody will have again; then err says why, and nothing else
// is lost but that intents that it leaves have to wait for their lease to run out.
func Identify(dir, place string) (id Identity, err error) {
	id = Identity{Writer: newID(), files: identityFiles(dir, place)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return id, err
	}
	for _, name := range id.files {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return id, err
		}
		if err = lock(f); err == nil {
			return id.in(f)
		}
		f.Close()
		if !errors.Is(err, errLocked) {
			return id, err
		}
	}
	return id, fmt.Errorf("%d other runs to the same place have the identities of this machine", identities)
}

// identityFiles are the files of the identities of a place, in the order in which they are taken.
func identityFiles(dir, place string) (names []string) {
	tag := manifest.TagOf([]byte(place))
	for i := range identities {
		name := fmt.Sprintf("%x", tag[:])
		if i > 0 {
			name += fmt.Sprintf("-%d", i+1)
		}
		names = append(names, filepath.Join(dir, name+identitySuffix))
	}
	return names
}

// in returns the identity that a locked file keeps. If it keeps none, it is to keep this one.
func (id Identity) in(f *os.File) (Identity, error) {
	here := origin(f)
	if kept, ok := keptIn(f, here); ok {
		id.Writer = kept
	} else if _, err := f.WriteAt(append(id.Writer[:], here[:]...), 0); err != nil {
		f.Close()
		return id, err
	}
	id.file = f
	return id, nil
}

// keptIn returns the writer that a file keeps for where it is from.
func keptIn(f *os.File, here manifest.Tag) (writer manifest.ID, ok bool) {
	kept := make([]byte, len(writer)+len(here))
	if _, err := f.ReadAt(kept, 0); err != nil || !bytes.Equal(kept[len(writer):], here[:]) {
		return writer, false
	}
	return manifest.ID(kept), true
}

// past reports whether a writer was a process of this machine, to the same place, that is no more. All that
// it has stored so far is an earlier run's then.
func (id Identity) past(writer manifest.ID) bool {
	return writer == id.Writer || slices.ContainsFunc(id.files, func(name string) bool { return freeAndKeeps(name, writer) })
}

// freeAndKeeps reports whether a file keeps a writer, and no process holds it.
func freeAndKeeps(name string, writer manifest.ID) bool {
	f, kept, free := takeFree(name)
	if free {
		f.Close()
	}
	return free && kept == writer
}

// takeFree holds the file of an identity, until it is closed, if no process does, and returns the writer that it keeps.
func takeFree(name string) (f *os.File, kept manifest.ID, free bool) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, kept, false
	}
	if lock(f) == nil {
		kept, free = keptIn(f, origin(f))
	}
	if !free {
		f.Close()
	}
	return f, kept, free
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
