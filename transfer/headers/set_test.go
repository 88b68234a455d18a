package headers

import (
	"maps"
	"reflect"
	"testing"
)

var everything = Set{
	ContentType: "text/css", ContentEncoding: "gzip", ContentLanguage: "de", ContentDisposition: `attachment; filename="é"`,
	CacheControl: "max-age=3600", Expires: "Tue, 01 Jan 2030 00:00:00 GMT", WebsiteRedirect: "/new",
	Metadata: map[string]string{"team": "web", "a": "1", "a-b": "2"},
}

// The golden tags were made by another program, in another language.
func TestTag(t *testing.T) {
	for want, s := range map[uint64]Set{
		0:                  {Metadata: map[string]string{}},
		0x7273a03569ccb3a6: {ContentType: "text/html"},
		0xacb7d3ef608631f1: {ContentType: "text/html; charset=utf-8", CacheControl: "no-cache"},
		0x47a01f54c747de0e: {Metadata: map[string]string{"a": ""}},
		0x2d0324bb32915dfc: {Metadata: map[string]string{"a": "b"}},
		0xf7f5fe0176bbd0cc: everything,
	} {
		if got := s.Tag(); got != want {
			t.Errorf("the tag of %+v is %#016x, want %#016x", s, got, want)
		}
	}
}

// A change of any header changes the tag; where one header ends and the next begins is told.
func TestTagTellsApart(t *testing.T) {
	sets := []Set{{}, everything}
	for _, f := range fields {
		var one Set
		*f.in(&one) = "v"
		without := everything
		*f.in(&without) = ""
		sets = append(sets, one, without)
	}
	for _, m := range []map[string]string{
		{"a": "v"}, {"b": "v"}, {"a": "b", "c": "d"}, {"a": "bx-amz-meta-cd"}, {"a": "", "b": ""}, {"a": ""}, {"ab": ""}, {"a": "b"},
	} {
		sets = append(sets, Set{Metadata: m})
	}
	seen := make(map[uint64]Set)
	for _, s := range sets {
		if other, ok := seen[s.Tag()]; ok {
			t.Errorf("%+v and %+v have one tag", s, other)
		}
		seen[s.Tag()] = s
	}
}

// Fields and the struct belong together, and each field is one header.
func TestFieldsAreAll(t *testing.T) {
	var s Set
	for i, f := range fields {
		*f.in(&s) = "v"
		if i > 0 && fields[i-1].name >= f.name {
			t.Errorf("%s is not in order", f.name)
		}
	}
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.String && v.Field(i).String() == "" {
			t.Errorf("no field is for %s", v.Type().Field(i).Name)
		}
	}
	last := ""
	for name := range everything.headers() {
		if name <= last {
			t.Errorf("%s comes after %s", name, last)
		}
		last = name
	}
}

func TestOver(t *testing.T) {
	below := Set{ContentType: "text/plain", CacheControl: "no-cache", Metadata: map[string]string{"a": "1", "b": "2"}}
	above := Set{ContentType: "text/html", ContentLanguage: "de", Metadata: map[string]string{"b": "", "c": "3"}}
	want := Set{
		ContentType: "text/html", CacheControl: "no-cache", ContentLanguage: "de",
		Metadata: map[string]string{"a": "1", "b": "", "c": "3"},
	}
	if got := above.Over(below); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if !maps.Equal(below.Metadata, map[string]string{"a": "1", "b": "2"}) || !maps.Equal(above.Metadata, map[string]string{"b": "", "c": "3"}) {
		t.Error("a map of a set has changed")
	}
	for _, s := range []Set{below, above, everything, {}} {
		for name, got := range map[string]Set{"over none": s.Over(Set{}), "below none": Set{}.Over(s), "over itself": s.Over(s)} {
			if got.Tag() != s.Tag() {
				t.Errorf("%+v %s is %+v", s, name, got)
			}
		}
	}
	if l, r := everything.Over(above).Over(below), everything.Over(above.Over(below)); !reflect.DeepEqual(l, r) {
		t.Errorf("%+v is not %+v", l, r)
	}
}

func TestValid(t *testing.T) {
	for _, s := range []Set{{}, everything, {CacheControl: "a\tb"}, {WebsiteRedirect: "https://example.org/"}, {Metadata: map[string]string{"a_b.c": ""}}} {
		if err := s.Valid(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []Set{
		{CacheControl: "a\nb"}, {ContentType: "a\x00"}, {ContentLanguage: "\x7f"}, {ContentDisposition: "\xff"}, {ContentEncoding: "a\rb"},
		{Expires: "2030-01-01"}, {Expires: "never"}, {WebsiteRedirect: "new.html"}, {WebsiteRedirect: "ftp://example.org/"},
		{Metadata: map[string]string{"": "v"}}, {Metadata: map[string]string{"A": "v"}}, {Metadata: map[string]string{"a b": "v"}},
		{Metadata: map[string]string{"a:": "v"}}, {Metadata: map[string]string{"é": "v"}}, {Metadata: map[string]string{"a": "é"}},
	} {
		if s.Valid() == nil {
			t.Errorf("%+v is valid", s)
		}
	}
}
