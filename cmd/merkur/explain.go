package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v2"

	"merkur/cmd/merkur/settings"
	"merkur/inspect"
	"merkur/manifest"
	"merkur/store/bucket"
	"merkur/store/catalog"
	"merkur/transfer"
	"merkur/transfer/history"
)

// This file says what ended the program. An error says what happened; a hint, on a line of its
// own, what to do about it. What is printed while a run goes on is the business of package
// output.

// A noSourceError is a local source that is not there. The words are aws's.
type noSourceError struct{ path string }

func (e noSourceError) Error() string {
	return "The user-provided path " + e.path + " does not exist."
}

// A cancelledError is a run that a signal ended.
type cancelledError struct{ signal string }

func (e cancelledError) Error() string { return "cancelled: " + e.signal }

// cancelled is the error of a run, or that it was cancelled if that is what ended it. Of ctrl-c,
// the words are aws's.
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	signal := context.Cause(ctx).Error()
	if signal == os.Interrupt.String()+" signal received" {
		signal = "ctrl-c received"
	}
	return cancelledError{signal}
}

// explain prints an error that ended a command, or the program if that is nil, and a hint if there
// is one. It returns the exit code.
func explain(w io.Writer, c *command, err error) int {
	code := exitCode(exitFailed, err)
	prefix := map[int]string{exitFailed: "fatal error: ", exitUsage: "merkur: "}[code]
	if stopped := (cancelledError{}); errors.As(err, &stopped) {
		prefix = ""
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%v\n", prefix, err)
	if h := hint(c, err); h != "" {
		fmt.Fprintf(&b, "hint: %s\n", h)
	}
	w.Write(b.Bytes())
	return code
}

// exitCode is that of a run that ended with err, or with code if that is nil.
func exitCode(code int, err error) int {
	var wrong usageError
	var missing noSourceError
	var config *settings.Error
	var framework cli.ExitCoder
	switch {
	case err == nil:
		return code
	case errors.As(err, &wrong), errors.As(err, &framework):
		return exitUsage
	case errors.As(err, &missing), errors.As(err, &config):
		return exitConfig
	}
	return exitFailed
}

// brokenPipe reports whether nobody reads the lines any more, which is no failure of the run.
func brokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// refused reports whether a server has answered with one of some codes.
func refused(err error, codes ...string) bool {
	var e *bucket.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}

// stranger reports whether what answered does not speak as S3 does: a web site, or a proxy.
func stranger(err error) bool {
	var e *bucket.Error
	if !errors.As(err, &e) || e.Status == 0 {
		return false
	}
	// The answer to a HEAD has no body that could tell.
	return e.Code == "" && !errors.Is(e, io.ErrUnexpectedEOF) || e.Code == strconv.Itoa(e.Status) && e.Op != "HeadObject"
}

// hint says what a person can do about an error of a command; of nil, which is none.
func hint(c *command, err error) string {
	var wrong usageError
	switch {
	case errors.As(err, &wrong) && c == nil:
		return "merkur --help lists the commands of this version"
	case errors.As(err, &wrong):
		return "merkur " + c.name + " --help lists the options of this version"
	case errors.Is(err, transfer.ErrNoRecord):
		return "merkur undo --list shows the runs that can be undone: those that found a bucket which keeps versions, or had --backup-prefix, which has to be given here too"
	case errors.Is(err, history.ErrVersion):
		return "use a newer merkur"
	case c == nil || c.name == "sync":
		return hintOfSync(err)
	case c.name == "undo" && hintOfWriting(err) != "":
		return hintOfWriting(err)
	}
	return hintOfLook(err)
}

// hintOfLook is what a person can do about an error of a command that looks.
func hintOfLook(err error) string {
	switch {
	case errors.Is(err, inspect.ErrNoManifest):
		return "merkur sync makes one when it mirrors there; aws s3 ls and merkur diff --list look without"
	case refused(err, "AccessDenied", "403"):
		return "--help of the command says which permissions it needs"
	case errors.Is(err, catalog.ErrMoved):
		return "a sync has just ended there; try again"
	case errors.Is(err, manifest.ErrVersion):
		return "use a newer merkur"
	case errors.Is(err, manifest.ErrCorrupt):
		return "merkur sync --rebuild-manifest lists the bucket and makes a new manifest; no object is sent again that is equal"
	}
	return hintOfBucket(err)
}

// hintOfSync is what a person can do about an error of a sync.
func hintOfSync(err error) string {
	switch {
	case errors.Is(err, manifest.ErrVersion):
		return "use a newer merkur; or --rebuild-manifest lists the bucket and makes a manifest of this version"
	case errors.Is(err, manifest.ErrCorrupt):
		return "--rebuild-manifest lists the bucket and makes a new manifest; no object is sent again that is equal"
	case errors.Is(err, transfer.ErrEmptySource):
		return "is the right directory mounted? --allow-empty-source lets an empty one delete everything"
	case errors.Is(err, transfer.ErrFirstRun):
		return "nothing was mirrored there before, so that what is there is somebody else's; see with --dryrun what would be deleted; --max-delete N or N% allows it"
	case errors.Is(err, transfer.ErrWrongSource):
		return "is it the right source? see with --dryrun what would be deleted; --max-delete N or N% allows it"
	case errors.Is(err, transfer.ErrTooManyDeletes):
		return "see them with --dryrun; --max-delete N or N% allows them"
	case hintOfWriting(err) != "":
		return hintOfWriting(err)
	}
	return hintOfBucket(err)
}

// hintOfWriting is what a person can do about an error of whatever writes a manifest; empty: it is another.
func hintOfWriting(err error) string {
	switch {
	case errors.Is(err, transfer.ErrNoManifest):
		return "an upload with --manifest-key makes one"
	case errors.Is(err, catalog.ErrLeased):
		return "run again when it is done; if it died, its lease runs out by itself, or ends with the object .merkur/lease"
	case errors.Is(err, transfer.ErrUnsafe):
		return "without --strict, a lease keeps other runs of merkur out while one writes"
	}
	return ""
}

// hintOfBucket is what a person can do about a seal that is not as it should be, or a server that
// refuses.
func hintOfBucket(err error) string {
	switch {
	case errors.Is(err, manifest.ErrSealed):
		return "--manifest-key FILE names the file with its key"
	case errors.Is(err, manifest.ErrUnsealed), errors.Is(err, manifest.ErrSeal):
		return "is it the right key? If so, do not trust the bucket; an upload with --rebuild-manifest makes a new manifest, and compares all objects with the files"
	case errors.Is(err, catalog.ErrRolledBack):
		return "somebody may have put an old manifest back, or taken it away; if you know why, merkur sync --accept-rollback goes on from what is there"
	case errors.Is(err, catalog.ErrMark):
		return "merkur sync --accept-rollback goes on from what is there; an old manifest that somebody has put back is not noticed then"
	case errors.Is(err, bucket.ErrNoBucket):
		return "merkur makes no buckets; check the name, the region and --endpoint-url"
	case refused(err, "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"):
		return "the credentials are not valid any more; get new ones and run again: what is stored is not sent again"
	case refused(err, "RequestTimeTooSkewed"):
		return "check the clock of this machine"
	case refused(err, "SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthorizationHeaderMalformed"):
		return "check the access key, its secret and the region"
	case errors.Is(err, bucket.ErrNoCredentials):
		return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile, or --no-sign-request for a public bucket"
	case stranger(err):
		return "this is not how an S3 server answers; check --endpoint-url, and what is between"
	}
	return ""
}
