package settings

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

const dualStack = "use_dualstack_endpoint"

// A setting is one that we know: its name, and how its text gets into its field.
type setting struct {
	name string
	set  func(s *Settings, name, text string) error
}

// known is in the order in which aws checks.
var known = []setting{
	{"multipart_chunksize", amount(ParseSize, func(s *Settings) *int64 { return &s.MultipartChunksize })},
	{"multipart_threshold", amount(ParseSize, func(s *Settings) *int64 { return &s.MultipartThreshold })},
	{"io_chunksize", amount(ParseSize, func(s *Settings) *int64 { return &s.IOChunkSize })},
	{"max_bandwidth", amount(ParseRate, func(s *Settings) *int64 { return &s.MaxBandwidth })},
	{"target_bandwidth", amount(ParseRate, func(s *Settings) *int64 { return &s.TargetBandwidth })},
	{"disk_throughput", amount(ParseRate, func(s *Settings) *int64 { return &s.DiskThroughput })},
	{"max_concurrent_requests", count(func(s *Settings) *int { return &s.MaxConcurrentRequests })},
	{"max_queue_size", count(func(s *Settings) *int { return &s.MaxQueueSize })},
	{"preferred_transfer_client", setClient},
	{"addressing_style", setAddressing},
	{"use_accelerate_endpoint", func(s *Settings, _, text string) error { s.Accelerate = truth(text); return nil }},
	{dualStack, optional(func(s *Settings) **bool { return &s.DualStack })},
	{"payload_signing_enabled", optional(func(s *Settings) **bool { return &s.PayloadSigning })},
	{"should_stream", optional(func(s *Settings) **bool { return &s.ShouldStream })},
	{"direct_io", optional(func(s *Settings) **bool { return &s.DirectIO })},
}

// Names returns the names of all settings, in the order in which they are checked.
func Names() []string {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	return names
}

func isKnown(name string) bool {
	return slices.ContainsFunc(known, func(k setting) bool { return k.name == name })
}

// amount sets a field to a positive number in the notation of parse.
func amount(parse func(string) (int64, error), field func(*Settings) *int64) func(*Settings, string, string) error {
	return func(s *Settings, name, text string) error {
		n, err := parse(text)
		if err != nil {
			return err
		}
		if n <= 0 {
			return notPositive(name, fmt.Sprint(n))
		}
		*field(s) = n
		return nil
	}
}

// count sets a field to a positive number.
func count(field func(*Settings) *int) func(*Settings, string, string) error {
	return func(s *Settings, name, text string) error {
		n, ok := integer(text)
		if !ok || n <= 0 {
			return notPositive(name, text)
		}
		*field(s) = int(min(n, math.MaxInt))
		return nil
	}
}

func notPositive(name, value string) error {
	return &Error{text: "Value for " + name + " must be a positive integer: " + value}
}

// optional sets a field that tells false from not set.
func optional(field func(*Settings) **bool) func(*Settings, string, string) error {
	return func(s *Settings, _, text string) error {
		b := truth(text)
		*field(s) = &b
		return nil
	}
}

// truth reads a boolean as aws does: everything but "true", in any case, is false.
func truth(text string) bool { return strings.ToLower(text) == "true" }

func setClient(s *Settings, name, text string) error {
	switch text {
	case "default":
		text = "classic"
	case "auto", "classic", "crt":
	default:
		return &Error{text: fmt.Sprintf("Invalid value: \"%s\" for configuration option: \"%s\". "+
			"Supported values are: auto, classic, crt", text, name)}
	}
	s.PreferredClient = text
	return nil
}

func setAddressing(s *Settings, _, text string) error {
	switch text {
	case "auto", "virtual", "path":
		s.AddressingStyle = text
		return nil
	}
	return &Error{text: "S3 addressing style " + text + " is invalid. Valid options are: 'auto', 'virtual', and 'path'"}
}
