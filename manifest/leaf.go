package manifest

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// The columns of a leaf that are stored only where some entry needs them.
const (
	columnTarget = 1 << iota
	columnMode
	columnMTime
	columnModified
	columnETag
	columnCRC64
	columnVersion
	columnHeaders
	columnsKnown = 1<<iota - 1
)

// The flags of an entry. The lowest two bits are its kind.
const (
	flagKind     = 3
	flagUnproven = 4
	flagCRC64    = 8
	flagsKnown   = 15
)

// The ways an ETag is stored.
const (
	etagNone  = 0
	etagMD5   = 1 // 16 bytes: 32 hexadecimal digits
	etagParts = 2 // 16 bytes and a number: 32 hexadecimal digits, "-", the number of parts
	etagRaw   = 3 // any other text
)

// maxText bounds an ETag and a version id, maxTarget the target of a link.
const (
	maxText   = 1024
	maxTarget = 4096
)

const second = 1_000_000_000 // nanoseconds

// encode returns the page before compression.
func (p *Page) encode() []byte {
	b, _ := p.encodeInParts()
	return b
}

// encodeInParts returns the page before compression, and where in it text and hashes meet.
func (p *Page) encodeInParts() (b []byte, seams []int) {
	if p.Level > 0 {
		return p.encodeIndex(), nil
	}
	es := p.Entries
	b = make([]byte, 0, 96*len(es)+16)
	b = append(b, 0)
	b = binary.AppendUvarint(b, uint64(len(es)))
	columns := columnsOf(es)
	b = binary.AppendUvarint(b, columns)
	b = appendKeys(b, len(es), func(i int) string { return es[i].Key })
	for i := range es {
		b = append(b, flagsOf(&es[i]))
	}
	for i := range es {
		b = binary.AppendUvarint(b, uint64(es[i].Size))
	}
	seams = append(seams, len(b))
	for i := range es {
		b = append(b, es[i].Digest[:]...)
	}
	seams = append(seams, len(b))
	for _, c := range leafColumns {
		if columns&c.bit == 0 {
			continue
		}
		if c.bit == columnETag {
			seams = append(seams, len(b))
		}
		b = c.append(b, es)
		if c.bit == columnCRC64 {
			seams = append(seams, len(b))
		}
	}
	return b, seams
}

func decodeLeaf(r *reader) *Page {
	n := r.count(MaxPage, "entries")
	columns := r.uvarint()
	if columns&^columnsKnown != 0 {
		r.fail("unknown columns %#x", columns)
	}
	es := make([]Entry, n)
	readKeys(r, n, func(i int, k string) { es[i].Key = k })
	for i := range es {
		f := r.u8()
		if f&^flagsKnown != 0 || f&flagKind > byte(Dir) {
			r.fail("unknown flags %#x", f)
		}
		es[i].Kind = Kind(f & flagKind)
		es[i].Unproven = f&flagUnproven != 0
		es[i].Evidence.HasCRC64 = f&flagCRC64 != 0
	}
	for i := range es {
		es[i].Size = r.size()
	}
	for i := range es {
		copy(es[i].Digest[:], r.bytes(len(es[i].Digest)))
	}
	for _, c := range leafColumns {
		if columns&c.bit != 0 {
			c.read(r, es)
		}
	}
	if r.err == nil && columnsOf(es) != columns {
		r.fail("columns %#x are stored where %#x are needed", columns, columnsOf(es))
	}
	for i := range es {
		if r.err != nil {
			break
		}
		if err := es[i].Valid(); err != nil {
			r.fail("%v", err)
		}
	}
	return &Page{Entries: es}
}

func flagsOf(e *Entry) byte {
	f := byte(e.Kind)
	if e.Unproven {
		f |= flagUnproven
	}
	if e.Evidence.HasCRC64 {
		f |= flagCRC64
	}
	return f
}

// columnsOf returns the columns in which some entry says something.
func columnsOf(es []Entry) (columns uint64) {
	set := func(bit uint64, needed bool) {
		if needed {
			columns |= bit
		}
	}
	for i := range es {
		e := &es[i]
		set(columnTarget, e.Kind == Link)
		set(columnMode, e.Mode != 0)
		set(columnMTime, e.MTime != 0)
		set(columnModified, e.Evidence.Modified != 0)
		set(columnETag, e.Evidence.ETag != "")
		set(columnCRC64, e.Evidence.HasCRC64)
		set(columnVersion, e.Evidence.Version != "")
		set(columnHeaders, e.Headers != 0)
	}
	return columns
}

// leafColumns are the optional columns in the order in which they are stored.
var leafColumns = []struct {
	bit    uint64
	append func([]byte, []Entry) []byte
	read   func(*reader, []Entry)
}{
	{columnTarget, appendTargets, readTargets},
	{columnMode, appendModes, readModes},
	{columnMTime, appendMTimes, readMTimes},
	{columnModified, appendModified, readModified},
	{columnETag, appendETags, readETags},
	{columnCRC64, appendCRCs, readCRCs},
	{columnVersion, appendVersions, readVersions},
	{columnHeaders, appendHeaders, readHeaders},
}

func appendTargets(b []byte, es []Entry) []byte {
	for i := range es {
		if es[i].Kind == Link {
			b = appendText(b, es[i].Target)
		}
	}
	return b
}

func readTargets(r *reader, es []Entry) {
	for i := range es {
		if es[i].Kind == Link {
			es[i].Target = r.text(maxTarget, "link target")
		}
	}
}

// appendModes stores runs of equal modes: a length and a mode, each.
func appendModes(b []byte, es []Entry) []byte {
	for i := 0; i < len(es); {
		run := 1
		for i+run < len(es) && es[i+run].Mode == es[i].Mode {
			run++
		}
		b = binary.AppendUvarint(b, uint64(run))
		b = binary.AppendUvarint(b, uint64(es[i].Mode))
		i += run
	}
	return b
}

func readModes(r *reader, es []Entry) {
	for i := 0; i < len(es) && r.err == nil; {
		run := r.count(uint64(len(es)-i), "entries in a run of modes")
		mode := uint32(r.count(1<<32-1, "as a mode"))
		if run == 0 || i > 0 && es[i-1].Mode == mode {
			r.fail("run of modes is empty or not the longest")
			return
		}
		for ; run > 0; run-- {
			es[i].Mode = mode
			i++
		}
	}
}

// appendMTimes stores whole seconds as differences, and nanoseconds.
func appendMTimes(b []byte, es []Entry) []byte {
	last := int64(0)
	for i := range es {
		sec, nsec := splitTime(es[i].MTime)
		b = appendZigzag(b, sec-last)
		b = binary.AppendUvarint(b, uint64(nsec))
		last = sec
	}
	return b
}

func readMTimes(r *reader, es []Entry) {
	last := int64(0)
	for i := range es {
		last += r.zigzag()
		nsec := int64(r.count(second-1, "nanoseconds"))
		t := last*second + nsec
		if s, n := splitTime(t); s != last || n != nsec {
			r.fail("time is out of range")
			return
		}
		es[i].MTime = t
	}
}

// splitTime returns a time as whole seconds, rounded down, and nanoseconds.
func splitTime(t int64) (sec, nsec int64) {
	sec, nsec = t/second, t%second
	if nsec < 0 {
		sec, nsec = sec-1, nsec+second
	}
	return sec, nsec
}

func appendModified(b []byte, es []Entry) []byte {
	last := int64(0)
	for i := range es {
		b = appendZigzag(b, es[i].Evidence.Modified-last)
		last = es[i].Evidence.Modified
	}
	return b
}

func readModified(r *reader, es []Entry) {
	last := int64(0)
	for i := range es {
		last += r.zigzag()
		es[i].Evidence.Modified = last
	}
}

func appendETags(b []byte, es []Entry) []byte {
	for i := range es {
		kind, sum, parts := splitETag(es[i].Evidence.ETag)
		b = append(b, kind)
		switch kind {
		case etagMD5:
			b = append(b, sum...)
		case etagParts:
			b = binary.AppendUvarint(append(b, sum...), parts)
		case etagRaw:
			b = appendText(b, es[i].Evidence.ETag)
		}
	}
	return b
}

func readETags(r *reader, es []Entry) {
	for i := range es {
		var tag string
		kind := r.u8()
		switch kind {
		case etagNone:
		case etagMD5:
			tag = hex.EncodeToString(r.bytes(16))
		case etagParts:
			tag = hex.EncodeToString(r.bytes(16)) + "-" + strconv.FormatUint(r.uvarint(), 10)
		case etagRaw:
			tag = r.text(maxText, "an ETag")
		}
		if want, _, _ := splitETag(tag); r.err == nil && want != kind {
			r.fail("ETag %.40q is stored in another way than it should be", tag)
		}
		es[i].Evidence.ETag = tag
	}
}

// splitETag says how an ETag is stored, and its parts.
func splitETag(tag string) (kind byte, sum []byte, parts uint64) {
	if tag == "" {
		return etagNone, nil, 0
	}
	head, tail, multipart := strings.Cut(tag, "-")
	sum, err := hex.DecodeString(head)
	if err != nil || len(sum) != 16 || strings.ToLower(head) != head {
		return etagRaw, nil, 0
	}
	if !multipart {
		return etagMD5, sum, 0
	}
	parts, err = strconv.ParseUint(tail, 10, 64)
	if err != nil || strconv.FormatUint(parts, 10) != tail {
		return etagRaw, nil, 0
	}
	return etagParts, sum, parts
}

func appendCRCs(b []byte, es []Entry) []byte {
	for i := range es {
		if es[i].Evidence.HasCRC64 {
			b = binary.LittleEndian.AppendUint64(b, es[i].Evidence.CRC64)
		}
	}
	return b
}

func readCRCs(r *reader, es []Entry) {
	for i := range es {
		if es[i].Evidence.HasCRC64 {
			es[i].Evidence.CRC64 = r.u64()
		}
	}
}

func appendVersions(b []byte, es []Entry) []byte {
	for i := range es {
		b = appendText(b, es[i].Evidence.Version)
	}
	return b
}

func readVersions(r *reader, es []Entry) {
	for i := range es {
		es[i].Evidence.Version = r.text(maxText, "a version id")
	}
}

// appendHeaders stores runs of equal tags: a length and a tag, each.
func appendHeaders(b []byte, es []Entry) []byte {
	for i := 0; i < len(es); {
		run := 1
		for i+run < len(es) && es[i+run].Headers == es[i].Headers {
			run++
		}
		b = binary.AppendUvarint(b, uint64(run))
		b = binary.LittleEndian.AppendUint64(b, es[i].Headers)
		i += run
	}
	return b
}

func readHeaders(r *reader, es []Entry) {
	for i := 0; i < len(es) && r.err == nil; {
		run := r.count(uint64(len(es)-i), "entries in a run of header tags")
		tag := r.u64()
		if run == 0 || i > 0 && es[i-1].Headers == tag {
			r.fail("run of header tags is empty or not the longest")
			return
		}
		for ; run > 0; run-- {
			es[i].Headers = tag
			i++
		}
	}
}
