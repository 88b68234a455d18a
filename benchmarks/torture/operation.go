package main

import (
	"net/http"
	"strings"

	"merkur/store/bucket/buckettest/faults"
)

// operation says what a request is for.
func operation(r faults.Request) string {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
	what := "object"
	if rest, own := strings.CutPrefix(key, prefix+".merkur/"); own {
		what = strings.TrimRight(strings.SplitAfter(rest, "/")[0], "/")
		if what == "p" {
			what = "pack"
		}
	}
	verb := r.Method
	switch {
	case strings.Contains(r.Query, "partNumber="):
		verb = "part"
	case r.Method == http.MethodPost && strings.Contains(r.Query, "uploads"):
		verb = "begin parts"
	case r.Method == http.MethodPost:
		verb = "complete parts"
	case r.Method == http.MethodDelete && strings.Contains(r.Query, "uploadId="):
		verb = "abort parts"
	}
	if r.Copies {
		verb += " copy"
	}
	return verb + " of " + what
}
