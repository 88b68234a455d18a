package output

import (
	"fmt"
	"math"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/transfer"
	"merkur/transfer/drift"
)

// message is an event as it is told.
func (o *Options) message(e transfer.Event) message {
	m := message{level: Lines}
	if o.JSON {
		m.object = o.object(e)
	}
	switch {
	case e.Done != nil && o.DryRun:
		m.level, m.text = Troubles, "(dryrun) "+o.action(*e.Done, "")
	case e.Done != nil:
		m.text = o.action(*e.Done, "")
	case e.Failed != nil:
		m.level, m.trouble = Troubles, failure
		m.text = o.action(e.Failed.Action, " failed") + " " + e.Failed.Err.Error()
	case e.Problem != nil:
		m.level, m.trouble, m.text = Troubles, warning, "warning: "+left(*e.Problem)
	case e.Drift != nil:
		m.level, m.trouble, m.text = Troubles, warning, "drift: "+o.drift(*e.Drift)
	case e.Warning != nil:
		m.level, m.trouble, m.text = Troubles, warning, "warning: "+e.Warning.Text
	case e.Why != "":
		m.trouble, m.text = aside, e.Why
	default:
		m.trouble, m.text = aside, "note: "+e.Note
	}
	return m
}

// A deed is an action in words.
type deed struct {
	word     string
	from, to *End // nil: the action has none
}

// deed tells what an action does, and where. A delete is one at the destination, and so is a
// change of headers, which is a copy of the object to itself.
func (o *Options) deed(v transfer.Verb) deed {
	switch v {
	case transfer.Delete:
		return deed{"delete", nil, &o.To}
	case transfer.Describe:
		return deed{"copy", &o.To, &o.To}
	}
	return deed{o.direction(), &o.From, &o.To}
}

// direction is the word for a transfer from end to end.
func (o *Options) direction() string {
	switch {
	case o.From.local:
		return "upload"
	case o.To.local:
		return "download"
	}
	return "copy"
}

// action is the line of an action: "upload: ./a to s3://bucket/a".
func (o *Options) action(a transfer.Action, suffix string) string {
	d := o.deed(a.Verb)
	if d.from == nil {
		return d.word + suffix + ": " + d.to.Name(a.Key)
	}
	return d.word + suffix + ": " + d.from.Name(a.Key) + o.version(a) + " to " + d.to.Name(a.Key)
}

// version names the version that an object is put back from, if it is from one.
func (o *Options) version(a transfer.Action) string {
	if a.Verb != transfer.Restore || o.From.root != o.To.root || a.From.Evidence.Version == "" {
		return ""
	}
	return "?versionId=" + a.From.Evidence.Version
}

// watched is the end whose bucket differs from its manifest.
func (o *Options) watched(d transfer.Drift) *End {
	if d.Source {
		return &o.From
	}
	return &o.To
}

// drift is a key at which a bucket is not what its manifest says: "missing: s3://bucket/a (to be restored)".
func (o *Options) drift(d transfer.Drift) string {
	done := map[drift.Action]string{
		drift.Keep: "kept", drift.Adopt: "adopted", drift.Replace: "to be replaced", drift.Delete: "to be deleted",
		drift.Restore: "to be restored", drift.Forget: "forgotten: the source has none either",
	}[d.Action]
	if d.Source && d.Class != drift.New {
		done = "not taken"
	}
	if d.Since != "" {
		done = "kept: it was changed after run " + d.Since
	}
	return fmt.Sprintf("%v: %s (%s)", d.Class, o.watched(d).Name(d.Key), done)
}

// left says why a path was left out, in the words of aws where it has any.
func left(p hashing.Problem) string {
	skipped := "Skipping file " + p.Path + ". "
	switch p.Reason {
	case hashing.Missing:
		return skipped + "File does not exist."
	case hashing.Special:
		return skipped + "File is character special device, block special device, FIFO, or socket."
	case hashing.Unreadable:
		return skipped + "File/Directory is not readable."
	case hashing.Loop:
		return skipped + "Symbolic link leads back to a directory above it."
	case hashing.NotUTF8:
		return fmt.Sprintf("Skipping file %q. File name is not valid UTF-8.", p.Path)
	case hashing.TooLong:
		return skipped + fmt.Sprintf("Its key would be longer than the %d bytes that S3 takes.", manifest.MaxKey)
	}
	return fmt.Sprintf("%s%v: %v", skipped, p.Reason, p.Err)
}

// Size is a number of bytes as aws shows it: "1 Byte", "2 Bytes", "1.0 KiB".
func Size(n int64) string {
	switch {
	case n == 1:
		return "1 Byte"
	case n < 1024:
		return fmt.Sprintf("%d Bytes", n)
	}
	v := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if v /= 1024; math.RoundToEven(v) < 1024 {
			return fmt.Sprintf("%.1f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f EiB", v/1024)
}
