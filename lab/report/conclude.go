package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A standing is what a strategy did in all cases together.
type standing struct {
	name     string
	failed   string // why it could not be run; empty: it could
	missed   int64
	needless int64
	here     Outcome // in the first case
	blind    string  // what it cannot see; empty: nothing
	misses   []string
	resends  []string
}

// standings are those of the strategies, in the order of the outcomes.
func standings(r Report) (list []standing) {
	at := map[string]int{}
	for i, c := range r.Cases {
		for _, o := range c.Lasting() {
			if _, known := at[o.Strategy]; !known {
				at[o.Strategy] = len(list)
				list = append(list, standing{name: o.Strategy, blind: blindness(o.Strategy, r.Direction)})
			}
			s := &list[at[o.Strategy]]
			if i == 0 {
				s.here = o
			}
			if o.Error != "" {
				s.failed = o.Error
				continue
			}
			if s.missed += o.Missed; o.Missed > 0 {
				s.misses = append(s.misses, share(o.Missed, c.Needed)+after(c.Name))
			}
			if s.needless += o.Needless; o.Needless > 0 {
				s.resends = append(s.resends, Count(o.Needless, "file")+after(c.Name))
			}
		}
	}
	return list
}

// share is a part of some changes in words.
func share(n, of int64) string {
	switch {
	case n == of && n == 1:
		return "the one change"
	case n == of && n == 2:
		return "both changes"
	case n == of:
		return "all " + Count(of, "change")
	}
	return number(n) + " of " + Count(of, "change")
}

// after says of which case something is true.
func after(name string) string {
	if name == AsItIs {
		return " of the tree as it is"
	}
	return " after " + name
}

// blindness says what a strategy cannot see, whether or not a case has shown it; empty: nothing.
func blindness(strategy, direction string) string {
	switch {
	case strategy == "size":
		return "cannot see a change that keeps the size"
	case strategy == "exact" && direction == "download":
		return "cannot see a change that keeps size and time"
	case strategy == "aws" && direction == "download":
		return "cannot see a newer object of the same size"
	case strategy == "aws" || strategy == "exact":
		return "cannot see a change that keeps the size and has an older time"
	}
	return ""
}

// better orders strategies: first those that miss least, of them those that transfer least for
// nothing, of them those that look at content, of them those whose requests cost less, which is the
// same in each bench, and of them the one that is faster.
func better(a, b standing) int {
	return cmp.Or(
		cmp.Compare(min(len(a.failed), 1), min(len(b.failed), 1)),
		cmp.Compare(a.missed, b.missed),
		cmp.Compare(a.needless, b.needless),
		cmp.Compare(min(len(a.blind), 1), min(len(b.blind), 1)),
		cmp.Compare(a.here.Price, b.here.Price),
		cmp.Compare(a.here.Wall, b.here.Wall))
}

// Conclude says which strategy to choose for the tree, and why: sentences that follow from the facts.
func Conclude(r Report) []string {
	all := standings(r)
	if len(all) == 0 {
		return nil
	}
	ranked := slices.Clone(all)
	slices.SortStableFunc(ranked, better)
	best := ranked[0]
	if best.failed != "" {
		return []string{"No strategy could be run: " + best.failed + "."}
	}
	lines := []string{choice(r, best)}
	lines = append(lines, faults(ranked[1:])...)
	lines = append(lines, equals(best, ranked[1:])...)
	if first, ok := firstRun(r.Cases); ok && best.name == first.Strategy {
		lines = append(lines, fmt.Sprintf("The bucket has no manifest yet: a run without one takes %s, %s and reads %s.",
			Seconds(first.Wall), Count(first.Requests.Total(), "request"), Size(first.Read)))
	}
	if len(r.Cases) == 1 && flawless(all) {
		lines = append(lines, "Nothing in this tree tells the strategies apart by their errors; --simulate shows what each does after a touch, a clone or an edit.")
	}
	if r.Truth.Unknown > 0 {
		lines = append(lines, fmt.Sprintf("Of %s nobody can tell the content, so that no error is counted there; --read reads them.", Count(r.Truth.Unknown, "object")))
	}
	return lines
}

// Choice names the strategy to choose; empty: none could be run.
func Choice(r Report) string {
	all := standings(r)
	if len(all) == 0 {
		return ""
	}
	if best := slices.MinFunc(all, better); best.failed == "" {
		return best.name
	}
	return ""
}

// choice is the sentence about the best strategy.
func choice(r Report, s standing) string {
	did := "it missed no change and would transfer nothing needless"
	switch {
	case s.missed > 0:
		did = "it misses least, but still " + some(s.misses)
	case s.needless > 0:
		did = "it missed no change, though it would needlessly transfer " + some(s.resends)
	case len(r.Cases) > 1:
		did += fmt.Sprintf(" in any of the %d cases", len(r.Cases))
	}
	return fmt.Sprintf("Choose %s: %s. To look at the tree as it is takes it %s, %s of CPU and %s, %s in 1,000 runs.",
		s.name, did, Seconds(s.here.Wall), Seconds(s.here.CPU), Count(s.here.Requests.Total(), "request"), Dollars(1000*s.here.Price))
}

// faults are sentences about those that have some: one about all that have the same.
func faults(others []standing) (lines []string) {
	names := map[string][]string{}
	var all []string
	for _, s := range others {
		text := s.fault()
		if text == "" {
			continue
		}
		if names[text] == nil {
			all = append(all, text)
		}
		names[text] = append(names[text], s.name)
	}
	for _, text := range all {
		lines = append(lines, and(names[text])+" "+text+".")
	}
	return lines
}

// fault says what a strategy does wrong; empty: nothing.
func (s standing) fault() string {
	if s.failed != "" {
		return "could not be run: " + s.failed
	}
	var parts []string
	if s.missed > 0 {
		parts = append(parts, "miss "+some(s.misses))
	}
	if s.needless > 0 {
		parts = append(parts, "needlessly transfer "+some(s.resends))
	}
	if len(parts) == 0 {
		return ""
	}
	return "would " + strings.Join(parts, ", and ")
}

// equals is a sentence about those that make no more errors than the best.
func equals(best standing, others []standing) []string {
	var parts []string
	for _, s := range others {
		if s.failed != "" || s.missed != best.missed || s.needless != best.needless {
			continue
		}
		text := fmt.Sprintf("%s takes %s, %s, and reads %s", s.name, Seconds(s.here.Wall),
			Count(s.here.Requests.Total(), "request"), Size(s.here.Read))
		if s.blind != "" {
			text += ", but " + s.blind
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"Of those that made no more errors, " + strings.Join(parts, "; ") + "."}
}

func flawless(all []standing) bool {
	return !slices.ContainsFunc(all, func(s standing) bool { return s.missed+s.needless > 0 || s.failed != "" })
}

// firstRun is the outcome of a run that finds no manifest.
func firstRun(cases []Case) (Outcome, bool) {
	for _, o := range cases[0].Outcomes {
		if o.State == First && o.Error == "" {
			return o, true
		}
	}
	return Outcome{}, false
}

// some are the first of many parts.
func some(parts []string) string {
	const shown = 3
	if len(parts) <= shown+1 {
		return and(parts)
	}
	return strings.Join(parts[:shown], ", ") + fmt.Sprintf(" and more in %d other cases", len(parts)-shown)
}

// and joins the parts of an enumeration.
func and(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}
