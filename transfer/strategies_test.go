package transfer

import (
	"strings"
	"testing"

	"merkur/transfer/filter"
	"merkur/transfer/headers"
)

// rules reads a file of rules.
func rules(t *testing.T, text string) *headers.Rules {
	t.Helper()
	r, err := headers.ParseRules(strings.NewReader(text), "rules", func(pattern string) func(string) bool { return filter.Match(pattern).MatchString })
	if err != nil {
		t.Fatal(err)
	}
	return r
}
