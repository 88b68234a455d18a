package manifest

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/blake3"
)

// The errors of seals.
var (
	// ErrSealed says that a manifest is sealed, and that there is no key to tell whether it is whole.
	ErrSealed = errors.New("the manifest is sealed with a key")
	// ErrUnsealed says that a manifest is not sealed, though there is a key.
	ErrUnsealed = errors.New("the manifest is not sealed")
	// ErrSeal says that a manifest was sealed with another key or for another place, or changed by
	// somebody who has no key.
	ErrSeal = errors.New("the manifest does not pass its seal")
)

// The contexts of BLAKE3's key derivation for seals.
const (
	contextSeal    = "merkur manifest seal v1"
	contextKeyName = "merkur manifest key name v1"
)

// The ways a footer is closed.
const (
	closedPlain = 0 // by a digest
	closedKeyed = 1 // by a seal
)

// sealAt is where a footer's body says how it is closed: after format, splitter and profile.
const sealAt = 2 + 1 + 8

// MaxPlace is the longest name of a place, in bytes.
const MaxPlace = 2048

// A Key seals manifests: without it, nobody can make one that passes. However it is printed,
// nothing of it is.
type Key [32]byte

// Format prints the same for every verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, "(a key)") }

// name tells keys apart, and nothing about them.
func (k Key) name() (id ID) {
	blake3.DeriveKey(contextKeyName, k[:], id[:])
	return id
}

// A Seal closes and opens root objects with a key, for one place. A nil Seal does so without.
type Seal struct {
	Key   Key
	Place string // where the manifest belongs: a manifest sealed for another place is refused
}

// AppendFooter ends a root object.
func (s *Seal) AppendFooter(dst []byte, m *Manifest) []byte {
	b := m.encodeFooter(s)
	b = append(b, s.check(b)...)
	dst = binary.LittleEndian.AppendUint32(dst, skippableFoot)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b)+trailerSize))
	dst = append(dst, b...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(frameHead+len(b)+trailerSize))
	return append(dst, footMagic...)
}

// check returns what closes a body.
func (s *Seal) check(body []byte) []byte {
	h := blake3.NewDeriveKey(contextFooter)
	if s != nil {
		var key Key
		blake3.DeriveKey(contextSeal, s.Key[:], key[:])
		keyed, err := blake3.NewKeyed(key[:])
		if err != nil {
			panic("manifest: key of a seal: " + err.Error()) // its length is right
		}
		h = keyed
	}
	h.Write(body)
	return h.Sum(nil)
}

// append adds to a body how it is closed.
func (s *Seal) append(b []byte) []byte {
	if s == nil {
		return append(b, closedPlain)
	}
	name := s.Key.name()
	b = append(append(b, closedKeyed), name[:]...)
	return appendText(b, s.Place)
}

// DecodeFooter is the inverse of AppendFooter. It accepts only bytes that AppendFooter would
// write, and only of this seal. Errors: [ErrVersion], [ErrCorrupt], [ErrSealed], [ErrUnsealed]
// and [ErrSeal].
func (s *Seal) DecodeFooter(b []byte) (*Manifest, error) {
	n, err := FooterSize(b)
	if err != nil {
		return nil, err
	}
	if n != len(b) || binary.LittleEndian.Uint32(b) != skippableFoot ||
		binary.LittleEndian.Uint32(b[4:]) != uint32(n-frameHead) {
		return nil, corrupt("footer is not framed as it should be")
	}
	if v := binary.LittleEndian.Uint16(b[frameHead:]); v > Format {
		return nil, fmt.Errorf("%w: format %d, where this program knows up to %d", ErrVersion, v, Format)
	}
	body, sum := b[frameHead:n-trailerSize-len(Digest{})], b[n-trailerSize-len(Digest{}):n-trailerSize]
	if err := s.passes(body, sum); err != nil {
		return nil, err
	}
	return decodeFooter(&reader{rest: body})
}

// passes returns an error unless the body is closed by this seal, or, without one, by its digest.
func (s *Seal) passes(body, sum []byte) error {
	keyed := len(body) > sealAt && body[sealAt] == closedKeyed
	if keyed && s == nil {
		return ErrSealed
	}
	if !keyed {
		if !bytes.Equal((*Seal)(nil).check(body), sum) {
			return corrupt("footer does not match its digest")
		}
		if s != nil {
			return ErrUnsealed
		}
		return nil
	}
	r := &reader{rest: body[sealAt+1:]}
	name, place := r.id(), r.text(MaxPlace, "a place")
	switch {
	case r.err != nil:
		return r.err
	case name != s.Key.name():
		return fmt.Errorf("%w: it is sealed with another key", ErrSeal)
	case subtle.ConstantTimeCompare(s.check(body), sum) == 0:
		return fmt.Errorf("%w: it is damaged, or was changed by somebody who does not have the key", ErrSeal)
	case place != s.Place:
		return fmt.Errorf("%w: it belongs to s3://%.200s", ErrSeal, place)
	}
	return nil
}

// readSeal takes what Seal.append added, after it was found to pass.
func readSeal(r *reader) {
	switch how := r.u8(); how {
	case closedPlain:
	case closedKeyed:
		r.id()
		r.text(MaxPlace, "a place")
	default:
		r.fail("footer is closed in an unknown way: %d", how)
	}
}

// Open reads a whole root object, without its pages. Their bytes are checked when they are
// decoded.
func (s *Seal) Open(object []byte) (*Manifest, error) {
	if err := CheckHead(object); err != nil {
		return nil, err
	}
	n, err := FooterSize(object)
	if err != nil {
		return nil, err
	}
	if n > len(object)-HeadSize {
		return nil, corrupt("footer is longer than its object")
	}
	m, err := s.DecodeFooter(object[len(object)-n:])
	if err == nil && !bytes.Equal(AppendHead(nil, m.Head), object[:HeadSize]) {
		return nil, corrupt("head and footer are not of one object")
	}
	return m, err
}
