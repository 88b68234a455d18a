package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// List implements [Store]. It asks for a page at a time, of 1,000 keys where the [Config] says
// nothing else, and trusts no server to keep the order: what is missing from a listing may be
// deleted elsewhere.
func (s *S3) List(ctx context.Context, prefix, start string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		in := &s3.ListObjectsV2Input{
			Bucket:       &s.name,
			Prefix:       text(prefix),
			StartAfter:   text(start),
			EncodingType: types.EncodingTypeUrl, // XML cannot hold every byte of a key
		}
		if s.pageSize > 0 {
			in.MaxKeys = aws.Int32(int32(min(s.pageSize, math.MaxInt32)))
		}
		for last := start; ; {
			p, err := s.page(ctx, in)
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, o := range p.objects {
				if err := inOrder(last, o.Key, prefix); err != nil {
					yield(Object{}, fmt.Errorf("list s3://%s/%s: %w", s.name, prefix, err))
					return
				}
				last = o.Key
				if !yield(o, nil) {
					return
				}
			}
			if p.next == "" {
				return
			}
			in.ContinuationToken = &p.next
		}
	}
}

// inOrder returns an error if a key may not follow the key last in a listing.
func inOrder(last, key, prefix string) error {
	switch {
	case !strings.HasPrefix(key, prefix):
		return fmt.Errorf("key %q does not begin with the prefix", key)
	case key <= last:
		return fmt.Errorf("key %q comes after %q", key, last)
	}
	return nil
}

// page gets one page of a listing.
func (s *S3) page(ctx context.Context, in *s3.ListObjectsV2Input) (page, error) {
	var p page
	_, err := send(ctx, s, call{op: listObjectsV2}, s.client.ListObjectsV2, in, func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			reader := &pageReader{page: &p}
			sdk, err := stack.Deserialize.Swap("OperationDeserializer", reader)
			reader.sdk = sdk
			return err
		})
	})
	return p, err
}

// A pageReader takes the place of the SDK's reader of listings, which takes an empty answer, or
// the page of some proxy, for an empty bucket. It is also much faster.
type pageReader struct {
	sdk  middleware.DeserializeMiddleware // reads the errors
	page *page
}

// ID implements the SDK's interface.
func (r *pageReader) ID() string { return "PageReader" }

// HandleDeserialize implements the SDK's interface.
func (r *pageReader) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	out, metadata, err = next.HandleDeserialize(ctx, in)
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || resp.StatusCode != http.StatusOK {
		return r.sdk.HandleDeserialize(ctx, in, answered{out, metadata, err})
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	if err == nil && len(body) > maxPage {
		err = fmt.Errorf("answer of more than %d bytes", maxPage)
	}
	if err == nil {
		*r.page, err = parsePage(body)
	}
	if err != nil {
		return out, metadata, &smithy.DeserializationError{Err: err}
	}
	out.Result = new(s3.ListObjectsV2Output)
	return out, metadata, nil
}

// maxPage bounds the bytes of a page: 1,000 keys of 1,024 bytes, escaped, need less than half.
const maxPage = 16 << 20

// answered is the rest of the SDK's stack when the answer is there already.
type answered struct {
	out      middleware.DeserializeOutput
	metadata middleware.Metadata
	err      error
}

// HandleDeserialize implements the SDK's interface.
func (a answered) HandleDeserialize(context.Context, middleware.DeserializeInput) (middleware.DeserializeOutput, middleware.Metadata, error) {
	return a.out, a.metadata, a.err
}

// parsePage reads an answer that must be one whole page of a listing.
func parsePage(body []byte) (page, error) {
	l, ok := scanListing(body)
	if !ok {
		var err error
		if l, err = decodeListing(bytes.NewReader(body)); err != nil {
			return page{}, fmt.Errorf("answer is not a listing: %w", err)
		}
	}
	return l.page()
}
