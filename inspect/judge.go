package inspect

import (
	"iter"
	"strings"

	"merkur/manifest"
	"merkur/store/bucket"
)

// A matter is one key as the manifest and as a listing have it; one of the two may be nil. What is
// wrong with it, if anything, is class.
type matter struct {
	key    string
	entry  *manifest.Entry
	object *bucket.Object
	class  Class
	gap    *stretch // in place of all that: keys of which the manifest tells nothing
	hidden bool     // the object lies in such a gap
}

// judge brings together what a manifest tells and what a listing of its prefix shows, both in key
// order, and yields every key of either, but for those of mirrors further down. It is pure.
func judge(tells iter.Seq2[told, error], objects iter.Seq2[bucket.Object, error], prefix string) iter.Seq2[matter, error] {
	return func(yield func(matter, error) bool) {
		nextTold, stopTold := iter.Pull2(tells)
		defer stopTold()
		nextObject, stopObjects := iter.Pull2(objects)
		defer stopObjects()
		t, terr, haveTold := nextTold()
		o, oerr, haveObject := nextObject()
		var gap *stretch
		for haveTold || haveObject {
			if terr != nil || oerr != nil {
				yield(matter{}, first(terr, oerr))
				return
			}
			key := strings.TrimPrefix(o.Key, prefix)
			var m matter
			switch {
			case haveTold && t.gap != nil && (!haveObject || t.key() <= key):
				gap = t.gap
				m.gap = gap
				t, terr, haveTold = nextTold()
			case haveObject && gap != nil && gap.holds(key) && (!haveTold || key < t.key()):
				obj := o
				m.key, m.object, m.hidden = key, &obj, true
				o, oerr, haveObject = nextObject()
			default:
				if haveTold && (!haveObject || t.key() <= key) {
					e := t.entry
					m.key, m.entry = e.Key, &e
				}
				if haveObject && (!haveTold || key <= t.key()) {
					obj := o
					m.key, m.object = key, &obj
				}
				m.class = classify(m.entry, m.object)
				if m.entry != nil {
					t, terr, haveTold = nextTold()
				}
				if m.object != nil {
					o, oerr, haveObject = nextObject()
				}
				if m.entry == nil && (m.key == "" || manifest.IsReserved(m.key) && !strings.HasPrefix(m.key, manifest.Reserved)) {
					continue // the marker of the prefix itself, and what belongs to a mirror further down
				}
			}
			if !yield(m, nil) {
				return
			}
		}
		if err := first(terr, oerr); err != nil {
			yield(matter{}, err)
		}
	}
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
