package main

import "testing"

func TestParseLocation(t *testing.T) {
	const point, outpost = "arn:aws:s3:us-west-2:123456789012:accesspoint", "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1"
	for path, want := range map[string]location{
		"s3://bucket":                            {"bucket", ""},
		"s3://bucket/":                           {"bucket", ""},
		"s3://bucket/a":                          {"bucket", "a/"},
		"s3://bucket/a//":                        {"bucket", "a//"},
		"s3://" + point + "/ep":                  {point + "/ep", ""},
		"s3://" + point + ":ep/a/b":              {point + ":ep", "a/b/"},
		"s3://" + point + "/ep/":                 {point + "/ep", ""},
		"s3://" + outpost + "/accesspoint/ep/a/": {outpost + "/accesspoint/ep", "a/"},
		"s3://arn:aws:s3::123456789012:accesspoint/x.mrap/k": {"arn:aws:s3::123456789012:accesspoint/x.mrap", "k/"},
	} {
		got, err := parseLocation(path)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", path, got, err, want)
		}
	}
	for _, path := range []string{
		"s3://", "s3:///k", "s3://x--usw2-az1--x-s3", "s3://b/.merkur/x", "s3://arn:aws:s3:::bucket", "s3://arn:nonsense",
		"s3://" + outpost + "/bucket/b", "s3://arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/x",
	} {
		if l, err := parseLocation(path); err == nil {
			t.Errorf("%s is taken for %+v", path, l)
		}
	}
}
