package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"merkur/transfer/compare"
	"merkur/transfer/drift"
)

// This file reads the options about drift: how it is looked for, and what becomes of it.

// checkForeign finds options about drift that do not go with the others.
func (q *request) checkForeign() error {
	g := q.given
	for _, name := range []string{"audit", "adopt", "overwrite-foreign", "delete-foreign"} {
		switch {
		case !g.has(name):
		case q.strategy() != compare.Content:
			return fmt.Errorf("--%s goes with --compare content only: the others go by what the bucket holds", name)
		case name != "audit" && !q.to.remote():
			return fmt.Errorf("--%s is for a destination in a bucket", name)
		}
	}
	switch {
	case g.on("delete-foreign") && !g.on("delete"):
		return errors.New("--delete-foreign goes with --delete")
	case g.on("overwrite-foreign") && g.on("no-overwrite"):
		return errors.New("--overwrite-foreign does not go with --no-overwrite")
	}
	return nil
}

// readDrift reads how drift is looked for, and what becomes of it.
func (q *request) readDrift() (err error) {
	g, o := q.given, &q.options
	o.Foreign = drift.Options{Adopt: g.on("adopt"), Overwrite: g.on("overwrite-foreign"), Delete: g.on("delete-foreign")}
	if g.has("audit") {
		if o.Audit, err = parseAudit(g.text("audit")); err != nil {
			return fmt.Errorf("--audit: %w", err)
		}
	}
	share := "25%"
	if g.has("sample-share") {
		share = g.text("sample-share")
	}
	if o.Sample, err = parseShare(share); err != nil {
		return fmt.Errorf("--sample-share: %w", err)
	}
	return nil
}

// isAudit tells a share for --audit from a path that follows it.
func isAudit(s string) bool {
	_, err := parseAudit(s)
	return err == nil
}

// parseAudit reads a share of the keys: all, one of so many, or as other shares.
func parseAudit(s string) (float64, error) {
	if s == "full" {
		return 1, nil
	}
	share, err := parseShare(s)
	if n, ok := strings.CutPrefix(s, "1/"); ok {
		var parts uint64
		if parts, err = strconv.ParseUint(n, 10, 32); parts > 0 {
			share = 1 / float64(parts)
		}
	}
	if err != nil || share == 0 {
		return 0, fmt.Errorf("%q is not a share such as 10%%, 1/30 or full", s)
	}
	return share, nil
}
