package inspect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"merkur/manifest"
)

// whole checks what only the whole of a manifest shows: its root digest, and its packs.
func (a *audit) whole(ctx context.Context, s *survey) error {
	var found []Finding
	if a.fold != nil {
		root, err := a.fold.Finish()
		if err != nil {
			return err
		}
		if want := a.begun.m.Root.Digest; root.Digest != want {
			found = append(found, Finding{Class: Damaged,
				Detail: fmt.Sprintf("the root is %s, but its entries fold to %s: its pages are not cut by the rule", want, root.Digest)})
		}
	}
	found = append(found, checkPacks(a.begun.m, s, a.ours, a.fold != nil)...)
	strays, err := a.strays(ctx)
	if err != nil {
		return err
	}
	for _, f := range append(found, strays...) {
		if err := a.tellNow(f); err != nil {
			return err
		}
	}
	return nil
}

// checkPacks compares the packs that a manifest names with those that its pages use and with what is
// in the bucket. Their live bytes can be compared only if all index pages could be read.
func checkPacks(m *manifest.Manifest, s *survey, ours map[string]int64, all bool) []Finding {
	var found []Finding
	damaged := func(name manifest.PackName, format string, args ...any) {
		key := packs + packHex(name)
		found = append(found, Finding{Class: Damaged, Key: key, Detail: "pack " + fmt.Sprintf(format, args...)})
	}
	named := map[manifest.PackName]bool{{}: true} // the root object itself
	for _, p := range m.Packs {
		named[p.Name] = true
		switch size, ok := ours[packs+packHex(p.Name)]; {
		case !ok:
			damaged(p.Name, "is missing")
		case size != int64(p.Size):
			damaged(p.Name, "has %d bytes, not %d", size, p.Size)
		case all && s.live[p.Name] != p.Live:
			damaged(p.Name, "has %d bytes in use, not %d as the manifest counts", s.live[p.Name], p.Live)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(s.live), func(a, b manifest.PackName) int { return slices.Compare(a[:], b[:]) }) {
		if !named[name] {
			damaged(name, "is used, but the manifest does not name it")
		}
	}
	return found
}

// strays are the objects below the reserved prefix that nothing needs, by the root as it is now.
func (a *audit) strays(ctx context.Context) ([]Finding, error) {
	found := stray(a.ours, a.c.m)
	if len(found) == 0 {
		return nil, nil
	}
	c, err := readCommitted(ctx, a.Store, a.Prefix, a.Seal, a.c.etag)
	if err != nil || c == nil {
		return found, err
	}
	return stray(a.ours, a.c.m, c.m), nil
}

// stray are those of our objects that none of the manifests needs.
func stray(ours map[string]int64, manifests ...*manifest.Manifest) []Finding {
	needed := map[string]bool{}
	for _, m := range manifests {
		for _, p := range m.Packs {
			needed[packs+packHex(p.Name)] = true
		}
		for _, p := range m.Retired {
			needed[packs+packHex(p.Name)] = true
		}
	}
	var found []Finding
	for _, key := range slices.Sorted(maps.Keys(ours)) {
		switch {
		case strings.HasPrefix(key, packs) && !needed[key]:
			found = append(found, Finding{Class: Garbage, Key: key,
				Detail: fmt.Sprintf("%d bytes; no manifest names this pack: left behind, or about to be named by a run under way", ours[key])})
		case strings.HasPrefix(key, probes):
			found = append(found, Finding{Class: Garbage, Key: key, Detail: "left by a run that tried out the server"})
		}
	}
	return found
}
