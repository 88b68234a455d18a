package bucket

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// DeleteAll implements [BatchDeleter]. Keys that XML cannot hold are deleted one by one.
func (s *S3) DeleteAll(ctx context.Context, list []Deletion) map[string]error {
	failed := make(map[string]error)
	var plain []Deletion
	for _, d := range list {
		if fitsXML(d.Key) {
			plain = append(plain, d)
		} else if err := s.Delete(ctx, d.Key, Condition{IfMatch: d.IfMatch}); err != nil {
			failed[d.Key] = err
		}
	}
	for part := range slices.Chunk(plain, MaxBatch) {
		s.deleteBatch(ctx, part, failed)
	}
	return failed
}

// deleteBatch deletes up to MaxBatch objects and records what failed. Only the keys that a try
// left over, for a reason that may pass, go into the next one. Since they become fewer only, what is in
// doubt after a try is so of all that are left.
func (s *S3) deleteBatch(ctx context.Context, left []Deletion, failed map[string]error) {
	c := call{op: deleteObjects, write: true}
	err := s.run(ctx, c, func(ctx context.Context) error {
		out, err := s.client.DeleteObjects(ctx, deleteInput(s.name, left), s.directed(c), summed)
		if err != nil {
			return err
		}
		left, err = s.leftover(ctx, left, answersOf(out), failed)
		return err
	})
	if e := new(Error); errors.As(err, &e) {
		for _, d := range left {
			own := *e
			own.Key = d.Key
			failed[d.Key] = &own
		}
	}
}

// answersOf is what an answer tells of each key that it names: nil is that the object is gone.
func answersOf(out *s3.DeleteObjectsOutput) map[string]error {
	answers := make(map[string]error, len(out.Deleted)+len(out.Errors))
	for _, item := range out.Deleted {
		answers[aws.ToString(item.Key)] = nil
	}
	for _, item := range out.Errors {
		answers[aws.ToString(item.Key)] = &smithy.GenericAPIError{Code: aws.ToString(item.Code), Message: aws.ToString(item.Message)}
	}
	return answers
}

// leftover sorts the answers: those that are final go to failed, the others are returned with one of
// their errors, and not with that of a server that asks for patience if one leaves a doubt. The context is
// that of the try, whose doubt is that of its keys.
func (s *S3) leftover(ctx context.Context, asked []Deletion, answers, failed map[string]error) (left []Deletion, last error) {
	doubt, turned := before(ctx)
	for _, d := range asked {
		c := call{op: deleteObjects, key: d.Key}
		err, told := answers[d.Key]
		var api smithy.APIError
		switch {
		case !told:
			e := &Error{Op: c.op, Key: c.key, Status: http.StatusOK, Err: errors.New("the answer does not tell what became of it")}
			failed[d.Key] = e.settle(true)
		case err == nil, errors.As(err, &api) && api.ErrorCode() == "NoSuchKey":
		case s.retryer.IsErrorRetryable(err):
			left = append(left, d)
			if last == nil || throttled(describe(c, last)) {
				last = err
			}
		default:
			e := describe(c, err)
			failed[d.Key] = e.settle(doubt || turned && e.overtaken())
		}
	}
	return left, last
}

// deleteInput has the answer tell of each key, also of those that are gone: silence would be no proof.
func deleteInput(bucket string, list []Deletion) *s3.DeleteObjectsInput {
	ids := make([]types.ObjectIdentifier, len(list))
	for i := range list {
		ids[i].Key, ids[i].ETag = &list[i].Key, text(quote(list[i].IfMatch))
	}
	return &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids}}
}

// summed has a request carry the MD5 of its body, which every server takes, in place of a checksum of
// the SDK's choice, which some do not.
func summed(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		_, first := stack.Initialize.Remove("AWSChecksum:SetupInputContext")
		_, second := stack.Finalize.Remove("AWSChecksum:ComputeInputPayloadChecksum")
		return errors.Join(first, second, smithyhttp.AddContentChecksumMiddleware(stack))
	})
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
