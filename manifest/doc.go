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
// zigzag is the uvarint of (v<<1) ^ (v>>63), v an i64; differences wrap around. text is a
// uvarint length and that many bytes. BLAKE3(x) is the plain 32-byte hash; derive(c, x) is
// BLAKE3 in its key derivation mode with the context string c; XXH64(seed, x) is xxHash64.
//
// # Keys and entries
//
// A key is 1 to 1,024 bytes of any value: the path below the mirrored prefix, "/" between the
// names. Keys are compared as unsigned bytes, whole, which is the order in which S3 lists. A
// directory is not an entry but a range of keys: "d/" up to, not including, "d0". Keys that
// begin with ".merkur/" are reserved and in no tree.
//
// A size is below 2^63, and so is the sum of all sizes of a tree. The digest is BLAKE3 of the
// content. The kinds are
//
//	0  a file or object
//	1  a symbolic link kept as a link: its content is its target, 1 to 4,096 bytes
//	2  an empty directory, or the marker object of one: its key ends in "/"
//
// An object of kind 0 whose content nobody has read yet is marked unproven, and has instead of
// a digest, ETag being the text without quotes,
//
//	derive("merkur unproven object v1", text ETag | uvarint size)
//
// # Pages
//
// The entries of a tree, in key order, are cut into leaves. Within a leaf count n from 1: it
// ends after the entry with key k if n = 4096, or if n >= 256 and XXH64(0, k) mod 256 = 0; the
// last one ends with the tree. If there is more than one leaf, the leaves are cut into index
// pages of level 1 in the same way, k now being the first key below a leaf, the seed of XXH64 the
// level, and 64 in the place of 256; if there is more than one of those, they are cut into index
// pages of level 2, and so on. The level that has a single page is the top; its level is the height
// of the tree, 0 for a single leaf. The empty tree is one leaf without entries.
//
// The rule looks at keys only. So any two builders of the same keys cut them alike, a change
// of content changes one page a level, and an insertion or deletion changes the page it is in,
// and pages after it only until a boundary falls where it fell before. A reader need not check
// the cutting; a tree that is cut in another way can be read, but its root tells nothing.
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
// modes, the unproven mark and everything a bucket says about an object are not part of any
// ident: a touch is not a change, and a copy in another bucket is equal.
//
// # Stored pages
//
// A page is stored as one zstd frame without a dictionary. How it is compressed is free; its tag,
// the first 16 bytes of BLAKE3(frame), stands with whoever refers to it. Decompressed, which
// must not take more than 32 MiB, a leaf is
//
//	u8 0 | uvarint n | uvarint columns
//	n x { uvarint s, text t }     keys: the first s bytes of the key before, then t; s is the longest possible
//	n x u8                        flags: bits 0-1 kind, bit 2 unproven, bit 3 has a CRC, others 0
//	n x uvarint                   sizes
//	n x digest[32]
//	column   1: for each link, text target
//	column   2: runs { uvarint length, uvarint mode }, each as long as possible; modes below 2^32
//	column   4: n x { zigzag seconds, uvarint nanoseconds }   time of the file
//	column   8: n x zigzag seconds                            LastModified of the object
//	column  16: n x ETag
//	column  32: for each entry with a CRC, u64 CRC-64/NVME of the whole object
//	column  64: n x text version id (at most 1,024 bytes)
//	column 128: runs { uvarint length, u64 tag of headers }, each as long as possible
//	ETag = u8 0 (none) | u8 1, md5[16] | u8 2, md5[16], uvarint parts | u8 3, text (1 to 1,024 bytes)
//
// Columns are stored in this order. One is there, and its bit set, if and only if it says
// something: some entry is a link, has a mode other than 0, a time other than 0, and so on; 0
// and the empty text mean not known. Mode is the permission bits. The tag of headers is 0
// where an object was stored with none but a content type guessed from its name; what else it
// is made of is the writer's business, who compares it with the tag of what should be there. Seconds are counted from
// those of the entry before, the first from 0, rounded down; nanoseconds are 0 to 999,999,999
// and count forward, also before 1970. The time of a file fits into an i64 of nanoseconds;
// a file system's later or earlier one is stored as the last or first that does. An ETag is
// without quotes; one of 32 lower-case hexadecimal digits is stored in form 1, one with "-" and
// a decimal number without leading zeros, below 2^64, behind them in form 2, any other in form
// 3. An index page is
//
//	u8 level | uvarint n | uvarint p | p x pack name[16]
//	n x { uvarint s, text t }     first keys below the children, coded like keys
//	n x ident[32]
//	n x { uvarint files, uvarint bytes }
//	n x { uvarint pack, uvarint offset, uvarint length, tag[16] }
//
// pack 0 means that the child lies in the same object as the page itself; pack i is the i-th
// of the names, each listed once, in the order of their first use. Offset (below 2^62) and length
// are those of the child's frame in that object. The level of a child is one less than that of the page.
//
// A reader refuses a page that does not match tag, ident, level, first key, files and bytes as
// its parent states them; more than 4,096 entries or children; keys that do not ascend or that
// reach the first key of the next page; a level above 8; values outside of the bounds given
// here; and decompressed bytes that are not just those of this encoding.
//
// # Root object and packs
//
// The manifest of a mirrored prefix P (empty, or ending in "/") is the object P.merkur/manifest.
// It is a legal zstd stream: a head, pages as frames, a footer.
//
//	head   = u32 0x184D2A50 | u32 24 | "MKRMAN1\n" | random[16]
//	footer = u32 0x184D2A5D | u32 length of all that follows in the footer |
//	         body | check[32] |
//	         u32 length of the whole footer, from 0x184D2A5D on | "MKREND1\n"
//	body   = u16 format (1) | u8 splitter (1) | u64 profile (1) | closing |
//	         random[16] of the head | uuid[16] | u64 generation | writer[16] | i64 time |
//	         root[32] | ref of the top page |
//	         uvarint n | n x { pack name[16], uvarint size, uvarint live } |   packs of the present tree
//	         uvarint n | n x { pack name[16], i64 since } |                    retired packs
//	         uvarint n | n x intent
//	closing = u8 0 | u8 1, name of the key[16], text place
//	ref    = u8 level | text first key (empty in the empty tree) | ident[32] | uvarint files | uvarint bytes |
//	         pack name[16] | uvarint offset | uvarint length | tag[16]
//	intent = run[16] | writer[16] | i64 until | u8 has | (has bit 0: text first, text last) | (has bit 1: ref) |
//	         (has bit 2, and only with bit 0: uvarint offset | uvarint length | tag[16])
//
// The check of a body that is closed in the way 0 is derive("merkur footer v1", body), which finds
// damage. One closed in the way 1 is sealed with a key of 32 bytes that the bucket does not
// have: its check is the keyed hash of BLAKE3 over the body, with the key
// derive("merkur manifest seal v1", key). The name of the key is the first half of
// derive("merkur manifest key name v1", key); the place, at most 2,048 bytes, is the bucket, "/"
// and the mirrored prefix. Since all pages hang by idents and tags from the body, the check covers
// the whole tree, all intents and all lists. A reader with a key takes only what is sealed with it
// for this place; a reader without one refuses what is sealed.
//
// In a ref the pack name of 16 zero bytes means the root object itself. The lists are sorted,
// each name and each run once, at most 2^18 packs of each kind and 256 intents. Times are nanoseconds since 1970 by some writer's clock. uuid is
// drawn when the manifest is first made and stays; generation is 1 then and one more at each
// rewrite, and below 2^63; writer and run name, by random numbers, who wrote and which process means to. live
// counts the bytes of a pack that are frames of the present tree, and no pack is both among those of
// the present tree and retired.
//
// A reader takes the last 12 bytes of the object for the length of the footer, at most 16 MiB,
// then the footer; it needs no byte before it to know the root, and need not look at the head.
// A format above 1 is a newer one, to be refused as such. The object also has user metadata:
// merkur-root in hexadecimal, merkur-generation, merkur-files, merkur-bytes and merkur-format
// in decimal; they are for people and for a HEAD, and no reader relies on them.
//
// A pack is a head and frames, without a footer. Its name is the tag of all its bytes, and it
// is the object P.merkur/p/ followed by the name in 32 hexadecimal digits. A reader may fetch
// single frames. The random bytes of the head see to it that no two packs have one name: so a
// pack that is retired can be removed without a thought of somebody who has just stored it
// anew.
//
// An intent says what a run may be changing in the bucket at this moment. Of a key from first
// to last, both included (an empty first: from the start; an empty last: to the end), the
// bucket may hold what the tree says, or something else, or nothing. The leaf that ref names,
// in the root object, lists up to 4,096 entries, not cut by the rule, that are not in the tree
// any more and whose objects are being deleted. Of all other keys, what the tree says is so.
//
// Offset, length and tag of an intent are those of a frame in the root object, a zstd frame like that
// of a page, which holds up to 2^17 statements, ascending, of what the run means to store in its range:
//
//	statement = u32 name | u32 content, which are compared as numbers, the name first
//	name      = the first 4 bytes, as a u32, of BLAKE3(text key | uvarint size), or of BLAKE3(text key)
//	content   = the first 4 bytes, as a u32, of the digest; 0: not known
//
// One without a size has the content 0, and states that anything may become of the key. An object in the
// range that is not the one that the tree names, and about which nothing is stated, by its size, or by its
// digest where one is stated, was stored by somebody else; and what is missing was removed by somebody
// else. An intent without statements (has bit 2 is not set) may have stored whatever is found in its range.
//
// # Writing
//
// The root object is replaced by a put on the condition that it is still the one that the new
// one was made from, or that there is none (If-Match, If-None-Match: *). Packs are stored
// before a root names them. An object is stored or replaced only while an intent of the run
// covers its key and states what is stored, and deleted only after a root was stored that does not have it in its tree
// and lists it as being deleted. The commit that says what the bucket holds then drops the
// intent. A writer carries on the intents of others. It may take one over, by looking at the
// keys and dropping it, once until has passed; a run that takes long renews its own before
// that. A pack that a new root no longer needs moves to the retired ones; it may be deleted a
// day later, and leaves the list with a commit after that. A pack that no root names may be removed
// when it is a day old, right after a commit by who removes it.
package manifest
