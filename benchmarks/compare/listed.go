//go:build unix

package main

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Bucket listed says that it holds what lies in a directory, below the name of each tree in it. It can be
// listed and nothing more, as fast as a page is put together of what is ready: so a contest shows what
// listings cost the tool that asks for them.
const listedBucket = "listed"

// pageKeys is how many keys a page has at most.
const pageKeys = 1000

// A record is a key with what a listing says of it.
type record struct {
	key  string
	item []byte
}

// A register is the listings of the trees in a directory, each made when it is first asked for.
type register struct {
	dir string

	mu    sync.Mutex
	trees map[string][]record
}

// tree returns the sorted keys of a tree.
func (g *register) tree(name string) ([]record, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if list := g.trees[name]; list != nil {
		return list, nil
	}
	var list []record
	err := filepath.WalkDir(filepath.Join(g.dir, name), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		key, err := filepath.Rel(g.dir, path)
		list = append(list, record{key, item(key, info)})
		return err
	})
	slices.SortFunc(list, func(a, b record) int { return strings.Compare(a.key, b.key) })
	g.trees[name] = list
	return list, err
}

func item(key string, info fs.FileInfo) []byte {
	return fmt.Appendf(nil, `<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;%x&quot;</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>`,
		strings.ReplaceAll(url.QueryEscape(key), "%2F", "/"), info.ModTime().UTC().Format("2006-01-02T15:04:05.000Z"), md5.Sum([]byte(key)), info.Size())
}

// list answers a ListObjectsV2.
func (g *register) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	prefix, after := q.Get("prefix"), q.Get("start-after")
	if token := q.Get("continuation-token"); token != "" {
		b, err := base64.StdEncoding.DecodeString(token)
		if after = string(b); err != nil {
			refuse(w, http.StatusBadRequest, "InvalidArgument")
			return
		}
	}
	name, _, _ := strings.Cut(prefix, "/")
	all, err := g.tree(name)
	if err != nil {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	from := sort.Search(len(all), func(i int) bool { return all[i].key > after && all[i].key >= prefix })
	to := from
	for to < len(all) && to-from < pageKeys && strings.HasPrefix(all[to].key, prefix) {
		to++
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Write(answer(prefix, all[from:to], to < len(all) && strings.HasPrefix(all[to].key, prefix)))
}

func answer(prefix string, page []record, more bool) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>` + listedBucket + `</Name>`)
	fmt.Fprintf(&b, `<Prefix>%s</Prefix><KeyCount>%d</KeyCount><MaxKeys>%d</MaxKeys><EncodingType>url</EncodingType><IsTruncated>%v</IsTruncated>`,
		url.QueryEscape(prefix), len(page), pageKeys, more)
	if more {
		fmt.Fprintf(&b, `<NextContinuationToken>%s</NextContinuationToken>`, base64.StdEncoding.EncodeToString([]byte(page[len(page)-1].key)))
	}
	for _, m := range page {
		b.Write(m.item)
	}
	b.WriteString(`</ListBucketResult>`)
	return b.Bytes()
}
