package bucket

import (
	"context"
	"io"
	"net/http"
	"sync"
)

type tellKey struct{}

// Telling returns a context for one request with which the bytes of an object tell that they move,
// while they do: moved is called with how many. What is sent once more is taken back before. A body
// that is sent in one go does not tell of itself, nor one that comes in one.
func Telling(ctx context.Context, moved func(bytes int64)) context.Context {
	return context.WithValue(ctx, tellKey{}, moved)
}

// tell has the body of a request tell of itself. It returns what takes back what was told, for a
// try that failed.
func (w *wire) tell(r *http.Request, t *try) (retract func()) {
	moved, ok := r.Context().Value(tellKey{}).(func(int64))
	if !ok || r.Body == nil || r.ContentLength <= atOnce || t.op != putObject && t.op != uploadPart {
		return func() {}
	}
	body := &telling{ReadCloser: r.Body, moved: moved}
	r.Body = body
	return body.retract
}

// tellAnswer has the body of an answer tell of itself.
func (w *wire) tellAnswer(ctx context.Context, resp *http.Response, t *try) {
	small := 0 <= resp.ContentLength && resp.ContentLength <= atOnce
	if moved, ok := ctx.Value(tellKey{}).(func(int64)); ok && !small && t.op == getObject && resp.StatusCode < 300 {
		resp.Body = &telling{ReadCloser: resp.Body, moved: moved}
	}
}

// A telling is a body that tells how much of it has been read. The transport may go on reading when
// the answer is there already.
type telling struct {
	io.ReadCloser
	moved func(int64)

	mu    sync.Mutex
	told  int64
	ended bool
}

// Read reads and tells.
func (b *telling) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > 0 && !b.ended {
		b.told += int64(n)
		b.moved(int64(n))
	}
	return n, err
}

func (b *telling) retract() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.moved(-b.told)
}
