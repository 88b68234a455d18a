package bucket

import (
	"context"
	"net"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// CopyLarge is the way of Copy for objects that are too large for one request, with parts of
// the given size.
func (s *S3) CopyLarge(ctx context.Context, src Source, dst string, o CopyOptions, size int64) (Object, error) {
	if src.Bucket == "" {
		src.Bucket = s.name
	}
	return s.copyLarge(ctx, src, dst, o, size)
}

// Sleep is how an S3 pauses outside tests.
var Sleep = sleep

// Client is the SDK's, for what a Store cannot do.
func (s *S3) Client() *s3.Client { return s.client }

// DialTo has all connections go to one address, whatever host a request names.
func (s *S3) DialTo(address string) {
	s.wire.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// NewSum is the algorithm with the name that S3 gives it.
var NewSum = newSum
