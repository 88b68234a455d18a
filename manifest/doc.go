// Package manifest folds the entries of a directory tree into pages and the pages into a root,
// stores and reads them, and compares two such trees page by page. It is pure: no I/O, no
// goroutines, no clock. What it needs from outside comes in as a function.
//
// The rest of this comment is the specification of the format, complete enough to write a
// second implementation from.
//
// # Words
//
// An entry is one path of a tree: key, kind, size, content digest. A page is a run of
// consecutive entries (a leaf) or of consecutive pages of the level below (an index page). The
// ident of a page hashes what makes two pages equal; its tag hashes the bytes in which it is
// stored. The root is the digest of the whole tree. The manifest is the root object of a
// bucket: pages, root, and what is going on.
//
// # Notation
//
// u8, u16, u32, u64 and i64 are little-endian. uvarint is unsigned LEB128 (7 bits a byte,
// lowest first, the top bit set on all but the last byte) in its shortest form, below 2^64.
// zigzag is the uvarint of (v<<1) ^ (v>>63). text is a uvarint length and that many bytes.
// BLAKE3(x) is the plain 32-byte hash; derive(c, x) is BLAKE3 in its key derivation mode with
// the context string c; XXH64(seed, x) is xxHash64.
//
// # Keys and order
//
// A key is 1 to 1,024 bytes: the path below the mirrored prefix, "/" between the names. Keys
// are compared as unsigned bytes, whole, which is the order in which S3 lists. A directory is
// not an entry but a range of keys: "d/" up to, not including, "d0". Keys that begin with
// ".merkur/" are reserved and in no tree.
//
// Kinds: 0 a file; 1 a symbolic link kept as a link, whose content is its target; 2 the marker
// of an empty directory, whose key ends in "/". The digest of an entry is BLAKE3 of its
// content. An object whose content nobody has read yet is marked unproven, and has instead
//
//	derive("merkur unproven object v1", text ETag | uvarint size)
//
// # Pages
//
// The entries of a tree, in key order, are cut into leaves: a leaf ends after its n-th entry,
// with key k, if n = 4096, or if n >= 512 and XXH64(0, k) mod 512 = 0, or if it is the last
// entry. A level of two pages or more is cut into index pages of level L = 1, 2, ... by the
// same rule over the pages below, where k is the first key below the n-th of them and the seed
// is L. The level that is one page is the top, and its level the height of the tree. The empty
// tree is one empty leaf.
//
// The rule looks at keys only. So any two builders of the same keys cut them alike, a change
// of content changes one page a level, and an insertion or deletion changes the page it is in,
// and pages after it only until a boundary falls where it fell before.
//
// Idents, with profile = 1 (the profile names these rules; trees of unlike profiles are never
// equal):
//
//	leaf  = derive("merkur leaf page v1",  u64 profile | uvarint n | n entries)
//	entry = text key | u8 kind | uvarint size | digest[32] | (kind 1 only: text target)
//	index = derive("merkur index page v1", u64 profile | u8 level | uvarint n | n children)
//	child = text first key | ident[32] | u64 files | u64 bytes
//	root  = derive("merkur root v1", u64 profile | u8 height | ident of top[32] | u64 files | u64 bytes)
//
// files is the number of entries below, bytes the sum of their sizes. Modification times,
// modes and everything a bucket says about an object are not part of any ident: a touch is not
// a change, and a copy in another bucket is equal.
//
// # Stored pages
//
// A page is stored as one zstd frame with its content size in the frame header. Decompressed,
// a leaf is
//
//	u8 0 | uvarint n | uvarint columns
//	n x { uvarint s, text t }     keys: the first s bytes of the key before, then t; s is the longest possible
//	n x u8                        flags: bits 0-1 kind, bit 2 unproven, bit 3 has a CRC
//	n x uvarint                   sizes
//	n x digest[32]
//	column   1: for each link, text target (at most 4,096 bytes)
//	column   2: runs { uvarint length, uvarint mode }, each as long as possible
//	column   4: n x { zigzag seconds since the entry before, uvarint nanoseconds }   file time
//	column   8: n x zigzag seconds since the entry before                            LastModified
//	column  16: n x ETag
//	column  32: for each entry with a CRC, u64 CRC-64/NVME of the object
//	column  64: n x text version id (at most 1,024 bytes)
//	ETag = u8 0 (none) | u8 1, md5[16] | u8 2, md5[16], uvarint parts | u8 3, text (at most 1,024 bytes)
//
// Columns are stored in this order, each if its bit is set in columns; it is set if and only if
// some entry says something there. An ETag of 32 lower-case hexadecimal digits is stored in
// form 1, one with "-" and a decimal number behind them in form 2, any other in form 3. Times
// are signed, since 1970; 0 means not known. An index page is
//
//	u8 level | uvarint n | uvarint p | p x pack name[16]
//	n x { uvarint s, text t }     first keys below the children, coded like keys
//	n x ident[32]
//	n x { uvarint files, uvarint bytes }
//	n x { uvarint pack, uvarint offset, uvarint length, tag[16] }
//
// pack 0 means that the child lies in the same object as the page itself; pack i is the i-th
// of the names, which are listed in the order of their first use. Offset and length are those
// of the child's frame in that object; tag is the first 16 bytes of BLAKE3(frame).
//
// A reader refuses a page that does not match tag and ident, more than 4,096 entries or
// children, keys that do not ascend or leave the bounds that the parent sets, a level above 8,
// a page of more than 32 MiB, and bytes that an encoder would have written in another way.
//
// # Root object and packs
//
// The root object is a legal zstd stream: a head, pages as frames, a footer.
//
//	head   = u32 0x184D2A50 | u32 24 | "MKRMAN1\n" | random[16]
//	footer = u32 0x184D2A5D | u32 length of what follows | body | derive("merkur footer v1", body)[32] |
//	         u32 length of the whole footer | "MKREND1\n"
//	body   = u16 format (1) | u8 splitter (1) | u64 profile (1) |
//	         random[16] as in the head | uuid[16] | u64 generation | writer[16] | i64 time |
//	         root[32] | ref of the top page |
//	         uvarint n, n x { pack name[16], uvarint size, uvarint live } |
//	         uvarint n, n x { pack name[16], i64 since }                    retired packs
//	         uvarint n, n x intent
//	ref    = u8 level | text first key | ident[32] | uvarint files | uvarint bytes |
//	         pack name[16] | uvarint offset | uvarint length | tag[16]
//	intent = run[16] | writer[16] | i64 until | u8 has | (has bit 0: text first, text last) | (has bit 1: ref)
//
// In a ref the pack name of 16 zero bytes means the root object itself. The lists are sorted
// by name and by run. Times are nanoseconds since 1970 by some writer's clock. live counts the
// bytes of a pack that are frames of the present tree. A reader takes the last 12 bytes of the
// object for the length of the footer, then the footer; it needs no byte before it to know the
// root. The same figures ride on the object as user metadata (merkur-root, merkur-generation,
// merkur-files, merkur-bytes, merkur-format).
//
// A pack is a head and frames, without a footer. Its name is the tag of all its bytes, and it
// lies beside the root object as p/ and the name in 32 hexadecimal digits. The random bytes of
// the head see to it that no two packs have one name: so a pack that is retired can be removed
// without a thought of somebody who has just stored it anew.
//
// An intent says what a run may be changing in the bucket at this moment: keys from first to
// last, both included (no last: to the end), and the entries of the leaf that ref names, which
// are no longer in the tree and whose objects are being deleted. Everything that the manifest
// says of other keys is so.
package manifest
