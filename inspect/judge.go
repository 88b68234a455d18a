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

// kept is the matter with an entry and an object of its own.
func (m matter) kept() matter {
	if m.entry != nil {
		e := *m.entry
		m.entry = &e
	}
	if m.object != nil {
		o := *m.object
		m.object = &o
	}
	return m
}

// judge brings together what a manifest tells and what a listing of its prefix shows, both in key
// order, and yields every key of either, but for those of mirrors further down. Entry and object of a
// matter hold until the next one. It is pure.
func judge(tells iter.Seq2[told, error], objects iter.Seq2[bucket.Object, error], prefix string) iter.Seq2[matter, error] {
	return func(yield func(matter, error) bool) {
		nextTold, stopTold := iter.Pull2(tells)
		defer stopTold()
		nextObject, stopObjects := iter.Pull2(objects)
		defer stopObjects()
		t, terr, haveTold := nextTold()
		o, oerr, haveObject := nextObject()
		var gap *stretch
		for (haveTold || haveObject) && terr == nil && oerr == nil {
			key := strings.TrimPrefix(o.Key, prefix)
			var m matter
			toldNow := haveTold && (!haveObject || t.key() <= key)
			objectNow := haveObject && (!haveTold || key <= t.key())
			switch {
			case toldNow && t.gap != nil:
				gap = t.gap
				m.gap, objectNow = gap, false
			case objectNow && !toldNow && gap != nil && gap.holds(key):
				m = matter{key: key, object: &o, hidden: true}
			default:
				if toldNow {
					m.key, m.entry = t.entry.Key, &t.entry
				}
				if objectNow {
					m.key, m.object = key, &o
				}
				m.class = classify(m.entry, m.object)
			}
			if !nobodys(m) && !yield(m, nil) {
				return
			}
			if toldNow {
				t, terr, haveTold = nextTold()
			}
			if objectNow {
				o, oerr, haveObject = nextObject()
			}
		}
		if err := first(terr, oerr); err != nil {
			yield(matter{}, err)
		}
	}
}

// nobodys reports whether an object has no place in a manifest: the marker of the prefix itself, and
// what belongs to a mirror further down.
func nobodys(m matter) bool {
	return m.entry == nil && m.gap == nil && (m.key == "" || manifest.IsReserved(m.key) && !strings.HasPrefix(m.key, manifest.Reserved))
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
