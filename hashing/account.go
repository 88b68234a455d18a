package hashing

import (
	"time"

	"merkur/manifest"
)

// An Account says of one file what a scan knows of it before it reads it, or does not.
type Account struct {
	FileSystem string        // how far its file system is believed, as in [Stats]
	Settle     time.Duration // how long a file must have been left alone to be trusted; there
	Now        Fingerprint
	Known      bool            // an earlier scan remembered the file
	Then       Fingerprint     // of that
	Digest     manifest.Digest // of that
	Settled    bool            // it has been left alone for long enough, on a file system that is believed
	Trusted    bool            // the digest may stand without the file being read
}

// A Fingerprint is what is compared of a file. Times are in nanoseconds since 1970.
type Fingerprint struct {
	FileSystem, Inode       uint64
	Size                    int64
	Modified, Changed, Born int64
}

// Differs names the fields in which two fingerprints are not equal.
func (p Fingerprint) Differs(q Fingerprint) (names []string) {
	for _, f := range []struct {
		name  string
		equal bool
	}{
		{"file system", p.FileSystem == q.FileSystem}, {"inode", p.Inode == q.Inode}, {"size", p.Size == q.Size},
		{"modification time", p.Modified == q.Modified}, {"change time", p.Changed == q.Changed}, {"birth time", p.Born == q.Born},
	} {
		if !f.equal {
			names = append(names, f.name)
		}
	}
	return names
}

func (fp fingerprint) shown() Fingerprint {
	return Fingerprint{fp.fs, fp.ino, fp.size, fp.mtime, fp.ctime, fp.btime}
}

func account(fs *fileSystem, now fingerprint, old known, isKnown, trust bool, at time.Time) Account {
	a := Account{
		FileSystem: fs.nature.String(), Settle: fs.settle, Now: now.shown(), Known: isKnown,
		Settled: fs.settled(now, at), Trusted: trust,
	}
	if isKnown {
		a.Then, a.Digest = old.print.shown(), old.digest
	}
	return a
}
