package catalog

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"merkur/store/bucket"
	"merkur/store/bucket/buckettest"
	"merkur/store/bucket/buckettest/flat"
)

// raced opens a catalog over a store and lets its probe run without a memory, n times. It returns
// how often the server was found to be atomic.
func raced(t *testing.T, s bucket.Store, n int) (atomic int) {
	t.Helper()
	for range n {
		w := newWriter(s)
		p, err := w.open(t).Probe(context.Background())
		if err != nil || !p.PutConditions {
			t.Fatalf("%+v, %v", p, err)
		}
		if p.Atomic {
			atomic++
		}
	}
	return atomic
}

func TestRace(t *testing.T) {
	const n = 20
	for _, racy := range []bool{false, true} {
		s := flat.New("raced")
		s.Racy = racy
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		far, err := bucket.Open(t.Context(), bucket.Config{Endpoint: s.URL, AccessKey: "key", SecretKey: "secret", Sleep: buckettest.NoSleep}, "raced")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(far.Close)
		for name, store := range map[string]bucket.Store{"memory": &buckettest.Memory{Racy: racy}, "flat": far} {
			got := raced(t, store, n)
			if t.Logf("%s, racy %v: found to be atomic %d times of %d", name, racy, got, n); racy && got > 1 || !racy && got < n {
				t.Error("a race was not found, or one was found where there is none")
			}
		}
	}
}

func TestRaceOnRealServer(t *testing.T) {
	store := buckettest.Start(t).Open(t, "raced")
	begun := time.Now()
	const n = 20
	got := raced(t, store, n)
	t.Logf("found to be atomic %d times of %d, in %s each", got, n, time.Since(begun)/n)
	if got != n {
		t.Errorf("a server that stores under a lock was found to be racy %d times of %d", n-got, n)
	}
}

// A round in which an answer was lost tells nothing, and another is run.
func TestRaceWithFaults(t *testing.T) {
	for _, outcome := range []buckettest.Outcome{buckettest.Stored, buckettest.NotStored, buckettest.Throttled} {
		for nth := 4; nth < 4+racers*raceRounds; nth++ { // the first three puts are the rest of the probe
			t.Run(fmt.Sprint(outcome, nth), func(t *testing.T) {
				var mu sync.Mutex
				puts := 0
				store := &buckettest.Memory{Fault: func(op buckettest.Op, _ string) buckettest.Outcome {
					mu.Lock()
					defer mu.Unlock()
					if op == buckettest.Put {
						puts++
					}
					if op == buckettest.Put && puts == nth {
						return outcome
					}
					return buckettest.OK
				}}
				if raced(t, store, 1) != 1 {
					t.Error("not found to be atomic")
				}
			})
		}
	}
	lost := &buckettest.Memory{}
	lost.Fault = func(op buckettest.Op, _ string) buckettest.Outcome {
		if op == buckettest.Put && lost.Count(buckettest.Put) >= 3 {
			return buckettest.NotStored
		}
		return buckettest.OK
	}
	w := newWriter(lost)
	if p, err := w.open(t).Probe(context.Background()); err != nil || p.Atomic {
		t.Errorf("without an answer: %+v, %v", p, err)
	}
	if _, ok := w.open(t).recallPowers(); ok {
		t.Error("a probe that was disturbed is remembered")
	}
}
