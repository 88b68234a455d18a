package output

import (
	"math"
	"testing"
	"time"
)

const mib = 1 << 20

// A course moves a simulated run on.
type course struct {
	rate
	now time.Time
	c   counts
}

// newCourse is a run that has some files of 1 MiB to move.
func newCourse(files int64) *course {
	k := &course{now: start, c: counts{files: files, bytes: files * mib, complete: true}}
	k.update(k.now, k.c)
	return k
}

// move lets time pass, in which files are moved evenly.
func (k *course) move(files int64, span, tick time.Duration) {
	n, begun := int64(span/tick), k.c.doneFiles
	for i := range n {
		k.now = k.now.Add(tick)
		k.c.doneFiles = begun + files*(i+1)/n
		k.c.done = k.c.doneFiles * mib
		k.update(k.now, k.c)
	}
}

func near(got, want float64) bool { return math.Abs(got-want) <= 0.02*want }

// A speed that does not change is shown as it is from the first moment on, however often one looks.
func TestSteady(t *testing.T) {
	for _, tick := range []time.Duration{10 * time.Millisecond, 200 * time.Millisecond, time.Second, 3 * time.Second} {
		k := newCourse(1200)
		for range 19 {
			k.move(60, 6*time.Second, tick)
			if !near(k.speed(), 10*mib) {
				t.Fatalf("looked at each %v: %.2f MiB/s after %v", tick, k.speed()/mib, k.now.Sub(start))
			}
			todo := time.Duration(k.c.files-k.c.doneFiles) * time.Second / 10
			if left, ok := k.left(k.c); !ok || !near(left.Seconds(), todo.Seconds()) {
				t.Fatalf("looked at each %v: %v left, %v; want %v", tick, left, ok, todo)
			}
		}
	}
}

// The time left is not told before there is something to tell it from.
func TestFirstSeconds(t *testing.T) {
	k := newCourse(1000)
	if _, ok := k.left(k.c); ok || k.speed() != 0 {
		t.Error("something is known before anything has moved")
	}
	k.move(19, 1900*time.Millisecond, 100*time.Millisecond)
	if _, ok := k.left(k.c); ok || !near(k.speed(), 10*mib) {
		t.Errorf("%.1f MiB/s, and time left is told", k.speed()/mib)
	}
	k.move(1, 100*time.Millisecond, 100*time.Millisecond)
	if left, ok := k.left(k.c); !ok || !near(left.Seconds(), 98) {
		t.Errorf("%v, %v", left, ok)
	}
	k.c.complete = false
	if _, ok := k.left(k.c); ok {
		t.Error("time left is told though nobody knows what is to be done")
	}
}

// In a stall the speed falls and the time left grows, until none is told. Afterwards both find back.
func TestStall(t *testing.T) {
	k := newCourse(1 << 40)
	k.c.files, k.c.bytes = 10000, 10000*mib
	k.move(600, time.Minute, 200*time.Millisecond)
	speed := k.speed()
	before, _ := k.left(k.c)
	for range 20 {
		k.move(0, memory, 200*time.Millisecond)
		if want := speed / math.E; math.Abs(k.speed()-want) > 0.05*want {
			t.Fatalf("%.3f MiB/s after %.3f", k.speed()/mib, speed/mib)
		}
		speed = k.speed()
		if left, ok := k.left(k.c); ok && left <= before {
			t.Fatalf("%v left, after %v", left, before)
		} else if ok {
			before = left
		}
	}
	if left, ok := k.left(k.c); ok {
		t.Errorf("%v left", left)
	}
	k.move(600, time.Minute, 200*time.Millisecond)
	if left, ok := k.left(k.c); !ok || !near(k.speed(), 10*mib) || !near(left.Seconds(), 880) {
		t.Errorf("%.1f MiB/s, %v left", k.speed()/mib, left)
	}
}

// A long scan before the first transfer, and times in which nothing is pending, slow nothing down.
func TestIdle(t *testing.T) {
	k := newCourse(0)
	k.move(0, 10*time.Minute, time.Second)
	k.c.files, k.c.bytes = 100, 100*mib
	k.update(k.now, k.c)
	k.move(100, 10*time.Second, time.Second)
	if !near(k.speed(), 10*mib) {
		t.Errorf("%.1f MiB/s after the scan", k.speed()/mib)
	}
	k.move(0, time.Hour, time.Second)
	k.c.files, k.c.bytes = 200, 200*mib
	k.update(k.now, k.c)
	k.move(50, 5*time.Second, time.Second)
	if left, ok := k.left(k.c); !ok || !near(k.speed(), 10*mib) || !near(left.Seconds(), 5) {
		t.Errorf("%.1f MiB/s, %v left", k.speed()/mib, left)
	}
}

// A meter that begins anew does not make a speed of its own.
func TestAnew(t *testing.T) {
	k := newCourse(1000)
	k.move(100, 10*time.Second, time.Second)
	k.now = k.now.Add(time.Second)
	k.c.doneFiles, k.c.done = 0, 0
	k.update(k.now, k.c)
	k.update(k.now, k.c) // and no time at all is no division by it
	k.move(100, 10*time.Second, time.Second)
	if left, ok := k.left(k.c); !ok || !near(k.speed(), 10*mib) || !near(left.Seconds(), 90) {
		t.Errorf("%.1f MiB/s, %v left", k.speed()/mib, left)
	}
}

// Ten thousand small files before a large one do not make it look like it took forever.
func TestMixed(t *testing.T) {
	k := &course{now: start, c: counts{files: 10001, bytes: 10000*1024 + 1024*mib, complete: true}}
	k.update(k.now, k.c)
	for range 50 { // 200 files a second
		k.now = k.now.Add(time.Second)
		k.c.doneFiles += 200
		k.c.done += 200 * 1024
		k.update(k.now, k.c)
	}
	if left, ok := k.left(k.c); !ok || left > 2*time.Minute {
		t.Errorf("%v left; by bytes alone it is more than an hour", left)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00", 400 * time.Millisecond: "0:00", 7 * time.Second: "0:07", 59*time.Minute + 59*time.Second: "59:59",
		time.Hour - time.Millisecond: "1:00:00", 3723 * time.Second: "1:02:03", 51 * time.Hour: "2d 3h",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
