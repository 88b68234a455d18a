package listing

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"merkur/store/bucket"
)

// cut cuts a piece at a split, or behind about so many objects of its rest, and returns the part that follows;
// nil if it may or can not be cut.
func (pl *plan) cut(p *piece, size float64) *piece {
	if !pl.mayWaste(1) {
		return nil
	}
	if p == pl.pieces[len(pl.pieces)-1] {
		key, count, more := pl.splits.in(p.after, p.end, pl.prefix)
		switch {
		case key != "":
			p.known = p.count + count
			return pl.cutAt(p, key, true)
		case more && p.hinted && p != pl.pieces[0]:
			return nil // a split is better than a guess, and there is time
		case !more && p.hinted && p.known == 0:
			p.known = p.count + max(count, pieceSize) // there is hardly more
		}
	}
	if p.run == 0 || p.known > p.count {
		return nil
	}
	if p.busy { // the page under way may end anywhere
		size += pageSize / 2
	}
	step := exp2(math.Log2(size) + pl.density(p))
	key, ok := pl.between(p, step.Add(step, pl.place(p)))
	if !ok {
		return nil
	}
	p.known, p.want = 0, p.count+int(size)
	return pl.cutAt(p, key, false)
}

// cutAt cuts a piece behind a key and returns the part that follows.
func (pl *plan) cutAt(p *piece, key string, hinted bool) *piece {
	pl.wasted++
	q := &piece{start: key, after: key, end: p.end, hinted: hinted, scale: p.scale, from: p.from, to: p.to, run: p.run}
	p.end = key
	pl.guess(p)
	pl.guess(q)
	pl.pieces = slices.Insert(pl.pieces, slices.Index(pl.pieces, p)+1, q)
	return q
}

// between returns the key at a place if a piece can be cut behind it.
func (pl *plan) between(p *piece, place *big.Int) (string, bool) {
	after, _ := strings.CutPrefix(p.after, pl.prefix)
	end, ok := strings.CutPrefix(p.end, pl.prefix)
	if !ok {
		end = ""
	}
	key, ok := p.scale.between(after, place, end)
	return pl.prefix + key, ok && len(pl.prefix)+len(key) <= maxKey
}

// learn looks at the keys of a page.
func (pl *plan) learn(p *piece, objects []bucket.Listed) {
	if len(objects) < 2 {
		return
	}
	key := func(i int) string { return objects[i].Key[len(pl.prefix):] }
	if p.count == 0 || p.run >= 2*pieceSize {
		p.from, p.run, p.scale = key(0), 0, &scale{before: older(p)}
	}
	p.scale.learn(len(objects), key)
	p.to = key(len(objects) - 1)
	p.run += len(objects)
}

// older is what the scale of a piece keeps when it is made anew.
func older(p *piece) []column {
	if p.count == 0 {
		return nil
	}
	return p.scale.now
}

// compare learns from how many objects a piece turned out to have. Too few are an expense; from
// too many the estimates of the piece itself lead back.
func (pl *plan) compare(p *piece) {
	if p.want == 0 {
		return
	}
	off := math.Log2(float64(p.want) / float64(max(p.count, 1)))
	off = min(max(off, -3), 3)
	pl.gain = min(max(pl.gain+off/8, -1), 1)
	pl.mix = min(max(pl.mix+off/8, 0), 1)
}

// density returns the binary logarithm of how much of the scale an object of a piece takes. The
// last keys of the piece tell that; but if they are one cluster of many, the trail knows better.
func (pl *plan) density(p *piece) float64 {
	d := log2(p.scale.span(p.from, p.to)) - math.Log2(float64(p.run))
	if n := len(pl.trail); n > 1 {
		a, b := pl.trail[0], pl.trail[n-1]
		t := log2(p.scale.span(a.key, b.key)) - math.Log2(float64(b.at-a.at))
		d += pl.mix * max(t-d, 0)
	}
	return d + pl.gain
}

// guess estimates how many objects of a piece are not listed.
func (pl *plan) guess(p *piece) {
	switch {
	case p.done:
		p.rest = 0
	case p.known > p.count:
		p.rest = float64(p.known - p.count)
	case p.run == 0:
		p.rest = math.MaxInt32
	default:
		end := p.scale.size()
		if p.end != "" && strings.HasPrefix(p.end, pl.prefix) {
			end = p.scale.number(p.end[len(pl.prefix):])
		}
		end.Sub(end, pl.place(p))
		p.rest = 0
		if end.Sign() > 0 {
			p.rest = min(math.Exp2(log2(end)-pl.density(p)), math.MaxInt32)
		}
	}
}

// place returns where the rest of a piece begins on the scale.
func (pl *plan) place(p *piece) *big.Int {
	after, ok := strings.CutPrefix(p.after, pl.prefix)
	if !ok {
		after = ""
	}
	return p.scale.number(after)
}

// before returns a key such that hardly any lies between it and another: a listing that begins
// behind it begins at that one, or just before. It is valid UTF-8, which the key need not be.
func before(key string) string {
	valid := len(key)
	for i, r := range key {
		if r == utf8.RuneError && !strings.HasPrefix(key[i:], string(utf8.RuneError)) {
			valid = i
			break
		}
	}
	if valid < len(key) { // behind all ASCII
		return key[:valid] + "~" + string(utf8.MaxRune)
	}
	r, size := utf8.DecodeLastRuneInString(key)
	head := key[:len(key)-size]
	switch {
	case r <= ' ': // what would come before is a control character
		return head
	case r == 0xE000: // what comes before are surrogates
		r = 0xD800
	}
	if head += string(r - 1); len(head)+utf8.RuneLen(utf8.MaxRune) > maxKey {
		return head
	}
	return head + string(utf8.MaxRune)
}
