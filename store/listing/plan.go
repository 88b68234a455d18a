package listing

import (
	"slices"
	"sort"

	"merkur/store/bucket"
)

// What a plan may hold, and how far it looks ahead.
const (
	maxHeld   = 64 * pageSize // objects
	pieceSize = 4 * pageSize  // objects a piece is to have: each piece wastes half a page
	leastCut  = 3 * pageSize  // objects a piece must have to be cut in two halves
	firstCuts = 4             // requests that may be wasted on any listing of two pages or more
	perCut    = 2 * pageSize  // objects that make up for one more
	maxTrail  = 17            // pages
)

// A plan is what is known of a listing under way: the pieces that the keys were cut into, from
// the one being given out to the last. It decides what is listed next. It does nothing itself,
// and is used by one goroutine at a time.
type plan struct {
	prefix string
	pieces []*piece
	splits splits
	trail  []mark  // where the pages given out lately began
	given  int     // objects given out
	mix    float64 // how far to trust the trail where it shows wider gaps, 0 to 1
	gain   float64 // how much farther apart objects are than the scale has it, a power of two

	held   int // objects in the pieces
	busy   int // requests under way
	listed int // objects that were listed and not given up
	wasted int // cuts, each of which may waste a request, and requests whose objects were given up
}

// A mark is a key and how many objects came before it.
type mark struct {
	key string
	at  int
}

// A piece is the keys behind one cut up to and including another.
type piece struct {
	start string            // the cut before
	after string            // what is listed: the keys up to this one
	end   string            // last key; empty: none
	pages [][]bucket.Listed // what is listed and not given out; none is empty
	held  int               // objects in them
	count int               // objects listed
	busy  bool              // a request is under way
	done  bool              // all of it is listed
	err   error             // what follows the objects, if it is done

	scale    *scale  // made of these keys
	from, to string  // keys with run objects between them: how dense the keys are hereabouts
	run      int     // 0: not known
	rest     float64 // objects that are probably not listed
	known    int     // count that the splits let expect; 0: they say nothing
	hinted   bool    // it begins at a split
	want     int     // count that was expected when a piece was cut off; 0: none
}

// newPlan returns a plan with the whole range as one piece.
func newPlan(o Options) *plan {
	p := &piece{end: o.Last}
	if o.First > o.Prefix {
		p.start = before(o.First)
		p.after = p.start
	}
	return &plan{prefix: o.Prefix, pieces: []*piece{p}, splits: splits{next: o.Splits}}
}

// finished reports whether there is nothing to list any more.
func (pl *plan) finished() bool {
	return !slices.ContainsFunc(pl.pieces, func(p *piece) bool { return !p.done })
}

// ready reports whether take has something to say.
func (pl *plan) ready() bool {
	return len(pl.pieces) == 0 || pl.pieces[0].held > 0 || pl.pieces[0].done
}

// take returns the next objects, and what follows them if it is an error. More may follow if
// more is true.
func (pl *plan) take() (objects []bucket.Listed, err error, more bool) {
	for len(pl.pieces) > 0 && len(objects) == 0 && err == nil {
		p := pl.pieces[0]
		if p.held > 0 {
			objects, p.pages = p.pages[0], p.pages[1:]
			p.held -= len(objects)
			pl.held -= len(objects)
			pl.remember(objects)
		}
		if !p.done || p.held > 0 {
			break
		}
		err = p.err
		pl.pieces = pl.pieces[1:]
	}
	return objects, err, len(pl.pieces) > 0
}

// remember keeps where some objects begin that are given out.
func (pl *plan) remember(objects []bucket.Listed) {
	pl.trail = append(pl.trail, mark{objects[0].Key[len(pl.prefix):], pl.given})
	if len(pl.trail) > maxTrail {
		pl.trail = pl.trail[1:]
	}
	pl.given += len(objects)
}

// assign picks what a worker lists next, and counts it as under way. It returns nil if there is
// nothing to do at this moment.
//
// What is needed first comes first: the pieces are looked at in order, and the first that nobody
// is listing is taken, or a part of the first that is too large to be listed by one.
func (pl *plan) assign() *piece {
	if len(pl.pieces) == 0 {
		return nil
	}
	if p := pl.pieces[0]; !p.busy && !p.done && pl.held+(pl.busy+1)*pageSize <= maxHeld {
		return pl.begin(p)
	}
	// One page is kept for the first piece.
	for pl.held+(pl.busy+2)*pageSize > maxHeld {
		if !pl.giveUp() {
			return nil
		}
	}
	p := pl.urgent()
	if p == nil && pl.held+(pl.busy+2)*pageSize <= maxHeld/2 {
		p = pl.idle() // what seems to be far ahead may not be
	}
	if p == nil {
		return nil
	}
	return pl.begin(p)
}

// urgent returns what is to be listed next of that which probably fits into memory together
// with all that comes before it, or nil.
func (pl *plan) urgent() *piece {
	ahead := 0.0
	var largest *piece
	for i, p := range pl.pieces {
		if ahead += float64(p.held); ahead > maxHeld-pageSize {
			break
		}
		if !p.done && !p.busy {
			return p
		}
		if !p.done && ahead+pieceSize < maxHeld {
			if p.rest >= 2*pieceSize || i == len(pl.pieces)-1 {
				if cut := pl.cut(p, pieceSize); cut != nil {
					return cut
				}
			} else if p.known <= p.count && p.rest >= leastCut && (largest == nil || p.rest > largest.rest) {
				largest = p
			}
		}
		ahead += p.rest
	}
	if largest == nil {
		return nil
	}
	return pl.cut(largest, largest.rest/2)
}

// idle returns the first piece that nobody lists, or nil.
func (pl *plan) idle() *piece {
	for _, p := range pl.pieces {
		if !p.done && !p.busy {
			return p
		}
	}
	return nil
}

// begin counts a request for a piece as under way.
func (pl *plan) begin(p *piece) *piece {
	p.busy = true
	pl.busy++
	return p
}

// mayWaste reports whether so many more requests may be wasted.
func (pl *plan) mayWaste(n int) bool {
	return pl.listed > pageSize && pl.wasted+n <= firstCuts+pl.listed/perCut
}

// giveUp forgets the objects of the last piece if they turn out to be far ahead, and reports
// whether it did. They would only take the place of others that are needed before them.
func (pl *plan) giveUp() bool {
	ahead, found, far := 0.0, -1, false
	for i, p := range pl.pieces {
		if far = ahead > maxHeld; far && p.held > 0 && !p.busy && p.err == nil {
			found = i
		}
		ahead += float64(p.held) + p.rest
	}
	if found < 0 {
		return false
	}
	p := pl.pieces[found]
	pages := p.count/pageSize + 1
	if !pl.mayWaste(pages) {
		return false
	}
	pl.wasted += pages
	pl.held -= p.held
	pl.listed -= p.count
	p.after, p.pages, p.held, p.count, p.done, p.want = p.start, nil, 0, 0, false, 0
	pl.guess(p)
	return true
}

// deliver takes in objects that follow those of a piece, and whether nothing follows them but
// an error, if there is one. No request for the piece is under way any more.
func (pl *plan) deliver(p *piece, objects []bucket.Listed, ended bool, err error) {
	p.busy = false
	pl.busy--
	if !slices.Contains(pl.pieces, p) {
		return
	}
	pl.learn(p, objects)
	// The piece may have been cut since the request was made.
	if n := within(objects, p.end); n < len(objects) {
		objects, ended, err = objects[:n], true, nil
	}
	if n := len(objects); n > 0 {
		p.after = objects[n-1].Key
		p.pages = append(p.pages, objects)
		p.held += n
		p.count += n
		pl.held += n
		pl.listed += n
	}
	if p.want > 0 && p.count > 2*p.want {
		pl.compare(p)
		p.want = 0
	}
	if p.done = ended || p.end != "" && p.after >= p.end; p.done {
		pl.compare(p)
	}
	if p.err = err; err != nil {
		pl.endWith(p)
	}
	pl.guess(p)
}

// within returns how many objects come before the end of a piece, or at it.
func within(objects []bucket.Listed, end string) int {
	if end == "" {
		return len(objects)
	}
	return sort.Search(len(objects), func(i int) bool { return objects[i].Key > end })
}

// endWith drops what follows a piece.
func (pl *plan) endWith(p *piece) {
	i := slices.Index(pl.pieces, p)
	for _, q := range pl.pieces[i+1:] {
		pl.held -= q.held
	}
	pl.pieces = pl.pieces[:i+1]
}
