package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer/compare"
	"merkur/transfer/local"
)

// open makes ready what the run looks at. A manifest at the destination is read, and what runs that
// did not finish have left is settled; in content mode a prefix that has no manifest yet is
// taken over. After it the manifest of the destination is true.
func (r *run) open(ctx context.Context) error {
	r.reset()
	if err := r.openLocal(); err != nil {
		return err
	}
	if err := r.openSource(ctx); err != nil {
		return err
	}
	if r.o.To.local() {
		r.new = true
		return nil
	}
	if err := r.openCatalog(ctx); err != nil || r.catalog == nil {
		return err
	}
	for _, i := range r.catalog.Foreign() {
		r.note("another run is writing here, or died without a trace; what it may be writing is not deleted before %s",
			time.Unix(0, i.Until).Format(time.TimeOnly))
	}
	var err error
	if r.catalog.Exists() {
		if err = r.settle(ctx); err == nil {
			err = r.audit(ctx, &watch{r: r, side: r.o.To, catalog: r.catalog, mends: true, asks: true})
		}
	} else {
		err = r.takeOver(ctx, r.firstClaim(), nil, nil)
	}
	r.atFirst = r.catalog.Root().Top.Files
	if r.unread = r.sendsAll(); r.unread && err == nil {
		err = r.openLocal()
	}
	return err
}

// sendsAll reports whether there is no use in reading files before they are sent: no entry has a digest
// that theirs could be equal to, and nobody keeps theirs for the next run. What is sent is hashed in
// any case.
func (r *run) sendsAll() bool {
	return r.way == compare.Up && r.atFirst == 0 && r.o.Scan.Cache == nil && r.o.Scan.Tell == nil
}

// reset forgets what an earlier attempt of this run found.
func (r *run) reset() {
	r.release()
	r.catalog, r.source, r.scan, r.lead, r.unread = nil, nil, nil, nil, false
	r.intent, r.doubt, r.powers = claim{}, claim{}, nil
	r.policy.unknown, r.policy.open = unknown{}, nil
	r.cases, r.links = cases{}, &links{}
	r.ledger = ledger{} // what an earlier attempt did has a name of its own
	r.seen.from, r.seen.to = 0, 0
	r.sum.Problems, r.sum.Audited = 0, 0
	r.met, r.sample, r.picked, r.expected = nil, nil, false, map[string]manifest.Entry{}
	for _, n := range []*atomic.Int64{&r.sent.failed, &r.sent.left, &r.sent.warned, &r.listedObjects} {
		n.Store(0)
	}
	r.blocked.actions, r.blocked.closed = nil, false
	r.o.Meter.reset()
	for _, s := range []*spool{&r.doomed, &r.strays, &r.late, &r.odd} {
		s.close()
	}
}

// openLocal prepares the scan of the local side, if there is one, and the place where downloads
// go.
func (r *run) openLocal() error {
	if r.way == compare.Across {
		return nil
	}
	o := r.o.Scan
	o.Select, o.Descend = r.o.Filters.Select, r.o.Filters.Descend
	o.MaxKey = manifest.MaxKey - len(r.o.From.Prefix+r.o.To.Prefix)
	o.Stat = r.o.Compare != compare.Content || r.unread
	if r.way == compare.Down {
		o.Linked = r.links.add
	}
	if r.way == compare.Down && !r.o.DryRun {
		o.Draft = func(key string) { r.tree.Sweep(key) }
	}
	r.lead = &lead{}
	o.Ahead = r.lead.tell
	s, err := hashing.New(r.dir(), o)
	if err != nil {
		return err
	}
	r.scan = s
	if r.tree == nil && r.way == compare.Down {
		r.tree, err = local.Open(r.o.To.Dir)
	}
	return err
}

// openSource reads the manifest of a source that is in a bucket. Nothing is ever written there.
// Where there is none, or none that may be read, the source is listed.
func (r *run) openSource(ctx context.Context) error {
	sealed := r.o.Key != nil
	if r.o.From.local() || r.o.Compare != compare.Content || r.o.Rebuild && !sealed {
		return nil
	}
	c, err := r.readSource(ctx)
	if err != nil || c == nil {
		return err
	}
	r.source = c
	if r.way == compare.Down {
		if err := r.audit(ctx, &watch{r: r, side: r.o.From, catalog: c}); err != nil {
			return err
		}
	}
	for _, i := range c.Intents() {
		r.policy.open = hull(r.policy.open, i.Range)
	}
	switch {
	case r.policy.open == nil:
	case r.o.Key == nil:
		r.note("a run is writing to %s, or did not finish; what it may have changed is listed", r.o.From)
	default: // a listing is not sealed
		r.warn(Warning{Text: fmt.Sprintf("Skipping what a run to %s may have stored, since it is not sealed yet: that run goes on, or did not finish.", r.o.From)})
	}
	return nil
}

// openCatalog reads the manifest of the destination. Strategies that list keep a manifest true,
// and make none.
func (r *run) openCatalog(ctx context.Context) error {
	o := catalog.Options{
		Prefix: r.o.To.Prefix, Place: r.o.To.Place, Pages: r.o.Pages, State: r.o.State,
		Seal: r.seal(r.o.To), Mark: r.mark(r.o.ToMark), AcceptRollback: r.o.AcceptRollback,
		Identity: r.o.Identity, Rebuild: r.o.Rebuild, Terms: r.ownTerms(), Customer: r.o.To.Customer,
		Copies: r.way == compare.Across && !r.o.Relay || r.o.Rules != nil,
	}
	lists := r.o.Compare != compare.Content
	if r.o.DryRun && !lists {
		draft, err := catalog.NewDraft(r.o.To.Store)
		if err != nil {
			return err
		}
		r.dropDraft()
		r.store, r.draft, o.State = draft, draft, nil
	}
	c, err := catalog.Open(ctx, r.store, o)
	if lists && denied(err) {
		r.new = true
		return r.surelyNone(ctx, err)
	}
	if err != nil {
		return err
	}
	r.doubtOf(c)
	r.new = r.new || c.New() // and not in a later attempt of this run, for which an earlier one made it
	if r.new && !r.o.DryRun && r.o.First != nil {
		r.o.First()
	}
	if !lists || c.Exists() && !r.o.DryRun {
		r.catalog = c
	}
	return nil
}

// seal is what the manifest of a side is sealed with; nil: nothing.
func (r *run) seal(s Side) *manifest.Seal {
	if r.o.Key == nil {
		return nil
	}
	return &manifest.Seal{Key: *r.o.Key, Place: s.Bucket + "/" + s.Prefix}
}

// mark is what was seen of a manifest. A dry run does not move it.
func (r *run) mark(m *catalog.Mark) *catalog.Mark {
	if r.o.DryRun {
		return m.Frozen()
	}
	return m
}

// doubtOf tells that a manifest cannot be a successor of the one that was seen before.
func (r *run) doubtOf(c *catalog.Catalog) {
	if c.Doubt() != "" {
		r.note("the manifest is not the one seen before, or a later one: %s", c.Doubt())
	}
}

// surelyNone returns err unless a listing shows that there is no manifest, which somebody who
// may list but not read cannot know otherwise.
func (r *run) surelyNone(ctx context.Context, err error) error {
	prefix := r.o.To.Prefix + manifest.Reserved
	for _, lerr := range r.store.List(ctx, prefix, "") {
		return errors.Join(err, lerr)
	}
	return nil
}

// ownTerms are the terms on which the manifest is kept: encrypted as the objects are, and owned
// by whom they are given to. Whom else they are shown to, and in which class they are, is not
// its business, and a key of the customer's would keep everybody else from reading it.
func (r *run) ownTerms() bucket.Terms {
	t := bucket.Terms{Encryption: r.o.Terms.Encryption, KMSKey: r.o.Terms.KMSKey}
	if strings.HasPrefix(r.o.Terms.ACL, "bucket-owner-") {
		t.ACL = r.o.Terms.ACL
	}
	return t
}

// denied reports whether the server does not allow what was asked.
func denied(err error) bool {
	var e *bucket.Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden
}

// settle finishes what runs left that did not come to their end.
func (r *run) settle(ctx context.Context) error {
	for _, left := range r.catalog.Abandoned() {
		r.note("an earlier run did not finish; looking at what it left")
		doomed, err := r.catalog.DoomedBy(ctx, left.Run)
		if err != nil {
			return err
		}
		meant, err := r.catalog.MeantBy(ctx, left.Run)
		if err != nil {
			return err
		}
		c := r.since(claimed(catalog.Edit{Range: left.Range, Meant: meant}))
		if err := r.takeOver(ctx, c, doomed, []manifest.ID{left.Run}); err != nil {
			return err
		}
	}
	return nil
}

// takeOver makes the manifest true where it may not be: it deletes what is doomed, and looks at
// what the bucket holds under claimed keys, if any. Before that it makes both the intent of this run,
// in place of those of the settled runs, so that other runs keep out of the way.
func (r *run) takeOver(ctx context.Context, c claim, doomed []manifest.Entry, settled []manifest.ID) error {
	if err := r.ready(ctx); err != nil {
		return err
	}
	// What another run may be writing is not deleted; and that run leaves it alone if it found it being
	// deleted. So the keys stay in an intent: else nobody would know of the objects any more.
	for _, i := range r.catalog.Foreign() {
		for _, e := range doomed {
			if i.Range != nil && i.Range.Contains(e.Key) {
				r.withhold(e.Key)
			}
		}
	}
	// What lies in a prefix that another run has taken over meanwhile is not this one's for being there.
	edit := r.doubt.and(c).of(catalog.Edit{Doomed: doomed, Settled: settled, First: r.catalog.New()})
	yielded, err := r.catalog.Commit(ctx, edit)
	if err != nil {
		return err
	}
	r.intent, r.o.Rebuild = claimed(edit), false
	for _, y := range yielded {
		r.withhold(y.Key)
	}
	if !r.intent.covers(r.doubt.and(c)) {
		if _, err := r.commit(ctx, r.doubt.and(c).of(catalog.Edit{Doomed: r.spared(doomed)})); err != nil {
			return err
		}
	}
	back, err := r.finishDeletes(ctx)
	if err != nil {
		return err
	}
	if c.keys == nil || len(back) > 0 {
		_, err = r.commit(ctx, r.doubt.and(c).of(catalog.Edit{Changes: back}))
	}
	if c.keys == nil || err != nil {
		return err
	}
	return r.survey(ctx, c)
}

// withhold leaves an object alone that a dead run was to delete, and keeps its key in the intent.
func (r *run) withhold(key string) {
	told := r.doubt.meant.Has(manifest.Touches(key))
	r.doubtful(key, manifest.Touches(key))
	if told {
		return
	}
	r.warn(Warning{Key: key, Text: fmt.Sprintf("Skipping file %s. A run that died was to delete it, and another may have stored it since; it is not deleted yet.",
		r.name(r.o.To, key))})
}

// spared are the doomed that are not in doubt.
func (r *run) spared(doomed []manifest.Entry) []manifest.Entry {
	return slices.DeleteFunc(slices.Clone(doomed), func(e manifest.Entry) bool { return r.doubt.has(e.Key) })
}

// finishDeletes removes the objects on this run's list, which an earlier run has not come to.
// It returns the changes that name again those that cannot be removed.
func (r *run) finishDeletes(ctx context.Context) ([]manifest.Change, error) {
	doomed, err := r.catalog.Doomed(ctx)
	if err != nil || len(doomed) == 0 {
		return nil, err
	}
	if r.o.DryRun {
		for i := range doomed {
			r.report(Event{Done: &Action{Verb: Delete, Key: doomed[i].Key, Old: &doomed[i]}})
		}
		return nil, nil
	}
	if err := r.record(ctx, deletings(doomed)); err != nil {
		return nil, err
	}
	r.learnTogether(ctx, uint64(len(doomed)))
	var back []manifest.Change
	err = r.renewing(ctx, r.intent.of(catalog.Edit{Doomed: doomed}), func() error {
		failed, err := r.keepAll(ctx, doomed)
		if err != nil {
			return err
		}
		goes := func(key string) bool { return !failed[key] }
		if back, err = r.deleteAll(ctx, only(slices.Clone(doomed), goes)); err == nil {
			back = append(back, named(r.unkept(ctx, doomed, failed))...)
		}
		return err
	})
	if err != nil {
		r.ledger.leave(doomed)
		return nil, err
	}
	slices.SortFunc(back, func(a, b manifest.Change) int { return strings.Compare(a.Key, b.Key) })
	return back, nil
}

// unkept are those of the doomed of which no copy could be made, and which are therefore to stay. The
// earlier run may have deleted some of them already: these are gone for good.
func (r *run) unkept(ctx context.Context, doomed []manifest.Entry, failed map[string]bool) (stay []manifest.Entry) {
	for i := range doomed {
		if failed[doomed[i].Key] && !r.absent(ctx, &doomed[i]) {
			stay = append(stay, doomed[i])
		}
	}
	return stay
}

// ready finds out, once and before the first write, what the server can do.
func (r *run) ready(ctx context.Context) error {
	if r.powers != nil || r.catalog == nil {
		return nil
	}
	if r.o.DryRun {
		r.powers = &catalog.Powers{PutConditions: true, DeleteConditions: true, CopyConditions: true, Checksums: true, Atomic: true}
		return nil
	}
	p, err := r.catalog.Probe(ctx)
	if err != nil {
		return err
	}
	if !p.Safe() && r.o.Strict {
		return ErrUnsafe
	}
	if !p.Safe() {
		r.note("this server does not keep two writers apart (it %s): a lease keeps other runs of merkur out meanwhile, and nobody else", unsafe(p))
	}
	if err := r.catalog.Lease(ctx); err != nil {
		return err
	}
	r.powers = &p
	if p.PutConditions && !p.DeleteConditions && r.o.Delete {
		r.note("this server ignores conditions on deletes, or allows no deletes: objects are looked at before they are deleted")
	}
	if !p.Checksums {
		r.note("this server takes no CRC-64/NVME checksums: what is sent is not verified by the server")
	}
	return nil
}

// unsafe says in what way a server does not keep two writers apart.
func unsafe(p catalog.Powers) string {
	if !p.PutConditions {
		return "ignores conditions on writes"
	}
	return "checks conditions first and stores later"
}
