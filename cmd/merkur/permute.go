package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// permute brings a command line into the form that the library reads: the command, its options
// written out as --name=value in their order, and then the paths. aws takes options before, after and
// between the paths, and before the command; takes any beginning of a name that only one option
// has; and "s3" before the command. The options are those of c, which the line names (see named).
func permute(c *command, args []string) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	var options, words []string
	for rest := args[1:]; len(rest) > 0; {
		arg := rest[0]
		rest = rest[1:]
		switch {
		case arg == "-h" || arg == "--help":
			return append(begin(args[:1], words), "--help"), nil
		case arg == "--version" || arg == "-v":
			return []string{args[0], arg}, nil
		case arg == "--":
			words = append(words, rest...)
			rest = nil
		case !isOption(arg):
			words = append(words, arg)
		default:
			found, more, err := c.spell(arg, rest)
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(found[0], "--grants=") { // as for aws, the last list counts
				options = slices.DeleteFunc(options, func(o string) bool { return strings.HasPrefix(o, "--grants=") })
			}
			options, rest = append(options, found...), more
		}
	}
	if len(words) == 0 {
		return args, nil
	}
	return slices.Concat(begin(args[:1], words), options, []string{"--"}, bare(words)[1:]), nil
}

// named returns the command that a command line names, or nil. Options may stand before it, and
// have their values if any command gives them some.
func named(all []*command, args []string) *command {
	for rest := args[min(1, len(args)):]; len(rest) > 0; {
		arg := rest[0]
		rest = rest[1:]
		switch {
		case arg == "--" || arg == "s3":
		case isOption(arg):
			rest = behind(all, arg, rest)
		default:
			return commandOf(all, arg)
		}
	}
	return nil
}

// behind is what is left of a command line behind an option and its values.
func behind(all []*command, arg string, rest []string) []string {
	for _, c := range all {
		if _, left, err := c.spell(arg, rest); err == nil {
			return left
		}
	}
	return rest
}

// begin is the program and the command that it is given, if any.
func begin(program, words []string) []string {
	if words = bare(words); len(words) > 0 {
		return append(slices.Clone(program), words[0])
	}
	return slices.Clone(program)
}

// bare are the words without the "s3" that aws has before its commands.
func bare(words []string) []string {
	if len(words) > 1 && words[0] == "s3" {
		return words[1:]
	}
	return words
}

// spell writes one option out with its value, which may be what follows, and returns what is
// left.
func (c *command) spell(arg string, rest []string) (spelled, left []string, err error) {
	name, value, has := strings.Cut(arg, "=")
	o, err := c.optionOf(name)
	if err != nil {
		return nil, nil, err
	}
	write := func(value string) { spelled = append(spelled, "--"+o.name+"="+value) }
	switch {
	case o.kind == toggle && has:
		return nil, nil, fmt.Errorf("option --%s takes no value", o.name)
	case o.kind == toggle:
		return []string{"--" + o.name}, rest, nil
	case has:
		write(value)
	case o.kind == optional && (len(rest) == 0 || !o.accepts(rest[0])):
		write(o.none)
	case len(rest) == 0 || isOption(rest[0]):
		// As for aws, what looks like an option is none's value: "--exclude=-x" says so.
		return nil, nil, fmt.Errorf("option --%s needs a value; one that begins with a dash is written --%s=VALUE", o.name, o.name)
	default:
		write(rest[0])
		rest = rest[1:]
	}
	for o.kind == many && len(rest) > 0 && !isOption(rest[0]) && isGrant(rest[0]) {
		write(rest[0])
		rest = rest[1:]
	}
	return spelled, rest, nil
}

// isOption tells options from paths and values as the parser of aws does: a number is none, and
// neither is what has a space in its name.
func isOption(arg string) bool {
	name, _, _ := strings.Cut(arg, "=")
	return len(arg) > 1 && arg[0] == '-' && !strings.Contains(name, " ") && !negative.MatchString(arg)
}

var negative = regexp.MustCompile(`^-(\d+|\d*\.\d+)$`)

// optionOf finds the option that is written as name, with its dashes.
func (c *command) optionOf(name string) (option, error) {
	if long, ok := strings.CutPrefix(name, "--"); ok {
		return c.resolve(long)
	}
	for _, g := range c.options {
		for _, o := range g.options {
			if o.short != "" && name == "-"+o.short {
				return o, nil
			}
		}
	}
	return option{}, fmt.Errorf("unknown option %s", name)
}

// accepts reports whether what follows an optional option is its value.
func (o option) accepts(value string) bool {
	if o.takes != nil {
		return o.takes(value)
	}
	return slices.Contains(o.choices, value)
}

// isGrant tells the values of --grants from paths that follow them.
func isGrant(arg string) bool {
	permission, grantee, ok := strings.Cut(arg, "=")
	return ok && grantee != "" && slices.Contains(permissions, permission)
}

// resolve finds the option that a name, or the beginning of one, stands for. The options of aws
// go before ours, so that what is short enough for aws is for us.
func (c *command) resolve(name string) (option, error) {
	if o, ok := c.options.find(name); ok {
		return o, nil
	}
	var theirs, all []option
	for _, g := range c.options {
		for _, o := range g.options {
			if name == "" || !strings.HasPrefix(o.name, name) {
				continue
			}
			if all = append(all, o); !o.ours {
				theirs = append(theirs, o)
			}
		}
	}
	for _, found := range [][]option{theirs, all} {
		if len(found) == 1 {
			return found[0], nil
		}
	}
	if len(all) > 0 {
		names := make([]string, len(all))
		for i := range all {
			names[i] = "--" + all[i].name
		}
		return option{}, fmt.Errorf("option --%s is ambiguous: it could be %s", name, strings.Join(names, ", "))
	}
	return option{}, c.unknownOption(name)
}

// unknownOption says that there is no such option, and what may have been meant.
func (c *command) unknownOption(name string) error {
	if hint, ok := c.meant[name]; ok {
		return fmt.Errorf("unknown option --%s: %s", name, hint)
	}
	best, least := "", 3
	for _, g := range c.options {
		for _, o := range g.options {
			if d := distance(name, o.name); d < least {
				best, least = o.name, d
			}
		}
	}
	if best != "" {
		return fmt.Errorf("unknown option --%s: did you mean --%s?", name, best)
	}
	return errors.New("unknown option --" + name)
}

// distance is the number of letters to be put in, taken out or changed between two words
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
