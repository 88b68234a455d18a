package output

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"merkur/manifest"
	"merkur/transfer"
)

// A result is all that is known when a run has ended.
type result struct {
	transfer.Summary
	requests map[string]int64
	err      error // that ended it
	took     time.Duration
}

// did reports whether anything was done, or tried.
func (r result) did() bool {
	return r.Transferred+r.Proved+r.Described+r.Deleted+r.Failed > 0
}

// summary is the closing line: what was looked at, what was done, what it cost.
func (o *Options) summary(r result) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if o.From.local || o.To.local {
		add("%d files, %s", r.Scan.Files, Size(r.Scan.Bytes))
		young := ""
		if n := r.Scan.UnsettledFiles; n > 0 {
			young = fmt.Sprintf(" (%d too young to be remembered)", n)
		}
		add("hashed %d, %s%s", r.Scan.HashedFiles, Size(r.Scan.HashedBytes), young)
	}
	if r.Listed > 0 {
		add("listed %d", r.Listed)
	}
	parts = append(parts, o.done(r)...)
	if r.err != nil {
		add("not finished")
	}
	if n := r.Problems; n > 0 {
		add("left out %d", n)
	}
	if n := r.Warnings; n > 0 {
		add("other warnings %d", n)
	}
	parts = append(parts, spent(r.requests))
	add("%.2f s", r.took.Seconds())
	if r.Root.Digest != (manifest.Digest{}) {
		add("root %.16s", r.Root.Digest)
	}
	if r.Run != "" {
		add("run %s", r.Run)
	}
	return strings.Join(parts, "; ")
}

// done are the parts of the closing line that tell what was done.
func (o *Options) done(r result) (parts []string) {
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if o.DryRun {
		add("dry run")
	} else {
		moved := map[string]string{"upload": "sent", "download": "received", "copy": "copied"}[o.direction()]
		add("%s %d, %s", moved, r.Transferred, Size(r.Bytes))
		if r.Proved > 0 {
			add("proved equal %d", r.Proved)
		}
		if r.Described > 0 {
			add("new headers %d", r.Described)
		}
		add("deleted %d", r.Deleted)
	}
	if r.Failed > 0 {
		add("failed %d", r.Failed)
	}
	if r.Audited > 0 {
		add("audited %d", r.Audited)
	}
	if n := r.Drift; n.Total() > 0 {
		add("drift %d (foreign-new %d, foreign-changed %d, missing %d)", n.Total(), n.New, n.Changed, n.Missing)
	}
	return parts
}

// spent tells of the requests: "3 requests (1 GetObject, 2 PutObject)".
func spent(requests map[string]int64) string {
	total := int64(0)
	var kinds []string
	for kind, n := range requests {
		total += n
		kinds = append(kinds, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(kinds)
	noun := "requests"
	if total == 1 {
		noun = "request"
	}
	return fmt.Sprintf("%d %s (%s)", total, noun, strings.Join(kinds, ", "))
}
