package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"merkur/cmd/merkur/output"
	"merkur/store/bucket"
	"merkur/transfer"
)

func undoCommand() *command {
	return &command{
		name:  "undo",
		usage: "put back what a run has changed in a bucket",
		paths: "RUN s3://BUCKET[/PREFIX] | --last s3://BUCKET[/PREFIX] | --list s3://BUCKET[/PREFIX]",
		about: "Puts back what a run of sync, or of undo, has replaced and deleted below a prefix, by copies on the\n" +
			"server's side, and deletes what it has created. What was changed since then is left as it is. The run's\n" +
			"name stands in its summary; there is a record of it where the bucket keeps versions, or if it was\n" +
			"given --backup-prefix, which then has to be given here too. An undo can be undone like any run.\n" +
			"Records and copies are not sealed: with --manifest-key, who can write to them still decides what an\n" +
			"undo puts back and deletes, but not what the manifest vouches for. See with --dryrun what would be done.",
		options: table{
			{"1. What to undo", []option{
				{name: "last", usage: "undo the last run"},
				{name: "list", usage: "show the runs that can be undone"},
				{name: "backup-prefix", kind: valued, usage: "the `s3://BUCKET/PREFIX` that the run kept copies in; what the undo replaces is kept there too"},
				{name: "dryrun", usage: "show what would be done, and do nothing"},
			}},
			syncOptions.pick("2. Cache", "no-cache", "cache-dir"),
			syncOptions.pick("3. Safety", "strict", "manifest-key", "accept-rollback"),
			syncOptions.pick("4. How objects are stored", "acl", "sse", "sse-kms-key-id", "sse-c", "sse-c-key"),
			syncOptions.pick("5. Output", "quiet", "only-show-errors", "no-progress", "output", "summary", "color", "debug"),
			syncOptions.pick("6. Server", "endpoint-url", "region", "profile", "no-sign-request", "request-payer", "page-size",
				"no-verify-ssl", "ca-bundle", "cli-read-timeout", "cli-connect-timeout", "max-concurrent-requests", "max-bandwidth", "addressing-style"),
		},
		meant: map[string]string{"dry-run": "--dryrun is meant", "run": "the name of the run is the first word", "force": "what was changed since is never overwritten"},
		codes: []exitMeaning{
			{exitDone, "all is as it was before the run, or would be"},
			{exitFailed, "something could not be put back, or the undo could not go on"},
			{exitDrift, "nothing failed, but some objects were changed since, and left as they are (each named in a line drift:)"},
		},
		run: runUndo,
	}
}

// An undoing is an undo as it was asked for.
type undoing struct {
	request
	name       string // of the run; empty for --last and --list
	last, list bool
}

func readUndoing(g *given, paths []string) (*undoing, error) {
	u := &undoing{request: request{given: g}, last: g.on("last"), list: g.on("list")}
	words := 2
	if u.last || u.list {
		words = 1
	}
	switch {
	case u.last && u.list:
		return nil, usage(errors.New("--last does not go with --list"))
	case len(paths) != words && words == 2:
		return nil, usage(fmt.Errorf("undo takes the name of a run and an s3:// path, not %d words", len(paths)))
	case len(paths) != words:
		return nil, usage(fmt.Errorf("with --last and --list undo takes an s3:// path and nothing else, not %d words", len(paths)))
	case words == 2:
		u.name = paths[0]
	}
	var err error
	if u.to, err = readEnd(paths[words-1]); err != nil {
		return nil, err
	}
	if !u.to.remote() {
		return nil, usage(fmt.Errorf("%s is not an s3:// path: only what was done in a bucket can be undone", paths[words-1]))
	}
	u.from = u.to
	if u.settings, err = loadSettings(g); err != nil {
		return nil, err
	}
	if u.options.Terms, err = g.terms(); err != nil {
		return nil, usage(err)
	}
	for _, read := range []func() error{u.readSeal, u.readTuning, u.readServers, u.readBackup} {
		if err := read(); err != nil {
			return nil, usage(err)
		}
	}
	u.options.DryRun, u.options.Explain = g.on("dryrun"), g.on("debug")
	return u, nil
}

func runUndo(ctx context.Context, g *given, paths []string) (int, error) {
	u, err := readUndoing(g, paths)
	if err != nil {
		return exitFailed, err
	}
	code, err := u.run(ctx)
	if err != nil && g.on("quiet") {
		return code, silentError{err}
	}
	return code, err
}

// run carries out the undo and returns the exit code.
func (u *undoing) run(ctx context.Context) (int, error) {
	var printer *output.Printer // there is none before the run is found
	stores, err := u.open(ctx, func(line string) {
		if printer != nil {
			printer.Event(transfer.Event{Why: line})
		}
	})
	if err != nil {
		return exitFailed, err
	}
	o := &u.options
	if u.list {
		runs, err := transfer.Runs(ctx, o.To, o.Backup)
		if err != nil {
			return exitFailed, err
		}
		return exitDone, listRuns(os.Stdout, runs, u.given.text("output") == "json")
	}
	past, err := u.find(ctx)
	if err != nil {
		return exitFailed, err
	}
	printer, err = u.printer(past)
	if err != nil {
		return exitFailed, err
	}
	u.tellSharedKey(printer)
	return u.carryOut(ctx, past, printer, stores)
}

// find finds the run that is meant.
func (u *undoing) find(ctx context.Context) (*transfer.Past, error) {
	o := &u.options
	if !u.last {
		return transfer.FindRun(ctx, o.To, o.Backup, u.name)
	}
	runs, err := transfer.Runs(ctx, o.To, o.Backup)
	if err == nil && len(runs) == 0 {
		err = fmt.Errorf("%w: none of %s", transfer.ErrNoRecord, u.to.location)
	}
	if err != nil {
		return nil, err
	}
	return runs[len(runs)-1], nil
}

// carryOut undoes a run.
func (u *undoing) carryOut(ctx context.Context, past *transfer.Past, p *output.Printer, stores []*bucket.S3) (int, error) {
	done, err := u.remember(p)
	if err != nil {
		return exitFailed, err
	}
	o := &u.options
	o.Meter, o.Report = &transfer.Meter{}, p.Event
	p.Start(o.Meter)
	sum, err := transfer.Undo(ctx, *o, past)
	err = cancelled(ctx, err)
	done()
	return conclude(p, sum, stores, err)
}

// printer makes what prints: lines that name what is put back from where it is kept.
func (u *undoing) printer(past *transfer.Past) (*output.Printer, error) {
	kept := past.Source()
	u.from.location = location{kept.Bucket, kept.Prefix}
	p, _, err := u.request.printer() // there is no option for a log
	return p, err
}

// A ran is a run in a list, as JSON.
type ran struct {
	Time     string `json:"time"` // RFC 3339, UTC
	Type     string `json:"type"` // run
	Run      string `json:"run"`
	Created  int    `json:"created"`
	Replaced int    `json:"replaced"`
	Deleted  int    `json:"deleted"`
	Complete bool   `json:"complete"` // it came to its end
	Undoes   string `json:"undoes,omitempty"`
}

// listRuns prints runs, oldest first.
func listRuns(w io.Writer, runs []*transfer.Past, asJSON bool) error {
	e := json.NewEncoder(w)
	for _, r := range runs {
		if asJSON {
			if err := e.Encode(ran{r.Time.Format("2006-01-02T15:04:05.000Z07:00"), "run", r.Name, r.Created, r.Replaced, r.Deleted, r.Ended, r.Undoes}); err != nil {
				return err
			}
			continue
		}
		note := ""
		if r.Undoes != "" {
			note = ", undid " + r.Undoes
		}
		if !r.Ended {
			note += ", did not end"
		}
		_, err := fmt.Fprintf(w, "%s %s created %d, replaced %d, deleted %d%s\n",
			r.Time.Local().Format(time.DateTime), r.Name, r.Created, r.Replaced, r.Deleted, note)
		if err != nil {
			return err
		}
	}
	return nil
}
