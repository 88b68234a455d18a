package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// A command is a word of the command line, and all that goes with it.
type command struct {
	name  string
	usage string // one line
	paths string // what follows the options
	// hidden is set for what the program runs itself, and the help does not name.
	hidden bool
	about  string // for the help: what it does
	// options are all that it takes.
	options table
	// meant are options that it does not take, and what to say to who tries.
	meant map[string]string
	// codes are its exit codes besides those of the command line and the configuration, which all
	// commands have.
	codes []exitMeaning
	// run carries it out, and returns the exit code.
	run func(ctx context.Context, g *given, paths []string) (int, error)
}

// An exitMeaning is what an exit code of a command means.
type exitMeaning struct {
	code  int
	means string
}

// commands are all of the program, in the order of the help.
func commands() []*command {
	return []*command{syncCommand(), undoCommand(), verifyCommand(), diffCommand(), explainCommand(), lsCommand(), rootCommand(), benchCommand(), benchPlanCommand()}
}

// commandOf returns the command of a name, or nil.
func commandOf(all []*command, name string) *command {
	i := slices.IndexFunc(all, func(c *command) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// cli is the command for the command-line library. The exit code goes to status.
func (c *command) cli(status *int) *cli.Command {
	g := &given{values: map[string]string{}}
	return &cli.Command{
		Name: c.name, Hidden: c.hidden, Usage: c.usage, ArgsUsage: c.paths, Description: c.about,
		CustomHelpTemplate: cli.CommandHelpTemplate + c.exitCodes(),
		HideHelpCommand:    true, // a directory may have the name "help"
		Flags:              c.options.flags(g),
		OnUsageError:       func(_ *cli.Context, err error, _ bool) error { return usage(err) },
		Action: func(ctx *cli.Context) (err error) {
			*status, err = c.run(ctx.Context, g, ctx.Args().Slice())
			return err
		},
	}
}

// exitCodes is the last section of the help.
func (c *command) exitCodes() string {
	var b strings.Builder
	b.WriteString("\nEXIT CODES:\n")
	for _, e := range append(slices.Clone(c.codes), exitMeaning{exitUsage, "the command line is wrong"},
		exitMeaning{exitConfig, "a local path does not exist, or the configuration is wrong"}) {
		fmt.Fprintf(&b, "   %-4d %s\n", e.code, e.means)
	}
	return b.String()
}
