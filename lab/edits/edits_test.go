package edits

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func tree(n int) (files []File) {
	for i := range n {
		files = append(files, File{fmt.Sprintf("d%02d/f%03d", i%7, i), int64(i % 5 * 100)})
	}
	slices.SortFunc(files, byKey)
	return files
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Wish{
		"touch": {Touch, 1}, "clone": {Clone, 1}, "edit": {Edit, 0.01}, "edit=5%": {Edit, 0.05}, "same-size-edit=0.5": {SameSize, 0.5},
		"quiet-edit=100%": {Quiet, 1}, "rename": {Rename, 0.01}, "append=1": {Append, 1},
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%s is written %s, and that is %v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "tuch", "touch=1%", "edit=", "edit=0", "edit=101%", "edit=x", "edit=-1", "edit=NaN"} {
		if w, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %v", text, w)
		}
	}
}

// How many files a wish is about, and what it does to each.
func TestPlan(t *testing.T) {
	files := tree(300)
	for _, c := range []struct {
		wish  Wish
		steps int
		deed  Deed
		keeps bool // no content changes
	}{
		{Wish{Touch, 1}, 300, Stamp, true},
		{Wish{Clone, 1}, 300, Rewrite, true},
		{Wish{Edit, 0.01}, 3, Insert, false},
		{Wish{Append, 0.1}, 30, Insert, false},
		{Wish{SameSize, 0.1}, 24, Flip, false}, // of the 240 that are not empty
		{Wish{Quiet, 1}, 240, FlipOld, false},
		{Wish{Rename, 0.0001}, 1, Move, false},
	} {
		steps := Plan(c.wish, 1, files)
		if len(steps) != c.steps {
			t.Errorf("%s: %d steps, want %d", c.wish, len(steps), c.steps)
		}
		last := ""
		for _, s := range steps {
			at := slices.IndexFunc(files, func(f File) bool { return f.Key == s.Key })
			switch {
			case at < 0 || s.Key <= last:
				t.Errorf("%s: step for %q after %q", c.wish, s.Key, last)
			case s.Deed != c.deed || (s.Changes() == "") != c.keeps:
				t.Errorf("%s: %+v", c.wish, s)
			case s.At > files[at].Size || (s.Deed == Flip || s.Deed == FlipOld) && s.At >= files[at].Size:
				t.Errorf("%s: %+v of %+v", c.wish, s, files[at])
			}
			last = s.Key
		}
	}
}

func TestPlanIsSeeded(t *testing.T) {
	files, w := tree(500), Wish{Edit, 0.02}
	if !reflect.DeepEqual(Plan(w, 1, files), Plan(w, 1, tree(500))) {
		t.Error("the same seed gives other steps")
	}
	if reflect.DeepEqual(Plan(w, 1, files), Plan(w, 2, files)) {
		t.Error("another seed gives the same steps")
	}
	if !slices.IsSortedFunc(files, byKey) {
		t.Error("the files are not in order any more")
	}
}

func TestPlanOfLittle(t *testing.T) {
	for _, w := range []Wish{{Touch, 1}, {Edit, 1}, {SameSize, 1}, {Rename, 1}} {
		if steps := Plan(w, 1, nil); len(steps) != 0 {
			t.Errorf("%s does %v to no files", w, steps)
		}
	}
	empty := []File{{"a", 0}}
	for w, want := range map[Wish]int{{SameSize, 1}: 0, {Quiet, 1}: 0, {Edit, 0.01}: 1, {Append, 0.01}: 1} {
		if steps := Plan(w, 1, empty); len(steps) != want {
			t.Errorf("%s: %d steps, want %d", w, len(steps), want)
		}
	}
}
