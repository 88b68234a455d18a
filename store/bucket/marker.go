package bucket

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Where an object of a bucket with versions was deleted, a delete marker is left, and S3 says of
// the key that there is no object: also to a write on the condition that there is none. versitygw takes
// the marker for an object there, and such a write never succeeds, though there is nothing to be read.

// pastMarker makes a write under c. Where the server refuses it because there is an object, and says
// that there is none but a delete marker, the write is made on the condition of the ETag that the
// object had before: for versitygw, the marker has it still. A server for which it has none refuses
// that, and nothing is lost. Without a condition nothing is written: such a write could arrive when
// somebody else has stored something long since. Where nothing has shown yet that the bucket keeps
// versions, nothing is asked.
func (s *S3) pastMarker(ctx context.Context, key string, c Condition, write func(Condition) (Object, error)) (Object, error) {
	obj, err := write(c)
	if !c.IfNone || !errors.Is(err, ErrChanged) || !s.versions.Load() || !s.marked(ctx, key) {
		return obj, err
	}
	if etag := s.beneath(ctx, key); etag != "" {
		return write(Condition{IfMatch: etag})
	}
	return obj, err
}

// beneath is the ETag of the object that a delete marker covers; empty if there is none, or none is
// told, or no marker is on top any more: what somebody has stored since is not what was deleted.
func (s *S3) beneath(ctx context.Context, key string) string {
	in := &s3.ListObjectVersionsInput{Bucket: &s.name, Prefix: &key}
	out, err := send(ctx, s, call{op: listObjectVersions, key: key}, s.client.ListObjectVersions, in)
	if err != nil || !slices.ContainsFunc(out.DeleteMarkers, func(m types.DeleteMarkerEntry) bool {
		return aws.ToString(m.Key) == key && aws.ToBool(m.IsLatest)
	}) {
		return ""
	}
	for _, v := range out.Versions {
		if aws.ToString(v.Key) == key {
			return unquote(v.ETag)
		}
	}
	return ""
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
