package bucket

import (
	"context"
	"io"
	"net/http"

	"golang.org/x/time/rate"
)

// NewLimiter returns the limit of a [Config] for a bandwidth. What may go at once beyond it is
// what the bandwidth carries in a fifth of a second: a machine that is busy may come to it no
// sooner, and what was not used by then is lost.
func NewLimiter(bytesPerSecond float64) *rate.Limiter {
	burst := min(max(bytesPerSecond/5, 1), 4<<20)
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst))
}

// limits has the bodies of a try go no faster than the wire may. Those of listings and errors
// are free.
func (w *wire) limits(t *try) bool {
	switch t.op {
	case putObject, uploadPart, getObject:
		return w.limit != nil
	}
	return false
}

// slow puts the limit on the body of a request.
func (w *wire) slow(r *http.Request, t *try) {
	if w.limits(t) && r.Body != nil && r.Body != http.NoBody {
		r.Body = &limited{r.Body, r.Context(), w.limit, t}
	}
}

// slowAnswer puts the limit on the body of an answer.
func (w *wire) slowAnswer(ctx context.Context, resp *http.Response, t *try) {
	if w.limits(t) && resp.Body != http.NoBody {
		resp.Body = &limited{resp.Body, ctx, w.limit, t}
	}
}

// A limited is a body whose bytes go on only when the limit lets them. Meanwhile the connection
// is not taken for a dead one.
type limited struct {
	io.ReadCloser
	ctx   context.Context // of the request
	limit *rate.Limiter
	try   *try
}

// Read reads and then waits for as long as the bytes take.
func (l *limited) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b[:min(len(b), max(l.limit.Burst(), 1))])
	if n == 0 {
		return n, err
	}
	l.try.hold()
	defer l.try.extend()
	if stopped := l.limit.WaitN(l.ctx, n); stopped != nil {
		if l.ctx.Err() == nil {
			stopped = context.DeadlineExceeded // the limiter sees it coming
		}
		return 0, stopped
	}
	return n, err
}
