package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A step is a line of a script, in words. Words are apart by blanks; one that starts with a quote
// is a Go string. Lines that are empty or start with # say nothing. The steps are
//
//	file PATH BODY TIME [MODE]       makes a file, and the directories that it is in
//	dir PATH                         makes a directory
//	link PATH TARGET                 makes a symbolic link
//	fifo PATH                        makes a FIFO
//	object BUCKET/KEY BODY TIME [HEADER=VALUE]...
//	                                 makes an object; the header Class is its storage class
//	deny OPERATION KEY               has requests for the key answered with 403 AccessDenied
//	merkur OPTION...                 gives merkur, and not aws, options in all that comes
//	adopt BUCKET/PREFIX              has merkur, and not aws, make a manifest of what is there
//	config NAME VALUE                gives both a setting of the s3 section
//	headers NAME                     tells in what requests of the next sync the header is sent
//	sync PATH PATH OPTION...         runs the program
//
// A body is its text, or "9*x" for nine times x. A time is a duration from the epoch of the tests,
// such as +500ms. $WORK is the working directory, $DENIED nothing.
//
// There are two buckets, "here" and "there". The clock of the server stands still an hour after
// the epoch.
type step []string

// epoch is the time that the times of scripts are relative to.
var epoch = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

const storedAt = time.Hour // since the epoch: when the server stores what it is sent

func parseScript(text string) ([]step, error) {
	var script []step
	for line := range strings.SplitSeq(text, "\n") {
		words, err := parseWords(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if least, known := leastWords[words[0]]; !known || len(words) < least {
			return nil, fmt.Errorf("%s: no such step", line)
		}
		script = append(script, words)
	}
	return script, nil
}

// leastWords is how many words a step has at least.
var leastWords = map[string]int{
	"file": 4, "dir": 2, "link": 3, "fifo": 2, "object": 4, "deny": 3, "merkur": 2, "adopt": 2, "config": 3, "headers": 2, "sync": 1,
}

// parseWords takes a line apart. It is the inverse of formatWords.
func parseWords(line string) (words []string, err error) {
	for {
		if line = strings.TrimLeft(line, " "); line == "" {
			return words, nil
		}
		var word string
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, err
			}
			if word, err = strconv.Unquote(quoted); err != nil {
				return nil, err
			}
			line = line[len(quoted):]
		} else {
			word, line, _ = strings.Cut(line, " ")
		}
		words = append(words, word)
	}
}

func formatWords(words ...string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if quoted := strconv.Quote(w); quoted != `"`+w+`"` || w == "" || strings.Contains(w, " ") || i == 0 && w[0] == '#' {
			w = quoted
		}
		b.WriteString(w)
	}
	return b.String()
}

var repeated = regexp.MustCompile(`^(\d+)\*(.)$`)

// parseBody makes a body of its description. It is the inverse of formatBody.
func parseBody(word string) []byte {
	if m := repeated.FindStringSubmatch(word); m != nil {
		n, _ := strconv.Atoi(m[1]) // a body that is too large to be counted would not be made either
		return []byte(strings.Repeat(m[2], n))
	}
	return []byte(word)
}

func formatBody(body []byte) string {
	if len(body) < 40 {
		return string(body)
	}
	first := string(body[:1])
	if strings.Count(string(body), first) == len(body) {
		return strconv.Itoa(len(body)) + "*" + first
	}
	return fmt.Sprintf("%d bytes from %q to %q", len(body), body[:10], body[len(body)-10:])
}

func parseTime(word string) (time.Time, error) {
	d, err := time.ParseDuration(word)
	return epoch.Add(d), err
}

// formatTime shows a time relative to the epoch, or as "now".
func formatTime(t time.Time) string {
	d := t.Sub(epoch)
	switch {
	case d > 10000*time.Hour:
		return "now"
	case d >= 0:
		return "+" + d.String()
	}
	return d.String()
}
