package inspect

import (
	"iter"
	"strings"

	"merkur/manifest"
)

// A Name is what stands in a directory: a file, or a directory if it ends in "/".
type Name struct {
	Name  string
	Entry *manifest.Entry // of a file
}

// skipAfter is how many entries of a directory are stepped over before the tree is asked for what comes
// behind all of them: that descends from the top anew.
const skipAfter = 2000

// Names yields what stands in a directory of a tree, "" being the top, in key order. The pages that lie
// within a directory below it are not fetched.
func Names(t manifest.Tree, dir string) iter.Seq2[Name, error] {
	return func(yield func(Name, error) bool) {
		from := dir
		for more := true; more; {
			from, more = names(t, dir, from, yield)
		}
	}
}

// names yields the names from a key on. It returns the key to go on from if there is more.
func names(t manifest.Tree, dir, from string, yield func(Name, error) bool) (next string, more bool) {
	inside, stepped := "", 0
	for e, err := range t.Entries(from) {
		if err != nil {
			yield(Name{}, err)
			return "", false
		}
		name, below := strings.CutPrefix(e.Key, dir)
		if !below {
			return "", false
		}
		if name == "" {
			continue // the marker of the directory itself
		}
		sub, _, deeper := strings.Cut(name, "/")
		if !deeper {
			if !yield(Name{name, &e}, nil) {
				return "", false
			}
			continue
		}
		if sub += "/"; sub == inside {
			if stepped++; stepped >= skipAfter {
				return behind(dir + sub), true
			}
			continue
		}
		inside, stepped = sub, 0
		if !yield(Name{Name: sub}, nil) {
			return "", false
		}
	}
	return "", false
}

// behind is the least key that comes after all keys of a directory, whose own ends in "/".
func behind(dir string) string { return dir[:len(dir)-1] + "0" }
