package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// This file is the slow way of an ask: through the SDK, for what only that can sign, such as access
// points of many regions. It is also what the fast way is tested against.

// askSDK makes one try of a request.
func (s *S3) askSDK(ctx context.Context, a ask) (*http.Response, error) {
	var resp *http.Response
	r := &rawReader{resp: &resp, query: a.query}
	options := []func(*s3.Options){s.directed(a.call), with(a.write), r.install}
	bucket := a.bucket(s)
	var err error
	switch a.op {
	case getObject:
		r.result = new(s3.GetObjectOutput)
		_, err = s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &a.key}, options...)
	case headObject:
		r.result = new(s3.HeadObjectOutput)
		_, err = s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &a.key}, options...)
	case deleteObject:
		r.result = new(s3.DeleteObjectOutput)
		_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &a.key}, options...)
	case listObjectsV2:
		r.result = new(s3.ListObjectsV2Output)
		_, err = s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket}, options...)
	case putObject, uploadPart:
		r.result = new(s3.PutObjectOutput)
		in := &s3.PutObjectInput{Bucket: &bucket, Key: &a.key, ContentLength: aws.Int64(0)}
		if a.body != nil {
			in.ContentLength, in.Body = &a.body.size, a.body
		}
		_, err = s.client.PutObject(ctx, in, append(options, hashed(a.hash))...)
	default:
		err = fmt.Errorf("%s is none of the asks", a.op)
	}
	return resp, err
}

// write puts the headers of an ask on a request of the SDK.
func (a ask) write(h http.Header) {
	h.Del("Content-Type") // of the SDK's invention
	for name, values := range a.header {
		h[name] = values
	}
}

// A rawReader leaves the answers of success as they are, and replaces the query of a request. It
// takes the place of the SDK's reader of answers.
type rawReader struct {
	query  string
	result any                              // of the type that the SDK expects; nothing is read into it
	resp   **http.Response                  // the answer
	sdk    middleware.DeserializeMiddleware // reads the errors
}

func (r *rawReader) install(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) (err error) {
		r.sdk, err = stack.Deserialize.Swap("OperationDeserializer", r)
		return errors.Join(err, stack.Build.Add(middleware.BuildMiddlewareFunc("Query", r.ask), middleware.After))
	})
}

// ask replaces the query.
func (r *rawReader) ask(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
	if req, ok := in.Request.(*smithyhttp.Request); ok {
		req.URL.RawQuery = r.query
	}
	return next.HandleBuild(ctx, in)
}

// ID implements the SDK's interface.
func (r *rawReader) ID() string { return "RawReader" }

// HandleDeserialize implements the SDK's interface.
func (r *rawReader) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	out, metadata, err = next.HandleDeserialize(ctx, in)
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || resp.StatusCode >= 300 {
		return r.sdk.HandleDeserialize(ctx, in, answered{out, metadata, err})
	}
	*r.resp, out.Result = resp.Response, r.result
	return out, metadata, nil
}

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

// errCaught says that a request was made and not sent.
var errCaught = errors.New("caught")

// catch keeps a request, with its signature, from being sent.
func catch(caught **http.Request) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Catch",
				func(ctx context.Context, in middleware.FinalizeInput, _ middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
					if r, ok := in.Request.(*smithyhttp.Request); ok {
						*caught = r.Build(ctx)
						return middleware.FinalizeOutput{}, middleware.Metadata{}, errCaught
					}
					return middleware.FinalizeOutput{}, middleware.Metadata{}, errors.New("the SDK makes requests of another kind")
				}), middleware.After)
		})
	}
}
