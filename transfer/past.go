package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"merkur/store/bucket"
	"merkur/transfer/history"
)

// A Past is a run of which there is a record.
type Past struct {
	Name   string
	Time   time.Time
	Undoes string // the run that it put back; empty: none
	history.Counts
	Ended bool // it came to its end

	shelf  shelf
	of     string // the mirror
	labels []history.Label
}

// Source is the side from which what the run replaced can be taken: the copies that it kept, or the
// mirror itself, whose bucket keeps versions.
func (p *Past) Source() Side {
	s := p.shelf.side
	if p.shelf.kept == history.Backup {
		s.Prefix += p.Name + "/"
	}
	return s
}

// ErrNoRecord says that nothing is known of a run.
var ErrNoRecord = errors.New("there is no record of such a run")

// shelves are where records of a mirror's runs may stand.
func shelves(mirror Side, backup *Side) []shelf {
	all := []shelf{{mirror, history.Versions}}
	if backup != nil {
		all = append(all, shelf{*backup, history.Backup})
	}
	return all
}

// Runs returns the runs of a mirror that changed something and of which there are records, oldest
// first.
func Runs(ctx context.Context, mirror Side, backup *Side) ([]*Past, error) {
	var all []*Past
	for _, s := range shelves(mirror, backup) {
		runs, err := s.all(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, runs...)
	}
	all = slices.DeleteFunc(all, func(p *Past) bool { return p.of != mirror.String() || p.Ended && p.Counts == history.Counts{} })
	slices.SortFunc(all, func(a, b *Past) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// FindRun returns a run of a mirror by its name.
func FindRun(ctx context.Context, mirror Side, backup *Side, name string) (*Past, error) {
	if _, err := history.ParseName(name); err != nil {
		return nil, err
	}
	for _, s := range slices.Backward(shelves(mirror, backup)) {
		p, err := s.find(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case p == nil:
		case p.of != mirror.String():
			return nil, fmt.Errorf("run %s was one of %s", name, p.of)
		default:
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: %s at %s", ErrNoRecord, name, mirror)
}

// all finds the runs on a shelf. Where records stand beside copies, which may be many, the listing
// jumps from run to run.
func (s shelf) all(ctx context.Context) ([]*Past, error) {
	var names []string
	for start, more := "", true; more; {
		more = false
		for obj, err := range s.side.Store.List(ctx, s.runs(), start) {
			if err != nil {
				return nil, fmt.Errorf("list the records of runs at %s: %w", s.side, err)
			}
			name, _, _ := strings.Cut(strings.TrimPrefix(obj.Key, s.runs()), "/")
			if len(names) > 0 && names[len(names)-1] == name {
				if s.kept == history.Versions {
					continue // its records are few
				}
				start, more = s.runs()+name+"0", true // "0" comes after "/", and after all below it
				break
			}
			if _, err := history.ParseName(name); err == nil {
				names = append(names, name)
			}
		}
	}
	found := make([]*Past, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce / 4)
	for i, name := range names {
		g.Go(func() (err error) {
			found[i], err = s.find(ctx, name)
			if errors.Is(err, history.ErrCorrupt) || errors.Is(err, history.ErrVersion) {
				err = nil // it cannot be undone
			}
			return err
		})
	}
	err := g.Wait()
	return slices.DeleteFunc(found, func(p *Past) bool { return p == nil }), err
}

// find looks for the records of a run; nil if there are none.
func (s shelf) find(ctx context.Context, name string) (*Past, error) {
	p := &Past{Name: name, shelf: s}
	p.Time, _ = history.ParseName(name) // which has been looked at
	for obj, err := range s.side.Store.List(ctx, s.records(name), "") {
		if err != nil {
			return nil, fmt.Errorf("list the records of run %s: %w", name, err)
		}
		l, err := history.ParseLabel(strings.TrimPrefix(obj.Key, s.records(name)))
		if err != nil {
			continue
		}
		if l.Number != len(p.labels)+1 {
			return nil, fmt.Errorf("run %s: %w: record %d is missing", name, history.ErrCorrupt, len(p.labels)+1)
		}
		p.labels = append(p.labels, l)
		p.Add(l.Counts)
		p.Ended = l.End
	}
	if len(p.labels) == 0 {
		return nil, nil
	}
	err := p.read(ctx, 0, func(body io.Reader) error {
		head, err := history.ReadHead(body)
		if err == nil {
			p.Undoes, p.of = head.Undoes, head.Of
		}
		return err
	})
	return p, err
}

// open reads the record of an index.
func (p *Past) open(ctx context.Context, i int) (rec *history.Record, err error) {
	err = p.read(ctx, i, func(body io.Reader) error {
		if rec, err = history.Read(body); err == nil && (rec.Run != p.Name || rec.Number != i+1 || rec.Kept != p.shelf.kept) {
			err = fmt.Errorf("%w: it is not the one that its name says", history.ErrCorrupt)
		}
		return err
	})
	return rec, err
}

// read gives the bytes of the record of an index to take.
func (p *Past) read(ctx context.Context, i int, take func(io.Reader) error) error {
	key := p.shelf.records(p.Name) + p.labels[i].String()
	body, _, err := p.shelf.side.Store.Get(ctx, key, bucket.GetOptions{})
	if err == nil {
		err = errors.Join(take(body), body.Close())
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}
