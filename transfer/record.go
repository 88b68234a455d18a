package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/errgroup"

	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/history"
)

// A shelf is where the records of runs stand: beside the copies of what they replaced, or, where the
// bucket itself keeps versions, beside the manifest.
type shelf struct {
	side Side
	kept string // history.Versions or history.Backup
}

// runs is the beginning of all names of runs.
func (s shelf) runs() string {
	if s.kept == history.Backup {
		return s.side.Prefix
	}
	return s.side.Prefix + manifest.Reserved + "runs/"
}

// records is the beginning of the names of a run's records.
func (s shelf) records(run string) string {
	if s.kept == history.Backup {
		return s.runs() + run + "/" + manifest.Reserved
	}
	return s.runs() + run + "/"
}

// A ledger is what a run tells of itself. Its zero value is that of a run that has changed nothing.
type ledger struct {
	shelf  shelf
	name   string // of the run; empty until there is a record
	number int    // of the last record
	done   []history.Outcome
	steps  map[string]history.Deed // of the last record
	told   history.Counts          // of all records
}

// shelf is where this run is recorded. It reports false where nothing is kept of what it replaces,
// so that a record would be of no use.
func (r *run) shelf() (shelf, bool) {
	switch {
	case r.ledger.name != "":
		return r.ledger.shelf, true
	case r.o.DryRun || r.way == compare.Down:
		return shelf{}, false
	case r.o.Backup != nil:
		return shelf{*r.o.Backup, history.Backup}, true
	case r.catalog != nil && r.catalog.Versioned():
		return shelf{r.o.To, history.Versions}, true
	}
	return shelf{}, false
}

// begin gives the run a name, when it is about to change something for the first time.
func (l *ledger) begin(s shelf) {
	if l.name != "" {
		return
	}
	var random [4]byte
	rand.Read(random[:])
	l.shelf, l.name = s, history.NewName(time.Now(), random)
}

// record tells what is about to be done, in key order, and how what was told before has ended. When it
// returns, that can be read by whoever wants to undo it.
func (r *run) record(ctx context.Context, actions []Action) error {
	s, ok := r.shelf()
	if !ok || len(actions) == 0 {
		return nil
	}
	r.ledger.begin(s)
	steps, err := r.steps(ctx, actions)
	if err != nil {
		return fmt.Errorf("record what is about to be done: %w", err)
	}
	return r.writeRecord(ctx, steps, false)
}

// transferRecorded carries out actions, which are in key order, after a record of them has been stored
// where there is a place for it. It returns, in key order, the changes that were made, also beside an error.
func (r *run) transferRecorded(ctx context.Context, actions []Action) ([]manifest.Change, error) {
	if err := r.inform(ctx, actions); err != nil {
		return nil, err
	}
	actions, proved, err := r.proveFirst(ctx, actions)
	if err != nil {
		return proved, err
	}
	if err := r.record(ctx, actions); err != nil {
		return proved, err
	}
	changes, err := r.transfer(ctx, actions)
	changes = append(changes, proved...)
	slices.SortFunc(changes, func(a, b manifest.Change) int { return strings.Compare(a.Key, b.Key) })
	return changes, err
}

// proveFirst finds out, where the run is recorded, which actions are needed at all, so that a record
// tells of no others. It returns those, and the changes to the manifest that come of proofs.
// A server that is gone, or takes the credentials no more, ends the run here as in transfer.
func (r *run) proveFirst(outer context.Context, actions []Action) (needed []Action, proved []manifest.Change, err error) {
	if _, ok := r.shelf(); !ok {
		return actions, nil, nil
	}
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	found := make([]*manifest.Change, len(actions))
	drop := make([]bool, len(actions))
	done := make(chan struct{})
	go func() {
		defer close(done)
		var g errgroup.Group
		g.SetLimit(min(filesAtOnce, r.gate.Most()))
		for i := range actions {
			if actions[i].Verb == Prove && !r.hearsay(actions[i]) && ctx.Err() == nil {
				g.Go(func() error {
					found[i], drop[i] = r.proveOne(ctx, &actions[i], end)
					return nil
				})
			}
		}
		g.Wait()
	}()
	if err := r.renewUntil(ctx, done, r.intent.of(catalog.Edit{})); err != nil {
		return nil, nil, err
	}
	for i, a := range actions {
		if found[i] != nil {
			proved = append(proved, *found[i])
		}
		if !drop[i] {
			needed = append(needed, a)
		}
	}
	return needed, proved, context.Cause(ctx)
}

// proveOne makes a transfer of an action, or reports that there is nothing to be transferred. One whose
// proof fails stays, to fail again where failures are told.
func (r *run) proveOne(ctx context.Context, a *Action, end context.CancelCauseFunc) (c *manifest.Change, drop bool) {
	e, equal, err := r.prove(ctx, *a)
	if err != nil {
		if ctx.Err() == nil && hopeless(err) != nil {
			end(hopeless(err))
		}
		return nil, false
	}
	if !equal && r.o.NoOverwrite {
		r.o.Meter.end(*a)
		return r.learnt(*a, *a.Old), true // it is taken over as it is
	}
	if !equal {
		a.Verb = transfers[r.way]
		if drop = !r.permitted(*a); drop {
			r.o.Meter.end(*a)
		}
		return nil, drop
	}
	r.sent.proved.Add(1)
	r.o.Meter.end(*a)
	return r.learnt(*a, e), true
}

// recordEnd tells how what was told last has ended.
func (r *run) recordEnd(ctx context.Context, whole bool) error {
	l := &r.ledger
	if l.name == "" || l.number == 0 {
		return nil
	}
	err := r.writeRecord(ctx, nil, whole)
	if l.told != (history.Counts{}) {
		r.sum.Run = l.name
	}
	return err
}

func (r *run) writeRecord(ctx context.Context, steps []history.Step, end bool) error {
	l := &r.ledger
	rec := history.Record{Run: l.name, Number: l.number + 1, Of: r.o.To.String(), Undoes: r.undoes(), Kept: l.shelf.kept, Done: l.done, Steps: steps}
	body, err := rec.Append(nil)
	if err != nil {
		return err
	}
	label := history.Label{Number: rec.Number, Counts: l.counts(), End: end}
	key := l.shelf.records(l.name) + label.String()
	for range maxLooks { // a record says the same however often it is stored
		if err = r.storeRecord(ctx, key, body); !isUncertain(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("store the record of the run %s: %w", key, err)
	}
	l.number, l.done = rec.Number, nil
	l.told.Add(label.Counts)
	l.steps = map[string]history.Deed{}
	for i := range steps {
		l.steps[steps[i].Key] = steps[i].Deed
	}
	return nil
}

// storeRecord stores a record with a checksum, if the server takes one: nobody looks at a record before it
// is needed.
func (r *run) storeRecord(ctx context.Context, key string, body []byte) error {
	store := r.ledger.shelf.side.Store
	o := bucket.PutOptions{Terms: r.ownTerms(), Headers: bucket.Headers{ContentType: "application/gzip"}}
	o.CRC64, o.HasCRC64 = crc64nvme.Checksum(body), true
	_, err := store.Put(ctx, key, bytes.NewReader(body), int64(len(body)), o)
	if l, ok := store.(bucket.Lenient); ok && errors.Is(err, bucket.ErrUnsupported) {
		l.SendNoChecksums()
		_, err = store.Put(ctx, key, bytes.NewReader(body), int64(len(body)), o)
	}
	return err
}

// counts are those of the outcomes that are to be told.
func (l *ledger) counts() (c history.Counts) {
	for _, o := range l.done {
		switch deed := l.steps[o.Key]; {
		case o.Doubt:
		case deed == history.Create:
			c.Created++
		case deed == history.Delete:
			c.Deleted++
		default:
			c.Replaced++
		}
	}
	return c
}

// note keeps an outcome for the next record.
func (l *ledger) note(o *history.Outcome) {
	if o != nil && l.name != "" {
		l.done = append(l.done, *o)
	}
}

// leave keeps for the next record that nobody knows what becomes of deletes that were told of, and to which the run
// has not come.
func (l *ledger) leave(doomed []manifest.Entry) {
	known := map[string]bool{}
	for _, o := range l.done {
		known[o.Key] = true
	}
	for i := range doomed {
		key := doomed[i].Key
		if _, told := l.steps[key]; told && !known[key] {
			l.note(&history.Outcome{Key: key, Doubt: true})
		}
	}
}

// steps are the actions as a record tells them.
func (r *run) steps(ctx context.Context, actions []Action) ([]history.Step, error) {
	steps := make([]history.Step, len(actions))
	for i, a := range actions {
		s := history.Step{Key: a.Key, Deed: history.Replace}
		switch {
		case a.Old == nil:
			s.Deed = history.Create
		case a.Verb == Delete:
			s.Deed = history.Delete
		case a.Verb == Describe:
			s.Deed = history.Headers
		}
		if a.Old != nil {
			old := *a.Old
			s.Old, s.Stray = &old, a.Stray
		}
		if a.Verb != Delete && a.Verb != Describe {
			s.Want = &manifest.Entry{Key: a.Key, Size: a.From.Size}
			if !a.From.Unproven {
				s.Want.Digest = a.From.Digest
			}
		}
		steps[i] = s
	}
	return steps, r.findVersions(ctx, steps)
}

// inform tells actions what the manifest knows of objects that were found by a listing, which tells less.
func (r *run) inform(ctx context.Context, actions []Action) error {
	if r.catalog == nil || r.o.Compare == compare.Content {
		return nil
	}
	at := map[string]int{}
	var keys []string
	for i, a := range actions {
		if a.Old != nil {
			keys, at[a.Key] = append(keys, a.Key), i
		}
	}
	for e, err := range r.catalog.Tree(ctx).Find(keys) {
		if err != nil {
			return err
		}
		if a := &actions[at[e.Key]]; sameETag(a.Old, &e) {
			a.Old = &e
		}
	}
	return nil
}

// findVersions asks for the versions of what was found by a listing, which does not tell them. What
// is gone or is another object has none; then the action will not be carried out either.
func (r *run) findVersions(ctx context.Context, steps []history.Step) error {
	if r.ledger.shelf.kept != history.Versions {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(filesAtOnce, r.gate.Most()))
	for i := range steps {
		old := steps[i].Old
		if old == nil || old.Evidence.Version != "" {
			continue
		}
		g.Go(func() error {
			obj, err := r.store.Head(ctx, r.o.To.Prefix+old.Key, bucket.HeadOptions{Customer: r.o.To.Customer})
			if err == nil && obj.ETag == old.Evidence.ETag {
				old.Evidence.Version = obj.Version
			}
			if err != nil && !isMissing(err) {
				return fmt.Errorf("see which version of %s there is: %w", old.Key, err)
			}
			return nil
		})
	}
	return g.Wait()
}
