// Package hashing turns a live directory into a stream of entries in key order, each with the
// digest of its file's bytes.
//
// # Scan
//
// A [Scan] walks a tree once. [Scan.Items] yields, in the unsigned byte order of the whole
// keys, one entry for every regular file and one [Problem] for every path that could not be
// read or represented. So a directory stands where its name with a "/" behind it stands:
//
//	a-b   a/x   a/y   a0
//
// Symbolic links are left out silently, or, with [Options.Follow], stand for what they point
// to: a link to a file is an entry under the name of the link, a link to a directory is
// walked, a broken link is a problem, and so is a link to a directory that it is in itself.
// Such a loop is found by the identity of the directories on the way down. FIFOs, sockets and
// devices are problems and are never opened. Empty directories leave no trace. What is not
// selected is neither opened nor reported. The directory ".merkur" at the top of the tree is
// not part of it.
//
// A problem is data. What a scan yields is all that is there, except for the keys that its
// problems name and, where such a key ends in "/", the keys that begin with it. An error in
// the place of an item means that nothing of the kind can be said: the scan was cancelled, or
// the root itself can not be read or was gone at the end.
//
// A scan does not freeze the tree. An entry says what was read at some time during the scan.
// A file that changes while it is read is read up to three times; if it never holds still,
// the last reading is yielded, and it is up to the one who sends the file to compare what is
// sent with the digest. Nothing is written, and no modification or change time moves.
//
// # Trust
//
// With a [Cache], a file is not read if an earlier scan remembered its digest under the same
// fingerprint: file system, inode, size, and times of modification, change and birth to the
// nanosecond, all equal. A digest is remembered only if it is settled, which takes that the
// file was the same before and after it was read, and had by then been left alone for a while,
// at least two minutes: within that, a program that stores through a memory mapping may change
// a file without a trace. So a young file is read again by the next scan.
//
// How far that reaches depends on the file system, see [Stats].FileSystem:
//
//	local    as above
//	network  as above, but a file must have been left alone for a minute more
//	memory   stores through a mapping never leave a trace: every file is read in every scan,
//	         unless [Options.TrustStat]
//	weak     FUSE, 9p, FAT and all unknown ones: only size and modification time are compared,
//	         and 1 % of the files is read again in every scan
//
// What no stat field shows is not noticed: decayed disks, writes below the file system, a
// restored image of one, mappings on DAX or of an overlay whose upper layer is in memory. [Options.RehashShare] reads a part of the trusted files in every
// scan, another one for every [Options.Seed], and [Stats].FingerprintLies counts what it finds.
//
// A cache that is empty, lossy or damaged costs time and never changes what is yielded.
//
// # Work and memory
//
// Several goroutines list, look and read at the same time and ahead of the consumer, up to
// 65,536 names. The unit of work is a slice of a directory, of at most 1,024 names, and idle
// goroutines take part in the files of one slice and in the pieces of one large file. So a
// directory of a million files, a million directories, and one huge file are all the work of
// all goroutines. Memory does not grow with the tree, but with the widest directory, whose
// names have to be sorted. Two file handles for each goroutine are open, however deep the
// tree is.
//
// # Digests
//
// All digests are plain BLAKE3 and equal what b3sum prints. [Sum] is of bytes, [File] of an
// open file, and [Parts] of parts that are hashed in any order while they are sent.
package hashing
