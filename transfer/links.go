package transfer

import (
	"context"
	"path/filepath"
	"sync"
)

// Where a symbolic link of the destination leads to another directory of the same tree, a file has two
// names. The source may know it by one of them only. Then it is not deleted by the other one: that
// would delete in each run what the next one downloads again.

// links collects the keys of directories that links stand for. They end in "/".
type links struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (l *links) add(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil {
		l.keys = map[string]bool{}
	}
	l.keys[key] = true
}

// byTarget returns them by the keys of the directories that they lead to, of those in the tree.
func (l *links) byTarget(dir string) map[string][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	targets := map[string][]string{}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return targets
	}
	for key := range l.keys {
		to, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(key)))
		if err != nil {
			continue
		}
		if to, err = filepath.Rel(root, to); err == nil && filepath.IsLocal(to) {
			to = filepath.ToSlash(to) + "/"
			targets[to] = append(targets[to], key)
		}
	}
	return targets
}

// throughLink reports whether a download goes through a link that the scan has not followed. What is
// there already has not been seen then, and has to be looked at in its place.
func (r *run) throughLink(a *Action) bool {
	if r.o.Scan.Follow || a.Old != nil {
		return false
	}
	link := r.tree.Link(a.Key)
	if link != "" {
		r.links.add(link + "/")
		a.Unseen = true
	}
	return link != ""
}

// keepLinked takes out of the deletes the files that the source has under another name.
func (r *run) keepLinked(ctx context.Context) error {
	targets := r.links.byTarget(r.dir())
	if len(targets) == 0 || r.doomed.n == 0 {
		return nil
	}
	var failed error
	err := r.doomed.drop(func(leaf []Action) []bool {
		kept := make([]bool, len(leaf))
		for i := range leaf {
			if failed == nil {
				kept[i], failed = r.wanted(ctx, otherNames(leaf[i].Key, targets))
			}
		}
		return kept
	})
	if err == nil {
		err = failed
	}
	return err
}

// otherNames returns the names that a file has behind links.
func otherNames(key string, targets map[string][]string) (names []string) {
	for i := range len(key) {
		if key[i] == '/' {
			for _, link := range targets[key[:i+1]] {
				names = append(names, link+key[i+1:])
			}
		}
	}
	return names
}

// wanted reports whether the source has a file for one of the names.
func (r *run) wanted(ctx context.Context, names []string) (bool, error) {
	for _, name := range names {
		if r.policy.unknown.covers(name) {
			return true, nil
		}
		if has, err := r.sourceHas(ctx, name); has || err != nil {
			return has, err
		}
	}
	return false, nil
}
