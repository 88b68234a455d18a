package bucket

import (
	"context"
	"slices"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// maxBatch is how many keys one request may delete.
const maxBatch = 1000

// DeleteAll implements [BatchDeleter]. A missing object is success. Keys that XML cannot hold
// are deleted one by one.
func (s *S3) DeleteAll(ctx context.Context, keys []string) map[string]error {
	failed := make(map[string]error)
	var plain []string
	for _, key := range keys {
		if fitsXML(key) {
			plain = append(plain, key)
		} else if err := s.Delete(ctx, key, Condition{}); err != nil {
			failed[key] = err
		}
	}
	for batch := range slices.Chunk(plain, maxBatch) {
		s.deleteBatch(ctx, batch, failed)
	}
	return failed
}

// deleteBatch deletes up to maxBatch objects and records what failed. Only the keys that a try
// left over, for a reason that may pass, go into the next one.
func (s *S3) deleteBatch(ctx context.Context, left []string, failed map[string]error) {
	c := call{op: deleteObjects, write: true}
	err := s.run(ctx, c, func(ctx context.Context) error {
		out, err := s.client.DeleteObjects(ctx, deleteInput(s.name, left), s.directed(c))
		if err != nil {
			return err
		}
		left, err = s.leftover(out.Errors, failed)
		return err
	})
	if err != nil {
		for _, key := range left {
			failed[key] = err
		}
	}
}

// leftover sorts the errors of single keys: those that are final go to failed, the others are
// returned with one of their errors.
func (s *S3) leftover(errs []types.Error, failed map[string]error) (left []string, last error) {
	for _, item := range errs {
		key := aws.ToString(item.Key)
		err := &smithy.GenericAPIError{Code: aws.ToString(item.Code), Message: aws.ToString(item.Message)}
		switch {
		case err.Code == "NoSuchKey":
		case s.retryer.IsErrorRetryable(err):
			left, last = append(left, key), err
		default:
			failed[key] = describe(call{op: deleteObjects, key: key}, err)
		}
	}
	return left, last
}

func deleteInput(bucket string, keys []string) *s3.DeleteObjectsInput {
	ids := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		ids[i].Key = &keys[i]
	}
	return &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)}}
}

// fitsXML reports whether every character of a key can be written in XML 1.0.
func fitsXML(key string) bool {
	for _, r := range key {
		switch {
		case r < 0x20 && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			return false
		}
	}
	return utf8.ValidString(key)
}
