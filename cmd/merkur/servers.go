package main

import (
	"fmt"
	"net/url"
	"strings"

	"merkur/cmd/merkur/settings"
	"merkur/store/bucket"
)

// loadSettings reads the s3 section of the configuration, and the options that go before it.
func loadSettings(g *given) (settings.Settings, error) {
	flags := map[string]string{}
	for _, name := range settings.Names() {
		if value, ok := g.values[strings.ReplaceAll(name, "_", "-")]; ok {
			flags[name] = value
		}
	}
	if g.has("source-profile") {
		if err := settings.CheckProfile(g.text("source-profile")); err != nil {
			return settings.Settings{}, err
		}
	}
	return settings.Load(settings.Options{Profile: g.text("profile"), Flags: flags})
}

// readServers reads how the two ends are reached.
func (q *request) readServers() (err error) {
	g := q.given
	across := q.from.remote() && q.to.remote()
	if q.source, q.dest, err = servers(g, q.settings, across); across {
		q.options.Relay = q.source.Profile != q.dest.Profile || g.has("source-endpoint-url") && q.source.Endpoint != q.dest.Endpoint
	}
	return err
}

// servers says how the buckets of a command line are reached: of two, the first has options of its
// own.
func servers(g *given, s settings.Settings, two bool) (source, dest bucket.Config, err error) {
	c := bucket.Config{
		Endpoint: g.text("endpoint-url"), Region: g.text("region"), Profile: g.text("profile"),
		Anonymous: g.on("no-sign-request"), NoVerifyTLS: g.on("no-verify-ssl"), CABundle: g.text("ca-bundle"),
		Accelerate: s.Accelerate, DualStack: s.DualStack, SignPayload: s.PayloadSigning,
		RequestPayer: g.text("request-payer"),
		Addressing:   map[string]bucket.Addressing{"path": bucket.AddressPath, "virtual": bucket.AddressHost}[s.AddressingStyle],
	}
	if c.PageSize, err = g.number("page-size", 0); err != nil {
		return c, c, err
	}
	if c.ReadTimeout, err = g.timeout("cli-read-timeout"); err != nil {
		return c, c, err
	}
	if c.ConnectTimeout, err = g.timeout("cli-connect-timeout"); err != nil {
		return c, c, err
	}
	if c.Accelerate && c.Endpoint != "" {
		return c, c, fmt.Errorf("a custom endpoint cannot be combined with S3 Accelerate")
	}
	if s.MaxBandwidth > 0 {
		c.Limit = bucket.NewLimiter(float64(s.MaxBandwidth))
	}
	for _, name := range []string{"endpoint-url", "source-endpoint-url"} {
		if u, err := url.Parse(g.text(name)); g.has(name) && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return c, c, fmt.Errorf("--%s: %q is not a URL such as https://s3.example.org", name, withoutUser(g.text(name)))
		}
	}
	source = c
	if !two {
		return source, c, nil
	}
	// As for aws, a region of its own means that the source is not behind --endpoint-url.
	if g.has("source-region") {
		source.Region, source.Endpoint = g.text("source-region"), ""
	}
	if g.has("source-endpoint-url") {
		source.Endpoint = g.text("source-endpoint-url")
	}
	if g.has("source-profile") {
		source.Profile = g.text("source-profile")
	}
	return source, c, nil
}

// withoutUser is what may be a URL without who asks and his password, to be shown.
func withoutUser(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	scheme, _, found := strings.Cut(text[:at], "://")
	if found {
		scheme += "://"
	} else {
		scheme = ""
	}
	return scheme + "..." + text[at:]
}
