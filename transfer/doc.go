// Package transfer makes an S3 prefix equal to a local tree. [Upload] is the whole of a run:
//
//	open      read the root · settle what earlier runs left · adopt a prefix without a manifest · audit
//	scan      walk in key order, hash what is not known              package hashing
//	fold      entries to pages to root                               package manifest
//	diff      merge-join with the committed tree, page by page       package manifest
//	plan      changes, filters, delete policy → actions              pure
//	intent    say which keys are about to change                     package catalog
//	transfer  put, each on the condition that the object is still the one the manifest knows
//	commit    publish what the bucket holds now                      package catalog
//	delete    last, and only what the manifest named
//
// All of it streams: changes are taken from the diff in batches while the scan goes on, and
// each batch is an intent, its transfers and a commit. So memory does not grow with the tree,
// and a run that dies repeats one batch.
//
// # What a run promises
//
// The manifest never names what the bucket does not hold, but inside an intent. The bytes that
// are stored are the bytes that were hashed. An object that somebody else changed is not
// overwritten and not deleted, unless an option says so (package drift), or that was done to keys
// that a run which died was writing: what is found there is taken for that run's. What could not
// be read is not deleted, nor anything while the whole source looks empty, nor more than the limit
// allows.
package transfer
