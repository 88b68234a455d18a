package local

import (
	"path/filepath"
	"strings"
	"testing"

	"merkur/hashing"
	"merkur/manifest"
)

// Where keys go, and which of them are paths.
var places = []struct {
	key, name string // name is empty where there is no place
	plain     bool
}{
	{"a", "a", true}, {"a/b", "a/b", true}, {".hidden", ".hidden", true}, {"...", "...", true}, {"a../b", "a../b", true},
	{"back\\slash", "back\\slash", true}, {".merkurx/y", ".merkurx/y", true},
	{"/a", "a", false}, {"//a", "a", false}, {"a//b", "a/b", false}, {"./a", "a", false}, {"a/./b", "a/b", false},
	{"a/../b", "b", false}, {"a/.", "a", false}, {"a/", "a", false}, {"/etc/passwd", "etc/passwd", false},
	{"", "", false}, {".", "", false}, {"..", "", false}, {"/", "", false}, {"../a", "", false}, {"a/..", "", false},
	{"/../a", "", false}, {"a/../../b", "", false}, {"a/../../a/b", "", false}, {"./../a", "", false},
	{".merkur/evil", "", true}, {"sub/.merkur/manifest", "", true}, {"x/..//.merkur/y", "", false}, {"nul\x00", "", true},
	{".merkur-draft-0", "", true}, {"a/.merkur-draft-0/.", "", false}, {"a/.merkur-draft-0/b/..", "", false},
	{".merkur-draft-0/b", ".merkur-draft-0/b", true},
}

func TestPlaces(t *testing.T) {
	for _, c := range places {
		name, ok := Place(c.key)
		if name != c.name || ok != (c.name != "") || Plain(c.key) != c.plain {
			t.Errorf("%q goes to %q, %v, and is a path: %v", c.key, name, ok, Plain(c.key))
		}
	}
}

func FuzzPlace(f *testing.F) {
	for _, c := range places {
		f.Add(c.key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, ok := Place(key)
		switch {
		case !ok && name != "":
			t.Errorf("%q has no place, and it is %q", key, name)
		case ok && (name == "." || name != filepath.ToSlash(filepath.Clean(name)) || !filepath.IsLocal(filepath.FromSlash(name))):
			t.Errorf("%q goes to %q", key, name)
		case ok && (manifest.IsReserved(name) || hashing.IsDraft(name) || strings.Contains(name, "\x00")):
			t.Errorf("%q goes to %q, which is no place for it", key, name)
		case ok && Plain(key) && name != key:
			t.Errorf("%q is a path, and goes to %q", key, name)
		case Plain(key) && leadsOut(key):
			t.Errorf("%q is a path, and leads out", key)
		}
	})
}
