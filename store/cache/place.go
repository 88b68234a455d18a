package cache

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

const (
	lockName  = "merkur.lock"
	stampName = "merkur.stamp"
	dbName    = "db"
	badName   = "db.bad"
	newName   = "db.new"
	oldName   = "db.old"
)

// A system is what a cache asks of the machine, apart from files.
type system struct {
	// free returns the bytes that may be written below dir.
	free func(dir string) (uint64, error)
	// network names the kind of the file system of dir if it is a network's, else "".
	network func(dir string) (string, error)
	// foreign reports whether a directory belongs to another user.
	foreign func(fs.FileInfo) bool
}

func localSystem() system { return system{freeBytes, networkKind, foreignOwner} }

// reserve is the space that must be left on the disk for anything to be written: Badger
// writes through memory maps, where a full disk ends the process, and between two checks it
// may write a log and a table of a memtable each and begin another.
const reserve = 64 << 20

// room returns an error unless size more bytes can be written below dir, with the reserve.
func (s system) room(dir string, size uint64) error {
	free, err := s.free(dir)
	if err != nil {
		return fmt.Errorf("ask for free space: %w", err)
	}
	if need := size + reserve; free < need {
		return fmt.Errorf("%d MiB are free on its disk and %d MiB needed", free>>20, need>>20)
	}
	return nil
}

var errInUse = errors.New("in use by another run")

// claim makes dir a directory that this run alone uses until unlock is called.
func claim(dir string, sys system) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if sys.foreign(info) {
		return nil, errors.New("belongs to another user")
	}
	kind, err := sys.network(dir)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		return nil, fmt.Errorf("is on a network file system (%s), where memory maps are not safe", kind)
	}
	if err := sys.room(dir, 0); err != nil {
		return nil, err
	}
	if err := checkOurs(dir); err != nil {
		return nil, err
	}
	if info.Mode().Perm() != 0o700 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, err
		}
	}
	return lock(filepath.Join(dir, lockName))
}

// checkOurs returns an error if dir holds things, but not those of a cache.
func checkOurs(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, lockName)); err == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("is not empty and not a cache (it holds %q)", entries[0].Name())
	}
	return nil
}

// stampOf is the content of the stamp file.
func stampOf(identity []byte) []byte {
	return []byte(schema + "\n" + hex.EncodeToString(identity) + "\n")
}

// checkStamp returns an error that says why the database does not belong to the stamp.
func checkStamp(dir string, stamp []byte) error {
	found, err := os.ReadFile(filepath.Join(dir, stampName))
	switch {
	case err != nil:
		return errors.New("its stamp cannot be read")
	case !bytes.Equal(found, sealStamp(stamp)):
		return errors.New("made for another tree or by another version")
	}
	return nil
}

// writeStamp replaces the stamp. It is written before the database that it is about, so
// that none is ever taken for what it is not; a torn one matches nothing.
func writeStamp(dir string, stamp []byte) error {
	return os.WriteFile(filepath.Join(dir, stampName), sealStamp(stamp), 0o600)
}

func sealStamp(stamp []byte) []byte {
	return fmt.Appendf(nil, "%s%016x\n", stamp, xxhash.Sum64(stamp))
}

// setAside moves the database, if there is one, to where it is not read, in place of the
// one that was moved there before.
func setAside(dir string) (moved bool, err error) {
	db, bad := filepath.Join(dir, dbName), filepath.Join(dir, badName)
	if _, err := os.Lstat(db); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err := os.RemoveAll(bad); err != nil {
		return false, fmt.Errorf("set the database aside: %w", err)
	}
	if err := os.Rename(db, bad); err != nil {
		return false, fmt.Errorf("set the database aside: %w", err)
	}
	return true, nil
}

// putBack undoes setAside.
func putBack(dir string) error {
	db := filepath.Join(dir, dbName)
	return errors.Join(os.RemoveAll(db), os.Rename(filepath.Join(dir, badName), db))
}

// swap puts the rewritten database in the place of the other. A crash between the renames
// is mended by recoverRewrite.
func swap(dir string) error {
	db, old := filepath.Join(dir, dbName), filepath.Join(dir, oldName)
	err := os.Rename(db, old)
	if err == nil {
		err = os.Rename(filepath.Join(dir, newName), db)
	}
	if err == nil {
		err = os.RemoveAll(old)
	}
	if err != nil {
		return fmt.Errorf("replace the database by its rewrite: %w", err)
	}
	return nil
}

// recoverRewrite cleans up after a rewrite that was cut off: the old database stands.
func recoverRewrite(dir string) error {
	db, old := filepath.Join(dir, dbName), filepath.Join(dir, oldName)
	if _, err := os.Lstat(db); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(old, db); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.Join(os.RemoveAll(old), os.RemoveAll(filepath.Join(dir, newName)))
}
