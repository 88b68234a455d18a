package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"merkur/lab/report"
)

// A contender is a strategy in a state that is measured.
type contender struct {
	strategy, state string
	spec            Spec
	needs           report.Needs

	samples []sample
	last    report.Errors
	failed  string
}

// A sample is one measurement.
type sample struct {
	wall, cpu float64
	end       End
	carried   report.Requests
}

// primed is the directory of the cache that a contender begins with; empty: with none.
func (b *bench) primed(c *contender) string {
	if c.state == report.Cold || c.state == report.First {
		return ""
	}
	where := "own"
	if c.spec.Dir != "" {
		where = "copy"
	}
	return b.file(filepath.Join("primed", c.strategy+"-"+where))
}

// prime has a contender run once without being measured, so that its cache is as a run leaves it.
func (b *bench) prime(ctx context.Context, c *contender) error {
	s := c.spec
	if s.Cache = b.primed(c); s.Cache == "" {
		return nil
	}
	_, err := b.process(ctx, s, func(string, int64) {})
	return err
}

// measure runs a contender once more.
func (b *bench) measure(ctx context.Context, c *contender) error {
	s := c.spec
	s.Cache = b.file("cache")
	if err := os.RemoveAll(s.Cache); err != nil {
		return err
	}
	if from := b.primed(c); from != "" {
		if err := os.CopyFS(s.Cache, os.DirFS(from)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("copy a cache: %w", err)
		}
	}
	var carried report.Requests
	judge := report.NewJudge(c.needs)
	got, err := b.process(ctx, s, func(key string, size int64) {
		judge.Take(key, size)
		carried = carried.Plus(report.Carrying(b.direction, size))
	})
	if err != nil {
		return err
	}
	got.carried = carried
	if c.spec.Dir == "" {
		b.young = max(b.young, got.end.Unsettled)
	}
	if got.end.Error != "" {
		c.failed = got.end.Error
		return nil
	}
	c.samples, c.last = append(c.samples, got), judge.End()
	c.last.Failed = got.end.Failed
	return nil
}

// process runs one process to its end.
func (b *bench) process(ctx context.Context, s Spec, take func(key string, size int64)) (sample, error) {
	s.Temp, s.Leave = b.file("temp"), b.o.Leave
	if err := os.MkdirAll(s.Temp, 0o700); err != nil {
		return sample{}, err
	}
	cmd := b.o.Process(ctx, s)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.Cancel = func() error { return errors.Join(cmd.Process.Signal(os.Interrupt)) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, fmt.Errorf("start a process to measure: %w", err)
	}
	end, perr := readPlan(out, take)
	werr := cmd.Wait()
	took := time.Since(began)
	switch {
	case ctx.Err() != nil:
		return sample{}, ctx.Err()
	case perr != nil:
		text := strings.TrimSpace(said.String())
		if text == "" {
			text = errors.Join(perr, werr).Error()
		}
		return sample{}, fmt.Errorf("measure %s: %s", s.Strategy, text)
	}
	b.ask(end.Requests)
	p := cmd.ProcessState
	return sample{wall: took.Seconds(), cpu: (p.UserTime() + p.SystemTime()).Seconds(), end: end}, nil
}

// outcome is what the samples of a contender come to.
func (b *bench) outcome(c *contender) report.Outcome {
	o := report.Outcome{Strategy: c.strategy, State: c.state, Error: c.failed, Errors: c.last}
	if len(c.samples) == 0 || c.failed != "" {
		return report.Outcome{Strategy: c.strategy, State: c.state, Error: c.failed}
	}
	of := func(value func(sample) float64) (list []float64) {
		for _, s := range c.samples {
			list = append(list, value(s))
		}
		return list
	}
	walls := of(func(s sample) float64 { return s.wall })
	o.Wall, o.WallMin, o.WallMax = report.Median(walls), walls[0], walls[0]
	for _, w := range walls {
		o.WallMin, o.WallMax = min(o.WallMin, w), max(o.WallMax, w)
	}
	o.CPU = report.Median(of(func(s sample) float64 { return s.cpu }))
	o.Memory = int64(report.Median(of(func(s sample) float64 { return float64(s.end.Memory) })))
	o.Read = int64(report.Median(of(func(s sample) float64 { return float64(s.end.Read) })))
	last := c.samples[len(c.samples)-1]
	o.Requests = report.Counted(last.end.Requests).Plus(last.carried)
	o.Requests.Get += last.end.Drawn
	if b.keeps(c) {
		o.Requests = o.Requests.Plus(report.Committing(o.Transfers))
	}
	out := int64(0)
	if b.direction == "download" {
		out = o.Bytes
	}
	o.Price = b.o.Prices.Of(o.Requests, out)
	return o
}
