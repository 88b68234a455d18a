package manifest

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// MaxKey is the longest key, in bytes, that S3 stores and an entry may have.
const MaxKey = 1024

// A Digest is a 32-byte BLAKE3 digest. The digest of a file's bytes equals what b3sum prints.
type Digest [32]byte

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest is the inverse of [Digest.String].
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) || strings.ToLower(s) != s {
		return d, fmt.Errorf("digest %q is not 64 lower-case hexadecimal digits", s)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return d, fmt.Errorf("digest %q: %w", s, err)
	}
	return d, nil
}

// A Kind says what an entry stands for.
type Kind uint8

// The kinds of entry. Their values are part of the format.
const (
	File Kind = 0 // a regular file or an object: Digest is of its bytes
	Link Kind = 1 // a symbolic link kept as a link: Digest is of Target, Size its length
	Dir  Kind = 2 // an empty directory, or the marker object of one: the key ends in "/"
)

// An Entry is one path of a tree. Key, Kind, Size, Digest and Target make its identity: two
// entries that agree in these are equal, whatever else they say. The rest are attributes.
type Entry struct {
	Key    string // path below the root, "/" between the names; 1 to [MaxKey] bytes
	Kind   Kind
	Size   int64  // bytes
	Digest Digest // BLAKE3 of the content
	Target string // where a Link points; empty otherwise

	// Unproven marks an object whose bytes nobody has compared with a digest yet: Digest is
	// then a stand-in, made by [UnprovenDigest], that equals no digest of content.
	Unproven bool
	Mode     uint32 // permission bits when the content was read; 0 if not known
	MTime    int64  // modification time of the file, as [Time] has it; 0 if not known
	Headers  uint64 // tag of the headers that the object was given by name; 0: none, or not known
	Evidence Evidence
}

// Evidence is what the bucket said about an object that we wrote or proved. Its zero value
// means that nothing is known, as in a local manifest.
type Evidence struct {
	ETag     string // without quotes
	CRC64    uint64 // CRC-64/NVME of the whole object, if HasCRC64
	HasCRC64 bool
	Modified int64  // LastModified in seconds since 1970; 0 if not known
	Version  string // version id; empty in a bucket without versions
}

// Equal reports whether two entries are the same in everything that makes trees equal:
// attributes and evidence do not count.
func (e Entry) Equal(f Entry) bool {
	return e.Key == f.Key && e.Kind == f.Kind && e.Size == f.Size && e.Digest == f.Digest && e.Target == f.Target
}

// Valid returns an error that names the key if the entry cannot stand in a manifest.
func (e *Entry) Valid() error {
	wrong := ""
	switch {
	case e.Key == "":
		return fmt.Errorf("entry with an empty key")
	case len(e.Key) > MaxKey:
		return fmt.Errorf("key %.40q… has %d bytes; S3 takes at most %d", e.Key, len(e.Key), MaxKey)
	case strings.HasPrefix(e.Key, Reserved):
		wrong = "the key is reserved"
	case e.Kind > Dir:
		wrong = "unknown kind"
	case e.Size < 0:
		wrong = "negative size"
	case e.Kind != Link && e.Target != "":
		wrong = "a target on something that is not a link"
	case e.Kind == Link && (e.Target == "" || len(e.Target) > maxTarget || e.Size != int64(len(e.Target)) || e.Digest != contentDigest(e.Target)):
		wrong = "size or digest of a link is not that of its target"
	case e.Kind == Dir && !strings.HasSuffix(e.Key, "/"):
		wrong = "the key of a directory has no slash at its end"
	case e.Unproven && (e.Kind != File || e.Digest != UnprovenDigest(e.Evidence.ETag, e.Size)):
		wrong = "an unproven object has another stand-in for its digest"
	case !e.Evidence.HasCRC64 && e.Evidence.CRC64 != 0:
		wrong = "a checksum that is said to be absent"
	case len(e.Evidence.ETag) > maxText || len(e.Evidence.Version) > maxText:
		wrong = "ETag or version id is too long"
	}
	if wrong != "" {
		return fmt.Errorf("key %.100q: %s", e.Key, wrong)
	}
	return nil
}

// Time returns the nanoseconds since 1970 of seconds and nanoseconds since then, or the
// nearest that an int64 can hold: some 292 years away. File systems know later ones.
func Time(sec, nsec int64) int64 {
	switch {
	case sec > math.MaxInt64/second-1:
		return math.MaxInt64
	case sec < math.MinInt64/second+1:
		return math.MinInt64
	}
	return sec*second + nsec
}
