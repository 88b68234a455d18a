package audit

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zeebo/blake3"
)

// A Verdict is what an audit found. Each line names a key.
type Verdict struct {
	False []string // the manifest says what is not so
	Lost  []string // an object that should be there is not, or nobody knows of one that is
}

// Good reports whether nothing was found.
func (v Verdict) Good() bool { return len(v.False)+len(v.Lost) == 0 }

func (v Verdict) String() string {
	return strings.Join(append(slices.Clone(v.False), v.Lost...), "\n")
}

func (v *Verdict) lie(format string, args ...any) {
	v.False = append(v.False, "false: "+fmt.Sprintf(format, args...))
}

func (v *Verdict) loss(format string, args ...any) {
	v.Lost = append(v.Lost, "lost: "+fmt.Sprintf(format, args...))
}

// Honest audits a prefix of a bucket, at any time: is what the manifest says true? The keys in
// foreign were put there by somebody else.
func Honest(objects Objects, prefix string, foreign map[string]bool) (*Manifest, Verdict) {
	var v Verdict
	m, err := Read(objects, prefix)
	if err != nil {
		v.lie("manifest: %v", err)
		return nil, v
	}
	if m == nil {
		return nil, v // nothing is claimed
	}
	named := map[string]bool{}
	for _, e := range m.Entries {
		named[e.Key] = true
		if m.excuses(e.Key) {
			m.checkStated(objects, prefix, e.Key, &e, &v)
			continue
		}
		m.check(objects, prefix, e, &v)
	}
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		rest, ours := strings.CutPrefix(key, prefix)
		if !ours || own(key, prefix) || named[rest] || foreign[rest] {
			continue
		}
		if m.excuses(rest) {
			m.checkStated(objects, prefix, rest, nil, &v)
			continue
		}
		if _, ok := m.Doomed[rest]; !ok {
			v.loss("%q is in the bucket, and nobody knows of it", rest)
		}
	}
	for key := range m.Doomed {
		if named[key] && !m.excuses(key) {
			v.lie("%q is named, and listed as being deleted", key)
		}
	}
	return m, v
}

// excuses reports whether some run may be changing a key.
func (m *Manifest) excuses(key string) bool {
	return slices.ContainsFunc(m.Intents, func(i Intent) bool { return i.covers(key) })
}

// checkStated compares a key that some run may be changing with what the runs state: it is as the entry
// says, or as one of them means to leave it.
func (m *Manifest) checkStated(objects Objects, prefix, key string, e *Entry, v *Verdict) {
	o, there := objects[prefix+key]
	var size uint64
	var digest [32]byte
	if there {
		var err error
		if size, digest, err = o.digest(); err != nil {
			v.lie("%q: %v", key, err)
			return
		}
		if e != nil && e.Size == size && (e.Unproven || e.Digest == digest) {
			return
		}
	}
	if _, doomed := m.Doomed[key]; doomed {
		return
	}
	if slices.ContainsFunc(m.Intents, func(i Intent) bool { return i.covers(key) && i.allows(key, there, size, digest) }) {
		return
	}
	v.lie("%q is neither as it was nor as a run has stated that it will be", key)
}

// allows reports whether a run that covers a key may have left it so.
func (i Intent) allows(key string, there bool, size uint64, digest [32]byte) bool {
	text := append(binary.AppendUvarint(nil, uint64(len(key))), key...)
	name := func(b []byte) uint32 {
		sum := blake3.Sum256(b)
		return binary.LittleEndian.Uint32(sum[:])
	}
	if i.MeantAt == nil || i.Meant[[2]uint32{name(text), 0}] {
		return true
	}
	sized := name(binary.AppendUvarint(text, size))
	return there && (i.Meant[[2]uint32{sized, 0}] || i.Meant[[2]uint32{sized, binary.LittleEndian.Uint32(digest[:])}])
}

// check compares an entry with the object.
func (m *Manifest) check(objects Objects, prefix string, e Entry, v *Verdict) {
	o, ok := objects[prefix+e.Key]
	if !ok {
		v.loss("%q is named, and not in the bucket", e.Key)
		return
	}
	size, digest, err := o.digest()
	switch {
	case err != nil:
		v.lie("%q: %v", e.Key, err)
	case size != e.Size:
		v.lie("%q has %d bytes, and %d are named", e.Key, size, e.Size)
	case !e.Unproven && digest != e.Digest:
		v.lie("%q has another content than is named", e.Key)
	case o.ETag != "" && o.ETag != e.ETag:
		v.lie("%q has the ETag %s, and %s is named", e.Key, o.ETag, e.ETag)
	}
}

// Exact audits a prefix after a run that has done everything: manifest, bucket and a tree hold
// the same, to the byte, and nobody means to change anything.
func Exact(objects Objects, prefix string, tree Tree) Verdict {
	m, v := Honest(objects, prefix, nil)
	if m == nil {
		if v.Good() {
			v.lie("there is no manifest")
		}
		return v
	}
	if len(m.Intents) > 0 {
		v.lie("%d intents are left", len(m.Intents))
	}
	v.add(Equal(objects, prefix, tree))
	if want := tree.Root(); m.Root != want {
		v.lie("the root is %x, that of the tree %x", m.Root[:8], want[:8])
	}
	return v
}

func (v *Verdict) add(w Verdict) {
	v.False, v.Lost = append(v.False, w.False...), append(v.Lost, w.Lost...)
}

// Equal compares a prefix of a bucket with a tree, without a manifest.
func Equal(objects Objects, prefix string, tree Tree) (v Verdict) {
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		o, ok := objects[prefix+key]
		if !ok {
			v.loss("%q is not in the bucket", key)
			continue
		}
		if _, digest, err := o.digest(); err != nil || digest != tree[key].Digest {
			v.lie("%q has another content in the bucket (%v)", key, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		rest, ours := strings.CutPrefix(key, prefix)
		if _, ok := tree[rest]; ours && !own(key, prefix) && !ok {
			v.lie("%q is in the bucket, and not in the tree", rest)
		}
	}
	return v
}

// Litter lists what is below the reserved prefix and named by nobody.
func Litter(objects Objects, prefix string, m *Manifest) (litter []string) {
	known := map[string]bool{prefix + reserved + "manifest": true}
	if m != nil {
		for _, name := range append(slices.Clone(m.Packs), m.Retired...) {
			known[prefix+reserved+"p/"+name] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if own(key, prefix) && !known[key] {
			litter = append(litter, key)
		}
	}
	return litter
}

// Between audits a destination after a run that did not come to its end: each file is as it was
// before, or as the source has it, and none is missing that the source has or that nothing was to
// be done about.
func Between(before, source, now Tree, deletes bool) (v Verdict) {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		old, was := before[key]
		want, is := source[key]
		switch {
		case was && now[key] == old, is && now[key] == want:
		case !was && !is:
			v.lie("%q came from nowhere", key)
		default:
			v.loss("%q is neither what it was nor what it is to be", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		_, is := source[key]
		if _, there := now[key]; !there && (is || !deletes) {
			v.loss("%q is gone", key)
		}
	}
	return v
}

// Same compares two trees.
func Same(want, now Tree) (v Verdict) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if file, ok := now[key]; !ok {
			v.loss("%q is missing", key)
		} else if file != want[key] {
			v.lie("%q has another content", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if _, ok := want[key]; !ok {
			v.lie("%q is there, and not at the source", key)
		}
	}
	return v
}
