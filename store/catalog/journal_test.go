package catalog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"merkur/store/bucket"
)

func identify(t *testing.T, dir string) Identity {
	t.Helper()
	id, err := Identify(dir, "a place")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	uploads := []bucket.Pending{{Key: "a", ID: "1", About: "x"}, {Key: "b\xff", ID: "2"}, {Key: "a", ID: "3"}}
	id := identify(t, dir)
	j := id.Journal()
	for _, p := range uploads {
		j.Begun(p)
	}
	j.Ended(uploads[0])
	j.Close() // as a process does that dies
	other := identify(t, dir)
	if left := other.Journal().Left(); len(left) > 0 {
		t.Errorf("a second process has the journal of the first: %v", left)
	}
	other.Release()
	id.Release()

	id = identify(t, dir)
	j = id.Journal()
	if got := j.Left(); !slices.Equal(got, uploads[1:]) {
		t.Fatalf("left are %v, want %v", got, uploads[1:])
	}
	j.Begun(bucket.Pending{Key: "c", ID: "4"})
	j.Ended(uploads[1])
	j.Ended(bucket.Pending{ID: "4"})
	j.Close()
	id.Release()

	id = identify(t, dir)
	defer id.Release()
	j = id.Journal()
	if got := j.Left(); !slices.Equal(got, uploads[2:]) {
		t.Fatalf("left are %v, want %v", got, uploads[2:])
	}
	j.Ended(uploads[2])
	if left, err := filepath.Glob(filepath.Join(dir, "*.uploads*")); err != nil || len(left) > 0 {
		t.Errorf("with nothing left there is %v, %v", left, err)
	}
}

// What a second process left is in the journal of the next, as soon as that process is no more.
func TestJournalOfSecondProcess(t *testing.T) {
	dir := t.TempDir()
	uploads := []bucket.Pending{{Key: "a", ID: "1"}, {Key: "b", ID: "2"}, {Key: "c", ID: "3"}}
	first, second := identify(t, dir), identify(t, dir)
	dead := second.Journal()
	dead.Begun(uploads[1])
	dead.Begun(uploads[2])
	j := first.Journal()
	if left := j.Left(); len(left) > 0 {
		t.Fatalf("while the second lives, left are %v", left)
	}
	j.Begun(uploads[0])
	j.Close()
	first.Release()
	dead.Close()
	second.Release()
	for range 2 { // it dies, and the next has it all in a journal of its own
		first = identify(t, dir)
		j = first.Journal()
		left := j.Left()
		slices.SortFunc(left, func(a, b bucket.Pending) int { return strings.Compare(a.ID, b.ID) })
		if !slices.Equal(left, uploads) {
			t.Fatalf("left are %v, want %v", left, uploads)
		}
		j.Close()
		first.Release()
	}
	j.Ended(uploads[0])
	j.Ended(uploads[1])
	j.Ended(uploads[2])
	if left, err := filepath.Glob(filepath.Join(dir, "*.uploads*")); err != nil || len(left) > 0 {
		t.Errorf("with nothing left there is %v, %v", left, err)
	}
}

// A journal that cannot be taken over, as on a full disk, stays for the next run.
func TestJournalIsNotTakenOver(t *testing.T) {
	dir := t.TempDir()
	first, second := identify(t, dir), identify(t, dir)
	dead := second.Journal()
	dead.Begun(bucket.Pending{Key: "a", ID: "1"})
	dead.Close()
	second.Release()
	full := journalOf(first.file.Name()) + ".new"
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		j := first.Journal()
		if left := j.Left(); len(left) != 1 {
			t.Errorf("left are %v", left)
		}
		j.Close()
	}
	first.Release()
}

// What is no line of the journal of this writer is passed over.
func TestJournalDamaged(t *testing.T) {
	begun := `{"begun":{"key":"YQ==","id":"1"}}`
	for text, want := range map[string]int{
		"":                                   0,
		`{"writer":"w"}` + "\n" + begun:      1,
		`{"writer":"w"}` + "\n" + begun[:20]: 0,
		`{"writer":"v"}` + "\n" + begun:      0,
		begun:                                0,
		"\x00\x00\n{}\n" + `{"writer":"w"}` + "\nnonsense\n" + begun + "\n\n": 1,
		`{"writer":"w"}` + "\n" + begun + "\n" + `{"ended":"1"}`:              0,
	} {
		if got := pendingIn([]byte(text), "w"); len(got) != want {
			t.Errorf("%q: %v, want %d", text, got, want)
		}
	}
}

// However many uploads there are, the file stays small.
func TestJournalStaysSmall(t *testing.T) {
	dir := t.TempDir()
	id := identify(t, dir)
	defer id.Release()
	j := id.Journal()
	defer j.Close()
	j.Begun(bucket.Pending{Key: "long", ID: "long"})
	for i := range 3 * spareLines {
		p := bucket.Pending{Key: "short", ID: fmt.Sprint(i)}
		j.Begun(p)
		j.Ended(p)
	}
	info, err := os.Stat(j.path)
	if err != nil || info.Size() > 100*spareLines {
		t.Errorf("the journal has %d bytes, %v", info.Size(), err)
	}
	b, err := os.ReadFile(j.path)
	if left := pendingIn(b, j.writer); err != nil || len(left) != 1 || left[0].ID != "long" {
		t.Errorf("left are %v, %v", left, err)
	}
}

// The draft of a dry run that has died is removed by the next one, and that of one that lives is not.
func TestDraftsOfTheDead(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	alive, err := NewDraft(nil)
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(dir, draftDir+"dead")
	young := filepath.Join(dir, draftDir+"young") // its process may be about to make its lock
	for _, d := range []string{dead, young} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{draftLock, "object"} {
		if err := os.WriteFile(filepath.Join(dead, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	another, err := NewDraft(nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{alive.dir: true, another.dir: true, young: true, dead: false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v", path, err == nil)
		}
	}
	alive.Close()
	another.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left are %q", left)
	}
}
