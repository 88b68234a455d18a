package bucket

import (
	"context"
	"errors"
	"net"
	"net/http"

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

// ViaSDK has all requests made by the SDK.
func (s *S3) ViaSDK() { s.sdkOnly = true }

// Routes returns the URL that a request for a key goes to, as the SDK has it and as we have it;
// the second is empty where only the SDK can make the request.
func (s *S3) Routes(ctx context.Context, key string) (sdk, ours string, err error) {
	var caught *http.Request
	_, err = s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.name, Key: &key}, s.directed(call{}), catch(&caught))
	if !errors.Is(err, errCaught) {
		return "", "", err
	}
	r, err := s.findRoute(ctx, s.name)
	if err != nil || r == nil {
		return caught.URL.String(), "", err
	}
	return caught.URL.String(), r.url(key, "").String(), nil
}

// NewSum is the algorithm with the name that S3 gives it.
var NewSum = newSum
