package transfer

import (
	"encoding/binary"

	"merkur/manifest"
)

// What a run found out about objects at some cost is remembered with the cache: which content is
// behind an ETag, and which object is a copy of which. A record is by place and key and holds
// for as long as the object has the ETag; losing it costs a reading.

// proofName is the name of a record. Names sort as keys do, which is how they are asked for.
func proofName(kind byte, t target, other string) []byte {
	place := manifest.TagOf([]byte(t.side.Place + "\x00" + other))
	return append(append([]byte{'#', kind}, place[:8]...), t.key...)
}

// recallProof returns what is remembered of the object as it is now.
func (r *run) recallProof(t target) (ev manifest.Evidence, d manifest.Digest, ok bool) {
	ev = t.entry.Evidence
	if r.o.State == nil || ev.ETag == "" {
		return ev, d, false
	}
	b := r.o.State.Recall(proofName('c', t, ""))
	if len(b) < 48 || string(b[48:]) != ev.ETag || int64(binary.LittleEndian.Uint64(b)) != t.entry.Size {
		return ev, d, false
	}
	ev.CRC64, ev.HasCRC64 = binary.LittleEndian.Uint64(b[8:]), true
	return ev, manifest.Digest(b[16:48]), true
}

// rememberProof keeps which content the object has.
func (r *run) rememberProof(t target, ev manifest.Evidence, d manifest.Digest) {
	if r.o.State == nil || ev.ETag == "" || !ev.HasCRC64 || r.o.DryRun {
		return
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(t.entry.Size))
	b = binary.LittleEndian.AppendUint64(b, ev.CRC64)
	b = append(append(b, d[:]...), ev.ETag...)
	r.o.State.Remember(proofName('c', t, ""), b)
}

// copiedBefore reports whether the one object is remembered as the copy of the other, as both
// are now.
func (r *run) copiedBefore(from, to target) bool {
	if r.o.State == nil || from.entry.Evidence.ETag == "" || to.entry.Evidence.ETag == "" {
		return false
	}
	return string(r.o.State.Recall(proofName('p', from, to.side.Place))) == from.entry.Evidence.ETag+"\x00"+to.entry.Evidence.ETag
}

// rememberCopy keeps that one object is the copy of the other.
func (r *run) rememberCopy(from, to target) {
	if r.o.State != nil && from.entry.Evidence.ETag != "" && to.entry.Evidence.ETag != from.entry.Evidence.ETag {
		r.o.State.Remember(proofName('p', from, to.side.Place), []byte(from.entry.Evidence.ETag+"\x00"+to.entry.Evidence.ETag))
	}
}
