// Package bucket keeps objects under keys. It is the one place of the program that knows the
// AWS SDK; everything else sees [Store] and the few errors below.
//
// # Duties of a Store
//
// Every method may be called from many goroutines at once. A put is durable when it returns
// without an error, and no reader ever sees a part of an object. A put or delete that returns
// an error may still have been carried out: [ErrUncertain] says that this is really in doubt,
// and then the caller has to look before it draws a conclusion. Transient failures and
// throttling are retried here, with backoff, and nowhere else: an error that comes out of a
// Store is final for its caller.
//
// Keys are bytes and mean what they say: a Store joins, cleans and escapes nothing.
package bucket

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// The errors a caller may need to tell apart, with [errors.Is].
var (
	ErrNotFound    = errors.New("no such object")
	ErrNoBucket    = errors.New("no such bucket")
	ErrNotModified = errors.New("object is not modified")
	// ErrChanged: the condition of a request did not hold, and the request did nothing.
	ErrChanged = errors.New("object is not the one the condition names")
	// ErrUncertain: the answer was lost; the write may or may not have been carried out.
	ErrUncertain = errors.New("answer lost")
	// ErrUnsupported: the server does not do what was asked (501, or a refused checksum kind).
	ErrUnsupported = errors.New("not supported by the server")
	// ErrArchived: the object lies in a storage class that it has to be restored from before it
	// can be read.
	ErrArchived = errors.New("object is archived")
	// ErrInTheWay: on a server that keeps objects as files, another object lies where this one
	// needs a directory, or the other way round.
	ErrInTheWay = errors.New("another object stands in the way")
	// ErrNoCredentials: there is nothing to sign requests with.
	//lint:ignore ST1005 these are the words of aws
	ErrNoCredentials = errors.New("Unable to locate credentials")
)

// An Object is what a bucket says about one object.
type Object struct {
	Key      string
	Size     int64  // bytes
	ETag     string // without quotes
	CRC64    uint64 // CRC-64/NVME of the whole object, if HasCRC64
	HasCRC64 bool
	Modified time.Time // zero where the answer does not say; as fine as the answer is
	Version  string    // "null" where the bucket had no versions, or keeps none any more, when it was stored
	Class    string    // storage class, where it is another than STANDARD and the answer says so
	Headers
	Encryption string // AES256, aws:kms, …; empty: not said
	KMSKey     string // of aws:kms
}

// A Listed is what a listing says about one object. There may be many of them, so they are small.
type Listed struct {
	Key      string
	Size     int64     // bytes
	ETag     string    // without quotes
	Modified time.Time // zero where the answer does not say; as fine as the answer is
	Class    string    // storage class, where it is another than STANDARD
}

// Object is what is known of an object that was listed.
func (l *Listed) Object() Object {
	return Object{Key: l.Key, Size: l.Size, ETag: l.ETag, Modified: l.Modified, Class: l.Class}
}

// Listed is what a listing would say of an object.
func (o *Object) Listed() Listed {
	return Listed{Key: o.Key, Size: o.Size, ETag: o.ETag, Modified: o.Modified, Class: o.Class}
}

// Headers are stored with an object and given out with it. The zero value is none.
type Headers struct {
	ContentType, ContentEncoding, ContentLanguage, ContentDisposition, CacheControl string
	Expires                                                                         string // an HTTP date
	WebsiteRedirect                                                                 string
	Metadata                                                                        map[string]string // keys in lower case without "x-amz-meta-"
}

// Empty reports whether there is no header.
func (h Headers) Empty() bool {
	return h.Metadata == nil && h.ContentType+h.ContentEncoding+h.ContentLanguage+h.ContentDisposition+
		h.CacheControl+h.Expires+h.WebsiteRedirect == ""
}

// Terms say how the bucket is to keep an object, and for whom. They are not copied with it.
// The zero value leaves all to the bucket.
type Terms struct {
	ACL                                                      string // a canned ACL
	GrantRead, GrantReadACP, GrantWriteACP, GrantFullControl string
	Class                                                    string // storage class
	Encryption                                               string // AES256, aws:kms
	KMSKey                                                   string
	Customer                                                 *CustomerKey
	// Checksum names an algorithm that the server is to verify the object with, in place of
	// CRC64NVME: CRC32, CRC32C, SHA1, SHA256, SHA512, XXHASH64, XXHASH3, XXHASH128.
	Checksum string
}

// A CustomerKey encrypts objects with a key that the server does not keep (SSE-C). However it is
// printed, nothing of the key is.
type CustomerKey struct {
	Algorithm string // AES256
	Key       []byte // 32 bytes
}

// A Condition is the state of a key under which a write may happen. The zero value is none.
type Condition struct {
	IfMatch string // the ETag, without quotes, that the object must have
	IfNone  bool   // there must be no object
}

// GetOptions narrow a get. The zero value asks for the whole object, whatever it is.
type GetOptions struct {
	Offset      int64  // first byte; negative: that many bytes from the end, and Length is 0
	Length      int64  // number of bytes; 0: to the end
	IfMatch     string // ETag the object must have, else ErrChanged
	IfNoneMatch string // ETag the object must not have, else ErrNotModified
	Version     string
	Customer    *CustomerKey // that the object is encrypted with; nil: none
}

// HeadOptions narrow a head.
type HeadOptions struct {
	Customer *CustomerKey // that the object is encrypted with; nil: none
	// Part asks about one part of an object that was uploaded in parts, from 1: Size is then
	// the size of that part. 0 asks about the object.
	Part int
	// Version asks about one version of the object; empty: the present one.
	Version string
}

// PutOptions say under which condition, with which headers and on which terms an object is
// stored.
type PutOptions struct {
	Condition
	CRC64    uint64 // CRC-64/NVME of the body, for the server to verify, if HasCRC64
	HasCRC64 bool
	Headers
	Terms
	Tags string // coded as a URL query; of a copy, see CopyOptions
}

// A Store keeps objects under keys.
type Store interface {
	// Get opens an object, or a range of it. The reader must be closed; the Object describes
	// the whole object, also where a range was asked for.
	// Errors: ErrNotFound, ErrNoBucket, ErrChanged, ErrNotModified, ErrArchived.
	Get(ctx context.Context, key string, o GetOptions) (io.ReadCloser, Object, error)

	// Head describes an object, with its checksum if it has one.
	// Errors: ErrNotFound. A missing bucket looks like a missing object.
	Head(ctx context.Context, key string, o HeadOptions) (Object, error)

	// Put stores size bytes read from body, which is read again from its start on each retry.
	// Errors: ErrChanged, ErrUncertain, ErrNoBucket, ErrUnsupported. ErrChanged is returned
	// only if no earlier try of the same call can have been the one that changed the object.
	// A put with IfMatch on a key that has no object is ErrChanged too.
	Put(ctx context.Context, key string, body io.ReadSeeker, size int64, o PutOptions) (Object, error)

	// Delete removes an object. A missing object is success. Errors: ErrChanged, ErrUncertain.
	Delete(ctx context.Context, key string, c Condition) error

	// List yields the objects whose keys begin with prefix, in key order, those after the key
	// start (exclusive) where it is not empty. After an error it yields nothing more.
	List(ctx context.Context, prefix, start string) iter.Seq2[Listed, error]
}

// An Uploader stores an object in parts. It is an optional power of a Store.
type Uploader interface {
	// Upload begins. The condition of o is checked when the upload completes, and so is its
	// checksum: against that of all parts together.
	Upload(ctx context.Context, key string, o PutOptions) (Upload, error)
}

// An Upload is an object being stored in parts. Nothing is visible before Complete.
type Upload interface {
	// Part stores the part with number n, from 1. Parts may come in any order and at once.
	// crc is the CRC-64/NVME of the part.
	Part(ctx context.Context, n int, body io.ReadSeeker, size int64, crc uint64) error
	// Complete makes the object of all parts so far, in order of their numbers.
	// Errors: as for Put.
	Complete(ctx context.Context) (Object, error)
	// Abort gives up and frees what is stored. It is safe to call after Complete failed.
	Abort(ctx context.Context) error
}

// A Pending upload in parts was begun and is neither complete nor aborted.
type Pending struct {
	Key, ID string
	About   string // tells its options from others; empty: it cannot be gone on with
}

// A Journal keeps in mind the uploads in parts that are under way, so that a later process can end
// those that this one does not come to end. Its methods may be called by many goroutines at once.
type Journal interface {
	Begun(Pending) // before the first part is sent
	Ended(Pending) // complete, aborted or not there any more
}

// A Resumer knows uploads that another process began. It is an optional power of a Store.
type Resumer interface {
	// KeepJournal has a journal told of each upload in parts, those of copies too.
	KeepJournal(Journal)
	// Resume goes on with an upload, which is [Resumed]. Error: ErrUnsupported if it was begun
	// with other options.
	Resume(ctx context.Context, p Pending, o PutOptions) (Upload, error)
	// Discard aborts an upload. It is success if it is not there any more.
	Discard(ctx context.Context, p Pending) error
}

// A Resumed upload may have parts that another process has stored.
type Resumed interface {
	// Has reports whether part n is there with these bytes. If so it counts as if it had been
	// stored now; if not it has to be. By a checksum anybody who may write to the bucket can forge
	// a part; strict says that an MD5 has to tell.
	Has(n int, body io.ReadSeeker, size int64, crc uint64, strict bool) (bool, error)
}

// A Source is an object to be copied from.
type Source struct {
	Bucket   string // empty: the bucket that is copied to
	Key      string
	Version  string // of the object; empty: the present one
	IfMatch  string // the ETag it must have; empty: any
	Size     int64  // bytes; needed for a copy in parts
	Customer *CustomerKey
}

// CopyOptions are those of a put, and what becomes of what belongs to the source.
type CopyOptions struct {
	PutOptions
	// Metadata and Tagging are the directives COPY and REPLACE of the request: whether headers,
	// and tags, are those of the source or those given here. Empty: none is sent, which means
	// COPY. Tags count only with REPLACE.
	MetadataDirective, TaggingDirective string
	// NoAnnotations leaves the source's annotations behind (Amazon's own servers are told so).
	NoAnnotations bool
	// PartSize has the object copied in parts of so many bytes. Then nothing is taken over from the
	// source: headers and tags are those given here. 0: in one request.
	PartSize int64
	// Each makes the request for one part of a copy in parts; so the caller decides how many
	// there are at once, up to eight. nil makes it at once.
	Each func(bytes int64, request func() error) error
}

// A Copier copies on the server's side. It is an optional power of a Store.
type Copier interface {
	// Copy makes dst, in this store's bucket, of src. The Object's Size is -1 where the answer
	// does not say. Errors: as for Put; ErrNotFound and ErrArchived for src, ErrChanged also
	// for the condition on src. Where IfMatch is given, ErrNotFound may be meant of dst. Many
	// servers ignore the condition on dst here. A source that is too large for one request is
	// copied in parts even where PartSize is 0, with its headers and tags.
	Copy(ctx context.Context, src Source, dst string, o CopyOptions) (Object, error)
}

// A Tagger reads and writes tags, coded as a URL query. It is an optional power of a Store.
type Tagger interface {
	// Tags returns the tags of an object, in the order in which the server gives them. Errors:
	// ErrNotFound, ErrUnsupported.
	Tags(ctx context.Context, key string) (string, error)
	// SetTags replaces the tags of an object. Errors: as for Tags, and ErrUncertain.
	SetTags(ctx context.Context, key, tags string) error
}

// MaxBatch is how many objects one request can delete.
const MaxBatch = 1000

// A Deletion is an object to be deleted.
type Deletion struct {
	Key     string
	IfMatch string // the ETag, without quotes, that it must have; empty: any
}

// A BatchDeleter removes many objects in one request. It is an optional power of a Store.
type BatchDeleter interface {
	// DeleteAll removes objects, each of them under its condition, and returns the errors by key.
	// What is not there is success; of what has no error, the server has said that it is gone.
	// Errors: as for Delete; ErrUnsupported. Many servers ignore the conditions here.
	DeleteAll(ctx context.Context, list []Deletion) map[string]error
}

// A Lenient store can do with a server that refuses CRC-64/NVME. It is an optional power of a
// Store.
type Lenient interface {
	// SendNoChecksums has all later requests go without checksums, but those that are asked for
	// by name.
	SendNoChecksums()
}
