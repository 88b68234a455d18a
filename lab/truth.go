package lab

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/zeebo/blake3"
	"golang.org/x/sync/errgroup"

	"merkur/hashing"
	"merkur/inspect"
	"merkur/lab/report"
	"merkur/manifest"
	"merkur/store/bucket"
)

// readsAtOnce is how many objects are read at the same time.
const readsAtOnce = 8

// A truth is what is true of one tree and the bucket.
type truth struct {
	report.Needs
	bytes  int64           // of what is needed
	differ map[string]bool // keys that both sides have, and that are not, or may not be, equal
	alone  int64           // objects of unknown content that only one side has
}

// truth compares both sides by content, with dir in place of the local one. Every file is read.
func (b *bench) truth(ctx context.Context, dir string) (*truth, error) {
	t := &truth{Needs: report.Needs{Needed: map[string]int64{}, Unknown: map[string]bool{}}, differ: map[string]bool{}}
	var unclear []pair
	first, second := b.views(dir)
	for d, err := range inspect.Diff(ctx, first, second, b.o.Select) {
		if err != nil {
			return nil, fmt.Errorf("find out the truth: %w", err)
		}
		p := pair{d.Key, d.B, d.A}
		if b.contents[0] != nil && b.contents[1] == nil {
			p = pair{d.Key, d.A, d.B}
		}
		if p.from == nil || p.to == nil {
			t.loner(p)
			continue
		}
		t.differ[d.Key] = true
		if d.Unclear {
			unclear = append(unclear, p)
		} else {
			t.need(p)
		}
	}
	return t, b.clear(ctx, t, unclear)
}

// views are the sides as inspect compares them: a bucket first, and of two the destination.
func (b *bench) views(dir string) (first, second *inspect.View) {
	from, to := b.contents[0], b.contents[1]
	switch {
	case from != nil && to != nil:
		return to.view(), from.view()
	case to != nil:
		return to.view(), b.local(dir).View()
	}
	return from.view(), b.local(dir).View()
}

// local is the local tree for inspect. Nothing is trusted: every file is read. What is read is
// remembered while that may be of use.
func (b *bench) local(dir string) inspect.Dir {
	o := b.scanOptions()
	if o.Rehash, o.TrustStat, o.Now = true, true, ahead; b.digests != nil {
		o.Cache = b.digests
	}
	return inspect.Dir{Path: dir, Scan: o, Done: func(s hashing.Stats) { b.scanned = s }}
}

func (b *bench) scanOptions() hashing.Options {
	return hashing.Options{Follow: b.o.Follow, Select: b.o.Select, Descend: b.o.Descend, Leave: b.o.Leave}
}

// A pair is a key as both sides have it.
type pair struct {
	key      string
	from, to *manifest.Entry
}

func (t *truth) loner(p pair) {
	if one := p.from; one != nil {
		t.need(p)
		if one.Unproven {
			t.alone++
		}
	} else if p.to.Unproven {
		t.alone++
	}
}

func (t *truth) need(p pair) {
	t.Needed[p.key] = p.from.Size
	t.bytes += p.from.Size
}

// clear reads what cannot be told otherwise, if that is wanted.
func (b *bench) clear(ctx context.Context, t *truth, unclear []pair) error {
	if !b.o.Read {
		for _, p := range unclear {
			t.Unknown[p.key] = true
		}
		return nil
	}
	same := make([]bool, len(unclear))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce)
	for i, p := range unclear {
		g.Go(func() error {
			from, err := b.digest(ctx, 0, p.from)
			if err != nil {
				return err
			}
			to, err := b.digest(ctx, 1, p.to)
			same[i] = from == to
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("find out the truth: %w", err)
	}
	for i, p := range unclear {
		if same[i] {
			delete(t.differ, p.key)
		} else {
			t.need(p)
		}
	}
	return nil
}

// digest is that of an entry of a side. An object whose digest is not known is read, once.
func (b *bench) digest(ctx context.Context, side int, e *manifest.Entry) (manifest.Digest, error) {
	if !e.Unproven {
		return e.Digest, nil
	}
	c := b.contents[side]
	key := c.side.Place + "\x00" + e.Key
	if d, known := b.reads.get(key); known {
		return d, nil
	}
	body, _, err := c.side.Store.Get(ctx, c.side.Prefix+e.Key, bucket.GetOptions{IfMatch: e.Evidence.ETag, Customer: c.side.Customer})
	if err != nil {
		return manifest.Digest{}, fmt.Errorf("read %s%s: %w", c.side.Name, e.Key, err)
	}
	defer body.Close()
	h := blake3.New()
	n, err := io.Copy(h, body)
	if err != nil {
		return manifest.Digest{}, fmt.Errorf("read %s%s: %w", c.side.Name, e.Key, err)
	}
	var d manifest.Digest
	h.Sum(d[:0])
	b.reads.put(key, d, n)
	return d, nil
}

// Reads keep the digests of objects that were read.
type reads struct {
	mu      sync.Mutex
	digests map[string]manifest.Digest
	bytes   int64
}

func (r *reads) get(key string) (d manifest.Digest, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, known = r.digests[key]
	return d, known
}

func (r *reads) put(key string, d manifest.Digest, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.digests[key] = d
	r.bytes += bytes
}

// learn has the bucket's side know what was found to be equal to the local tree, so that it need not be
// found out again in each case. What has been read for that is not read again.
func (b *bench) learn(ctx context.Context, t *truth, dir string) error {
	for i, c := range b.contents {
		if c == nil || c.known == c.objects || b.contents[1-i] != nil {
			continue
		}
		d := b.local(dir)
		d.Scan.Rehash = false
		equal := func(key string) bool { return !t.differ[key] }
		if err := c.learn(ctx, d.View().Entries(ctx), equal, b.file(fmt.Sprintf("learned-%d", i))); err != nil {
			return err
		}
	}
	return nil
}

// old is how far the clock is put ahead where files that were just written are to count as old.
const old = time.Hour

func ahead() time.Time { return time.Now().Add(old) }

// A memoir is a cache of a scan in memory.
type memoir struct {
	mu      sync.Mutex
	records map[string][]byte
}

func (m *memoir) Recall(name []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[string(name)]
}

func (m *memoir) Remember(name, record []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[string(name)] = record
}
