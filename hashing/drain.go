package hashing

import "merkur/manifest"

// A drain yields the outcomes in key order. It runs in the goroutine of the consumer.
type drain struct {
	scan   *Scan
	crew   *crew
	worker *worker // for the jobs that nobody else has begun
	yield  func(Item, error) bool
	broken bool // the consumer wants no more
}

// dir yields all that is below a directory. It reports whether the scan goes on.
func (d *drain) dir(in *dir) bool {
	if !d.job(in.first) {
		return false
	}
	if in.problem != nil {
		return in.up == nil || d.problem(in.problem)
	}
	if !in.foreign {
		d.scan.stats.Dirs++
	}
	for _, j := range in.rest {
		if !d.job(j) {
			return false
		}
	}
	return true
}

func (d *drain) job(j *job) bool {
	if !d.crew.await(j, d.worker) {
		return false
	}
	for i := range j.out {
		if !d.outcome(&j.out[i]) {
			return false
		}
		j.out[i] = outcome{} // what was below it may go
	}
	d.crew.recycle(j.out)
	j.out = nil
	return true
}

func (d *drain) outcome(o *outcome) bool {
	switch {
	case o.sub != nil:
		return d.dir(o.sub)
	case o.problem != nil:
		return d.problem(o.problem)
	case o.entry:
		return d.entry(o)
	}
	return true
}

func (d *drain) problem(p *Problem) bool {
	if !p.Twin {
		d.scan.stats.Problems++
	}
	d.broken = !d.yield(Item{Problem: p}, nil)
	return !d.broken
}

func (d *drain) entry(o *outcome) bool {
	d.scan.stats.count(o)
	e := manifest.Entry{Key: o.key, Kind: manifest.File, Size: o.size, Digest: o.digest, Mode: o.perm, MTime: o.mtime}
	d.broken = !d.yield(Item{Entry: e}, nil)
	return !d.broken
}

func (s *Stats) count(o *outcome) {
	s.Files++
	s.Bytes += o.size
	switch o.how {
	case 0:
		s.TrustedFiles++
		return
	case looked:
		return
	}
	s.HashedFiles++
	s.HashedBytes += o.size
	for _, f := range [...]struct {
		flag  effort
		count *int64
	}{{rehashed, &s.RehashedFiles}, {lied, &s.FingerprintLies}, {unsettled, &s.UnsettledFiles}} {
		if o.how&f.flag != 0 {
			*f.count++
		}
	}
}
