package inspect

import (
	"merkur/manifest"
	"merkur/store/bucket"
)

// A Class is what is wrong with a key. The package comment says what each means.
type Class string

// The classes of what an audit finds.
const (
	Missing        Class = "missing"
	ForeignNew     Class = "foreign-new"
	ForeignChanged Class = "foreign-changed"
	Restamped      Class = "restamped"
	Corrupt        Class = "corrupt"
	Unread         Class = "unread"
	Damaged        Class = "damaged"
	Garbage        Class = "garbage"
)

// Minor reports whether a class does not mean that the bucket is another than the manifest says.
func (c Class) Minor() bool { return c == Restamped || c == Garbage || c == Unread }

// A Finding is one thing that an audit has found.
type Finding struct {
	Class  Class
	Key    string          // below the prefix; of a damaged page, its first
	Entry  *manifest.Entry // what the manifest says; nil: nothing
	Object *bucket.Object  // what the bucket says; nil: nothing
	Detail string          // for people

	read bool // its bytes are those of the entry
}

// classify compares one key as the manifest and as the bucket has it. Either may be nil. It returns
// the empty class if they agree.
func classify(e *manifest.Entry, o *bucket.Object) Class {
	switch {
	case e == nil && o == nil:
		return ""
	case e == nil && unseen(o):
		return ""
	case e == nil:
		return ForeignNew
	case o == nil:
		return Missing
	case e.Size != o.Size, e.Evidence.ETag != "" && o.ETag != "" && e.Evidence.ETag != o.ETag:
		return ForeignChanged
	}
	return ""
}

// unseen reports whether an object is a marker, by which some tools make a directory visible. A tree
// need not have it.
func unseen(o *bucket.Object) bool {
	return o.Size == 0 && o.Key != "" && o.Key[len(o.Key)-1] == '/'
}

// sameBytes reports whether what a bucket says of an object shows that it has the bytes of an entry,
// though its ETag is another.
func sameBytes(e *manifest.Entry, o *bucket.Object) bool {
	return e.Size == o.Size && e.Evidence.HasCRC64 && o.HasCRC64 && e.Evidence.CRC64 == o.CRC64
}
