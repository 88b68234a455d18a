package transfer

import "errors"

// ErrUnsafe says that a run that was to be strict would have to write to a server that cannot keep
// two writers apart.
var ErrUnsafe = errors.New("this server does not keep two writers apart, and nothing is written to it with --strict")

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
