package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// A onePass writes a new database out of entries in key order: its tables, all on the last
// level, and the list of them. It does by plain writes what Badger's stream writer does
// through memory maps and in goroutines that panic, so a full disk is an ordinary error; and
// it
// holds one table in memory, not sixteen.
type onePass struct {
	dir    string
	tables []*pb.ManifestChange
	table  *table.Builder
	last   []byte // key
}

const (
	tableSize = 4 << 20
	lastLevel = 6
	version   = 1 // of every entry
)

// add appends an entry; its key must come after the one before. Nothing is kept of either.
func (p *onePass) add(key, value []byte) error {
	if p.last != nil && bytes.Compare(key, p.last) <= 0 {
		return errors.New("keys out of order")
	}
	if p.table != nil && p.table.ReachedCapacity() {
		if err := p.finishTable(); err != nil {
			return err
		}
	}
	if p.table == nil {
		p.table = table.NewTableBuilder(table.Options{
			TableSize: tableSize, BlockSize: blockSize, BloomFalsePositive: falsePositives,
			Compression: options.None,
		})
	}
	p.last = append(p.last[:0], key...)
	p.table.Add(y.KeyWithTs(key, version), y.ValueStruct{Value: value}, 0)
	return nil
}

func (p *onePass) finishTable() error {
	id := uint64(len(p.tables) + 1)
	data := p.table.Finish()
	p.table.Close()
	p.table = nil
	p.tables = append(p.tables, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_CREATE, Level: lastLevel})
	return writeFile(table.NewFilename(id, p.dir), data)
}

// finish completes the database. Before that it is none.
func (p *onePass) finish() error {
	if p.table != nil {
		if err := p.finishTable(); err != nil {
			return err
		}
	}
	list, err := proto.Marshal(&pb.ManifestChangeSet{Changes: p.tables})
	if err != nil {
		return fmt.Errorf("list the tables: %w", err)
	}
	// Magic, version of the application's format, version of Badger's; length and CRC-32C of
	// the one change set that follows.
	manifest := []byte{'B', 'd', 'g', 'r', 0, 0, 0, 8}
	manifest = binary.BigEndian.AppendUint32(manifest, uint32(len(list)))
	manifest = binary.BigEndian.AppendUint32(manifest, crc32.Checksum(list, y.CastagnoliCrcTable))
	return writeFile(filepath.Join(p.dir, badger.ManifestFilename), append(manifest, list...))
}

// writeFile writes a new file and syncs it: a rewrite replaces what was safe on the disk.
func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
