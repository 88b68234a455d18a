package transfer

// These tests are about features where they meet: each of them works by itself.

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"merkur/transfer/history"
)

// What a run has created in several batches, whose keys overlap, is taken away by one undo, which can be
// undone.
func TestUndoOfBatchesThatOverlap(t *testing.T) {
	for _, how := range ways {
		m := newUndoable(t, how)
		m.o.Delete = true
		m.write(map[string]string{"base": "1"})
		m.run(nil)
		before := m.state()
		m.write(map[string]string{"a.html": "2", "b.css": "3", "m.html": "4", "z.css": "5"})
		sum := m.run(func(o *Options) { o.Order = PagesLast })
		after := m.state()
		undo := m.undone(sum.Run)
		m.wants("delete a.html", "delete b.css", "delete m.html", "delete z.css")
		same(t, how, m.state(), before)
		m.undone(undo.Run)
		same(t, how+", undone twice", m.state(), after)
	}
}

// The foreign objects that an audit is to delete are deleted also where it goes round at the end of the
// tree, and the record of it can be read.
func TestForeignDeletesOfAnAuditThatGoesRound(t *testing.T) {
	m := newUndoable(t, "prefix")
	files := map[string]string{}
	for i := range 2500 {
		files[fmt.Sprintf("%04d", i)] = "x"
	}
	m.write(files)
	m.run(nil)
	put(t, m.store, "p/0000-theirs", "1")
	put(t, m.store, "p/2499-theirs", "2")
	m.o.State.Remember(auditPlace{side: m.o.To}.record(), []byte("@2000"))
	sum := m.run(func(o *Options) { o.Delete, o.Foreign.Delete, o.Audit = true, true, 0.9999 })
	if sum.Deleted != 2 || sum.Failed > 0 {
		t.Fatalf("%+v\n%s", sum, strings.Join(m.lines, "\n"))
	}
	past, err := FindRun(context.Background(), m.o.To, m.o.Backup, sum.Run)
	if err != nil {
		t.Fatal(err)
	}
	for i := range past.labels {
		if _, err := past.open(context.Background(), i); err != nil {
			t.Error(err)
		}
	}
	if past.Counts != (history.Counts{Deleted: 2}) {
		t.Errorf("%+v", past.Counts)
	}
}
