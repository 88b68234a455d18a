package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"golang.org/x/time/rate"
)

// A Config says how to reach a bucket. What it leaves empty comes from where aws takes it: the
// environment (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_S3, AWS_CA_BUNDLE, AWS_MAX_ATTEMPTS
// and the rest) and the files in ~/.aws. The zero value is what aws does without options.
type Config struct {
	Endpoint  string // URL of the server; empty: Amazon's
	Region    string // empty, also everywhere else: us-east-1
	Profile   string // of ~/.aws/config
	Anonymous bool   // sign nothing

	// AccessKey and SecretKey are used if AccessKey is not empty. Then neither the environment
	// nor ~/.aws is asked for anything.
	AccessKey, SecretKey string

	Addressing Addressing
	Accelerate bool  // go through Amazon's edge; not together with an Endpoint
	DualStack  *bool // reach Amazon's endpoints by IPv6 too; says nothing about an Endpoint; nil: as ~/.aws/config says

	NoVerifyTLS bool   // take any certificate
	CABundle    string // file of the certificates to believe, in PEM; empty: those of the system

	NoChecksum   bool   // for servers that refuse CRC-64/NVME: send none, and ask for none
	SignPayload  *bool  // have signatures cover the bodies of objects; nil: no
	PageSize     int    // keys that a listing asks for at once; 0: as many as the server likes
	RequestPayer string // who pays for requests; "requester", or empty

	// Limit bounds the bytes of objects sent and received in a second, those of all buckets
	// that share it together; nil is no limit. NewLimiter makes one.
	Limit *rate.Limiter

	// Debug is told a line for each HTTP request, when its answer begins, and for each time that
	// a request is tried again. It may be called by many goroutines at once. No line holds what
	// proves who asks, nor a customer's key.
	Debug func(string)

	MaxAttempts    int           // tries of each request; 0: AWS_MAX_ATTEMPTS, the profile's max_attempts, 5
	ConnectTimeout time.Duration // for a connection to be made; 0: 60 s; negative: none
	ReadTimeout    time.Duration // without a byte in either direction; 0: 60 s; negative: none

	// Sleep waits between two tries, and returns early with an error when the context ends. It
	// is for tests; nil is the clock's.
	Sleep func(context.Context, time.Duration) error
}

const (
	defaultAttempts = 5
	defaultTimeout  = 60 * time.Second
	defaultRegion   = "us-east-1"
)

// Open prepares the use of a bucket. It finds the credentials, but asks nothing of the bucket,
// which need not exist. Errors: ErrNoCredentials.
func Open(ctx context.Context, c Config, name string) (*S3, error) {
	cfg, err := c.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("open bucket %q: %w", name, err)
	}
	base, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		base = awshttp.NewBuildableClient()
	}
	transport := base.GetTransport()
	if err := c.trust(transport); err != nil {
		return nil, fmt.Errorf("open bucket %q: %w", name, err)
	}
	s := &S3{
		name:       name,
		wire:       newWire(transport, c),
		retryer:    newRetryer(),
		attempts:   attempts(c.MaxAttempts, cfg.RetryMaxAttempts),
		sleep:      c.Sleep,
		debug:      c.Debug,
		addressing: c.Addressing,
		signs:      c.SignPayload != nil && *c.SignPayload,
		payer:      c.RequestPayer,
		pageSize:   c.PageSize,
	}
	s.checksums.Store(!c.NoChecksum && cfg.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired)
	s.asks.Store(!c.NoChecksum && cfg.ResponseChecksumValidation != aws.ResponseChecksumValidationWhenRequired)
	if s.sleep == nil {
		s.sleep = sleep
	}
	s.region.Store(&cfg.Region)
	if err := s.connect(ctx, c, cfg); err != nil {
		return nil, fmt.Errorf("open bucket %q: %w", name, err)
	}
	return s, nil
}

// connect makes the SDK's client.
func (s *S3) connect(ctx context.Context, c Config, cfg aws.Config) (err error) {
	s.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = s.wire
		o.Retryer = aws.NopRetryer{} // run makes the tries
		o.RetryMaxAttempts = 0
		// Checksums are known before the body is sent; the SDK would read it once more.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if err = sound(aws.ToString(o.BaseEndpoint)); err == nil {
			err = c.direct(ctx, cfg, o)
		}
		s.address(o, s.name)
		s.amazon = o.BaseEndpoint == nil
	})
	s.creds = s.client.Options().Credentials
	return err
}

// load gathers the configuration and makes sure of the credentials.
func (c Config) load(ctx context.Context) (aws.Config, error) {
	if c.AccessKey != "" {
		return c.fixed(), nil
	}
	var untrusted error
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { untrusted = c.trust(t) })
	if untrusted != nil {
		return aws.Config{}, untrusted
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, append(c.sources(), awsconfig.WithHTTPClient(client))...)
	var missing awsconfig.SharedConfigProfileNotExistError
	if errors.As(err, &missing) {
		return cfg, fmt.Errorf("the config profile (%s) could not be found", missing.Profile)
	}
	if err != nil || c.Anonymous {
		return cfg, err
	}
	cfg.Credentials = locator{cfg.Credentials}
	_, err = cfg.Credentials.Retrieve(ctx)
	return cfg, err
}

// fixed is the configuration that depends on nothing but c.
func (c Config) fixed() aws.Config {
	cfg := aws.Config{
		Region:      c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, ""),
	}
	if c.Anonymous {
		cfg.Credentials = aws.AnonymousCredentials{}
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	if c.Endpoint != "" {
		cfg.BaseEndpoint = &c.Endpoint
	}
	return cfg
}

// sources lists what c says for the SDK's loader, which asks the environment for the rest.
func (c Config) sources() []func(*awsconfig.LoadOptions) error {
	o := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithDefaultRegion(defaultRegion),
		awsconfig.WithDefaultsMode(aws.DefaultsModeLegacy), // others may ask the metadata service
		awsconfig.WithLogger(logging.Nop{}),
		awsconfig.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = metadataService() }),
	}
	if c.Region != "" {
		o = append(o, awsconfig.WithRegion(c.Region))
	}
	if c.Profile != "" {
		o = append(o, awsconfig.WithSharedConfigProfile(c.Profile))
	}
	if c.Endpoint != "" {
		o = append(o, awsconfig.WithBaseEndpoint(c.Endpoint))
	}
	if c.Anonymous {
		o = append(o, awsconfig.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	return o
}

// metadataService is the service that machines of EC2 have, asked as aws asks it: once, for a
// second. Everywhere else nobody answers, and the SDK's own patience would look like a hang.
func metadataService() *imds.Client {
	o := imds.Options{
		HTTPClient: &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		Retryer:    aws.NopRetryer{},
	}
	if strings.EqualFold(os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "IPv6") {
		o.EndpointMode = imds.EndpointModeStateIPv6
	}
	return imds.New(o)
}

// A locator says in aws's words that there are no credentials anywhere.
type locator struct{ aws.CredentialsProvider }

// Retrieve returns the credentials.
func (l locator) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := l.CredentialsProvider.Retrieve(ctx)
	var op *smithy.OperationError
	switch {
	case err == nil:
		return found, nil
	case interrupted(ctx.Err()):
		return found, ctx.Err()
	case errors.As(err, &op) && op.ServiceID == imds.ServiceID:
		return found, ErrNoCredentials // the metadata service is the last place to look
	}
	if before, _, shown := strings.Cut(err.Error(), processOutput); shown {
		return found, fmt.Errorf("get credentials: %s%s", before, strings.TrimSuffix(processOutput, ": "))
	}
	return found, fmt.Errorf("get credentials: %w", err)
}

// processOutput stands, in the words of the SDK, before all that a credential_process has printed,
// which is meant to be credentials.
const processOutput = "parse failed of process output: "

// timeout turns a timeout of a Config into one of package net, where 0 is none.
func timeout(d time.Duration) time.Duration {
	switch {
	case d < 0:
		return 0
	case d == 0:
		return defaultTimeout
	}
	return d
}

// attempts is the number of tries: what was asked for, what the environment says, or ours.
func attempts(asked, configured int) int {
	switch {
	case asked > 0:
		return asked
	case configured > 0:
		return configured
	}
	return defaultAttempts
}
