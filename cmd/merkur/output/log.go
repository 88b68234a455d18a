package output

import (
	"fmt"
	"io"
	"os"
	"time"
)

// OpenLog opens the file of a log, which only its owner may read if it is made. What is written is
// added at its end, so that several runs can share it.
func OpenLog(path string) (io.WriteCloser, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return f, nil
}

// A log has the time before each of its lines.
type log struct {
	w   io.Writer
	now func() time.Time
}

// line writes a line. It is one write, so that those of another run are not mixed with it.
func (l *log) line(text string) error {
	_, err := io.WriteString(l.w, l.now().Format(time.DateTime)+" "+visible(text, inText)+"\n")
	return err
}

// opening is the first line of a run in the log.
func (o *Options) opening() string {
	what := "sync"
	if o.DryRun {
		what = "dry run of sync"
	}
	return fmt.Sprintf("Starting %s: %s to %s", what, o.From.URL(""), o.To.URL(""))
}

// The exit codes of runs that came to their end.
const (
	warned   = 2 // something was left out
	differed = 3 // a bucket is not what its manifest says
)

// closing is the last line of a run in the log.
func closing(code int, err error) string {
	switch {
	case code == 0:
		return "Sync completed successfully"
	case err != nil:
		return fmt.Sprintf("Sync failed with exit code %d: %v", code, err)
	case code == differed:
		return fmt.Sprintf("Sync completed, but a bucket is not what its manifest says, exit code %d", code)
	case code == warned:
		return fmt.Sprintf("Sync completed with warnings, exit code %d", code)
	}
	return fmt.Sprintf("Sync failed with exit code %d", code)
}
