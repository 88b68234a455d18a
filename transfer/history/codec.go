package history

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"merkur/manifest"
)

// ErrCorrupt says that bytes are no record, and ErrVersion that a newer program wrote them.
var (
	ErrCorrupt = errors.New("the record of the run is damaged")
	ErrVersion = errors.New("the record of the run is of a newer format")
)

// maxLine bounds a line, of two entries with the longest texts, and maxBytes all of them.
const (
	maxLine  = 96 << 10
	maxBytes = 256 << 20
)

// A text is any bytes: JSON has them as a string if they are UTF-8, else as {"base64": …}.
type text string

type coded struct {
	Base64 []byte `json:"base64"`
}

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(coded{[]byte(t)})
}

func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		*t = text(s)
		return err
	}
	var c coded
	err := strictly(b, &c)
	*t = text(c.Base64)
	return err
}

// A line is one line of a record: the head, an outcome or a step, by which of the first three
// fields it has.
type line struct {
	Merkur string `json:"merkur,omitempty"`
	Done   *text  `json:"done,omitempty"`
	Step   Deed   `json:"step,omitempty"`

	Format int    `json:"format,omitempty"`
	Run    string `json:"run,omitempty"`
	Number int    `json:"number,omitempty"`
	Of     text   `json:"of,omitempty"`
	Undoes string `json:"undoes,omitempty"`
	Kept   string `json:"kept,omitempty"`

	Doubt bool   `json:"doubt,omitempty"`
	Key   *text  `json:"key,omitempty"`
	Stray bool   `json:"stray,omitempty"`
	Old   *entry `json:"old,omitempty"`
	New   *entry `json:"new,omitempty"`
	Want  *entry `json:"want,omitempty"`
}

// An entry is a manifest.Entry without its key.
type entry struct {
	Kind     manifest.Kind `json:"kind,omitempty"`
	Size     int64         `json:"size"`
	Digest   string        `json:"digest,omitempty"` // in hexadecimal
	Target   text          `json:"target,omitempty"`
	Unproven bool          `json:"unproven,omitempty"`
	Mode     uint32        `json:"mode,omitempty"`
	MTime    int64         `json:"mtime,omitempty"`
	Headers  string        `json:"headers,omitempty"` // in hexadecimal, since not all readers of JSON know 64 bits
	ETag     text          `json:"etag,omitempty"`
	CRC64    string        `json:"crc64,omitempty"`
	Modified int64         `json:"modified,omitempty"`
	Version  text          `json:"version,omitempty"`
}

func coding(e *manifest.Entry) *entry {
	if e == nil {
		return nil
	}
	c := &entry{
		Kind: e.Kind, Size: e.Size, Target: text(e.Target), Unproven: e.Unproven, Mode: e.Mode, MTime: e.MTime,
		ETag: text(e.Evidence.ETag), Modified: e.Evidence.Modified, Version: text(e.Evidence.Version),
	}
	if e.Digest != (manifest.Digest{}) {
		c.Digest = e.Digest.String()
	}
	if e.Headers != 0 {
		c.Headers = hex64(e.Headers)
	}
	if e.Evidence.HasCRC64 {
		c.CRC64 = hex64(e.Evidence.CRC64)
	}
	return c
}

func hex64(n uint64) string { return fmt.Sprintf("%016x", n) }

func parse64(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err == nil && hex64(n) != s {
		err = fmt.Errorf("%q is not 16 hexadecimal digits", s)
	}
	return n, err
}

// entry is the inverse of coding. An entry whose digest is not known is allowed.
func (c *entry) entry(key string) (*manifest.Entry, error) {
	if c == nil {
		return nil, nil
	}
	e := &manifest.Entry{
		Key: key, Kind: c.Kind, Size: c.Size, Target: string(c.Target), Unproven: c.Unproven, Mode: c.Mode, MTime: c.MTime,
		Evidence: manifest.Evidence{ETag: string(c.ETag), Modified: c.Modified, Version: string(c.Version)},
	}
	var err error
	if c.Digest != "" {
		e.Digest, err = manifest.ParseDigest(c.Digest)
	}
	if err == nil && c.Headers != "" {
		if e.Headers, err = parse64(c.Headers); err == nil && e.Headers == 0 {
			err = errors.New("headers that are none")
		}
	}
	if err == nil && c.CRC64 != "" {
		e.Evidence.HasCRC64 = true
		e.Evidence.CRC64, err = parse64(c.CRC64)
	}
	if err == nil {
		err = e.Valid()
	}
	return e, err
}

// deeds are all deeds, and whether each has an old object.
var deeds = map[Deed]bool{Create: false, Replace: true, Headers: true, Delete: true}

// Append appends the bytes of a record.
func (r *Record) Append(dst []byte) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	z := gzip.NewWriter(b)
	enc := json.NewEncoder(z)
	enc.SetEscapeHTML(false)
	write := func(l line) error { return enc.Encode(l) }
	err := write(line{
		Merkur: "record", Format: Format, Run: r.Run, Number: r.Number, Of: text(r.Of), Undoes: r.Undoes, Kept: r.Kept,
	})
	for i := range r.Done {
		o, key := &r.Done[i], text(r.Done[i].Key)
		err = errors.Join(err, write(line{Done: &key, Doubt: o.Doubt, New: coding(o.New)}))
	}
	for i := range r.Steps {
		s, key := &r.Steps[i], text(r.Steps[i].Key)
		err = errors.Join(err, write(line{Step: s.Deed, Key: &key, Stray: s.Stray, Old: coding(s.Old), Want: coding(s.Want)}))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("write a record of the run: %w", err)
	}
	return b.Bytes(), nil
}

// Read reads a record.
func Read(from io.Reader) (*Record, error) {
	r := &Record{}
	head := true
	for l, err := range lines(from) {
		switch {
		case err != nil:
			return nil, err
		case head:
			head, err = false, r.readHead(l)
		default:
			err = r.readLine(l)
		}
		if err != nil {
			return nil, err
		}
	}
	if head {
		return nil, corrupt("it is empty")
	}
	return r, nil
}

// ReadHead reads the beginning of a record, and nothing of what is done in it.
func ReadHead(from io.Reader) (*Record, error) {
	r := &Record{}
	for l, err := range lines(from) {
		if err != nil {
			return nil, err
		}
		return r, r.readHead(l)
	}
	return nil, corrupt("it is empty")
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// lines yields the lines of a record. An error of the reader is passed on as it is.
func lines(from io.Reader) func(yield func(*line, error) bool) {
	return func(yield func(*line, error) bool) {
		source := &faulty{Reader: from}
		fail := func(err error) {
			if source.err != nil {
				err = source.err
			} else {
				err = corrupt("%v", err)
			}
			yield(nil, err)
		}
		z, err := gzip.NewReader(source)
		if err != nil {
			fail(err)
			return
		}
		z.Multistream(false)
		s := bufio.NewScanner(io.LimitReader(z, maxBytes))
		s.Buffer(make([]byte, 4096), maxLine)
		for s.Scan() {
			l := &line{}
			if err := strictly(s.Bytes(), l); err != nil {
				fail(err)
				return
			}
			if !yield(l, nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			fail(err)
		}
	}
}

// A faulty reader remembers why it could not be read, but for its end.
type faulty struct {
	io.Reader
	err error
}

func (f *faulty) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// strictly decodes one JSON value with no fields but those that are known.
func strictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows")
	}
	return nil
}

func (r *Record) readHead(l *line) error {
	switch _, err := ParseName(l.Run); {
	case l.Merkur != "record" || l.Format < 1:
		return corrupt("it does not begin as one")
	case l.Format > Format:
		return fmt.Errorf("%w: %d, where this program knows up to %d", ErrVersion, l.Format, Format)
	case err != nil:
		return corrupt("%v", err)
	case l.Number < 1 || l.Kept != Versions && l.Kept != Backup:
		return corrupt("number %d, kept %q", l.Number, l.Kept)
	}
	if l.Undoes != "" {
		if _, err := ParseName(l.Undoes); err != nil {
			return corrupt("%v", err)
		}
	}
	r.Run, r.Number, r.Of, r.Undoes, r.Kept = l.Run, l.Number, string(l.Of), l.Undoes, l.Kept
	return nil
}

func (r *Record) readLine(l *line) (err error) {
	if l.Done != nil {
		o := Outcome{Key: string(*l.Done), Doubt: l.Doubt}
		if o.New, err = l.New.entry(o.Key); err != nil {
			return corrupt("%v", err)
		}
		if n := len(r.Done); len(r.Steps) > 0 || n >= MaxSteps || n > 0 && r.Done[n-1].Key >= o.Key {
			return corrupt("the outcome of %.100q is out of place", o.Key)
		}
		r.Done = append(r.Done, o)
		return nil
	}
	if l.Key == nil {
		return corrupt("a line tells of nothing")
	}
	s := Step{Deed: l.Step, Key: string(*l.Key), Stray: l.Stray}
	var oldErr, wantErr error
	s.Old, oldErr = l.Old.entry(s.Key)
	s.Want, wantErr = l.Want.entry(s.Key)
	if err := errors.Join(oldErr, wantErr); err != nil {
		return corrupt("%v", err)
	}
	if n := len(r.Steps); n >= MaxSteps || n > 0 && r.Steps[n-1].Key >= s.Key {
		return corrupt("the step at %.100q is out of place", s.Key)
	}
	replaces, known := deeds[s.Deed]
	if !known || replaces != (s.Old != nil) || s.Stray && s.Old == nil || s.Key == "" || len(s.Key) > manifest.MaxKey || manifest.IsReserved(s.Key) {
		return corrupt("a step %q at %.100q", s.Deed, s.Key)
	}
	r.Steps = append(r.Steps, s)
	return nil
}
