package main

import (
	"fmt"
	"slices"
	"strings"

	"merkur/store/bucket"
	"merkur/transfer/headers"
)

// permissions are what --grants gives.
var permissions = []string{"read", "readacl", "writeacl", "full"}

// headers are those that the command line asks for, for all objects.
func (g *given) headers() (set headers.Set, err error) {
	for name, field := range map[string]*string{
		"cache-control": &set.CacheControl, "content-type": &set.ContentType, "content-encoding": &set.ContentEncoding,
		"content-disposition": &set.ContentDisposition, "content-language": &set.ContentLanguage, "expires": &set.Expires,
	} {
		if *field, err = g.file(name); err != nil {
			return set, err
		}
	}
	set.WebsiteRedirect = g.text("website-redirect") // a URL, which names no file
	if set.Expires, err = headers.ParseExpires(set.Expires); err != nil {
		return set, fmt.Errorf("--expires: %w", err)
	}
	if g.has("metadata") {
		text, err := g.file("metadata")
		if err == nil {
			set.Metadata, err = headers.ParseMetadata(text)
		}
		if err != nil {
			return set, fmt.Errorf("--metadata: %w", err)
		}
	}
	return set, set.Valid()
}

// terms are those on which objects are stored.
func (g *given) terms() (t bucket.Terms, err error) {
	t = bucket.Terms{ACL: g.text("acl"), Class: g.text("storage-class"), Encryption: g.text("sse"), Checksum: g.text("checksum-algorithm")}
	if t.KMSKey, err = g.file("sse-kms-key-id"); err != nil {
		return t, err
	}
	if t.Customer, err = g.customerKey("sse-c"); err != nil {
		return t, err
	}
	for _, grant := range g.grants {
		permission, grantee, ok := strings.Cut(grant, "=")
		if !ok || !slices.Contains(permissions, permission) {
			return t, fmt.Errorf("--grants: %q is not permission=principal, with read, readacl, writeacl or full as permission", grant)
		}
		to := map[string]*string{"read": &t.GrantRead, "readacl": &t.GrantReadACP, "writeacl": &t.GrantWriteACP, "full": &t.GrantFullControl}[permission]
		*to = grantee
	}
	return t, nil
}

// customerKey is the key of --sse-c or --sse-c-copy-source, or nil.
func (g *given) customerKey(option string) (*bucket.CustomerKey, error) {
	if !g.has(option) {
		return nil, nil
	}
	key, err := g.file(option + "-key")
	if err != nil {
		return nil, err
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("--%s-key: a key has 32 bytes, not %d", option, len(key))
	}
	return &bucket.CustomerKey{Algorithm: g.text(option), Key: []byte(key)}, nil
}
