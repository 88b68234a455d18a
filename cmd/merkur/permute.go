package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves the options of a command before its paths, keeping the order of both, so that
// they may be given before, after and between them, as aws takes them. What follows "--" is
// left alone.
func permute(args []string, commands []*cli.Command) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[1]) })
	if i < 0 {
		return args, nil
	}
	valued := map[string]bool{}
	for _, f := range commands[i].Flags {
		for _, name := range f.Names() {
			valued[name] = takesValue(f)
		}
	}
	var options, paths []string
	rest := args[2:]
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		switch {
		case arg == "-h" || arg == "--help":
			return append(args[:2:2], "--help"), nil
		case arg == "--":
			paths = append(paths, rest...)
			rest = nil
		case len(arg) < 2 || arg[0] != '-':
			paths = append(paths, arg)
		default:
			options = append(options, arg)
			if !valued[strings.TrimLeft(arg, "-")] {
				break
			}
			// As for aws, what looks like an option is none's value: "--exclude=-x" says so.
			if len(rest) == 0 || len(rest[0]) > 1 && rest[0][0] == '-' {
				return nil, fmt.Errorf("option %s needs a value", arg)
			}
			options = append(options, rest[0])
			rest = rest[1:]
		}
	}
	return slices.Concat(args[:2], options, []string{"--"}, paths), nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}
