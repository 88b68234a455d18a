//go:build !linux || portable

package local

import "time"

// open opens a directory of the tree.
func (t *Tree) open(dir string) (folder, error) {
	root, err := t.root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return rooted{root}, nil
}

// Whole does nothing: a file without a name is not to be had.
func (t *Tree) Whole(string, []byte, time.Time) (done bool, err error) { return false, nil }
