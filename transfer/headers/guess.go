package headers

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed types.txt
var typeTable string

// types maps an extension, in lower case and without its dot, to its type.
var types = sync.OnceValue(func() map[string]string {
	byExt := make(map[string]string)
	for line := range strings.Lines(typeTable) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		for _, ext := range words[1:] {
			byExt[ext] = words[0]
		}
	}
	return byExt
})

// encodings are the extensions that tell how a file is packed, not what is in it. Unlike all
// others they are known in this case only.
var encodings = map[string]bool{".gz": true, ".Z": true, ".bz2": true, ".xz": true, ".br": true}

// contractions stand for two extensions.
var contractions = map[string]string{
	".svgz": ".svg", ".tgz": ".tar", ".taz": ".tar", ".tz": ".tar", ".tbz2": ".tar", ".txz": ".tar",
}

// Guess returns the type of an object by the extension of its key, or "" if it knows none. It
// guesses as aws does, from a table that is part of the program, so that a tree is stored alike
// from every machine; types.txt says where it departs. The extension of a packing (.gz .Z .bz2
// .xz .br) is overlooked: that a file is packed is not said by its type, and Content-Encoding is
// for the user to give, if its readers are to unpack it. A charset is never guessed.
func Guess(key string) string {
	base, ext := splitExt(key)
	if encodings[ext] {
		_, ext = splitExt(base)
	}
	ext = strings.ToLower(ext)
	if long, ok := contractions[ext]; ok {
		ext = long
	}
	return types()[strings.TrimPrefix(ext, ".")]
}

// splitExt cuts off the extension, with its dot. The dots that a name begins with begin none.
func splitExt(key string) (base, ext string) {
	name := strings.TrimLeft(key[strings.LastIndexByte(key, '/')+1:], ".")
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		ext = name[i:]
	}
	return strings.TrimSuffix(key, ext), ext
}
