package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"merkur/manifest"
)

// errKeyForm says what a file with a key has to hold.
var errKeyForm = errors.New("a key is 32 bytes, or 64 hexadecimal digits")

// errKeyItself says, without it, that a key was given where the name of its file is wanted.
var errKeyItself = errors.New("it takes the name of a file that holds the key, not the key, which other users of the machine can see on a command line")

// readKey reads the key of manifests from a file, which may be a pipe. It reports whether others
// than its owner may read it.
func readKey(name string) (key *manifest.Key, shared bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		if _, wrong := parseKey([]byte(name)); wrong == nil {
			err = errKeyItself
		}
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, false, err
	}
	if key, err = parseKey(b); err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	return key, info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows", nil
}

// parseKey takes 32 bytes as they are, or 64 hexadecimal digits and space around them.
func parseKey(b []byte) (*manifest.Key, error) {
	if len(b) == len(manifest.Key{}) {
		key := manifest.Key(b)
		return &key, nil
	}
	key := new(manifest.Key)
	digits := bytes.TrimSpace(b)
	if len(digits) != 2*len(key) {
		return nil, errKeyForm
	}
	if _, err := hex.Decode(key[:], digits); err != nil {
		return nil, errKeyForm // and not what is wrong with it, which would show a part of it
	}
	return key, nil
}
