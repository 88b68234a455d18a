package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"merkur/transfer/filter"
)

// A given is what a command line gives: the values of its options. The order of filters, and of
// the two options about links, is that of the command line.
type given struct {
	values   map[string]string // of the options that were given
	grants   []string
	wishes   []string // simulations
	filters  []filter.Filter
	noFollow bool
}

// A setting puts one option's value into a given.
type setting struct {
	option
	given *given
}

// Set takes a value as it was typed.
func (s *setting) Set(value string) error {
	g := s.given
	if s.kind == toggle {
		if on, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("--%s takes no value", s.name)
		} else if !on {
			return nil
		}
	}
	if s.choices != nil && !slices.Contains(s.choices, value) {
		if strings.HasPrefix(s.name, "sse-c") {
			value = "..." // it may be the key, which --sse-c-key takes
		}
		return fmt.Errorf("argument --%s: Invalid choice: %q, valid choices are: %s", s.name, value, strings.Join(s.choices, " | "))
	}
	switch s.name {
	case "exclude", "include":
		g.filters = append(g.filters, filter.Filter{Include: s.name == "include", Pattern: value})
	case "follow-symlinks", "no-follow-symlinks":
		g.noFollow = s.name == "no-follow-symlinks"
	case "grants":
		g.grants = append(g.grants, value)
	case "simulate":
		g.wishes = append(g.wishes, strings.Split(value, ",")...)
	}
	g.values[s.name] = value
	return nil
}

func (s *setting) String() string { return "" }

// IsBoolFlag tells the flag package that no value follows.
func (s *setting) IsBoolFlag() bool { return s.kind == toggle }

// on reports whether an option without a value was given.
func (g *given) on(name string) bool { return g.has(name) }

func (g *given) has(name string) bool {
	_, ok := g.values[name]
	return ok
}

func (g *given) text(name string) string { return g.values[name] }

// file is a text, or the content of the file that it names as file:// or fileb://. As for aws, "~"
// and variables in the name are filled in, since no shell does it behind the "//".
func (g *given) file(name string) (string, error) {
	value := g.values[name]
	path, ok := strings.CutPrefix(value, "file://")
	if !ok {
		path, ok = strings.CutPrefix(value, "fileb://")
	}
	if !ok {
		return value, nil
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("--%s: %w", name, err)
		}
		path = filepath.Join(home, rest)
	}
	b, err := os.ReadFile(os.Expand(path, func(name string) string {
		if value, ok := os.LookupEnv(name); ok {
			return value
		}
		return "$" + name
	}))
	if err != nil {
		return "", fmt.Errorf("--%s: %w", name, err)
	}
	return string(b), nil
}

// number is a whole number of at least least.
func (g *given) number(name string, least int) (int, error) {
	value, ok := g.values[name]
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least {
		return 0, fmt.Errorf("argument --%s: invalid int value: '%s'", name, value)
	}
	return n, nil
}

// timeout is a number of seconds as package bucket takes it: 0 is what it usually is, and what
// aws calls 0 is endless.
func (g *given) timeout(name string) (time.Duration, error) {
	n, err := g.number(name, 0)
	if err != nil || !g.has(name) {
		return 0, err
	}
	if n == 0 {
		return -1, nil
	}
	return time.Duration(n) * time.Second, nil
}

// parseShare reads a share as a number from 0 to 1, or in percent.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	share, err := strconv.ParseFloat(number, 64)
	if percent {
		share /= 100
	}
	if err != nil || !(share >= 0 && share <= 1) {
		return 0, fmt.Errorf("%q is not a share such as 0.01 or 1%%", s)
	}
	return share, nil
}
