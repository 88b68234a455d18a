package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"merkur/hashing"
	"merkur/manifest"
	"merkur/transfer"
)

// An object is one event as JSON: one object, on one line. Fields that do not apply are absent.
// More fields and more types may come with new versions; none will change its meaning.
//
//	time         when it was told: RFC 3339, UTC, with milliseconds
//	type         upload, download, copy   a file or an object was transferred
//	             headers                  an object got other headers; its content stayed
//	             delete                   a file or an object was deleted
//	             failure                  an action was not carried out
//	             drift                    a bucket is not what its manifest says
//	             warning                  something was left out, or done only in part
//	             note                     something that changes nothing
//	             explanation              why something is to be done
//	             summary                  the last one; its fields are those of the type summary
//	action       of a failure: the type that a success would have had; of drift, what is done about it:
//	             keep, adopt, replace, delete, restore, forget
//	class        of drift: foreign-new, foreign-changed, missing
//	url          of drift: of the object, at the source or at the destination
//	etag         of drift: what the bucket has now; absent: it has none
//	known_etag   of drift: what the manifest says, or what the run left that is undone; absent: nothing
//	key          relative to source and destination, with "/"; one that ends in "/" may be that
//	             of a local directory that was left out
//	source       s3:// URL or absolute path; a delete has none. What is put back from a version has
//	             "?versionId=…" behind it
//	destination  the same
//	size         bytes to transfer, of transfers and their failures; of drift, of what the bucket has now, or
//	             else of what the manifest names
//	dryrun       true: nothing was done
//	message      of warnings, notes and explanations: for people
//	path         of a warning: the local path that was left out
//	path_base64  its bytes, if they are not UTF-8; path then has U+FFFD for those that are not
//	reason       why it was left out: special, unreadable, missing, loop, not-utf8, too-long, failed
//	minor        true: the warning does not count for the exit code
//	error        of a failure: see the type fault
//
// Strings hold no control characters but as escapes. Bytes that are not UTF-8, which only local paths
// and texts with them can have, are U+FFFD.
type object struct {
	Time        string `json:"time"`
	Type        string `json:"type"`
	Action      string `json:"action,omitempty"`
	Class       string `json:"class,omitempty"`
	Key         string `json:"key,omitempty"`
	Source      string `json:"source,omitempty"`
	Destination string `json:"destination,omitempty"`
	URL         string `json:"url,omitempty"`
	ETag        string `json:"etag,omitempty"`
	KnownETag   string `json:"known_etag,omitempty"`
	Size        *int64 `json:"size,omitempty"`
	DryRun      bool   `json:"dryrun,omitempty"`
	Message     string `json:"message,omitempty"`
	Path        string `json:"path,omitempty"`
	PathBase64  []byte `json:"path_base64,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Minor       bool   `json:"minor,omitempty"`
	Error       *fault `json:"error,omitempty"`
}

// A fault is an error as JSON.
type fault struct {
	Message string `json:"message"`        // for people
	Code    string `json:"code,omitempty"` // that the server gave, such as AccessDenied
	Hint    string `json:"hint,omitempty"` // what a person can do about it
}

// A summary is the last object of a run as JSON. All of its fields are always there, but error.
type summary struct {
	Time        string           `json:"time"`
	Type        string           `json:"type"`
	Direction   string           `json:"direction"` // upload, download, copy
	Source      string           `json:"source"`
	Destination string           `json:"destination"`
	DryRun      bool             `json:"dryrun"`
	Complete    bool             `json:"complete"` // the run came to its end, though actions may have failed
	Seconds     float64          `json:"seconds"`  // that it took
	Transferred int64            `json:"transferred"`
	Bytes       int64            `json:"transferred_bytes"`
	Proved      int64            `json:"proved"`  // found to be equal without a transfer
	Described   int64            `json:"headers"` // objects that got other headers
	Deleted     int64            `json:"deleted"`
	Failed      int64            `json:"failed"`   // actions; not 0: exit code 1
	Audited     int64            `json:"audited"`  // keys that an audit compared
	Drift       classes          `json:"drift"`    // keys that somebody else had changed; not 0: exit code 3, or 1
	Problems    int64            `json:"problems"` // local paths left out; not 0: exit code 2, or 1
	Warnings    int64            `json:"warnings"` // others that count for the exit code; as problems
	Listed      int64            `json:"listed"`   // objects seen in listings
	Scan        scan             `json:"scan"`     // of the local side; all 0 if there is none
	Requests    map[string]int64 `json:"requests"` // to S3, by the name of the operation
	Run         string           `json:"run"`      // by which it can be undone; empty: nothing was changed, or it cannot be undone
	Root        string           `json:"root"`     // digest of the manifest; empty: there is none
	Error       *fault           `json:"error,omitempty"`
}

// Classes are numbers of keys by class of drift.
type classes struct {
	New     int64 `json:"foreign_new"`
	Changed int64 `json:"foreign_changed"`
	Missing int64 `json:"missing"`
}

// A scan is what the local side of a run was.
type scan struct {
	Files       int64  `json:"files"`
	Bytes       int64  `json:"bytes"`
	Dirs        int64  `json:"directories"`
	HashedFiles int64  `json:"hashed_files"` // that were read
	HashedBytes int64  `json:"hashed_bytes"`
	Trusted     int64  `json:"trusted_files"`   // that the cache knew
	Rehashed    int64  `json:"rehashed_files"`  // of hashed_files: that the cache knew
	Unseen      int64  `json:"lying_files"`     // of rehashed_files: that had changed without a trace in size and times
	Unsettled   int64  `json:"unsettled_files"` // of hashed_files: too young to be remembered
	FileSystem  string `json:"file_system"`     // local, network, memory, weak; empty: unknown
}

// object is an event as JSON.
func (o *Options) object(e transfer.Event) object {
	j := object{Time: stamp(o.Now()), DryRun: o.DryRun && (e.Done != nil || e.Drift != nil)}
	switch {
	case e.Done != nil:
		j.Type = o.describe(&j, *e.Done)
	case e.Failed != nil:
		j.Type, j.Error = "failure", o.fault(e.Failed.Err)
		j.Action = o.describe(&j, e.Failed.Action)
	case e.Problem != nil:
		j.Type, j.Message, j.Reason = "warning", left(*e.Problem), reasons[e.Problem.Reason]
		j.Path = e.Problem.Path
		if utf8.ValidString(e.Problem.Key) {
			j.Key = e.Problem.Key
		}
		if !utf8.ValidString(j.Path) {
			j.PathBase64 = []byte(j.Path)
		}
	case e.Drift != nil:
		j.Type = "drift"
		o.drifted(&j, *e.Drift)
	case e.Warning != nil:
		j.Type, j.Key, j.Message, j.Minor = "warning", e.Warning.Key, e.Warning.Text, e.Warning.Minor
	case e.Why != "":
		j.Type, j.Message = "explanation", e.Why
	default:
		j.Type, j.Message = "note", e.Note
	}
	return j
}

var reasons = map[hashing.Reason]string{
	hashing.Special: "special", hashing.Unreadable: "unreadable", hashing.Missing: "missing", hashing.Loop: "loop",
	hashing.NotUTF8: "not-utf8", hashing.TooLong: "too-long", hashing.Failed: "failed",
}

// describe fills in an action, and returns its word.
func (o *Options) describe(j *object, a transfer.Action) string {
	d := o.deed(a.Verb)
	j.Key, j.Destination = a.Key, d.to.URL(a.Key)
	if d.from != nil {
		j.Source = d.from.URL(a.Key) + o.version(a)
	}
	switch a.Verb {
	case transfer.Delete:
	case transfer.Describe:
		return "headers"
	default:
		size := a.Size()
		j.Size = &size
	}
	return d.word
}

// drifted fills in drift.
func (o *Options) drifted(j *object, d transfer.Drift) {
	j.Class, j.Key, j.URL, j.Action = d.Class.String(), d.Key, o.watched(d).URL(d.Key), d.Action.String()
	if d.Known != nil {
		j.KnownETag, j.Size = d.Known.Evidence.ETag, &d.Known.Size
	}
	if d.Seen != nil {
		j.ETag, j.Size = d.Seen.Evidence.ETag, &d.Seen.Size
	}
}

// fault is an error as JSON.
func (o *Options) fault(err error) *fault {
	f := &fault{Message: err.Error(), Hint: o.Hint(err)}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		f.Code = coded.ErrorCode()
	}
	return f
}

// summaryObject is the end of a run as JSON.
func (o *Options) summaryObject(r result) summary {
	j := summary{
		Time: stamp(o.Now()), Type: "summary", Direction: o.direction(), Source: o.From.URL(""), Destination: o.To.URL(""),
		DryRun: o.DryRun, Complete: r.err == nil, Seconds: float64(r.took.Milliseconds()) / 1000,
		Transferred: r.Transferred, Bytes: r.Bytes, Proved: r.Proved, Described: r.Described, Deleted: r.Deleted,
		Failed: r.Failed, Problems: r.Problems, Warnings: r.Warnings, Listed: r.Listed,
		Scan: scan{
			Files: r.Scan.Files, Bytes: r.Scan.Bytes, Dirs: r.Scan.Dirs,
			HashedFiles: r.Scan.HashedFiles, HashedBytes: r.Scan.HashedBytes, Trusted: r.Scan.TrustedFiles,
			Rehashed: r.Scan.RehashedFiles, Unseen: r.Scan.FingerprintLies, Unsettled: r.Scan.UnsettledFiles,
			FileSystem: r.Scan.FileSystem,
		},
		Audited: r.Audited, Drift: classes(r.Drift), Requests: r.requests, Run: r.Run,
	}
	if j.Requests == nil {
		j.Requests = map[string]int64{}
	}
	if r.Root.Digest != (manifest.Digest{}) {
		j.Root = r.Root.Digest.String()
	}
	if r.err != nil {
		j.Error = o.fault(r.err)
	}
	return j
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// encode is an object as one line of JSON, without its end.
func encode(object any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		panic(err) // there is nothing in it that cannot be encoded
	}
	return visible(string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), inJSON)
}
