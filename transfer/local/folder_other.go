//go:build !linux || portable

package local

// open opens a directory of the tree.
func (t *Tree) open(dir string) (folder, error) {
	root, err := t.root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return rooted{root}, nil
}
