package bucket

import (
	"context"
	"net/http"
	"strings"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// metaPrefix begins the names of the headers that hold user metadata.
const metaPrefix = "X-Amz-Meta-"

// with has write add headers to a request before it is signed. Much of what a request can say
// goes this way instead of through the SDK's types: it is the same for all requests, the SDK
// takes an Expires only as a time, and what it knows of a checksum makes it read the body anew.
func with(write func(http.Header)) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Build.Add(middleware.BuildMiddlewareFunc("Headers",
				func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
					if r, ok := in.Request.(*smithyhttp.Request); ok {
						write(r.Header)
					}
					return next.HandleBuild(ctx, in)
				}), middleware.After)
		})
	}
}

// write puts the headers on a request. The SDK invents a content type where there is none.
func (d Headers) write(h http.Header) {
	delete(h, "Content-Type")
	set(h, "Content-Type", d.ContentType)
	set(h, "Content-Encoding", d.ContentEncoding)
	set(h, "Content-Language", d.ContentLanguage)
	set(h, "Content-Disposition", d.ContentDisposition)
	set(h, "Cache-Control", d.CacheControl)
	set(h, "Expires", d.Expires)
	set(h, "X-Amz-Website-Redirect-Location", d.WebsiteRedirect)
	for name, value := range d.Metadata {
		h.Set(metaPrefix+name, value)
	}
}

// write puts the terms on a request that makes an object. The checksum is not among them: what
// is said about it differs from request to request.
func (t Terms) write(h http.Header) {
	set(h, "X-Amz-Acl", t.ACL)
	set(h, "X-Amz-Grant-Read", t.GrantRead)
	set(h, "X-Amz-Grant-Read-Acp", t.GrantReadACP)
	set(h, "X-Amz-Grant-Write-Acp", t.GrantWriteACP)
	set(h, "X-Amz-Grant-Full-Control", t.GrantFullControl)
	set(h, "X-Amz-Storage-Class", t.Class)
	set(h, "X-Amz-Server-Side-Encryption", t.Encryption)
	set(h, "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", t.KMSKey)
	t.Customer.write(h)
}

// objectOf is what an answer says about an object. Its metadata is nil where there is none.
func objectOf(key string, resp *http.Response) Object {
	h := resp.Header
	o := Object{Key: key, Size: max(resp.ContentLength, 0), ETag: strings.Trim(said(h, "Etag"), `"`), Version: said(h, "X-Amz-Version-Id")}
	if date := said(h, "Last-Modified"); date != "" {
		if t, err := http.ParseTime(date); err == nil {
			o.Modified = t
		}
	}
	o.CRC64, o.HasCRC64 = decodeCRC64(said(h, headerCRC64))
	o.ContentType = said(h, "Content-Type")
	o.ContentEncoding = said(h, "Content-Encoding")
	o.ContentLanguage = said(h, "Content-Language")
	o.ContentDisposition = said(h, "Content-Disposition")
	o.CacheControl = said(h, "Cache-Control")
	o.Expires = said(h, "Expires")
	o.WebsiteRedirect = said(h, "X-Amz-Website-Redirect-Location")
	o.Class = class(said(h, "X-Amz-Storage-Class"))
	o.Encryption = said(h, "X-Amz-Server-Side-Encryption")
	o.KMSKey = said(h, "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")
	for name, values := range h {
		if meta, ok := strings.CutPrefix(name, metaPrefix); ok && len(values) > 0 {
			if o.Metadata == nil {
				o.Metadata = make(map[string]string)
			}
			o.Metadata[strings.ToLower(meta)] = values[0]
		}
	}
	return o
}

// said is the value of a header, whose name is written as net/http does; empty if there is none.
func said(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// class is a storage class as an Object has it.
func class(name string) string {
	if name == "STANDARD" {
		return ""
	}
	return name
}

// hashed has the signature cover a body by its SHA-256, in hex, or by the words that stand for
// no hash.
func hashed(hash string) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			id := (*v4.ComputePayloadSHA256)(nil).ID()
			_, err := stack.Finalize.Swap(id, middleware.FinalizeMiddlewareFunc(id,
				func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
					return next.HandleFinalize(v4.SetPayloadHash(ctx, hash), in)
				}))
			return err
		})
	}
}
