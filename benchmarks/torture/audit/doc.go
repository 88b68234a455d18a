// Package audit judges what merkur has left in a bucket. It shares no code with merkur: its
// readers of the manifest are written from the specification in the package comment of package
// manifest and from nothing else, and it looks at the files in which the server keeps the
// objects, not at the server.
//
// What it holds against a bucket:
//
//   - The manifest can be read, and everything in it is as the specification says.
//   - The root is that of the entries, cut and folded anew.
//   - Each entry outside of the intents is true: the object is there, of that size, with bytes that
//     have that digest, and with that ETag.
//   - Each object is named by the manifest, or an intent covers its key or lists it, or it was there
//     by somebody else's hand.
//   - What an intent covers is as the manifest says, or as the intent states that it will be.
//   - The manifest lists just the packs in which pages of the tree lie, with the bytes that they take.
//
// What is below the reserved prefix and named by nobody is litter: it costs room and nothing else.
package audit
