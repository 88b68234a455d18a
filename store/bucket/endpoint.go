package bucket

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Addressing is where a request names the bucket.
type Addressing int

// The ways to name a bucket.
const (
	AddressAuto Addressing = iota // in the host at amazonaws.com, else in the path
	AddressPath
	AddressHost
)

// path reports whether requests to the endpoint, Amazon's if empty, name the bucket in the path.
func (a Addressing) path(endpoint string) bool {
	switch {
	case a != AddressAuto:
		return a == AddressPath
	case endpoint == "":
		return false
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return true
	}
	host := u.Hostname()
	amazon := strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
	return net.ParseIP(host) != nil || !amazon
}

// sound returns an error, which does not show a password, if an endpoint is no URL.
func sound(endpoint string) error {
	if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Host == "") {
		return errors.New("the endpoint that the environment or the configuration names is not a URL such as https://s3.example.org")
	}
	return nil
}

// isARN reports whether the name of a bucket is that of an access point or the like, which is
// always named in the host.
func isARN(bucket string) bool { return strings.HasPrefix(bucket, "arn:") }

// address has requests name a bucket in the right place.
func (s *S3) address(o *s3.Options, bucket string) {
	o.UsePathStyle = s.addressing.path(aws.ToString(o.BaseEndpoint)) && !o.UseAccelerate && !isARN(bucket)
}

// direct has requests go where c says, as aws does: an accelerated one is never addressed by its
// path, dual stacks are a matter of Amazon's own endpoints, and an ARN says its region itself.
func (c Config) direct(ctx context.Context, cfg aws.Config, o *s3.Options) error {
	custom := o.BaseEndpoint != nil
	if c.Accelerate && custom {
		//lint:ignore ST1005 these are the words of aws
		return errors.New("A custom endpoint cannot be combined with S3 Accelerate")
	}
	o.UseAccelerate = c.Accelerate
	switch {
	case custom:
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateUnset
	case c.DualStack != nil && *c.DualStack:
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	case c.DualStack != nil:
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
	}
	o.UseARNRegion = true
	for _, source := range cfg.ConfigSources {
		decider, ok := source.(interface {
			GetS3UseARNRegion(context.Context) (bool, bool, error)
		})
		if !ok {
			continue
		}
		if use, found, err := decider.GetS3UseARNRegion(ctx); err != nil || found {
			o.UseARNRegion = use
			return err
		}
	}
	return nil
}
