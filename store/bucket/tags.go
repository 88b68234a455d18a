package bucket

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// maxTagHeader is how many bytes of tags S3 takes in the header of a request.
const maxTagHeader = 2048

// Tags implements [Tagger].
func (s *S3) Tags(ctx context.Context, key string) (string, error) {
	return s.tags(ctx, s.name, key, "")
}

// tags reads the tags of an object, or of a version of it, of any bucket.
func (s *S3) tags(ctx context.Context, bucket, key, version string) (string, error) {
	in := &s3.GetObjectTaggingInput{Bucket: &bucket, Key: &key, VersionId: text(version)}
	out, err := send(ctx, s, call{op: getObjectTagging, key: key, other: s.other(bucket)}, s.client.GetObjectTagging, in)
	if err = unless(err, "NoSuchTagSet"); err != nil || out == nil {
		return "", err
	}
	return encodeTags(out.TagSet), nil
}

// SetTags implements [Tagger].
func (s *S3) SetTags(ctx context.Context, key, tags string) error {
	c := call{op: putObjectTagging, key: key, write: true}
	set, err := decodeTags(tags)
	if err != nil {
		return &Error{Op: c.op, Key: key, Err: err}
	}
	in := &s3.PutObjectTaggingInput{Bucket: &s.name, Key: &key, Tagging: &types.Tagging{TagSet: set}}
	_, err = send(ctx, s, c, s.client.PutObjectTagging, in)
	return err
}

// encodeTags codes tags as a URL query, in their order.
func encodeTags(set []types.Tag) string {
	coded := make([]string, len(set))
	for i, t := range set {
		coded[i] = queryEscape(aws.ToString(t.Key)) + "=" + queryEscape(aws.ToString(t.Value))
	}
	return strings.Join(coded, "&")
}

// decodeTags is the inverse of encodeTags.
func decodeTags(tags string) ([]types.Tag, error) {
	set := []types.Tag{}
	for coded := range strings.SplitSeq(tags, "&") {
		if coded == "" {
			continue
		}
		name, value, _ := strings.Cut(coded, "=")
		key, err := url.QueryUnescape(name)
		if err != nil {
			return nil, fmt.Errorf("tag %q: %w", coded, err)
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, fmt.Errorf("tag %q: %w", coded, err)
		}
		set = append(set, types.Tag{Key: &key, Value: &value})
	}
	return set, nil
}

// queryEscape escapes all but letters, digits and "-_.~".
func queryEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
