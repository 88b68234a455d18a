package hashing

import (
	"fmt"
	"testing"
	"time"
)

func TestFingerprint(t *testing.T) {
	st := stat{kind: regular, perm: 0o644, size: 1, mtime: 2, ctime: 3, btime: 4, dev: 5, ino: 6}
	changes := map[string]func(*stat){
		"size":  func(s *stat) { s.size++ },
		"mtime": func(s *stat) { s.mtime++ },
		"ctime": func(s *stat) { s.ctime++ },
		"btime": func(s *stat) { s.btime++ },
		"ino":   func(s *stat) { s.ino++ },
		"dev":   func(s *stat) { s.dev++ }, // changes with a reboot: the file system's key does not
	}
	for _, c := range []struct {
		nature nature
		shows  map[string]bool
	}{
		{local, map[string]bool{"size": true, "mtime": true, "ctime": true, "btime": true, "ino": true}},
		{network, map[string]bool{"size": true, "mtime": true, "ctime": true, "btime": true, "ino": true}},
		{memory, map[string]bool{"size": true, "mtime": true, "ctime": true, "btime": true, "ino": true}},
		{weak, map[string]bool{"size": true, "mtime": true}},
	} {
		fs := newFileSystem(c.nature, 1, 2, time.Minute, Options{})
		for what, change := range changes {
			changed := st
			change(&changed)
			if got := fs.fingerprint(&st) != fs.fingerprint(&changed); got != c.shows[what] {
				t.Errorf("%v: a change of %s shows: %v", c.nature, what, got)
			}
		}
		for what, other := range map[string]*fileSystem{
			"type": newFileSystem(c.nature, 2, 2, time.Minute, Options{}),
			"id":   newFileSystem(c.nature, 1, 3, time.Minute, Options{}),
		} {
			if fs.fingerprint(&st) == other.fingerprint(&st) {
				t.Errorf("%v: another %s of the file system does not show", c.nature, what)
			}
		}
	}
}

func TestSettled(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	const young = 2 * time.Minute
	for _, c := range []struct {
		nature  nature
		options Options
		age     time.Duration // of the last change
		mtime   time.Duration // age of the modification time
		want    bool
	}{
		{local, Options{}, young + 1, 0, true},
		{local, Options{}, young, 0, false},
		{local, Options{}, 0, time.Hour, false},                // a modification time set back does not help
		{local, Options{}, -time.Hour, time.Hour, false},       // the clock was set back
		{local, Options{}, time.Hour, -time.Hour, true},        // a modification time in the future does not harm
		{network, Options{}, young + time.Minute, 0, false},    // attributes may still be old ones
		{network, Options{}, young + 2*time.Minute, 0, true},   //
		{memory, Options{}, time.Hour, time.Hour, false},       // never
		{memory, Options{TrustStat: true}, time.Hour, 0, true}, // unless the user knows better
		{weak, Options{}, 0, young + 1, true},                  // the change time means nothing
		{weak, Options{}, time.Hour, young, false},
	} {
		fs := newFileSystem(c.nature, 1, 2, young, c.options)
		st := stat{ctime: now.Add(-c.age).UnixNano(), mtime: now.Add(-c.mtime).UnixNano()}
		if got := fs.settled(fs.fingerprint(&st), now); got != c.want {
			t.Errorf("%v, changed %v ago, modified %v ago: settled %v", c.nature, c.age, c.mtime, got)
		}
	}
}

func TestSteady(t *testing.T) {
	st := stat{kind: regular, size: 10, mtime: 1, ctime: 1, ino: 1}
	grown, touched := st, st
	grown.size, touched.ctime = 11, 2
	for _, c := range []struct {
		before, after stat
		read          int64
		want          bool
	}{
		{st, st, 10, true},
		{st, st, 9, false},
		{st, grown, 10, false},
		{st, grown, 11, false},
		{grown, st, 10, false},
		{st, touched, 10, false},
	} {
		if got := steady(c.before, c.after, c.read); got != c.want {
			t.Errorf("%+v, then %+v, %d bytes read: steady %v", c.before, c.after, c.read, got)
		}
	}
}

func TestSettleAge(t *testing.T) {
	for _, c := range [][3]time.Duration{
		{0, 0, 2 * time.Minute},
		{30 * time.Second, 5 * time.Second, 2 * time.Minute},
		{60 * time.Second, 20 * time.Second, 4 * time.Minute},
	} {
		if got := settleAge(c[0], c[1]); got != c[2] {
			t.Errorf("written back after %v, every %v: %v, want %v", c[0], c[1], got, c[2])
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		nature nature
		o      Options
		want   float64
	}{
		{local, Options{}, 0},
		{local, Options{RehashShare: 0.5}, 0.5},
		{local, Options{RehashShare: 0.5, Rehash: true}, 1},
		{weak, Options{}, weakShare},
		{weak, Options{RehashShare: 0.5}, 0.5},
	} {
		if got := newFileSystem(c.nature, 0, 0, 0, c.o).share; got != c.want {
			t.Errorf("%v, %+v: %v, want %v", c.nature, c.o, got, c.want)
		}
	}
}

func TestDrawn(t *testing.T) {
	for _, share := range []float64{0, 0.01, 0.5, 1} {
		for _, seed := range []uint64{0, 1, 2, 1 << 40, ^uint64(0)} {
			const all = 20_000
			n := 0
			for i := range all {
				if Drawn(fmt.Sprintf("dir/file-%d", i), seed, share) {
					n++
				}
			}
			if got := float64(n) / all; got < share*0.6 || got > share*1.5 {
				t.Errorf("share %v, seed %d: %v drawn", share, seed, got)
			}
		}
	}
}
