package main

import (
	"fmt"
	"time"

	"merkur/hashing"
	"merkur/inspect"
	"merkur/manifest"
	"merkur/store/bucket"
)

// This file says what the commands that look print with --output json: one object a line, each with
// its type. Fields that do not apply are absent. README.md describes them.

// A finding is a difference that verify found.
type finding struct {
	Type    string `json:"type"` // finding
	Class   string `json:"class"`
	Minor   bool   `json:"minor,omitempty"` // does not count for the exit code
	Key     string `json:"key,omitempty"`
	Entry   *thing `json:"manifest,omitempty"` // what the manifest says
	Object  *thing `json:"object,omitempty"`   // what the bucket says
	Message string `json:"message,omitempty"`  // for people
}

// A thing is a file or an object, as far as it is known.
type thing struct {
	Size     int64  `json:"size"`
	Digest   string `json:"digest,omitempty"` // BLAKE3; absent where nobody has compared the content
	ETag     string `json:"etag,omitempty"`
	CRC64    string `json:"crc64nvme,omitempty"` // in hexadecimal
	Modified string `json:"modified,omitempty"`  // of the object
	Version  string `json:"version,omitempty"`
	Class    string `json:"storage_class,omitempty"`
	Time     string `json:"mtime,omitempty"` // of the file when it was mirrored
	Mode     string `json:"mode,omitempty"`
	Target   string `json:"target,omitempty"` // of a link
	Headers  string `json:"headers_tag,omitempty"`
}

func entryThing(e *manifest.Entry) *thing {
	if e == nil {
		return nil
	}
	t := &thing{Size: e.Size, ETag: e.Evidence.ETag, Version: e.Evidence.Version, Target: e.Target}
	if !e.Unproven && e.Digest != (manifest.Digest{}) {
		t.Digest = e.Digest.String()
	}
	if e.Evidence.HasCRC64 {
		t.CRC64 = hex64(e.Evidence.CRC64)
	}
	if e.Evidence.Modified != 0 {
		t.Modified = instant(time.Unix(e.Evidence.Modified, 0))
	}
	if e.MTime != 0 {
		t.Time = instant(time.Unix(0, e.MTime))
	}
	if e.Mode != 0 {
		t.Mode = octal(e.Mode)
	}
	if e.Headers != 0 {
		t.Headers = hex64(e.Headers)
	}
	return t
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func findingObject(f inspect.Finding) finding {
	return finding{
		Type: "finding", Class: string(f.Class), Minor: f.Class.Minor(), Key: f.Key,
		Entry: entryThing(f.Entry), Object: objectThing(f.Object), Message: f.Detail,
	}
}

// An audited is the closing object of verify.
type audited struct {
	Type       string           `json:"type"` // summary
	Tree       string           `json:"tree,omitempty"`
	Manifest   string           `json:"manifest"`
	Root       string           `json:"root"`
	Generation uint64           `json:"generation,omitempty"`
	Files      int64            `json:"files"`
	Bytes      int64            `json:"bytes"`
	Objects    int64            `json:"objects,omitempty"`
	ReadFiles  int64            `json:"read_files"`
	ReadBytes  int64            `json:"read_bytes"`
	Unproven   int64            `json:"unproven"`
	InProgress int64            `json:"in_progress"`
	Hidden     int64            `json:"hidden"`   // objects of which a damaged page may tell
	Problems   int64            `json:"problems"` // local paths that could not be read
	Found      map[string]int64 `json:"found"`    // by class
	Differs    bool             `json:"differs"`
	Requests   map[string]int64 `json:"requests,omitempty"`
}

func tallyObject(at location, t inspect.Tally, requests map[string]int64) audited {
	a := audited{
		Type: "summary", Manifest: at.String(), Root: t.Manifest.Root.Digest.String(), Generation: t.Manifest.Generation,
		Files: t.Files, Bytes: t.Bytes, Objects: t.Objects, ReadFiles: t.ReadFiles, ReadBytes: t.ReadBytes,
		Unproven: t.Unproven, InProgress: t.InProgress, Hidden: t.Hidden,
		Found: map[string]int64{}, Differs: t.Differs(), Requests: requests,
	}
	for class, n := range t.Found {
		a.Found[string(class)] = n
	}
	return a
}

func localObject(dir, at end, s hashing.Stats, counts map[string]int64, problems int, differ int64, root manifest.Digest) audited {
	return audited{
		Type: "summary", Tree: dir.dir, Manifest: at.location.String(), Root: root.String(), Files: s.Files, Bytes: s.Bytes,
		ReadFiles: s.HashedFiles, ReadBytes: s.HashedBytes, Unproven: counts["unproven"], Problems: int64(problems),
		Found: counts, Differs: differ > 0,
	}
}

// A difference is one key of diff, or of verify against a local tree.
type difference struct {
	Type   string `json:"type"`             // difference; of verify: finding
	Change string `json:"change,omitempty"` // added, removed, changed, unclear
	Class  string `json:"class,omitempty"`  // of a finding
	Key    string `json:"key"`
	A      *thing `json:"a,omitempty"` // of verify: what the manifest says
	B      *thing `json:"b,omitempty"` // of verify: the local file
}

func differenceObject(kind, word string, d inspect.Difference) difference {
	o := difference{Type: kind, Key: d.Key, A: entryThing(d.A), B: entryThing(d.B)}
	if kind == "finding" {
		o.Class = word
	} else {
		o.Change = word
	}
	return o
}

// A diffed is the closing object of diff.
type diffed struct {
	Type         string `json:"type"` // summary
	A            string `json:"a"`
	B            string `json:"b"`
	Added        int64  `json:"added"`
	AddedBytes   int64  `json:"added_bytes"`
	Removed      int64  `json:"removed"`
	RemovedBytes int64  `json:"removed_bytes"`
	Changed      int64  `json:"changed"`
	ChangedBytes int64  `json:"changed_bytes"` // as b has them
	Unclear      int64  `json:"unclear"`
	Problems     int    `json:"problems"` // local paths that could not be read
	Equal        bool   `json:"equal"`
}

func (s *diffSum) object(ends []end, problems int) diffed {
	return diffed{
		Type: "summary", A: ends[0].name(), B: ends[1].name(), Added: s.added, AddedBytes: s.addedBytes,
		Removed: s.removed, RemovedBytes: s.removedBytes, Changed: s.changed, ChangedBytes: s.changedBytes,
		Unclear: s.unclear, Problems: problems, Equal: s.added+s.removed+s.changed+s.unclear == 0 && problems == 0,
	}
}

// name is an end for programs.
func (e end) name() string {
	if e.remote() {
		return e.location.String()
	}
	return e.dir
}

func objectThing(o *bucket.Object) *thing {
	if o == nil {
		return nil
	}
	t := &thing{Size: o.Size, ETag: o.ETag, Version: o.Version, Class: o.Class}
	if o.HasCRC64 {
		t.CRC64 = hex64(o.CRC64)
	}
	if !o.Modified.IsZero() {
		t.Modified = instant(o.Modified)
	}
	return t
}

func hex64(v uint64) string { return fmt.Sprintf("%016x", v) }

func octal(mode uint32) string { return fmt.Sprintf("%04o", mode) }
