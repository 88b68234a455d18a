package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// List implements [Store]. It asks for a page at a time, of 1,000 keys where the [Config] says
// nothing else, and trusts no server to keep the order: what is missing from a listing may be
// deleted elsewhere.
func (s *S3) List(ctx context.Context, prefix, start string) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		token := ""
		for last := start; ; {
			p, err := s.page(ctx, prefix, start, token)
			if err != nil {
				yield(Listed{}, err)
				return
			}
			for _, o := range p.objects {
				if err := inOrder(last, o.Key, prefix); err != nil {
					yield(Listed{}, fmt.Errorf("list s3://%s/%s: %w", s.name, prefix, err))
					return
				}
				last = o.Key
				if !yield(o, nil) {
					return
				}
			}
			if p.next == "" {
				return
			}
			token = p.next
		}
	}
}

// inOrder returns an error if a key may not follow the key last in a listing.
func inOrder(last, key, prefix string) error {
	switch {
	case !strings.HasPrefix(key, prefix):
		return fmt.Errorf("key %q does not begin with the prefix", key)
	case key <= last:
		return fmt.Errorf("key %q comes after %q", key, last)
	}
	return nil
}

// page gets one page of a listing: the one that a token of the page before says, or the first.
func (s *S3) page(ctx context.Context, prefix, start, token string) (page, error) {
	c := call{op: listObjectsV2}
	var p page
	resp, err := s.ask(ctx, ask{call: c, method: http.MethodGet, query: s.listQuery(prefix, start, token), header: make(http.Header, 6), hash: noBody, read: func(body io.Reader) (err error) {
		p, err = readPage(body)
		return err
	}})
	if err != nil {
		return p, err
	}
	return p, resp.Body.Close()
}

// listQuery is the query of a request for a page. XML cannot hold every byte of a key, so the keys
// are to come coded.
func (s *S3) listQuery(prefix, start, token string) string {
	var q []byte
	add := func(name, value string) {
		q = append(append(append(append(q, '&'), name...), '='), strings.ReplaceAll(url.QueryEscape(value), "+", "%20")...)
	}
	if token != "" {
		add("continuation-token", token)
	}
	add("encoding-type", "url")
	add("list-type", "2")
	if s.pageSize > 0 {
		add("max-keys", strconv.Itoa(min(s.pageSize, math.MaxInt32)))
	}
	add("prefix", prefix)
	if start != "" {
		add("start-after", start)
	}
	return string(q[1:])
}

// maxPage bounds the bytes of a page: 1,000 keys of 1,024 bytes, escaped, need less than half.
const maxPage = 16 << 20

// A pageBuffer is what is needed of an answer until it is understood.
type pageBuffer struct {
	body  bytes.Buffer
	items []listed
}

var pageBuffers = sync.Pool{New: func() any { return new(pageBuffer) }}

// readPage reads an answer to a request for a listing.
func readPage(r io.Reader) (page, error) {
	b := pageBuffers.Get().(*pageBuffer)
	defer pageBuffers.Put(b)
	b.body.Reset()
	_, err := b.body.ReadFrom(io.LimitReader(r, maxPage+1))
	if err == nil && b.body.Len() > maxPage {
		err = fmt.Errorf("answer of more than %d bytes", maxPage)
	}
	if err != nil {
		return page{}, err
	}
	return b.parse()
}

// parse reads an answer that must be one whole page of a listing. Nothing of the buffer is kept.
func (b *pageBuffer) parse() (page, error) {
	l, ok := scanListing(b.body.Bytes(), b.items[:0])
	b.items = l.Contents
	if !ok {
		var err error
		if l, err = decodeListing(bytes.NewReader(b.body.Bytes())); err != nil {
			return page{}, fmt.Errorf("answer is not a listing: %w", err)
		}
	}
	return l.page()
}
