// Package drift decides what becomes of objects that somebody else has changed behind the back of
// a manifest. It is pure.
//
// # The classes
//
//	foreign-new      the bucket has an object that the manifest does not name
//	foreign-changed  the object is not the one that the manifest names: its bytes are others, or
//	                 nothing shows that they are not
//	missing          the manifest names an object that the bucket does not have
//
// Another ETag alone is no drift: a copy of an object onto itself, another storage class and another
// encryption change it and leave the bytes as they are, which the checksum shows.
//
// # What is done
//
// By class, whether the source has something under the key, and options; where no option of the
// table is given, the first column holds:
//
//	                            (none)    Adopt    Overwrite   Delete
//	foreign-new,     at source  keep      adopt    replace     keep
//	foreign-new,     not there  keep      adopt    keep        delete
//	foreign-changed, at source  keep      adopt    replace     keep
//	foreign-changed, not there  keep      adopt    keep        delete
//	missing,         at source  restore   restore  restore     restore
//	missing,         not there  forget    forget   forget      forget
//
// Of two options, the one that does more to the object decides: what is adopted is the mirror's like
// any other object. Where there is no destination to be mended, all is kept.
package drift

// A Class says how a bucket differs from what its manifest says.
type Class uint8

// The classes.
const (
	New Class = iota
	Changed
	Missing
)

var classes = [...]string{New: "foreign-new", Changed: "foreign-changed", Missing: "missing"}

// String returns the name of the class.
func (c Class) String() string { return classes[c] }

// Options say what may be done to objects of somebody else's. The zero value leaves them alone.
type Options struct {
	Adopt     bool // take them into the manifest, as if the mirror had stored them
	Overwrite bool // replace them by what the source has
	Delete    bool // delete those that the source does not have
}

// An Action is what is done about drift.
type Action uint8

// The actions.
const (
	Keep    Action = iota // nothing: the object stays, and the manifest says what it said
	Adopt                 // the manifest names the object, and the run goes on from there
	Replace               // the source's content is put in its place, if it is still the one that was seen
	Delete                // the object is deleted, if it is still the one that was seen
	Restore               // the manifest names the object no more, so that the run stores it again
	Forget                // the manifest names the object no more, and the source has none either
)

var actions = [...]string{Keep: "keep", Adopt: "adopt", Replace: "replace", Delete: "delete", Restore: "restore", Forget: "forget"}

// String returns the word for the action.
func (a Action) String() string { return actions[a] }

// Decide says what is done at a key of a destination. atSource says that the source has, or may
// have, something under it.
func Decide(c Class, o Options, atSource bool) Action {
	switch {
	case c == Missing && atSource:
		return Restore
	case c == Missing:
		return Forget
	case o.Adopt:
		return Adopt
	case o.Overwrite && atSource:
		return Replace
	case o.Delete && !atSource:
		return Delete
	}
	return Keep
}

// A Count is how many keys of each class were found.
type Count struct{ New, Changed, Missing int64 }

// Add counts one more.
func (n *Count) Add(c Class) {
	*[]*int64{New: &n.New, Changed: &n.Changed, Missing: &n.Missing}[c]++
}

// Total is the number of all.
func (n Count) Total() int64 { return n.New + n.Changed + n.Missing }
