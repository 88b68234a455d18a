// Package merkur holds no code, only the tests of the house as a whole.
package merkur

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Arrows point one way. A package may import those of the packages in its row, and no other of
// ours; a package that stands in no row has no place in the house.
var arrows = map[string][]string{
	"manifest":                       {},
	"hashing":                        {"manifest"},
	"store/bucket":                   {"manifest"},
	"store/bucket/buckettest":        {"store/bucket"},
	"store/bucket/buckettest/flat":   {},
	"store/cache":                    {"manifest"},
	"store/catalog":                  {"manifest", "store/bucket"},
	"store/listing":                  {"store/bucket"},
	"inspect":                        {"manifest", "hashing", "store/bucket", "store/listing"},
	"lab":                            {"manifest", "hashing", "inspect", "store/bucket", "store/catalog", "store/listing", "lab/edits", "lab/report"},
	"lab/edits":                      {},
	"lab/report":                     {},
	"transfer":                       {"manifest", "hashing", "store/bucket", "store/cache", "store/catalog", "store/listing", "transfer/compare", "transfer/drift", "transfer/filter", "transfer/headers", "transfer/history", "transfer/local", "transfer/pace"},
	"transfer/compare":               {},
	"transfer/drift":                 {},
	"transfer/filter":                {},
	"transfer/headers":               {},
	"transfer/history":               {"manifest"},
	"transfer/local":                 {"manifest", "hashing"},
	"transfer/pace":                  {},
	"cmd/merkur":                     {"manifest", "hashing", "inspect", "lab", "lab/edits", "lab/report", "store/bucket", "store/cache", "store/catalog", "transfer", "transfer/compare", "transfer/drift", "transfer/filter", "transfer/headers", "transfer/history", "transfer/pace", "cmd/merkur/output", "cmd/merkur/settings"},
	"cmd/merkur/output":              {"manifest", "hashing", "transfer", "transfer/drift"},
	"cmd/merkur/settings":            {},
	"benchmarks/compare":             {"store/bucket", "store/bucket/buckettest", "benchmarks/figures"},
	"benchmarks/figures":             {},
	"benchmarks/demo":                {"store/bucket", "store/bucket/buckettest"},
	"benchmarks/memory":              {"store/bucket", "store/bucket/buckettest"},
	"benchmarks/scale":               {"manifest", "store/bucket", "store/catalog"},
	"store/bucket/buckettest/faults": {},
	"benchmarks/torture":             {"store/bucket/buckettest", "store/bucket/buckettest/faults", "benchmarks/torture/audit"},
	"benchmarks/torture/audit":       {},
}

// The AWS SDK is known in one place. The auditor reads manifests by itself.
var only = map[string][]string{
	"github.com/aws/":               {"store/bucket"},
	"github.com/dgraph-io/badger":   {"store/cache"},
	"github.com/urfave/cli":         {"cmd/merkur"},
	"github.com/klauspost/compress": {"manifest", "benchmarks/torture/audit"},
	"lukechampine.com/blake3":       {"hashing"},
}

func TestArrows(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "tools" || d.Name() == "testdata" || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		seen++
		dir := path.Dir(filepath.ToSlash(file))
		allowed, known := arrows[dir]
		if !known {
			t.Errorf("%s: package %s has no place in the house", file, dir)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if ours, ok := strings.CutPrefix(imported, "merkur/"); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s", file, ours)
			}
			for prefix, places := range only {
				here := func(place string) bool { return strings.HasPrefix(dir, place) }
				if strings.HasPrefix(imported, prefix) && !slices.ContainsFunc(places, here) {
					t.Errorf("%s imports %s, which only %s may", file, imported, places)
				}
			}
		}
		return nil
	})
	if err != nil || seen < 30 {
		t.Fatalf("%d files seen, %v", seen, err)
	}
}

// The documents name tests that hold what they say; each of them has to be there.
func TestDocumentsNameTests(t *testing.T) {
	var tests strings.Builder
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(file, "_test.go") {
			var b []byte
			b, err = os.ReadFile(file)
			tests.Write(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, document := range []string{"README.md", "DESIGN.md", "SECURITY.md"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile("`(Test[A-Z][A-Za-z]*)`").FindAllStringSubmatch(string(text), -1) {
			if named++; !strings.Contains(tests.String(), "func "+name[1]+"(t *testing.T)") {
				t.Errorf("%s names %s, which is no test", document, name[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d tests are named", named)
	}
}
