// Command merkur mirrors directory trees to S3, and decides by content what to send.
//
// It takes the command line of "aws s3 sync", prints what that prints, and exits as that does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

// version is set when a release is built.
var version = "0.1.0-dev"

func main() { os.Exit(run(os.Args)) }

// The garbage collector lets memory grow to three times what is in use, which takes a tenth off the CPU of an
// upload of many small files; more of it gains nothing. From usualMemory bytes on it keeps to that: such a run
// has about half as much in use.
const (
	usualMemory = 224 << 20
	usualGrowth = 200 // percent
)

// run is the program but for its exit, so that tests can be it.
func run(args []string) int {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(usualMemory)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(usualGrowth)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // who reads the lines may stop reading; the work goes on
	// A second interrupt is not caught: it ends the program at once.
	context.AfterFunc(ctx, stop)
	status, all := exitDone, commands()
	app := &cli.App{
		Name:            "merkur",
		Usage:           "mirror directory trees to S3, by content",
		Version:         version,
		HideHelpCommand: true,
		Action:          noCommand,
		ExitErrHandler:  func(*cli.Context, error) {}, // this function prints and exits
		OnUsageError:    func(_ *cli.Context, err error, _ bool) error { return usage(err) },
	}
	for _, c := range all {
		app.Commands = append(app.Commands, c.cli(&status))
	}
	c, spelled := named(all, args), all[0] // what is no command is refused in the words of the first
	if c != nil {
		spelled = c
	}
	args, err := permute(spelled, args)
	if err != nil {
		return explain(os.Stderr, c, usage(err))
	}
	settleHome()
	if err = app.RunContext(ctx, args); err == nil {
		return status
	}
	if silent := (silentError{}); errors.As(err, &silent) {
		return exitCode(exitFailed, err)
	}
	return explain(os.Stderr, c, err)
}

// endings are the signals that end a run in order. That of a closed terminal is none of them if
// it is ignored: nohup means that.
func endings() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// settleHome makes up for a variable that the services of a system are started without: then, as
// for aws, the home directory is that of the user.
func settleHome() {
	if _, err := os.UserHomeDir(); err == nil {
		return
	}
	if u, err := user.Current(); err == nil && u.HomeDir != "" {
		os.Setenv("HOME", u.HomeDir)
	}
}

// The exit codes are those of aws v2, but for drift.
const (
	exitDone   = 0
	exitFailed = 1   // a transfer failed, or the run could not go on
	exitWarned = 2   // nothing failed, but something was left out
	exitDrift  = 3   // nothing failed, but somebody else has changed what is in the bucket
	exitUsage  = 252 // the command line is wrong
	exitConfig = 255 // the local source does not exist, or the configuration is wrong
)

// A usageError is a wrong command line.
type usageError struct{ error }

// usage says that the command line is wrong, in words that show an option as it is written.
func usage(err error) error {
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		err = errors.New("unknown option --" + name)
	}
	if _, reason, ok := strings.Cut(err.Error(), " for flag -"); ok {
		_, reason, _ = strings.Cut(reason, ": ")
		err = errors.New(reason)
	}
	return usageError{err}
}

// noCommand is what the program does without a command that it knows.
func noCommand(c *cli.Context) error {
	if c.Args().First() == "help" {
		return cli.ShowAppHelp(c)
	}
	if c.NArg() > 0 {
		return usage(fmt.Errorf("unknown command %s: there is none but sync; for all else use the AWS CLI", c.Args().First()))
	}
	return usage(errors.New("no command is given"))
}
