package transfer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/bucket/buckettest/flat"
	"merkur/transfer/pace"
)

// A tally never counts more than there is, and in the end what is known then.
func TestTally(t *testing.T) {
	m := &Meter{}
	m.DoneBytes.Store(1000)
	c := tally{meter: m, most: 100}
	for i, step := range []struct{ moved, want int64 }{{40, 40}, {70, 100}, {-110, 0}, {30, 30}} {
		c.moved(step.moved)
		if got := m.DoneBytes.Load() - 1000; got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
	c.end(100)
	c.moved(20) // from a connection that is slower than its answer
	if got := m.DoneBytes.Load(); got != 1100 {
		t.Errorf("%d in the end", got)
	}
}

// The meter counts the bytes of an upload while they move, not when they have arrived.
func TestMeterMoves(t *testing.T) {
	const size = 1 << 20
	server, meter, looks := flat.New("b"), &Meter{}, 0
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && !strings.Contains(r.URL.Path, manifest.Reserved) {
			looks++
			begin, err := io.ReadAll(io.LimitReader(r.Body, size/2))
			if n := meter.DoneBytes.Load(); err != nil || n < size/2 || n > size {
				t.Errorf("%d bytes are sent, and the meter is at %d: %v", len(begin), n, err)
			}
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(begin)), r.Body))
		}
		server.ServeHTTP(w, r)
	}))
	defer front.Close()
	store, err := bucket.Open(t.Context(), bucket.Config{Endpoint: front.URL, AccessKey: "key", SecretKey: "secret"}, "b")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m := newMachine(t, nil)
	m.write(map[string]string{"file": strings.Repeat("x", size)})
	o := Options{From: Side{Dir: m.dir}, To: Side{Store: store, Bucket: "b"}, Gate: pace.Fixed(1), Meter: meter,
		Scan: hashing.Options{TrustStat: true}, Report: func(Event) {}}
	if _, err := Sync(t.Context(), o); err != nil || looks != 1 {
		t.Fatalf("looked %d times: %v", looks, err)
	}
	if meter.DoneBytes.Load() != size || meter.DoneFiles.Load() != 1 {
		t.Errorf("in the end %d bytes, %d files", meter.DoneBytes.Load(), meter.DoneFiles.Load())
	}
}
