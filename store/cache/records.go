package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Records is one of the key spaces of a cache. Names and records are arbitrary bytes.
// Records are read best in the order of their names, because that is how they lie on disk.
type Records struct {
	cache *Cache
	space byte
}

// Recall returns the record of that name, which is the caller's to keep, or nil. It sees
// what this run has remembered, collected or written.
func (r Records) Recall(name []byte) []byte {
	c := r.cache
	if !c.active() {
		return nil
	}
	key := headKey(r.space, name)
	if s, ok := c.batch.lookup(key); ok {
		record, _ := unseal(c.seed, key, s.head, func(i int) []byte { return s.more[i-1] })
		return record
	}
	record, found, whole := c.read(key)
	if found && !whole {
		c.dropped.Add(1)
		r.Remember(name, nil)
		return nil
	}
	return record
}

// Remember keeps a record under a name in place of any other; nil removes it. Neither slice
// is kept. It writes at once only when enough is collected. Records beyond 64 MiB and names
// beyond 32 KiB are not kept.
func (r Records) Remember(name, record []byte) {
	c := r.cache
	if len(name) > maxName || !c.active() || !c.writable() {
		return
	}
	key := headKey(r.space, name)
	if record == nil || len(record) > maxValue {
		c.batch.add(c, key, sealed{})
		return
	}
	head, more := seal(c.seed, key, record)
	c.batch.add(c, key, sealed{head, more})
}

// active reports whether there is a database and it is believed.
func (c *Cache) active() bool {
	c.open.RLock()
	defer c.open.RUnlock()
	return c.db != nil && !c.damaged.Load()
}

// read gets a record from the database. An error of the database itself condemns it.
func (c *Cache) read(key []byte) (record []byte, found, whole bool) {
	c.open.RLock()
	defer c.open.RUnlock()
	if c.db == nil || c.damaged.Load() {
		return nil, false, false
	}
	err := guarded(func() (err error) {
		record, found, whole, err = get(c.db, c.seed, key)
		return err
	})
	if err != nil {
		c.condemn(err)
		return nil, false, false
	}
	c.resident.touch(len(record))
	return record, found, whole
}

// get reads one record: found says that there is something under the key, whole that it is
// what was written.
func get(db *badger.DB, seed uint64, key []byte) (record []byte, found, whole bool, err error) {
	txn := db.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if err == badger.ErrKeyNotFound {
		return nil, false, false, nil
	}
	if err != nil {
		return nil, false, false, err
	}
	err = item.Value(func(head []byte) error {
		record, whole = unseal(seed, key, head, func(i int) []byte { return getPiece(txn, pieceKey(key, i)) })
		return nil
	})
	return record, true, whole, err
}

// getPiece returns nil for a piece that is missing: the checksum of the whole decides.
func getPiece(txn *badger.Txn, key []byte) []byte {
	item, err := txn.Get(key)
	if err != nil {
		return nil
	}
	piece, err := item.ValueCopy(nil)
	if err != nil {
		return nil
	}
	return piece
}

// A batch collects writes. The newest record of a key replaces the others.
type batch struct {
	mu     sync.RWMutex // held for writing while the batch goes to the database
	filled atomic.Bool  // there is something in it; spares the lock to runs that only read
	sealed map[string]sealed
	bytes  int
	since  time.Time // of the oldest record
}

// sealed is a record as it will be stored; the zero value removes.
type sealed struct {
	head []byte
	more [][]byte
}

func (s sealed) size() int { return len(s.head) + pieceSize*len(s.more) }

// A batch is written when it has this size or age, whichever comes first: a transaction must
// stay below 15 % of a memtable, and a crash should not lose the digest of a file that took
// minutes to hash.
const (
	batchBytes = 512 << 10
	batchAge   = 2 * time.Second
)

func (b *batch) init() { b.sealed = make(map[string]sealed) }

func (b *batch) lookup(key []byte) (sealed, bool) {
	if !b.filled.Load() {
		return sealed{}, false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	s, ok := b.sealed[string(key)]
	return s, ok
}

func (b *batch) add(c *Cache, key []byte, s sealed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sealed) == 0 {
		b.since = time.Now()
	}
	b.sealed[string(key)] = s
	b.filled.Store(true)
	b.bytes += len(key) + s.size()
	if b.bytes >= batchBytes || time.Since(b.since) >= batchAge {
		b.write(c)
	}
}

func (b *batch) flush(c *Cache) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sealed) > 0 {
		b.write(c)
	}
}

// write empties the batch into the database, or nowhere if that cannot be written. The
// caller holds the lock, so that a reader finds each record in one place or the other, and
// writers wait for the disk.
func (b *batch) write(c *Cache) {
	c.put(b.sealed)
	b.sealed = make(map[string]sealed) // a write that is stuck may still read the other
	b.bytes = 0
	b.filled.Store(false)
}

// put writes records to the database, if that is possible.
func (c *Cache) put(records map[string]sealed) {
	c.open.RLock()
	defer c.open.RUnlock()
	db := c.db
	if db == nil || !c.writable() {
		return
	}
	if err := c.sys.room(c.dir, 0); err != nil {
		if !c.full.Swap(true) {
			c.note("%v; nothing more is written to it", err)
		}
		return
	}
	if err := c.await(func() error { return store(db, records) }); err != nil {
		c.fail(err)
		return
	}
	size := 0
	for _, s := range records {
		size += s.size()
	}
	c.written.Add(int64(size))
	c.resident.touch(size)
}

func store(db *badger.DB, records map[string]sealed) error {
	w := db.NewWriteBatch()
	defer w.Cancel()
	for key, s := range records {
		if err := s.store(w, []byte(key)); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (s sealed) store(w *badger.WriteBatch, key []byte) error {
	if s.head == nil {
		return w.Delete(key)
	}
	for i, piece := range s.more {
		if err := w.Set(pieceKey(key, i+1), piece); err != nil {
			return err
		}
	}
	return w.Set(key, s.head)
}
