// Package headers decides which HTTP headers an object is stored with: those that the command
// line gives, those that a file of rules says for its key, and a type guessed by its extension.
// It is pure; it sends nothing.
//
// A [Set] is all that is said of one object. Sets are laid over each other, the strongest word
// on top:
//
//	rules.For(key).Over(given).Over(headers.Set{ContentType: headers.Guess(key)})
//
// So what the command line gives is for all objects, and a rule makes an exception for some.
//
// # Rules
//
// A file of rules says by pattern what headers objects get. It looks like the _headers file of
// static hosts: a line with a pattern, and below it, indented, the headers of the keys that it
// matches.
//
//	# A static site. What has a hash in its name is kept for ever,
//	# the pages are asked for anew each time.
//	/*
//	  Cache-Control: public, max-age=3600
//	/*.html
//	  Cache-Control: no-cache
//	  Content-Type: text/html; charset=utf-8
//	/assets/*
//	  Cache-Control: public, max-age=31536000, immutable
//	/assets/*.map
//	  Cache-Control:
//	/downloads/*
//	  Content-Disposition: attachment
//	  x-amz-meta-team: web
//	/old.html
//	  x-amz-website-redirect-location: /new.html
//
// All rules that match a key apply, in the order of the file; where two say the same header, the
// later one wins. A header without a value takes back what earlier rules said of it: above, the
// maps are stored without Cache-Control. It takes back no more than that: a Content-Type is then
// guessed again.
//
// A pattern is matched against the whole key below the prefix of the destination, as by --exclude
// and --include: "*" and "?" match "/" too, and "[abc]", "[a-z]" and "[!a]" are sets. So /*.html
// means the pages of all directories. One "/" in front is ignored; the front page is
// /index.html. There are no placeholders (:name), hosts or splats.
//
// The headers are Cache-Control, Content-Type, Content-Encoding, Content-Language,
// Content-Disposition, Expires (see [ParseExpires]), x-amz-website-redirect-location and
// x-amz-meta-NAME. Any other is an error, and so is a header twice in one rule, a pattern
// without a header and a header that is not indented: a file of rules is taken whole or not at
// all. Upper and lower case of names are alike. Empty lines do nothing, nor do those that begin
// with "#", indented or not; a key that begins so is written /#key. The file is UTF-8, of at most
// 1 MiB and 10,000 patterns.
package headers
