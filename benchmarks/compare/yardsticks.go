//go:build unix

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/blake3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// The yardsticks are programs of our own that do as little as can be done, each a process like any
// other tool: this one, with a name as its first argument.
var yardsticks = map[string]func(args []string) error{
	"null":   serveNull,
	"bare":   putBare,
	"floor":  readFiles,
	"stream": hashStream,
}

// serveNull answers every put with success and keeps nothing but what is below .merkur/, where a run
// reads what it has written, and where conditions are heeded. A listing is empty, but for that of [listedBucket],
// which is of the directory that it is told.
func serveNull(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: null DIR")
	}
	held := &register{dir: args[0], trees: map[string][]record{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	kept := &shelf{objects: map[string][]byte{}}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/.merkur/"):
			kept.serve(w, r)
		case r.Method == http.MethodPut:
			io.Copy(io.Discard, r.Body)
			w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
		case r.URL.Query().Has("list-type") && strings.HasPrefix(r.URL.Path, "/"+listedBucket):
			held.list(w, r)
		case r.URL.Query().Has("list-type"):
			io.WriteString(w, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
		default:
			refuse(w, http.StatusNotFound, "NoSuchKey")
		}
	}))
}

// A shelf keeps a few objects.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
}

func (s *shelf) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	object, there := s.objects[r.URL.Path]
	tag := func(b []byte) string { return fmt.Sprintf(`"%x"`, md5.Sum(b)) }
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	writes := r.Method == http.MethodPut || r.Method == http.MethodDelete
	switch {
	case writes && (match != "" && (!there || match != tag(object)) || none == "*" && there):
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	case r.Method == http.MethodPut:
		s.objects[r.URL.Path] = body
		w.Header().Set("ETag", tag(body))
	case r.Method == http.MethodDelete:
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	default:
		w.Header().Set("ETag", tag(object))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(object))
	}
}

// putBare makes as many signed puts of as many bytes as it is told, to the URL that it is told.
func putBare(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: bare URL COUNT BYTES")
	}
	n, err := strconv.Atoi(args[1])
	size, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	body := bytes.Repeat([]byte("x"), size)
	t := &http.Transport{MaxIdleConnsPerHost: 64}
	var g errgroup.Group
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error {
			r, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/bucket/bare/file-%07d", args[0], i), bytes.NewReader(body))
			if err != nil {
				return err
			}
			sign(r, time.Now().UTC())
			resp, err := t.RoundTrip(r)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, resp.Body)
			return errors.Join(err, resp.Body.Close())
		})
	}
	return g.Wait()
}

// sign signs a request with version 4 of Amazon's signature, for a path that needs no escaping.
func sign(r *http.Request, now time.Time) {
	const payload, region = "UNSIGNED-PAYLOAD", "us-east-1"
	date, day := now.Format("20060102T150405Z"), now.Format("20060102")
	r.Header.Set("X-Amz-Content-Sha256", payload)
	r.Header.Set("X-Amz-Date", date)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := r.Method + "\n" + r.URL.Path + "\n\nhost:" + r.URL.Host + "\nx-amz-content-sha256:" + payload + "\nx-amz-date:" + date +
		"\n\n" + signed + "\n" + payload
	scope := day + "/" + region + "/s3/aws4_request"
	hash := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4testtest")
	for _, part := range []string{day, region, "s3", "aws4_request", "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(hash[:])} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/"+scope+", SignedHeaders="+signed+", Signature="+hex.EncodeToString(key))
}

// readFiles opens, reads and closes all files of a tree whose files are all of the size it is told,
// and does nothing with them.
func readFiles(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: floor DIR BYTES")
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	dirs, err := filepath.Glob(filepath.Join(args[0], "*", "*"))
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	for _, dir := range dirs {
		g.Go(func() error {
			names, err := os.ReadDir(dir)
			if err != nil {
				return err
			}
			buf := make([]byte, size+1)
			for _, name := range names {
				fd, err := unix.Open(filepath.Join(dir, name.Name()), unix.O_RDONLY, 0)
				if err != nil {
					return err
				}
				_, err = unix.Read(fd, buf)
				if err := errors.Join(err, unix.Close(fd)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// hashStream hashes one file as one stream.
func hashStream(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: stream FILE")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	h := blake3.New()
	_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 256<<10))
	fmt.Printf("%x\n", h.Sum(nil))
	return err
}
