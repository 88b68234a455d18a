package catalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"merkur/store/bucket"
)

// How a race is run.
const (
	raceRounds = 3
	racers     = 4
	raceBody   = 32 << 10
	raceTail   = 1 << 10                // bytes that no racer sends before the others are that far
	raceWait   = 100 * time.Millisecond // for the others, at most
	raceMost   = 250 * time.Millisecond // that bytes are given to reach the server, at most
)

// race finds out whether the server checks the condition of a put and stores the object as one
// step: of several puts that come at once, each on the condition that the object is still the
// one with the ETag, one wins. All hold back the end of their bodies until the others are as
// far, and a while longer, some times what a put took, until the server must have seen that. So
// a server that checks when a request begins has checked all of them before it stores one, and
// one that checks in the end does so for all at the same instant. Rounds in which an answer is
// missing count for nothing; after too many of them it is not sure.
func (c *Catalog) race(ctx context.Context, key, etag string, took time.Duration) (atomic, sure bool) {
	clean, settle := 0, min(5*took, raceMost)
	for n := 0; clean < raceRounds && n < 2*raceRounds; n++ {
		won, lost, next := c.raceOnce(ctx, key, etag, settle)
		switch {
		case won > 1:
			return false, true
		case won == 1 && lost == racers-1:
			clean, etag = clean+1, next
		default:
			obj, err := c.store.Head(ctx, key, bucket.HeadOptions{})
			if err != nil {
				return false, false
			}
			etag = obj.ETag
		}
	}
	return clean == raceRounds, clean == raceRounds
}

// raceOnce makes one round, and returns how many puts were carried out, how many refused, and the
// ETag of one that was carried out.
func (c *Catalog) raceOnce(ctx context.Context, key, etag string, settle time.Duration) (won, lost int, next string) {
	start := &line{racers: racers, settle: settle, open: make(chan struct{})}
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range racers {
		all.Go(func() {
			defer start.leave()
			body := make([]byte, raceBody)
			binary.LittleEndian.PutUint64(body, uint64(i))
			copy(body[8:], etag) // so that no two bodies of a race are alike
			o := bucket.PutOptions{Condition: bucket.Condition{IfMatch: etag}, Terms: c.o.Terms}
			obj, err := c.store.Put(ctx, key, &racer{body: bytes.NewReader(body), line: start}, raceBody, o)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won, next = won+1, obj.ETag
			case errors.Is(err, bucket.ErrChanged):
				lost++
			}
		})
	}
	all.Wait()
	return won, lost, next
}

// A racer is a body that waits for the others before its end is read.
type racer struct {
	body *bytes.Reader
	line *line
	here bool // it has waited since it was last rewound
}

func (r *racer) Read(b []byte) (int, error) {
	before := r.body.Len() - raceTail
	switch {
	case before > 0:
		b = b[:min(len(b), before)]
	case !r.here:
		r.here = true
		r.line.wait()
	}
	return r.body.Read(b)
}

func (r *racer) Seek(offset int64, whence int) (int64, error) {
	r.here = false
	return r.body.Seek(offset, whence)
}

var _ io.ReadSeeker = (*racer)(nil)

// A line is where racers wait for each other. It opens when all that are still in the race have
// come, and for good if one has waited too long.
type line struct {
	mu      sync.Mutex
	racers  int
	waiting int
	settle  time.Duration // from its opening until they go on
	open    chan struct{} // closed when those that wait may go on
}

func (l *line) wait() {
	l.mu.Lock()
	l.waiting++
	open := l.open
	l.pass()
	l.mu.Unlock()
	late := time.NewTimer(raceWait)
	defer late.Stop()
	select {
	case <-open:
		time.Sleep(l.settle)
	case <-late.C:
		l.mu.Lock()
		l.racers = 0
		l.pass()
		l.mu.Unlock()
	}
}

// leave is called by who has finished.
func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.racers--
	l.pass()
}

// pass lets the waiting go on if they are all. The caller holds the lock.
func (l *line) pass() {
	if l.waiting > 0 && l.waiting >= l.racers {
		close(l.open)
		l.open, l.waiting = make(chan struct{}), 0
	}
}
