package transfer

import "errors"

// ErrUnsafe says that a run that was to be strict would have to write to a server that cannot keep
// two writers apart.
var ErrUnsafe = errors.New("this server does not keep two writers apart, and nothing is written to it with --strict")

// ErrNoManifest says that there is no manifest, and that what a listing would say is not sealed.
var ErrNoManifest = errors.New("there is no manifest, and a listing is not sealed")

// errUnproven says that only the bucket's word is known of an object.
var errUnproven = errors.New("the manifest does not tell its content, which nobody has compared with a file yet; it is not taken with a key")

// errForeign says that an object is not the one the manifest knows.
var errForeign = errors.New("somebody else has changed the object since it was last seen; it is left as it is")

// errLeftOut says that something is left out, which has been told.
var errLeftOut = errors.New("left out")

// errHeld says that something that should have been there first is not.
var errHeld = errors.New("held back, since something else could not be transferred")

// errNoETag says that there is nothing to recognise an object by.
var errNoETag = errors.New("the server gives it no ETag, so that it cannot be replaced or deleted safely; it is left as it is")

// errUnsettled says that a file did not hold still.
var errUnsettled = errors.New("changed while it was read")
