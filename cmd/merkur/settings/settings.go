// Package settings reads what "aws s3" calls its configuration: how many requests at once, how
// large the parts, how fast, which endpoint.
//
// # Sources
//
// A setting has one name, such as max_bandwidth, and is looked for in this order:
//
//  1. the flags of the command line;
//  2. the environment: AWS_ and the name in upper case, such as AWS_MAX_BANDWIDTH. An empty
//     variable is not set. aws itself reads only AWS_USE_DUALSTACK_ENDPOINT;
//  3. the profile: its nested section "s3 =". For use_dualstack_endpoint also the key of that
//     name in the profile itself.
//
// What is found first counts, and only that is checked, so that a flag can stand in for a
// broken file. A value that counts is checked even if nothing uses it. Names that are not known
// are ignored. Defaults are the caller's; those of aws stand at the fields of [Settings].
//
// # Files
//
// The profile is named by the caller, AWS_PROFILE or AWS_DEFAULT_PROFILE, in this order (that of
// aws v2 and of the SDKs; v1 asks them the other way round), and then must exist; if nothing
// names one it is "default", which need not. It is read from the config file, AWS_CONFIG_FILE or
// ~/.aws/config, and from the credentials file, AWS_SHARED_CREDENTIALS_FILE or
// ~/.aws/credentials. A key that stands in both is taken from the credentials file, its nested
// section as a whole. In the two variables "~", $NAME and ${NAME} are expanded. A file that does
// not exist, is not a regular file or cannot be read counts as empty.
//
// # Syntax
//
//   - A line whose first character, after white space, is "#" or ";" is a comment. There are no
//     comments behind a value, and quotes around a value are part of it.
//   - "[default]", "[profile NAME]" begin a profile of the config file, "[NAME]" one of the
//     credentials file. NAME is quoted as in a shell. A profile may begin once; if two headers
//     mean the same one, the later replaces the earlier.
//   - "KEY = VALUE" or "KEY : VALUE". The case of KEY does not matter. It may stand once.
//   - A line that is indented more than the key before it belongs to the value of that key,
//     whatever comments and empty lines stand between. If nothing follows the "=" of the key,
//     these lines are nested: each is "NAME = VALUE", with an "=", and the case of NAME matters.
//     The last of several lines with one name counts.
//   - The keys below "[DEFAULT]" are in every profile that does not have them itself.
//
// Anything else makes the whole file an error. This is how aws reads the files.
package settings

import (
	"errors"
	"os"
	"strings"
)

// Settings are what aws calls the S3 configuration. The zero value of a field means that it was
// not set, or set to false.
type Settings struct {
	// MaxConcurrentRequests is how many requests may be under way at once. aws: 10.
	MaxConcurrentRequests int
	// MaxQueueSize is how many tasks may wait for a request. aws: 1000.
	MaxQueueSize int

	MultipartThreshold int64 // bytes: files of this size or more are sent in parts. aws: 8 MiB
	MultipartChunksize int64 // bytes in a part. aws: 8 MiB
	IOChunkSize        int64 // bytes in one read of a download. aws: 256 KiB
	MaxBandwidth       int64 // bytes per second, of uploads and downloads together. aws: no limit

	AddressingStyle string // "auto", "virtual" or "path". aws: auto
	Accelerate      bool   // use the S3 Accelerate endpoint; goes before AddressingStyle
	DualStack       *bool  // use the endpoint that also speaks IPv6; goes together with Accelerate; nil: nothing is said
	PayloadSigning  *bool  // hash bodies into signatures; nil: as the scheme of the endpoint needs

	// PreferredClient is "auto", "classic" or "crt", the one that "aws s3" transfers with. The
	// value "default" is "classic". aws: auto.
	PreferredClient string

	// The rest has a meaning for the CRT client of aws only.
	TargetBandwidth int64 // bytes per second to aim at
	DiskThroughput  int64 // bytes per second to expect of the disk
	ShouldStream    *bool // read files while they are sent
	DirectIO        *bool // bypass the cache of the operating system

	// Profile is the profile that was looked into.
	Profile string
	// Origin says where a value came from, by the name of the setting: "the command line", the
	// name of a variable, or a file and its profile. What was not set is not in it.
	Origin map[string]string
	// Skipped has the files that are there and could not be read. They count as empty.
	Skipped []error
}

// Options say where to look. The zero value is what aws does without options.
type Options struct {
	Profile string              // empty: AWS_PROFILE, AWS_DEFAULT_PROFILE, "default"
	Getenv  func(string) string // nil: os.Getenv
	// ConfigFile and CredentialsFile are taken as they are; empty: see the package comment.
	ConfigFile, CredentialsFile string
	// Flags are the settings of the command line, as they were typed, by the name that they
	// have in the config file.
	Flags map[string]string
}

// Load finds the settings and checks them. Errors are of type *[Error]. It panics if Flags has
// a name that is not a setting.
func Load(o Options) (Settings, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	for name := range o.Flags {
		if !isKnown(name) {
			panic("settings: no setting is called " + name)
		}
	}
	s := Settings{Origin: map[string]string{}}
	p, err := o.findProfile(&s)
	if err != nil {
		return Settings{}, err
	}
	for _, k := range known {
		text, origin, ok, err := o.lookup(k.name, p, s.Profile)
		if err != nil {
			return Settings{}, err
		}
		if !ok {
			continue
		}
		if err := k.set(&s, k.name, text); err != nil {
			return Settings{}, locate(err, k.name, origin)
		}
		s.Origin[k.name] = origin
	}
	return s, nil
}

// CheckProfile returns an error of type *[Error] unless the profile is there. Its settings may be
// anything: those of Load are the ones that count.
func CheckProfile(name string) error {
	_, err := Options{Profile: name, Getenv: os.Getenv}.findProfile(&Settings{})
	return err
}

// lookup returns the text of a setting and where it was found. The profile is p, called profile.
func (o Options) lookup(name string, p section, profile string) (text, origin string, ok bool, err error) {
	if text, ok := o.Flags[name]; ok {
		return text, "the command line", true, nil
	}
	variable := "AWS_" + strings.ToUpper(name)
	if text := o.Getenv(variable); text != "" {
		return text, variable, true, nil
	}
	if v := p["s3"]; v != nil {
		origin := v.file + ", profile " + profile
		if len(v.lines) > 0 {
			return "", "", false, &Error{Origin: origin, text: "Invalid value of s3: settings must be nested below it"}
		}
		if text, ok := v.nested[name]; ok {
			return text, origin, true, nil
		}
	}
	if v := p[name]; v != nil && name == dualStack {
		return v.text(), v.file + ", profile " + profile, true, nil
	}
	return "", "", false, nil
}

// An Error is a value, a profile or a file that cannot be used. Its text is that of aws, which
// then exits with 255.
type Error struct {
	Setting string // that has the value; empty if the fault is not in a value
	Origin  string // of the value, as in [Settings]; empty if it has none

	text string
	err  error
}

// Error returns the text that aws prints, and for a file also what is wrong with it.
func (e *Error) Error() string {
	if e.err != nil {
		return e.text + ": " + e.err.Error()
	}
	return e.text
}

// Unwrap returns what is wrong with a file, or nil.
func (e *Error) Unwrap() error { return e.err }

// locate says in an error about a value whose it is.
func locate(err error, name, origin string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	return &Error{Setting: name, Origin: origin, text: e.text, err: e.err}
}
