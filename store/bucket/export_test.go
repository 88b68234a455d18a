package bucket

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// CopyInParts is the way of Copy for large objects, with parts of the given size.
func (s *S3) CopyInParts(ctx context.Context, src, dst string, o PutOptions, size int64) (Object, error) {
	return s.copyInParts(ctx, s.name, src, "", dst, o, size)
}

// Sleep is how an S3 pauses outside tests.
var Sleep = sleep

// Client is the SDK's, for what a Store cannot do.
func (s *S3) Client() *s3.Client { return s.client }
