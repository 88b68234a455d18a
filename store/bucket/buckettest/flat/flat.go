// Package flat is an S3 server for tests that keeps its objects in memory, under flat keys: any
// key is as good as any other. "a" lies beside "a/b", "../x", "/x" and "a//b" are what they say,
// and a key that ends with a slash holds content. It also keeps what servers over files drop:
// storage classes, tags, ACLs, encryption headers, and times to the millisecond.
//
// # What it is to its clients
//
// Requests name the bucket in the path, and the key is what the escaped path says: nothing is
// cleaned, nothing redirected. Errors have the codes, messages and statuses of S3. Conditions of
// writes are checked and carried out as one step. Checksums that a client sends, in headers or in
// trailers of aws-chunked bodies, are verified; an object that comes without gets a CRC-64/NVME,
// as at S3. Listings hold characters that XML cannot hold as references that no parser takes: to
// list such keys, clients ask for encoding-type=url.
//
// # What it is not
//
// Signatures are not verified, so any keys will do. There are no versions, policies, lifecycles
// or locks. Nothing is encrypted: the headers are remembered, and a customer's key is asked for
// again. What is not an operation listed in route.go is answered with 501 NotImplemented.
package flat

import (
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Server is an S3 server, and an [http.Handler]. The fields must not change once requests come.
type Server struct {
	URL string // without a slash at its end; empty before Listen

	// Now is the clock that says when objects are modified; nil is the real one.
	Now func() time.Time
	// RefuseAnonymous has requests that are not signed answered with 403 AccessDenied.
	RefuseAnonymous bool
	// MinPart is the least size in bytes of a part that is not an upload's last one. At S3 it is 5 MiB.
	MinPart int64
	// Racy has the conditions of puts checked before the body comes, and not again when it is stored.
	Racy bool
	// HeedlessBatch has the ETags that a request to delete many objects has for each of them ignored.
	HeedlessBatch bool
	// MaxCopy is how many bytes one request may copy; 0: any number. At S3 it is 5 GiB.
	MaxCopy int64

	http *http.Server
	done chan struct{} // closed when http no longer serves
	ids  atomic.Int64  // of requests and uploads

	mu       sync.Mutex
	buckets  map[string]*bucket
	fail     func(Request) *Failure
	requests []Request
}

// A bucket is guarded by the mutex of its server. Its objects are never changed, only replaced.
type bucket struct {
	made    time.Time
	objects map[string]*Object
	order   order // of the keys of objects
	uploads map[string]*upload
}

// New makes a Server that has the buckets and does not listen.
func New(buckets ...string) *Server {
	s := &Server{buckets: make(map[string]*bucket)}
	for _, name := range buckets {
		s.buckets[name] = newBucket(s.now())
	}
	return s
}

func newBucket(made time.Time) *bucket {
	return &bucket{made: made, objects: make(map[string]*Object), uploads: make(map[string]*upload)}
}

// Start runs a Server that has the buckets until the test ends.
func Start(t testing.TB, buckets ...string) *Server {
	t.Helper()
	s := New(buckets...)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Listen has the Server serve on a free port of the loopback interface, until Close.
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.URL = "http://" + l.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.http.Serve(l) // ends with Close
	}()
	return nil
}

// Close ends what Listen began, if it did, and the connections.
func (s *Server) Close() {
	if s.http == nil {
		return
	}
	s.http.Close()
	<-s.done
}

// Env is what a program needs in its environment to reach the Server and nothing else: the files
// of ~/.aws are out of its sight.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL,
		"AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=testtest",
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
}

// region is the one of all buckets.
const region = "us-east-1"

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Put stores an object without a request, and returns it as it is stored. The bucket is made if
// there is none. What o leaves empty is what S3 would make of it. Body must not change any more.
func (s *Server) Put(bucket, key string, o Object) Object {
	now := s.now()
	stored := o.clone()
	stored.complete(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if b == nil {
		b = newBucket(now)
		s.buckets[bucket] = b
	}
	b.put(key, stored)
	return *stored.clone()
}

// Object returns an object. Its body must not be changed.
func (s *Server) Object(bucket, key string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if b == nil || b.objects[key] == nil {
		return Object{}, false
	}
	return *b.objects[key].clone(), true
}

// Keys returns the keys of all objects of a bucket, in order.
func (s *Server) Keys(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[bucket]; b != nil {
		return slices.Collect(b.order.from(""))
	}
	return nil
}

// Uploads returns the keys of the uploads that are neither completed nor aborted, in order.
func (s *Server) Uploads(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	if b := s.buckets[bucket]; b != nil {
		for _, u := range b.uploads {
			keys = append(keys, u.key)
		}
	}
	slices.Sort(keys)
	return keys
}

// with calls f with a bucket that nobody else uses meanwhile.
func (s *Server) with(name string, f func(*bucket) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return noSuchBucket
	}
	return f(b)
}

// get returns an object, which stays as it is.
func (s *Server) get(bucketName, key string) (o *Object, err error) {
	err = s.with(bucketName, func(b *bucket) error {
		if o = b.objects[key]; o == nil {
			return noSuchKey
		}
		return nil
	})
	return o, err
}

func (b *bucket) put(key string, o *Object) {
	if b.objects[key] == nil {
		b.order.insert(key)
	}
	b.objects[key] = o
}

func (b *bucket) remove(key string) {
	if b.objects[key] != nil {
		b.order.remove(key)
		delete(b.objects, key)
	}
}
