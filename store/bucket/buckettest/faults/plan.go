package faults

import (
	"math/rand/v2"
	"regexp"
	"sync"
)

// A Plan decides what happens to a request. It is asked about one at a time.
type Plan func(Request) Fault

// A Rule is a fault for some of the requests that match.
type Rule struct {
	Method string // a regular expression; empty: any
	Path   string // likewise, for the path with the query behind it
	Skip   int    // so many that match pass before
	Times  int    // then so many suffer; 0: all
	Fault  Fault
}

// Rules returns a plan of which the first rule that has a fault for a request counts. It panics
// if an expression is wrong.
func Rules(rules ...Rule) Plan {
	type state struct {
		Rule
		method, path *regexp.Regexp
		seen         int
	}
	states := make([]*state, len(rules))
	for i, r := range rules {
		states[i] = &state{Rule: r, method: regexp.MustCompile(r.Method), path: regexp.MustCompile(r.Path)}
	}
	return func(r Request) Fault {
		for _, s := range states {
			if !s.method.MatchString(r.Method) || !s.path.MatchString(r.Path+"?"+r.Query) {
				continue
			}
			s.seen++
			if s.seen > s.Skip && (s.Times == 0 || s.seen <= s.Skip+s.Times) {
				return s.Fault
			}
		}
		return Fault{}
	}
}

// Random returns a plan in which a share of the requests suffers one of the kinds that apply.
func Random(seed uint64, rate float64, kinds ...Kind) Plan {
	rng := rand.New(rand.NewPCG(seed, 1))
	return func(r Request) Fault {
		if rng.Float64() >= rate {
			return Fault{}
		}
		for _, i := range rng.Perm(len(kinds)) {
			if kinds[i].Applies(r) {
				return Fault{Kind: kinds[i], At: rng.Uint64()}
			}
		}
		return Fault{}
	}
}

// From returns a plan that lets n requests that count pass, and has all after them, whether they
// count or not, suffer a fault.
func From(n int, counts func(Request) bool, f Fault) Plan {
	seen := 0
	return func(r Request) Fault {
		if seen >= n {
			return f
		}
		if counts(r) {
			seen++
		}
		return Fault{}
	}
}

// Nth returns a plan in which the nth request that counts, from 1, suffers a fault, and a
// function that reports how many of them there were.
func Nth(n int, counts func(Request) bool, f Fault) (Plan, func() int) {
	var mu sync.Mutex
	seen := 0
	plan := func(r Request) Fault {
		mu.Lock()
		defer mu.Unlock()
		if !counts(r) {
			return Fault{}
		}
		if seen++; seen == n {
			return f
		}
		return Fault{}
	}
	return plan, func() int {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// First returns a plan of which the first one that has a fault for a request counts.
func First(plans ...Plan) Plan {
	return func(r Request) (f Fault) {
		for _, p := range plans {
			if g := p(r); f.Kind == "" || f.Kind == Pass {
				f = g
			}
		}
		return f
	}
}
