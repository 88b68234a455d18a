package catalog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"merkur/store/bucket"
)

// A Journal keeps the uploads in parts that are under way in a file beside the identity of their
// writer, and tells of those that an earlier process of the same writer did not come to end. It is
// a [bucket.Journal]. Losing it leaves parts behind in the bucket, and does no other harm: so what
// goes wrong with the file is not told, and lines that make no sense are passed over.
//
// The file is lines of JSON: one that names the writer, then one for each upload that begins, and
// one for each that ends. When none is left, it goes.
type Journal struct {
	path   string
	writer string
	left   []bucket.Pending

	mu    sync.Mutex
	file  *os.File // nil: not open
	lines int      // in it
	open  map[string]bucket.Pending
}

// A note in a Journal has one of its parts.
type note struct {
	Writer string  `json:"writer,omitempty"`
	Begun  *record `json:"begun,omitempty"`
	Ended  string  `json:"ended,omitempty"` // the id
}

// A record is a [bucket.Pending]. Its key is any bytes, which JSON has no other way to hold.
type record struct {
	Key   []byte `json:"key"`
	ID    string `json:"id"`
	About string `json:"about,omitempty"`
}

func recordOf(p bucket.Pending) *record { return &record{[]byte(p.Key), p.ID, p.About} }

// Journal opens the journal of an identity, or returns nil if the identity is one that nobody will have
// again. What other processes of this machine have under way is none of this one's business, but what those
// have left that are no more is.
func (id Identity) Journal() *Journal {
	if id.file == nil {
		return nil
	}
	j := &Journal{path: journalOf(id.file.Name()), writer: fmt.Sprintf("%x", id.Writer[:]), open: map[string]bucket.Pending{}}
	if b, err := os.ReadFile(j.path); err == nil {
		j.left = pendingIn(b, j.writer)
	}
	for _, p := range j.left {
		j.open[p.ID] = p
	}
	for _, name := range id.files {
		j.inherit(name)
	}
	return j
}

// journalOf is the file of the journal that lies beside the file of an identity.
func journalOf(identity string) string {
	return strings.TrimSuffix(identity, identitySuffix) + ".uploads"
}

// inherit takes over the journal of another identity, if no process has that.
func (j *Journal) inherit(identity string) {
	if _, err := os.Lstat(journalOf(identity)); err != nil {
		return
	}
	f, writer, free := takeFree(identity)
	if !free {
		return
	}
	defer f.Close()
	b, err := os.ReadFile(journalOf(identity))
	if err != nil {
		return
	}
	list := pendingIn(b, fmt.Sprintf("%x", writer[:]))
	for _, p := range list {
		if _, known := j.open[p.ID]; !known {
			j.left = append(j.left, p)
			j.Begun(p)
		}
	}
	if len(list) > 0 && j.file == nil {
		return // they are written nowhere else: the next run has them from there
	}
	os.Remove(journalOf(identity))
}

// pendingIn returns the uploads that have begun and not ended, in the order in which they began. A
// journal of another writer, in the image of a machine perhaps, tells nothing.
func pendingIn(journal []byte, writer string) (list []bucket.Pending) {
	lines := bufio.NewScanner(bytes.NewReader(journal))
	lines.Buffer(nil, 64<<10)
	ours := false
	for lines.Scan() {
		var l note
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue // torn
		}
		switch {
		case l.Writer != "":
			ours = l.Writer == writer
		case !ours:
		case l.Begun != nil && l.Begun.ID != "":
			list = append(list, bucket.Pending{Key: string(l.Begun.Key), ID: l.Begun.ID, About: l.Begun.About})
		default:
			list = slices.DeleteFunc(list, func(p bucket.Pending) bool { return p.ID == l.Ended })
		}
	}
	return list
}

// Left returns the uploads that earlier processes have left.
func (j *Journal) Left() []bucket.Pending {
	if j == nil {
		return nil
	}
	return slices.Clone(j.left)
}

// Begun implements [bucket.Journal]. The line is on the disk before a part is in the bucket.
func (j *Journal) Begun(p bucket.Pending) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open[p.ID] = p; j.add(note{Begun: recordOf(p)}) {
		j.file.Sync()
	}
}

// Ended implements [bucket.Journal].
func (j *Journal) Ended(p bucket.Pending) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.open[p.ID]; !ok {
		return
	}
	if delete(j.open, p.ID); len(j.open) == 0 {
		j.close()
		os.Remove(j.path)
		return
	}
	j.add(note{Ended: p.ID})
}

// spareLines is how many lines there may be for each that is needed, and at least.
const spareLines = 1000

// add appends a line, which is about j.open as it is now, and reports whether there is a file.
func (j *Journal) add(l note) bool {
	if j.file == nil || j.lines > spareLines+4*len(j.open) {
		return j.rewrite() == nil
	}
	j.lines++
	j.file.Write(encode(l))
	return true
}

// rewrite replaces the file by one that has what is open and nothing else.
func (j *Journal) rewrite() (err error) {
	j.close()
	b := encode(note{Writer: j.writer})
	for _, p := range j.open {
		b = append(b, encode(note{Begun: recordOf(p)})...)
	}
	if err = os.WriteFile(j.path+".new", b, 0o600); err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err == nil {
		j.lines = 1 + len(j.open)
		j.file, err = os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0)
	}
	return err
}

func encode(l note) []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic("catalog: journal: " + err.Error()) // of text and bytes only
	}
	return append(b, '\n')
}

func (j *Journal) close() {
	if j.file != nil {
		j.file.Close()
	}
	j.file = nil
}

// Close ends the use of the journal. What is open then is for the next process.
func (j *Journal) Close() {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.close()
}
