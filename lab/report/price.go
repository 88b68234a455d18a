package report

import (
	"fmt"
	"strconv"
	"strings"
)

// Requests are numbers of requests, by what they are billed as: PUT is all that stores or copies.
type Requests struct {
	List int64 `json:"LIST"`
	Head int64 `json:"HEAD"`
	Get  int64 `json:"GET"`
	Put  int64 `json:"PUT"`
}

// Counted sorts requests by the names of their operations. Deletes, which are free, do not count.
func Counted(byName map[string]int64) (r Requests) {
	for name, n := range byName {
		switch {
		case strings.HasPrefix(name, "List"):
			r.List += n
		case strings.HasPrefix(name, "Head"):
			r.Head += n
		case strings.HasPrefix(name, "Get"):
			r.Get += n
		case strings.HasPrefix(name, "Delete"), strings.HasPrefix(name, "Abort"):
		default:
			r.Put += n
		}
	}
	return r
}

// Plus adds.
func (r Requests) Plus(s Requests) Requests {
	return Requests{r.List + s.List, r.Head + s.Head, r.Get + s.Get, r.Put + s.Put}
}

// Total is how many there are.
func (r Requests) Total() int64 { return r.List + r.Head + r.Get + r.Put }

// Prices are in dollars: of 1,000 requests of a kind, and of a GiB that leaves the region.
type Prices struct {
	List float64 `json:"LIST"`
	Head float64 `json:"HEAD"`
	Get  float64 `json:"GET"`
	Put  float64 `json:"PUT"`
	Out  float64 `json:"OUT"`
}

// USEast1 is what S3 Standard costs in us-east-1, as Amazon states it. What leaves for the Internet is
// 0.09 a GiB there, and what stays in the region is free, so that it is not counted unless asked for.
var USEast1 = Prices{List: 0.005, Head: 0.0004, Get: 0.0004, Put: 0.005}

// ParsePrices reads prices such as LIST=0.0054,OUT=0.09. What is not named costs what it did.
func ParsePrices(text string, usual Prices) (Prices, error) {
	p := usual
	kinds := map[string]*float64{"LIST": &p.List, "HEAD": &p.Head, "GET": &p.Get, "PUT": &p.Put, "OUT": &p.Out}
	for _, pair := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		place, known := kinds[strings.ToUpper(name)]
		if !known {
			return usual, fmt.Errorf("%q is no price of LIST, HEAD, GET, PUT or OUT, such as GET=0.0004", pair)
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f >= 0 && f < 1e9) {
			return usual, fmt.Errorf("%q is no number of dollars", value)
		}
		*place = f
	}
	return p, nil
}

// Of is the price of requests, and of bytes that leave the region.
func (p Prices) Of(r Requests, out int64) float64 {
	return (float64(r.List)*p.List+float64(r.Head)*p.Head+float64(r.Get)*p.Get+float64(r.Put)*p.Put)/1000 +
		float64(out)/(1<<30)*p.Out
}

// How objects are moved unless settings say otherwise.
const (
	partsFrom = 8 << 20 // bytes of an object that is moved in parts
	partSize  = 8 << 20
	copyMost  = 5 << 30 // bytes that one request copies
	batch     = 16_384  // transfers for which a manifest is written once
)

// Carrying are the requests that a transfer takes: a small object one; one in parts one for each,
// and on the way to a bucket two more, that begin and complete it.
func Carrying(direction string, size int64) (r Requests) {
	apart := size >= partsFrom
	if direction == "copy" {
		apart = size > copyMost
	}
	n := int64(1)
	if apart {
		n = (size + partSize - 1) / partSize
	}
	switch {
	case direction == "download":
		r.Get = n
	case apart:
		r.Put = n + 2
	default:
		r.Put = n
	}
	return r
}

// Committing are the requests by which a manifest at the destination is kept true: one before the first
// transfer and one after each batch of them.
func Committing(transfers int64) (r Requests) {
	if transfers > 0 {
		r.Put = 2 + (transfers-1)/batch
	}
	return r
}
