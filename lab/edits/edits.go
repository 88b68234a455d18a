// Package edits says what a simulation does to a tree, as a list of edits. It is pure: the same
// tree, wish and seed give the same list, and package lab makes the edits.
//
// # The simulations
//
//	touch           every file gets the present time; no content changes
//	clone           every file is written anew, as by git clone or tar: other inodes, the present time
//	edit            a line is put into the middle of 1 % of the files, which grow
//	append          a line is put at the end of 1 % of the files
//	same-size-edit  one byte of 1 % of the files becomes another; they get the present time
//	quiet-edit      one byte of 1 % of the files becomes another, and the file keeps its time: what
//	                cp -p, tar and image tools leave behind
//	rename          1 % of the files get another name in their directory
//
// Another share can be wished for, as in edit=5%, but not of touch and clone. One file is edited at
// least, if there is one that can be: an empty file has no byte that could be another one.
package edits

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Kind is a simulation.
type Kind string

// The kinds.
const (
	Touch    Kind = "touch"
	Clone    Kind = "clone"
	Edit     Kind = "edit"
	Append   Kind = "append"
	SameSize Kind = "same-size-edit"
	Quiet    Kind = "quiet-edit"
	Rename   Kind = "rename"
)

// Kinds are all of them, in the order in which they are told.
var Kinds = []Kind{Touch, Clone, Edit, Append, SameSize, Quiet, Rename}

// usualShare is the share of the files that is edited unless another one is wished for.
const usualShare = 0.01

// A Wish is a simulation as it was asked for.
type Wish struct {
	Kind  Kind
	Share float64 // of the files, above 0 and up to 1
}

// whole reports whether a kind is about every file.
func (k Kind) whole() bool { return k == Touch || k == Clone }

// Parse reads a wish, such as touch or edit=5%.
func Parse(text string) (Wish, error) {
	name, share, given := strings.Cut(text, "=")
	w := Wish{Kind(name), usualShare}
	switch {
	case !slices.Contains(Kinds, w.Kind):
		return w, fmt.Errorf("%q is none of the simulations %s", name, names())
	case w.Kind.whole() && given:
		return w, fmt.Errorf("%s is about every file, and takes no share", name)
	case w.Kind.whole():
		w.Share = 1
	case given:
		number, percent := strings.CutSuffix(share, "%")
		f, err := strconv.ParseFloat(number, 64)
		if percent {
			f /= 100
		}
		if err != nil || !(f > 0 && f <= 1) {
			return w, fmt.Errorf("%q is not a share such as 0.01 or 1%%", share)
		}
		w.Share = f
	}
	return w, nil
}

func names() string {
	var list []string
	for _, k := range Kinds {
		list = append(list, string(k))
	}
	return strings.Join(list, ", ")
}

// String is the wish as it would be typed.
func (w Wish) String() string {
	if w.Kind.whole() {
		return string(w.Kind)
	}
	return fmt.Sprintf("%s=%s%%", w.Kind, strconv.FormatFloat(100*w.Share, 'f', -1, 64))
}

// A File is one of the tree.
type File struct {
	Key  string
	Size int64
}

// A Deed is what is done to one file.
type Deed uint8

// The deeds.
const (
	Stamp   Deed = iota // it gets the present time
	Rewrite             // a new file with the same bytes takes its place
	Insert              // Text is put in at At
	Flip                // the byte at At becomes another
	FlipOld             // the same, and the time stays
	Move                // it becomes To
)

// A Step is one edit.
type Step struct {
	Key  string
	Deed Deed
	At   int64  // of Insert and Flip: an offset
	Text string // of Insert
	To   string // of Move: the new key
}

// Changes returns the key that has another content after the step than before, or is new. It is
// empty if there is none.
func (s Step) Changes() string {
	switch s.Deed {
	case Insert, Flip, FlipOld:
		return s.Key
	case Move:
		return s.To
	}
	return ""
}

// Plan says what a wish does to the files, which ascend: one step a file at most, in the order of
// keys.
func Plan(w Wish, seed uint64, files []File) []Step {
	h := fnv.New64a()
	h.Write([]byte(w.Kind))
	random := rand.New(rand.NewPCG(seed, h.Sum64()))
	var steps []Step
	for _, f := range picked(w, random, files) {
		if s, ok := step(w.Kind, random, f, files); ok {
			steps = append(steps, s)
		}
	}
	return steps
}

// picked are the files that are edited.
func picked(w Wish, random *rand.Rand, files []File) []File {
	if w.Kind.whole() {
		return files
	}
	able := slices.DeleteFunc(slices.Clone(files), func(f File) bool {
		return f.Size == 0 && (w.Kind == SameSize || w.Kind == Quiet)
	})
	n := min(len(able), max(1, int(math.Round(w.Share*float64(len(able))))))
	random.Shuffle(len(able), func(i, j int) { able[i], able[j] = able[j], able[i] })
	able = able[:n]
	slices.SortFunc(able, byKey)
	return able
}

func byKey(a, b File) int { return cmp.Compare(a.Key, b.Key) }

// step is what is done to one file. There is none if no name is to be had for it.
func step(k Kind, random *rand.Rand, f File, files []File) (Step, bool) {
	s := Step{Key: f.Key}
	line := fmt.Sprintf("a line of a simulation, %016x\n", random.Uint64())
	switch k {
	case Touch:
		s.Deed = Stamp
	case Clone:
		s.Deed = Rewrite
	case Edit:
		s.Deed, s.At, s.Text = Insert, f.Size/2, line
	case Append:
		s.Deed, s.At, s.Text = Insert, f.Size, line
	case SameSize:
		s.Deed, s.At = Flip, random.Int64N(f.Size)
	case Quiet:
		s.Deed, s.At = FlipOld, random.Int64N(f.Size)
	case Rename:
		s.Deed, s.To = Move, path.Join(path.Dir(f.Key), fmt.Sprintf("renamed-%08x", random.Uint32()))
		if _, taken := slices.BinarySearchFunc(files, File{Key: s.To}, byKey); taken {
			return s, false
		}
	}
	return s, true
}
