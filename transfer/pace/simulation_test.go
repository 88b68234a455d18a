package pace

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A server is simulated to the millisecond.
type server struct {
	latency   float64 // ms until the first byte, 0.5 to 1.5 of it
	stream    float64 // bytes per ms of one transfer, at most
	link      float64 // bytes per ms of all together
	atOnce    int     // transfers that are not queued; 0: all
	perSecond float64 // requests, before it says SlowDown; 0: any
}

// A load is a run of batches of files. All of a batch must be through before the next begins.
type load struct {
	size  func(*rand.Rand) float64
	batch int
	pause int // ms between batches
}

type transferring struct {
	latency, left, unsaid float64
	refused               bool
}

// A simulation runs a load against a server through a gate, on one goroutine.
type simulation struct {
	server
	load
	rng    *rand.Rand
	sizes  *rand.Rand
	gate   *Gate
	ms     int64
	said   int64 // SlowDown
	tokens float64
	queue  int // of the batch, not begun
	pause  int
	active []*transferring

	files int // done
}

const part = 8 << 20 // Moved is called after so many bytes

func simulate(s server, l load, seed uint64) *simulation {
	return &simulation{server: s, load: l, rng: rand.New(rand.NewPCG(seed, 3)), sizes: rand.New(rand.NewPCG(seed, 4)), queue: l.batch, tokens: s.perSecond / 4}
}

func (s *simulation) now() time.Time {
	return time.Unix(0, 0).Add(time.Duration(s.ms) * time.Millisecond)
}

func (s *simulation) adapt(o Options) *simulation {
	o.Now, o.Throttled = s.now, func() int64 { return s.said }
	s.gate = Adaptive(o)
	return s
}

func (s *simulation) run(seconds int) {
	for end := s.ms + int64(seconds)*1000; s.ms < end; {
		s.step()
	}
}

// finish runs until so many files are through, or that time has come.
func (s *simulation) finish(files int, until int64) {
	for s.files < files && s.ms < until {
		s.step()
	}
}

// step goes on to the next event, or for a millisecond.
func (s *simulation) step() {
	switch {
	case s.queue > 0 || len(s.active) > 0:
	case s.pause == 0:
		s.pause = s.load.pause + 1
	default:
		if s.pause--; s.pause == 0 {
			s.queue = s.batch
		}
	}
	s.fill()
	s.serve()
	s.fill()
}

func (s *simulation) fill() {
	for s.queue > 0 && len(s.active) < s.gate.Limit() {
		if err := s.gate.Enter(context.Background()); err != nil {
			panic(err)
		}
		t := &transferring{left: s.size(s.sizes)}
		s.ask(t)
		s.active = append(s.active, t)
		s.queue--
	}
}

// ask sends the request of a transfer. What is turned away is tried again after a pause.
func (s *simulation) ask(t *transferring) {
	t.latency = s.latency * (0.5 + s.rng.Float64())
	if t.refused = s.perSecond > 0 && s.tokens < 1; t.refused {
		s.said++
		t.latency += 200 + 200*s.rng.Float64()
		return
	}
	if s.perSecond > 0 {
		s.tokens--
	}
}

func (s *simulation) serve() {
	streams, served := 0, s.active
	if s.atOnce > 0 {
		served = served[:min(len(served), s.atOnce)]
	}
	for _, t := range served {
		if t.latency <= 0 {
			streams++
		}
	}
	each := min(s.stream, s.link/float64(max(streams, 1)))
	d := 1000.0
	for _, t := range served {
		if t.latency > 0 {
			d = min(d, t.latency)
		} else {
			d = min(d, t.left/each, (part-t.unsaid)/each)
		}
	}
	if d = max(math.Floor(d), 1); len(served) == 0 {
		d = 1
	}
	s.ms += int64(d)
	s.tokens = min(s.tokens+d*s.perSecond/1000, s.perSecond/4)
	for _, t := range served {
		s.advance(t, d, each*d)
	}
	s.active = slices.DeleteFunc(s.active, func(t *transferring) bool { return t.left <= 0 })
}

// advance serves one transfer for so many milliseconds, or bytes.
func (s *simulation) advance(t *transferring, d, bytes float64) {
	if t.latency > 0 {
		if t.latency -= d; t.latency <= 0 && t.refused {
			s.ask(t)
		}
		return
	}
	t.left, t.unsaid = t.left-bytes, t.unsaid+bytes
	switch {
	case t.left <= 0:
		s.files++
		s.gate.Leave(int64(max(t.unsaid+t.left, 0)))
	case t.unsaid >= part:
		t.unsaid -= part
		s.gate.Moved(part)
	}
}

var (
	region = server{latency: 40, stream: 80e3, link: 3e6}
	home   = server{latency: 60, stream: 5e3, link: 10e3}
	wan    = server{latency: 150, stream: 2e3, link: 100e3}
	disk   = server{latency: 5, stream: 200e3, link: 400e3, atOnce: 6}
	strict = server{latency: 40, stream: 80e3, link: 3e6, perSecond: 1000}
)

func small(r *rand.Rand) float64  { return 20e3 * r.Float64() }
func medium(r *rand.Rand) float64 { return part * r.Float64() }
func large(r *rand.Rand) float64  { return 25 * part * r.Float64() }
func mixed(r *rand.Rand) float64 {
	if r.IntN(50) == 0 {
		return large(r)
	}
	return small(r)
}

// What 16 transfers at once do in a minute, or a few, takes an adaptive gate, its search included, not
// much longer than the fixed gate that is best for that server and those files.
func TestSimulated(t *testing.T) {
	for _, c := range []struct {
		name    string
		server  server
		size    func(*rand.Rand) float64
		seconds int
	}{
		{"region, small", region, small, 60},
		{"region, medium", region, medium, 60},
		{"region, large", region, large, 60},
		{"region, mixed", region, mixed, 60},
		{"home, small", home, small, 60},
		{"home, medium", home, medium, 600},
		{"home, large", home, large, 600},
		{"far, small", wan, small, 100},
		{"far, medium", wan, medium, 240},
		{"far, large", wan, large, 600},
		{"disk, small", disk, small, 20},
		{"disk, medium", disk, medium, 60},
		{"disk, large", disk, large, 60},
		{"strict, small", strict, small, 40},
		{"strict, mixed", strict, mixed, 40},
	} {
		for kind, batch := range map[string]int{"batches": 1000, "one batch": math.MaxInt} {
			t.Run(c.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				l := load{c.size, batch, 100}
				probe := simulate(c.server, l, 1)
				probe.gate = Fixed(16)
				probe.run(c.seconds)
				best, at := probe.ms, 16
				for _, n := range []int{8, 64, 128} {
					s := simulate(c.server, l, 1)
					s.gate = Fixed(n)
					if s.finish(probe.files, best); s.ms < best {
						best, at = s.ms, n
					}
				}
				s := simulate(c.server, l, 1).adapt(Options{})
				s.finish(probe.files, 2*best)
				efficiency := float64(best) / float64(s.ms)
				t.Logf("%.2f of the best, which is %d; limit %d, SlowDown %d times in %d files",
					efficiency, at, s.gate.Limit(), s.said, s.files)
				if efficiency < 0.85 || s.files < probe.files {
					t.Errorf("%d files took %d ms, and %d ms with %d at once", s.files, s.ms, best, at)
				}
			})
		}
	}
}

// A server that slows down in the middle, and one that gets faster: the gate follows.
func TestServerChanges(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after server
		least, most   int // where the limit is to be in the end
	}{
		{"turns strict", region, strict, 20, 110},
		{"is not strict any more", strict, region, 90, 128},
		{"gets slots", disk, region, 90, 128},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := simulate(c.before, load{small, math.MaxInt, 0}, 1).adapt(Options{})
			s.run(15)
			s.server = c.after
			s.run(15)
			before := s.files
			sum := 0
			for range 20 {
				s.run(1)
				sum += s.gate.Limit()
			}
			if mean := sum / 20; mean < c.least || mean > c.most {
				t.Errorf("the limit is %d", mean)
			}
			t.Logf("%d files a second, limit %d", (s.files-before)/20, sum/20)
		})
	}
}

// A gate that is never full stays as it is, whatever the throughput does.
func TestIdlePlacesDoNotRaise(t *testing.T) {
	s := simulate(region, load{small, 12, 0}, 1).adapt(Options{})
	s.run(60)
	if got := s.gate.Limit(); got != 16 || s.files < 1000 {
		t.Errorf("after %d files the limit is %d", s.files, got)
	}
}

// Enough is enough: with a target that 16 at once reach, the limit does not grow.
func TestTarget(t *testing.T) {
	s := simulate(region, load{medium, math.MaxInt, 0}, 1).adapt(Options{Target: 100 << 20})
	for range 60 {
		s.run(1)
		if got := s.gate.Limit(); got > 16 {
			t.Fatalf("after %d ms the limit is %d", s.ms, got)
		}
	}
	s = simulate(region, load{medium, math.MaxInt, 0}, 1).adapt(Options{Target: 1 << 40})
	if s.run(30); s.gate.Limit() < 32 {
		t.Errorf("far from the target the limit is %d", s.gate.Limit())
	}
}
