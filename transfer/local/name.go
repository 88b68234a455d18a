package local

import (
	"path"
	"strings"

	"merkur/hashing"
	"merkur/manifest"
)

// Plain reports whether a key is the path of the file that it is downloaded to.
func Plain(key string) bool { return path.Clean("/"+key) == "/"+key && key != "" }

// Place returns the path of the file that a key is downloaded to, and whether there is one: not
// if it leads out of the tree, or to the tree itself, or is a name that the program keeps for itself.
func Place(key string) (name string, ok bool) {
	name = path.Clean("./" + strings.TrimLeft(key, "/"))
	switch {
	case leadsOut(key), name == ".", name == "..", strings.HasPrefix(name, "../"), strings.Contains(name, "\x00"):
		return "", false
	case manifest.IsReserved(name), hashing.IsDraft(name):
		return "", false
	}
	return name, true
}

// leadsOut reports whether there is a point on the way along the key that lies outside of the
// tree, as in "a/../../b/c", wherever it ends.
func leadsOut(key string) bool {
	depth := 0
	for name := range strings.SplitSeq(key, "/") {
		switch name {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}
