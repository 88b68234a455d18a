package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/crc64nvme"

	"merkur/store/bucket"
)

// A Memory is a [bucket.Store] in memory, and a [bucket.Uploader], [bucket.Copier],
// [bucket.Tagger] and [bucket.BatchDeleter]. Its keys are flat, its conditions atomic and its
// ETags those of S3. What was encrypted with a customer's key needs that key, and what is in the
// storage classes GLACIER and DEEP_ARCHIVE cannot be read. It does not ask for parts of 5 MiB.
// The zero value is an empty store.
//
// The exported fields may be set before the first use.
type Memory struct {
	// Name is that of the bucket, and Others are the buckets that can be copied from by their
	// names.
	Name   string
	Others map[string]*Memory

	// Fault decides what happens to each request. It may be called by many goroutines at
	// once, but never while the store changes. nil lets all pass.
	Fault func(op Op, key string) Outcome

	// Heedless holds the operations whose conditions this store ignores, as some servers do.
	Heedless map[Op]bool

	// Curt has the store say of a copy to what should be there, and is not, that there is no such
	// object, as S3 does: the answer for a missing source.
	Curt bool

	// Racy has the conditions of puts checked before the body is read, and not again when it is
	// stored: of several at once, all may win.
	Racy bool

	// NoChecksum has the store refuse each checksum, with ErrUnsupported, until it is told to
	// send none.
	NoChecksum bool

	// Versions has the store keep what is overwritten or deleted, as versions.
	Versions bool

	// Now is the clock for modification times; nil is the real one.
	Now func() time.Time

	mu      sync.Mutex
	objects map[string]*object
	order   []string             // the keys in order; nil if it has to be made anew
	past    map[string][]*object // all versions by key, if they are kept
	calls   []Call
	uploads int // begun and neither complete nor aborted
	lenient atomic.Bool
}

// An Op is an operation, by the name that S3 gives it.
type Op string

// The operations of a Memory. List and DeleteAll have one request for each 1,000 keys.
const (
	Get      Op = "GetObject"
	Head     Op = "HeadObject"
	Put      Op = "PutObject"
	Delete   Op = "DeleteObject"
	List     Op = "ListObjectsV2"
	Begin    Op = "CreateMultipartUpload"
	Part     Op = "UploadPart"
	Complete Op = "CompleteMultipartUpload"
	Abort    Op = "AbortMultipartUpload"
	Copy     Op = "CopyObject"
	PartCopy Op = "UploadPartCopy"
	Batch    Op = "DeleteObjects"
	GetTags  Op = "GetObjectTagging"
	SetTags  Op = "PutObjectTagging"
)

// An Outcome is what happens to a request.
type Outcome int

// The outcomes. The first two failures are the two lies of a network: to the caller they look
// alike, ErrUncertain if it wrote.
const (
	OK        Outcome = iota
	NotStored         // the answer is lost, and the request did nothing
	Stored            // the answer is lost, but the request was carried out
	Throttled         // the server asks for patience once too often
	Denied            // the server does not allow it
	Unknown           // the server knows no such request
)

// A Call is one request that a Memory got.
type Call struct {
	Op      Op
	Key     string // of a listing, the prefix; of a batch, its first key
	Outcome Outcome
	Err     error // what was returned
}

// Calls returns the requests so far, in the order of their ends.
func (m *Memory) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// Count returns how many requests of one kind there were so far.
func (m *Memory) Count(op Op) int {
	n := 0
	for _, c := range m.Calls() {
		if c.Op == op {
			n++
		}
	}
	return n
}

// Objects returns the bodies of all objects by key, as they are at this moment. They must not
// be changed.
func (m *Memory) Objects() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	bodies := make(map[string][]byte, len(m.objects))
	for key, o := range m.objects {
		bodies[key] = o.body
	}
	return bodies
}

// Options returns the headers and terms that an object was stored with, and whether there is
// one. It is no request.
func (m *Memory) Options(key string) (bucket.PutOptions, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return bucket.PutOptions{}, false
	}
	return o.put, true
}

// Set changes what the store says about an object, such as its time of modification or its
// storage class. It reports whether there is one, and is no request.
func (m *Memory) Set(key string, change func(*bucket.Object)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.objects[key]
	if ok {
		o := *old
		o.Object = old.describe()
		o.Modified = old.Modified
		change(&o.Object)
		m.objects[key] = &o
	}
	return ok
}

// Uploads returns how many uploads in parts are neither complete nor aborted.
func (m *Memory) Uploads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.uploads
}

// do makes one request: apply, unless it is to fail before, under the lock.
func (m *Memory) do(ctx context.Context, op Op, key string, apply func() error) error {
	return m.doAfter(ctx, op, key, func() {}, apply)
}

// doAfter makes one request that looks at something else before it takes the lock.
func (m *Memory) doAfter(ctx context.Context, op Op, key string, look func(), apply func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %q: %w", op, key, err)
	}
	outcome := OK
	if m.Fault != nil {
		outcome = m.Fault(op, key)
	}
	look()
	m.mu.Lock()
	defer m.mu.Unlock()
	err := failure(op, outcome)
	if outcome == OK || outcome == Stored {
		if applied := apply(); err == nil {
			err = applied
		}
	}
	if err != nil {
		err = fmt.Errorf("%s %q: %w", op, key, err)
	}
	m.calls = append(m.calls, Call{op, key, outcome, err})
	return err
}

// failure is the error of a request with a bad outcome.
func failure(op Op, outcome Outcome) error {
	switch outcome {
	case NotStored, Stored:
		switch op {
		case Put, Delete, Complete, Copy, Batch, SetTags:
			return fmt.Errorf("connection reset: %w", bucket.ErrUncertain)
		}
		return errors.New("connection reset")
	case Throttled:
		return &bucket.Error{Op: string(op), Code: "SlowDown", Status: 503, Message: "Please reduce your request rate."}
	case Unknown:
		return bucket.ErrUnsupported
	case Denied:
		return &bucket.Error{Op: string(op), Code: "AccessDenied", Status: 403, Message: "Access Denied"}
	}
	return nil
}

// check returns ErrChanged if a condition does not hold. The caller holds the lock.
func (m *Memory) check(op Op, key string, c bucket.Condition) error {
	o, exists := m.objects[key]
	switch {
	case m.Heedless[op]:
		return nil
	case c.IfNone && exists, c.IfMatch != "" && (!exists || o.ETag != c.IfMatch):
		return bucket.ErrChanged
	}
	return nil
}

// store keeps an object. The caller holds the lock.
func (m *Memory) store(key string, body []byte, o bucket.PutOptions, parts []int64) *object {
	if m.objects == nil {
		m.objects = make(map[string]*object)
	}
	if _, exists := m.objects[key]; !exists {
		m.order = nil
	}
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	o.Metadata = lower(o.Metadata)
	obj := &object{body: body, put: o, parts: parts, tags: o.Tags}
	obj.Object = bucket.Object{
		Key:        key,
		Size:       int64(len(body)),
		ETag:       etag(body, parts),
		Modified:   now().Truncate(time.Second),
		Headers:    o.Headers,
		Encryption: o.Encryption,
		KMSKey:     o.KMSKey,
	}
	if o.Class != "STANDARD" {
		obj.Class = o.Class
	}
	if !m.NoChecksum && (o.Checksum == "" || o.Checksum == "CRC64NVME") {
		obj.CRC64, obj.HasCRC64 = crc64nvme.Checksum(body), true
	}
	if m.Versions {
		if m.past == nil {
			m.past = make(map[string][]*object)
		}
		obj.Version = fmt.Sprintf("v%d.%s", len(m.past[key])+1, obj.ETag[:4])
		m.past[key] = append(m.past[key], obj)
	}
	m.objects[key] = obj
	return obj
}

// version returns the object under a key, or a version of it. The caller holds the lock.
func (m *Memory) version(key, id string) (*object, bool) {
	if id == "" {
		obj, ok := m.objects[key]
		return obj, ok
	}
	for _, obj := range m.past[key] {
		if obj.Version == id {
			return obj, true
		}
	}
	return nil, false
}

// Get implements [bucket.Store].
func (m *Memory) Get(ctx context.Context, key string, o bucket.GetOptions) (io.ReadCloser, bucket.Object, error) {
	var body []byte
	var found bucket.Object
	err := m.do(ctx, Get, key, func() (err error) {
		obj, ok := m.version(key, o.Version)
		switch {
		case !ok:
			return bucket.ErrNotFound
		case o.IfMatch != "" && o.IfMatch != obj.ETag:
			return bucket.ErrChanged
		case o.IfNoneMatch != "" && o.IfNoneMatch == obj.ETag:
			return bucket.ErrNotModified
		case obj.archived():
			return bucket.ErrArchived
		}
		if err := obj.unlock(Get, o.Customer); err != nil {
			return err
		}
		found = obj.describe()
		body, err = slice(obj.body, o)
		return err
	})
	if err != nil {
		return nil, bucket.Object{}, err
	}
	return io.NopCloser(bytes.NewReader(body)), found, nil
}

// Head implements [bucket.Store].
func (m *Memory) Head(ctx context.Context, key string, o bucket.HeadOptions) (bucket.Object, error) {
	var found bucket.Object
	err := m.do(ctx, Head, key, func() error {
		obj, ok := m.version(key, o.Version)
		if !ok {
			return bucket.ErrNotFound
		}
		if err := obj.unlock(Head, o.Customer); err != nil {
			return err
		}
		found = obj.describe()
		if o.Part == 0 {
			return nil
		}
		parts := obj.parts
		if parts == nil {
			parts = []int64{obj.Size}
		}
		if o.Part > len(parts) {
			return &bucket.Error{Op: string(Head), Code: "416", Status: 416, Message: "Requested Range Not Satisfiable"}
		}
		found.Size, found.CRC64, found.HasCRC64 = parts[o.Part-1], 0, false
		return nil
	})
	return found, err
}

// Put implements [bucket.Store].
func (m *Memory) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, o bucket.PutOptions) (bucket.Object, error) {
	early := m.early(key, o.Condition)
	data, err := read(body, size)
	if err != nil {
		return bucket.Object{}, fmt.Errorf("%s %q: %w", Put, key, err)
	}
	var stored bucket.Object
	err = m.do(ctx, Put, key, func() error {
		if err := m.verify(data, o); err != nil {
			return err
		}
		if err := early(); err != nil {
			return err
		}
		stored = m.store(key, data, o, nil).describe()
		return nil
	})
	if err != nil {
		return bucket.Object{}, err
	}
	return stored, nil
}

// early returns what says, when a put is carried out, whether its condition holds. A store that is
// racy has made up its mind by then.
func (m *Memory) early(key string, c bucket.Condition) func() error {
	if !m.Racy {
		return func() error { return m.check(Put, key, c) }
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.check(Put, key, c)
	return func() error { return err }
}

// read reads a body of the given size from its start.
func read(body io.ReadSeeker, size int64) ([]byte, error) {
	data := make([]byte, size)
	if size == 0 {
		return data, nil
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, fmt.Errorf("body of %d bytes: %w", size, err)
	}
	return data, nil
}

// SendNoChecksums implements [bucket.Lenient].
func (m *Memory) SendNoChecksums() { m.lenient.Store(true) }

// algorithms are the checksums that can be asked for by name, and none.
var algorithms = []string{"", "CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"}

// verify compares a body with the checksum that came with it.
func (m *Memory) verify(body []byte, o bucket.PutOptions) error {
	switch {
	case !slices.Contains(algorithms, o.Checksum):
		return &bucket.Error{Op: string(Put), Code: "InvalidRequest", Status: 400, Message: "The checksum algorithm is not known."}
	case !o.HasCRC64 || m.lenient.Load():
		return nil
	case m.NoChecksum:
		return bucket.ErrUnsupported
	case crc64nvme.Checksum(body) != o.CRC64:
		return badDigest(Put)
	}
	return nil
}

func badDigest(op Op) error {
	return &bucket.Error{Op: string(op), Code: "BadDigest", Status: 400, Message: "The CRC64NVME you specified did not match the calculated checksum."}
}

// Delete implements [bucket.Store].
func (m *Memory) Delete(ctx context.Context, key string, c bucket.Condition) error {
	return m.do(ctx, Delete, key, func() error {
		if c.IfNone {
			return errors.New("a delete of what must not exist")
		}
		return m.removeIf(Delete, key, c)
	})
}

// removeIf forgets an object if the condition holds, or if there is none. The caller holds the lock.
func (m *Memory) removeIf(op Op, key string, c bucket.Condition) error {
	if _, exists := m.objects[key]; !exists {
		return nil
	}
	if err := m.check(op, key, c); err != nil {
		return err
	}
	delete(m.objects, key)
	m.order = nil
	return nil
}

// pageSize is how many objects a request lists.
const pageSize = 1000

// List implements [bucket.Store].
func (m *Memory) List(ctx context.Context, prefix, start string) iter.Seq2[bucket.Listed, error] {
	return func(yield func(bucket.Listed, error) bool) {
		for {
			var page []bucket.Listed
			err := m.do(ctx, List, prefix, func() error {
				page = m.page(prefix, start)
				return nil
			})
			if err != nil {
				yield(bucket.Listed{}, err)
				return
			}
			for _, o := range page {
				if !yield(o, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			start = page[len(page)-1].Key
		}
	}
}

// page returns the next objects of a listing. The caller holds the lock.
func (m *Memory) page(prefix, start string) []bucket.Listed {
	if m.order == nil {
		m.order = slices.Sorted(maps.Keys(m.objects))
	}
	first, found := slices.BinarySearch(m.order, max(prefix, start))
	if found && m.order[first] == start {
		first++
	}
	var page []bucket.Listed
	for _, key := range m.order[first:] {
		if len(page) == pageSize || !strings.HasPrefix(key, prefix) {
			break
		}
		o := m.objects[key]
		page = append(page, bucket.Listed{Key: key, Size: o.Size, ETag: o.ETag, Modified: o.Modified, Class: o.Class})
	}
	return page
}
