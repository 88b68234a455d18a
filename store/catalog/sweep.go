package catalog

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"merkur/manifest"
	"merkur/store/bucket"
)

const (
	sweepEvery = 7 * 24 * time.Hour
	// sweepCommits is after how many commits a mirror is swept in any case: a machine that keeps nothing, such
	// as a container, or not for long, does not remember when it last did.
	sweepCommits = 128
	// orphanAge is how old a pack has to be, by the server's clock, before it goes for want of a
	// root that names it: older than any root that is still being put together.
	orphanAge = 24 * time.Hour
)

// Sweep removes packs that no root names: runs that died, and rebuilt manifests, have left them.
// It lists the packs, once a week and once in so many commits at most, and only after a commit of this
// run, and returns how many it removed.
//
// That makes it safe: a root that is based on one before that commit cannot be published any
// more, and one that is based on it, or on a later one, has no pack that is a day older.
func (c *Catalog) Sweep(ctx context.Context) (removed int, err error) {
	if !c.committed || c.o.Rebuild || !c.sweepIsDue() {
		return 0, nil
	}
	root, err := c.store.Head(ctx, c.o.Prefix+rootName, bucket.HeadOptions{})
	if err == nil && root.ETag == c.cur.etag && !root.Modified.IsZero() {
		removed, err = c.removeOrphans(ctx, root.Modified.Add(-orphanAge))
	}
	if err != nil && !denied(err) {
		return removed, fmt.Errorf("remove packs that nobody names: %w", err)
	}
	c.rememberSweep()
	return removed, nil
}

func (c *Catalog) sweepRecord() []byte { return []byte("swept " + c.o.Place) }

// rememberSweep has the machine, if it remembers anything, count from now.
func (c *Catalog) rememberSweep() {
	if c.o.State != nil {
		c.o.State.Remember(c.sweepRecord(), binary.LittleEndian.AppendUint64(nil, uint64(c.o.Now().UnixNano())))
	}
}

// sweepIsDue reports whether the last sweep was long ago, or the commits of this run are among so many
// that one of them is the one for it. A machine that forgets, every few days or at once, sweeps by the latter.
func (c *Catalog) sweepIsDue() bool {
	if c.before/sweepCommits != c.Generation()/sweepCommits {
		return true
	}
	var swept []byte
	if c.o.State != nil {
		swept = c.o.State.Recall(c.sweepRecord())
	}
	if len(swept) != 8 {
		c.rememberSweep()
		return false
	}
	age := c.o.Now().UnixNano() - int64(binary.LittleEndian.Uint64(swept))
	return age < 0 || age > int64(sweepEvery)
}

// removeOrphans removes the packs that the root does not name and that were stored before an
// instant: so many as one commit may remove.
func (c *Catalog) removeOrphans(ctx context.Context, before time.Time) (removed int, err error) {
	named := map[manifest.PackName]bool{}
	for _, p := range c.cur.m.Packs {
		named[p.Name] = true
	}
	for _, p := range c.cur.m.Retired {
		named[p.Name] = true
	}
	seen := 0
	for obj, err := range c.store.List(ctx, c.o.Prefix+packs, "") {
		if err != nil {
			return removed, err
		}
		if seen++; removed == removals || seen > 2*manifest.MaxPacks {
			break
		}
		name, ok := parsePack(strings.TrimPrefix(obj.Key, c.o.Prefix+packs))
		if !ok || named[name] || obj.Modified.IsZero() || !obj.Modified.Before(before) {
			continue
		}
		err = c.store.Delete(ctx, obj.Key, c.heeded(bucket.Condition{IfMatch: obj.ETag}, c.powers.DeleteConditions))
		if err != nil && !errors.Is(err, bucket.ErrChanged) {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// parsePack is the inverse of packKey, but for the directory.
func parsePack(s string) (name manifest.PackName, ok bool) {
	if len(s) != 2*len(name) || strings.ToLower(s) != s {
		return name, false
	}
	_, err := hex.Decode(name[:], []byte(s))
	return name, err == nil
}
