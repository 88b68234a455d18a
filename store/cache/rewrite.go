package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// Each flush of a memtable adds a table on level 0, where every read has to ask all of them.
// A rewrite puts the live records, in order and without overlap, on the last level.
const (
	freshTables = 16      // more tables on level 0 than this are worth a rewrite
	freshBytes  = 4 << 20 // and so are more bytes there than on the last level and these
)

// worthRewriting decides by the tables and bytes on level 0 and the bytes on the last level.
// It keeps the files below about twice the live records when a run begins, and the cost of
// rewriting below that of writing what made it necessary, or shared by sixteen runs.
func worthRewriting(tables int, fresh, settled int64) bool {
	return tables > freshTables || fresh > settled+freshBytes
}

// rewrite makes a copy of the database that holds the live and sound records only, and
// reports whether it stands ready to take the place of the other. If the copy cannot be
// written, that is left as it is. The caller holds c.open.
func (c *Cache) rewrite() bool {
	tables, fresh, settled := c.sizes()
	if !worthRewriting(tables, fresh, settled) || c.sys.room(c.dir, uint64(fresh+settled)) != nil {
		return false
	}
	dir := filepath.Join(c.dir, newName)
	if os.Mkdir(dir, 0o700) != nil {
		return false
	}
	to := &onePass{dir: dir}
	err := guarded(func() error { return c.copyLive(to.add) })
	if err == nil {
		err = to.finish()
	}
	if err == nil {
		return true
	}
	_ = os.RemoveAll(dir) // else the next Open removes it
	var unwritten *os.PathError
	if !errors.As(err, &unwritten) {
		c.condemn(fmt.Errorf("while it was rewritten: %w", err))
	}
	return false
}

// sizes returns what worthRewriting decides by. What this run wrote is on level 0 only in
// part yet; the rest is in memtables, or on the way.
func (c *Cache) sizes() (tables int, fresh, settled int64) {
	tables, fresh, settled = levels(c.db)
	if written := c.written.Load(); written > 0 {
		tables++
		fresh = c.fresh + written
	}
	return tables, fresh, settled
}

// levels returns the number and the bytes of the tables on level 0, and the bytes of others.
func levels(db *badger.DB) (tables int, fresh, settled int64) {
	for _, l := range db.Levels() {
		if l.Level == 0 {
			tables, fresh = l.NumTables, l.Size
		} else {
			settled += l.Size
		}
	}
	return tables, fresh, settled
}

// copyLive passes every live entry to add, in key order. Records with a wrong checksum, and
// pieces that belong to no record, are left out.
func (c *Cache) copyLive(add func(key, value []byte) error) error {
	txn := c.db.NewTransaction(false)
	defer txn.Discard()
	entries := txn.NewIterator(badger.IteratorOptions{})
	defer entries.Close()
	for entries.Rewind(); entries.Valid(); entries.Next() {
		item := entries.Item()
		err := item.Value(func(value []byte) error {
			c.resident.touch(len(value))
			if !c.live(txn, item.Key(), value) {
				return nil
			}
			return add(item.Key(), value)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// live reports whether an entry is worth keeping: a record that is sound as far as its first
// piece tells, or a piece of one that has that many.
func (c *Cache) live(txn *badger.Txn, key, value []byte) bool {
	if head, i, ok := pieceOf(key); ok {
		size, ok := sealedSize(getPiece(txn, head))
		return ok && i > 0 && i*pieceSize < size
	}
	size, ok := sealedSize(value)
	if ok && size <= pieceSize {
		_, ok = unseal(c.seed, key, value, nil)
	}
	if !ok {
		c.dropped.Add(1)
	}
	return ok
}
