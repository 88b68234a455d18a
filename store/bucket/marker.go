package bucket

import (
	"context"
	"errors"
	"net/http"
)

// Where an object of a bucket with versions was deleted, a delete marker is left, and S3 says of
// the key that there is no object: also to a write on the condition that there is none. versitygw takes
// the marker for an object there, and such a write never succeeds, though there is nothing to be read.

// pastMarker makes a write under c. Where the server refuses it twice because there is an object, and says
// both times that there is none but a delete marker, the write is made without the condition. What
// somebody else may store at this very moment is then not lost: the bucket keeps it as a version. Where
// nothing has shown yet that it does, nothing is asked.
func (s *S3) pastMarker(ctx context.Context, key string, c Condition, write func(Condition) (Object, error)) (Object, error) {
	obj, err := write(c)
	for again := true; c.IfNone && errors.Is(err, ErrChanged) && s.versions.Load() && s.marked(ctx, key); again = false {
		c.IfNone = again
		obj, err = write(c)
	}
	return obj, err
}

// seeVersion notes that the bucket keeps versions, if the object that was stored is one.
func (s *S3) seeVersion(stored Object) {
	if stored.Version != "" {
		s.versions.Store(true)
	}
}

// marked reports whether the newest version of an object is surely a delete marker. A HEAD does not tell
// that everywhere.
func (s *S3) marked(ctx context.Context, key string) bool {
	body, _, err := s.Get(ctx, key, GetOptions{Length: 1})
	if err == nil {
		body.Close()
	}
	e := new(Error)
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.marker
}
