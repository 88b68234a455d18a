package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// prepare makes the files of a database, whatever they hold, such that Badger at worst
// returns an error for them or panics in the goroutine that opens it.
func prepare(dir string) error {
	tables, err := listedTables(dir)
	if err != nil {
		return err
	}
	for id := range tables {
		path := table.NewFilename(id, dir)
		err := checkTable(path)
		if err != nil && starved(err) {
			return err
		}
		if err != nil {
			return fmt.Errorf("%s is missing, cut off or overwritten", filepath.Base(path))
		}
	}
	logs, err := filesWith(dir, ".mem")
	if err != nil {
		return err
	}
	for _, path := range logs {
		if err := trimLog(path); err != nil {
			return err
		}
	}
	return discardSpare(dir)
}

// listedTables returns the ids of the tables that belong to the database. Others may lie in
// the directory, cut off by a crash while they were written; Badger removes them.
func listedTables(dir string) (map[uint64]badger.TableManifest, error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		if stray, err := filesWith(dir, ".sst"); err != nil || len(stray) > 0 {
			return nil, errors.New("the list of its tables is missing")
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var m badger.Manifest
	err = guarded(func() (err error) {
		m, _, err = badger.ReplayManifestFile(f, 0, badger.Options{})
		return err
	})
	if err != nil {
		return nil, errors.New("the list of its tables is cut off or overwritten")
	}
	return m.Tables, nil
}

// discardSpare removes the files of Badger in which nothing of ours is ever kept. It makes
// them anew, but where they are damaged it ends the process.
func discardSpare(dir string) error {
	spare, err := filesWith(dir, ".vlog")
	if err != nil {
		return err
	}
	for _, path := range append(spare, filepath.Join(dir, "DISCARD")) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// filesWith returns the paths in dir with an extension.
func filesWith(dir, ext string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ext {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

// checkTable opens a table as Badger does, and closes it again. Badger does it in goroutines
// of its own, where a truncated table is a panic.
func checkTable(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return errors.New("empty or not a file")
	}
	mapped, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	err = guarded(func() error {
		_, err := table.OpenTable(mapped, table.Options{ChkMode: options.NoVerification})
		return err
	})
	return errors.Join(err, mapped.Close(-1))
}

// trimLog cuts the log of a memtable, which a crash leaves behind, before an entry that does
// not fit into it: Badger would allocate what the entry says, up to 12 GiB. An empty log goes:
// a crash between making and sizing it leaves one, and Badger takes it for a log it has just made.
func trimLog(path string) error {
	log, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(log) == 0 {
		return os.Remove(path)
	}
	if n := soundLog(log); n < len(log) {
		return os.Truncate(path, int64(n))
	}
	return nil
}

// soundLog returns how many bytes of a log come before the first entry that does not fit.
func soundLog(log []byte) int {
	const header, crc = 20, 4
	for off := header; off < len(log); {
		// Two bytes of flags; lengths of key and value, and an expiry, as varints.
		var length uint64
		end := off + 2
		for i := range 3 {
			v, n := binary.Uvarint(log[min(end, len(log)):])
			if n <= 0 {
				return off
			}
			end += n
			if i < 2 {
				length += min(v, uint64(len(log)))
			}
		}
		if length == 0 {
			break // the end of what was written
		}
		if length+crc > uint64(len(log)-end) {
			return off
		}
		off = end + int(length) + crc
	}
	return len(log)
}
