// Package inspect looks, compares and tells. It changes nothing, in no bucket and in no tree, and it
// shares no code with package transfer, which does: so that one finds what the other got wrong.
//
// # Words
//
// A [View] is a tree that can be looked at: a directory, the committed manifest of a prefix or of a
// directory in it, the objects of a prefix as they are listed, or a manifest that was saved to a file.
// A [Finding] is one thing that is not as it should be.
//
// # Verify
//
// [Audit.Run] compares a bucket with its committed manifest. It reads the root object whole and all
// pages, each against its tag, ident, counts and place in the order of keys; folds the entries anew,
// and compares the root that comes out; lists the prefix, and compares object by object:
//
//	missing          the manifest has an entry, and the bucket has no object
//	foreign-new      the bucket has an object that the manifest does not know
//	foreign-changed  the object has another size or ETag than the manifest says, and nothing shows
//	                 that its bytes are the same
//	restamped        another ETag, but size and CRC-64/NVME, or the bytes themselves if they were
//	                 read, are those of the entry: only the evidence is stale. Minor
//	corrupt          the object has the size and the ETag of the entry, but other bytes
//	unread           the bytes could not be read: archived, or not permitted. Not a difference
//	damaged          something is wrong with the manifest itself
//	garbage          an object below the reserved prefix that nothing needs. Minor
//
// Nothing is said of the objects whose entries stand in a page that cannot be read. Keys that an intent
// covers are in progress: there, the format promises nothing. A run that begins while the audit is
// under way is noticed: before anything that such a run could have brought about is told, the root
// object is asked for again, and if it has moved, what was found is looked at anew.
//
// Reading bytes is a matter of choice, since it costs: of all entries, or of a share that a seed
// picks. The bytes are hashed, and their digest compared with that of the entry. An unproven entry has
// none, and cannot be verified so.
//
// # Diff
//
// [Diff] yields the differences between two views in key order. Two manifests are compared root
// against root, then page by page, a manifest and a directory page by page, all others entry by
// entry. Where the size of a file is the same and one side has no digest of it, ETag and checksum
// decide, for which the bucket or the file is looked at; where these do not tell, the difference is
// [Unclear].
//
// # Saved manifests
//
// A saved manifest is a root object with all pages in itself, as the format has it for small trees.
// [Save] writes one, [OpenFile] reads one.
package inspect
