package transfer

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"

	"merkur/store/bucket"
)

// Leftovers are uploads in parts that an earlier run of this writer did not come to end. This run
// goes on with those whose objects it stores, if they were begun in the same way, and removes
// the others.
type leftovers struct {
	mu    sync.Mutex
	byKey map[string][]bucket.Pending
}

func (l *leftovers) keep(list []bucket.Pending) {
	l.byKey = map[string][]bucket.Pending{}
	for _, p := range list {
		l.byKey[p.Key] = append(l.byKey[p.Key], p)
	}
}

// take returns the last upload of a key, and forgets it.
func (l *leftovers) take(key string) (p bucket.Pending, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.byKey[key]
	if len(list) == 0 {
		return p, false
	}
	l.byKey[key] = list[:len(list)-1]
	return list[len(list)-1], true
}

// upload begins an upload in parts, or goes on with one.
func (r *run) upload(ctx context.Context, key string, o bucket.PutOptions) (bucket.Upload, error) {
	resumer, ok := r.store.(bucket.Resumer)
	for ok {
		p, found := r.left.take(key)
		if !found {
			break
		}
		if up, err := resumer.Resume(ctx, p, o); err == nil {
			return up, nil
		}
		r.discard(ctx, resumer, p)
	}
	return r.store.(bucket.Uploader).Upload(ctx, key, o)
}

// stored reports whether an earlier run has stored a part already. With a key, its checksum does not
// count, since anybody can make bytes that have it.
func (r *run) stored(up bucket.Upload, a Action, n int, body io.ReadSeeker, size int64, crc uint64) (bool, error) {
	resumed, ok := up.(bucket.Resumed)
	if !ok {
		return false, nil
	}
	there, err := resumed.Has(n, body, size, crc, r.o.Key != nil)
	if there {
		r.o.Meter.DoneBytes.Add(size)
		if a.moved != nil {
			a.moved.Add(size)
		}
	}
	return there, err
}

// discardLeft removes the uploads that this run had no use for.
func (r *run) discardLeft(ctx context.Context) {
	resumer, ok := r.o.To.Store.(bucket.Resumer)
	if !ok {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(r.left.byKey)) {
		for p, found := r.left.take(key); found; p, found = r.left.take(key) {
			r.discard(ctx, resumer, p)
		}
	}
}

// discard removes an upload. One that cannot be removed costs room, and nothing else. It stays in the
// journal for the next run, unless that is never to be allowed either.
func (r *run) discard(ctx context.Context, resumer bucket.Resumer, p bucket.Pending) {
	err := resumer.Discard(ctx, p)
	if err == nil {
		return
	}
	r.note("what an earlier run has stored of %s in parts could not be removed: %v", p.Key, err)
	if why := hopeless(err); why == nil && denied(err) {
		r.o.Uploads.Ended(p)
	}
}
