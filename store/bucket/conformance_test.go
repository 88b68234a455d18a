package bucket_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
)

func TestS3(t *testing.T) {
	server := buckettest.Start(t)
	var n atomic.Int64
	buckettest.Conformance(t, func(t *testing.T) bucket.Store {
		return server.Open(t, fmt.Sprintf("conformance-%d", n.Add(1)))
	})
}

// TestS3ViaSDK holds the slow way of the requests that have a fast one.
func TestS3ViaSDK(t *testing.T) {
	server := buckettest.Start(t)
	var n atomic.Int64
	buckettest.Conformance(t, func(t *testing.T) bucket.Store {
		s := server.Open(t, fmt.Sprintf("sdk-%d", n.Add(1)))
		s.ViaSDK()
		return s
	})
}
