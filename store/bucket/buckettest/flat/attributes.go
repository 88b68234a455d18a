package flat

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// change replaces the object of the request by what f makes of a copy of it.
func (c *call) change(f func(*Object)) error {
	return c.server.with(c.Bucket, func(b *bucket) error {
		old := b.objects[c.Key]
		if old == nil {
			return noSuchKey
		}
		o := old.clone()
		f(o)
		b.put(c.Key, o)
		return nil
	})
}

// getTagging answers with the tags of an object.
func (c *call) getTagging() error {
	o, err := c.server.get(c.Bucket, c.Key)
	if err != nil {
		return err
	}
	d := newDocument("Tagging")
	d.begin("TagSet")
	for _, key := range slices.Sorted(maps.Keys(o.Tags)) {
		d.begin("Tag")
		d.text("Key", key)
		d.text("Value", o.Tags[key])
		d.end("Tag")
	}
	d.end("TagSet")
	d.end("Tagging")
	return c.answer(d)
}

// putTagging replaces the tags of an object.
func (c *call) putTagging() error {
	var in struct {
		XMLName xml.Name                      `xml:"Tagging"`
		Tags    []struct{ Key, Value string } `xml:"TagSet>Tag"`
	}
	if err := c.read(&in); err != nil {
		return err
	}
	tags := make(map[string]string)
	for _, t := range in.Tags {
		if _, twice := tags[t.Key]; twice {
			return &Failure{http.StatusBadRequest, "InvalidTag", "Cannot provide multiple Tags with the same key"}
		}
		tags[t.Key] = t.Value
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	if err := c.change(func(o *Object) { o.Tags = tags }); err != nil {
		return err
	}
	return c.send(http.StatusOK, nil)
}

// deleteTagging takes all tags of an object away.
func (c *call) deleteTagging() error {
	if err := c.change(func(o *Object) { o.Tags = nil }); err != nil {
		return err
	}
	return c.send(http.StatusNoContent, nil)
}

// A grant gives a permission to somebody.
type grant struct{ kind, who, permission string }

const groups = "http://acs.amazonaws.com/groups/"

// canned are the grants of canned ACLs, beside those of the owner. Owners of buckets are those
// of the objects here.
var canned = map[string][]grant{
	"private":                   nil,
	"public-read":               {{"Group", groups + "global/AllUsers", "READ"}},
	"public-read-write":         {{"Group", groups + "global/AllUsers", "READ"}, {"Group", groups + "global/AllUsers", "WRITE"}},
	"authenticated-read":        {{"Group", groups + "global/AuthenticatedUsers", "READ"}},
	"aws-exec-read":             nil,
	"bucket-owner-read":         nil,
	"bucket-owner-full-control": nil,
	"log-delivery-write":        {{"Group", groups + "s3/LogDelivery", "WRITE"}, {"Group", groups + "s3/LogDelivery", "READ_ACP"}},
}

var permissions = map[string]string{
	"X-Amz-Grant-Read": "READ", "X-Amz-Grant-Read-Acp": "READ_ACP", "X-Amz-Grant-Write": "WRITE",
	"X-Amz-Grant-Write-Acp": "WRITE_ACP", "X-Amz-Grant-Full-Control": "FULL_CONTROL",
}

// checkACL looks for headers about access that mean nothing.
func checkACL(h http.Header) error {
	if _, err := parseGrants(h); err != nil {
		return err
	}
	acl := h.Get("X-Amz-Acl")
	if _, known := canned[acl]; acl != "" && !known {
		return invalidArgument("")
	}
	if acl != "" && len(h) > 1 {
		return invalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
	}
	return nil
}

// parseGrants reads the headers that grant something: lists such as `id="…", uri="…"`.
func parseGrants(h http.Header) ([]grant, error) {
	var grants []grant
	for _, name := range slices.Sorted(maps.Keys(permissions)) {
		header := h.Get(name)
		if header == "" {
			continue
		}
		for one := range strings.SplitSeq(header, ",") {
			kind, who, _ := strings.Cut(strings.TrimSpace(one), "=")
			kind, known := map[string]string{"id": "CanonicalUser", "uri": "Group", "emailAddress": "AmazonCustomerByEmail"}[kind]
			if !known {
				return nil, invalidArgument("Argument format not recognized")
			}
			grants = append(grants, grant{kind, strings.Trim(who, `"`), permissions[name]})
		}
	}
	return grants, nil
}

// getACL answers with who may use an object. The owner may do everything, unless there are
// grants.
func (c *call) getACL() error {
	o, err := c.server.get(c.Bucket, c.Key)
	if err != nil {
		return err
	}
	given, _ := parseGrants(o.ACL) // was read when it came
	if len(given) == 0 {
		given = append([]grant{{"CanonicalUser", owner, "FULL_CONTROL"}}, canned[o.ACL.Get("X-Amz-Acl")]...)
	}
	d := newDocument("AccessControlPolicy")
	d.owner("Owner")
	d.begin("AccessControlList")
	for _, g := range given {
		d.begin("Grant")
		d.WriteString(`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="` + g.kind + `">`)
		d.text(map[string]string{"CanonicalUser": "ID", "Group": "URI", "AmazonCustomerByEmail": "EmailAddress"}[g.kind], g.who)
		d.end("Grantee")
		d.text("Permission", g.permission)
		d.end("Grant")
	}
	d.end("AccessControlList")
	d.end("AccessControlPolicy")
	return c.answer(d)
}

// putACL sets who may use an object, by headers. A policy in the body is not understood.
func (c *call) putACL() error {
	acl := pick(c.r.Header, grants)
	if len(acl) == 0 {
		return notImplemented
	}
	if err := checkACL(acl); err != nil {
		return err
	}
	if _, _, err := c.body(); err != nil {
		return err
	}
	if err := c.change(func(o *Object) { o.ACL = acl }); err != nil {
		return err
	}
	return c.send(http.StatusOK, nil)
}
