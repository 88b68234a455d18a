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
