package main

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"merkur/manifest"
	"merkur/store/bucket/buckettest/flat"
)

// A world is what a program finds: a working directory with trees, and a server.
type world struct {
	t        *testing.T
	program  program
	home     string
	work     string
	server   *flat.Server
	denied   map[[2]string]bool // operation and key
	options  []string           // what merkur is given in all its runs
	header   string             // to be told of after the next run
	settings string             // the configuration of both
	mode     fs.FileMode        // of a file that nobody gave another one
}

// play has a program go through a script, and returns all that can be seen of that.
func play(t *testing.T, p program, script []step) outcome {
	t.Helper()
	w := newWorld(t)
	w.program = p
	var o outcome
	for _, s := range script {
		words := make([]string, len(s))
		for i, word := range s {
			words[i] = strings.ReplaceAll(word, "$WORK", w.work)
		}
		if s[0] == "sync" {
			o = append(o, "$ "+formatWords(s...))
			o = append(o, w.run(words[1:])...)
		} else if err := w.do(words); err != nil {
			t.Fatalf("%s: %v", formatWords(s...), err)
		}
	}
	return append(append(o, "after:"), w.look()...)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, home: filepath.Join(dir, "home"), work: filepath.Join(dir, "work"), denied: map[[2]string]bool{}}
	for _, d := range []string{w.home, w.work} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	probe := filepath.Join(w.home, "probe")
	if err := w.file(probe, "", "0s", nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(probe)
	if err != nil {
		t.Fatal(err)
	}
	w.mode = info.Mode().Perm()
	w.server = flat.New("here", "there")
	w.server.Now = func() time.Time { return epoch.Add(storedAt) }
	w.server.Fail(func(r flat.Request) *flat.Failure {
		if w.denied[[2]string{r.Operation, r.Key}] {
			return &flat.Failure{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"}
		}
		return nil
	})
	if err := w.server.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.server.Close)
	return w
}

// do carries out a step that runs nothing.
func (w *world) do(s step) error {
	path := filepath.Join(w.work, filepath.FromSlash(s[1]))
	switch s[0] {
	case "file":
		return w.file(path, s[2], s[3], s[4:])
	case "dir":
		return os.MkdirAll(path, 0o777)
	case "link":
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		return os.Symlink(s[2], path)
	case "fifo":
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if !makeFIFO(path) {
			w.t.Skip("there are no FIFOs here")
		}
		return nil
	case "object":
		return w.object(s[1], s[2], s[3], s[4:])
	case "deny":
		w.denied[[2]string{s[1], s[2]}] = true
		return nil
	case "merkur":
		w.options = append(w.options, s[1:]...)
		return nil
	case "adopt":
		return w.adopt("s3://" + s[1])
	case "config":
		return w.configure(s[1], s[2])
	case "headers":
		w.header = s[1]
		return nil
	}
	return fmt.Errorf("no such step")
}

func (w *world) file(path, body, when string, mode []string) error {
	modified, err := parseTime(when)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o777)
	}
	if err == nil {
		err = os.WriteFile(path, parseBody(body), 0o666)
	}
	if err == nil {
		err = os.Chtimes(path, modified, modified)
	}
	if err == nil && len(mode) > 0 {
		var bits uint64
		if bits, err = strconv.ParseUint(mode[0], 8, 9); err == nil {
			err = os.Chmod(path, fs.FileMode(bits))
		}
	}
	return err
}

func (w *world) object(name, body, when string, headers []string) (err error) {
	bucket, key, _ := strings.Cut(name, "/")
	o := flat.Object{Body: parseBody(body), Headers: http.Header{}}
	if o.Modified, err = parseTime(when); err != nil {
		return err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, "=")
		if name == "Class" {
			o.Class = value
		} else {
			o.Headers.Set(name, value)
		}
	}
	w.server.Put(bucket, key, o)
	return nil
}

// configure adds a setting to the s3 section of the configuration.
func (w *world) configure(name, value string) error {
	if w.settings == "" {
		w.settings = "[default]\ns3 =\n"
	}
	w.settings += "  " + name + " = " + value + "\n"
	return os.WriteFile(w.config(), []byte(w.settings), 0o666)
}

func (w *world) config() string { return filepath.Join(w.home, "config") }

// adopt has merkur, by comparing content with an empty tree, make a manifest of a prefix.
func (w *world) adopt(place string) error {
	if w.program.name != merkur.name {
		return nil
	}
	empty := filepath.Join(w.home, "empty")
	if err := os.MkdirAll(empty, 0o777); err != nil {
		return err
	}
	said := w.run([]string{empty, place, "--compare", "content"})
	if said[len(said)-1] != "exit 0" {
		return fmt.Errorf("it made no manifest: %q", said)
	}
	return nil
}

// look returns what there is, in the words of scripts.
func (w *world) look() []string {
	var lines []string
	err := filepath.WalkDir(w.work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == w.work {
			return err
		}
		line, err := w.describe(path, d)
		lines = append(lines, line)
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	for _, bucket := range []string{"here", "there"} {
		for _, key := range w.server.Keys(bucket) {
			if strings.Contains(key, manifest.Reserved) {
				continue // aws has no such objects
			}
			o, _ := w.server.Object(bucket, key)
			words := []string{"object", bucket + "/" + key, formatBody(o.Body), formatTime(o.Modified)}
			lines = append(lines, formatWords(append(words, attributes(o)...)...))
		}
		for _, key := range w.server.Uploads(bucket) {
			lines = append(lines, "an upload of "+bucket+"/"+key+" that has no end")
		}
	}
	for i := range lines {
		lines[i] = "  " + strings.ReplaceAll(lines[i], w.work, "$WORK")
	}
	return lines
}

func (w *world) describe(path string, d fs.DirEntry) (string, error) {
	name, err := filepath.Rel(w.work, path)
	if err != nil {
		return "", err
	}
	name = filepath.ToSlash(name)
	switch d.Type() {
	case fs.ModeDir:
		return formatWords("dir", name), nil
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		return formatWords("link", name, target), err
	case fs.ModeNamedPipe:
		return formatWords("fifo", name), nil
	}
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	words := []string{"file", name, formatBody(body), formatTime(info.ModTime().Truncate(time.Second))}
	if mode := info.Mode().Perm(); mode != w.mode {
		words = append(words, strconv.FormatUint(uint64(mode), 8))
	}
	return formatWords(words...), nil
}

// attributes are those of an object that not all objects have.
func attributes(o flat.Object) []string {
	var list []string
	if o.Class != "STANDARD" {
		list = append(list, "Class="+o.Class)
	}
	for _, headers := range []http.Header{o.Headers, o.ACL} {
		for _, name := range slices.Sorted(maps.Keys(headers)) {
			if value := headers.Get(name); name != "Content-Type" || value != "binary/octet-stream" {
				list = append(list, name+"="+value)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Tags)) {
		list = append(list, "tag:"+name+"="+o.Tags[name])
	}
	return list
}
