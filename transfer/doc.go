// Package transfer makes a local tree and an S3 prefix, or two prefixes, equal. [Sync] is the whole of a
// run. Where the destination is in a bucket and content is compared, that is
//
//	open      read the root · settle what earlier runs left · adopt a prefix without a manifest · audit
//	scan      walk in key order, hash what is not known              package hashing
//	fold      entries to pages to root                               package manifest
//	diff      merge-join with the committed tree, page by page       package manifest
//	plan      changes, filters, delete policy → actions              pure
//	intent    say which keys are about to change, and to what        package catalog
//	transfer  put or copy, each on the condition that the object is still the one the manifest knows
//	commit    publish what the bucket holds now                      package catalog
//	delete    last, and only what the manifest named
//
// A download goes the same way, without intents and commits; where objects are listed, the listing takes
// the place of a tree. [Undo] has steps of its own to find what is to be done, and the same to do it.
//
// All of it streams: changes are taken from the diff in batches while the scan goes on, and
// each batch is an intent, its transfers and a commit. So memory does not grow with the tree,
// and a run that dies repeats one batch.
//
// # What a run promises
//
// The manifest never names what the bucket does not hold, but inside an intent. The bytes that
// are stored are the bytes that were hashed. An object that somebody else changed is not
// overwritten and not deleted, unless an option says so (package drift). What could not
// be read is not deleted, nor anything while the whole source looks empty, nor more than the limit
// allows.
//
// # What a run that died has left
//
// An intent states what is meant to be stored in the range of its keys ([manifest.Meant]). So the next run
// can tell, where the bucket does not hold what the tree says: an object whose key and size are not stated
// is somebody else's, and so is the doing where one is missing. One whose key and size are stated is the
// run's if it has the content that was stated; that is known if the source still has the same, and
// else found out by reading the object. What is sent is always stated before: a file that turns out
// to be another one than was planned is stated anew, together with all that wait for that at the moment, and then
// sent. Where the content cannot be known before it is sent, the size is stated alone: copies of objects
// of which nobody knows the content, files of strategies that do not look at it, and large files
// that a sample found to be missing.
package transfer
