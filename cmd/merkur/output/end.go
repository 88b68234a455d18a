package output

import (
	"os"
	"path/filepath"
	"strings"
)

// An End is the source or the destination of a run.
type End struct {
	local bool
	root  string // absolute directory, or s3://bucket/prefix
	shown string // as lines show it
}

// Local is the end in a local directory.
func Local(dir string) End {
	e := End{local: true, root: dir, shown: dir}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return e
	}
	e.root, e.shown = abs, abs
	cwd, err := os.Getwd()
	if err != nil {
		return e
	}
	// On Windows, there is no way from one drive to another.
	if rel, err := filepath.Rel(cwd, abs); err == nil {
		e.shown = rel
	}
	return e
}

// Remote is the end in a bucket, under a prefix that is empty or ends in "/".
func Remote(bucket, prefix string) End {
	root := "s3://" + bucket + "/" + prefix
	return End{root: root, shown: root}
}

// Name is what is under a key as aws shows it: an s3:// URL, or a path relative to the working
// directory. One in the working directory itself has "./" before it.
func (e End) Name(key string) string {
	if !e.local {
		return e.shown + key
	}
	name := e.join(e.shown, key)
	if !strings.ContainsRune(name, filepath.Separator) {
		name = "." + string(filepath.Separator) + name
	}
	return name
}

// URL is what is under a key wherever one stands: an s3:// URL, or an absolute path.
func (e End) URL(key string) string {
	if !e.local {
		return e.root + key
	}
	return e.join(e.root, key)
}

// join is the path of a key below a directory. A "/" at the end of the key stays.
func (e End) join(dir, key string) string {
	path := filepath.Join(dir, filepath.FromSlash(key))
	if strings.HasSuffix(key, "/") {
		path += string(filepath.Separator)
	}
	return path
}
