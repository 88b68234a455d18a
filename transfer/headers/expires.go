package headers

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// httpDate is the form of a date on the wire.
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// The seconds since 1970 of the years that an HTTP date can tell, 1 to 9999.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// ParseExpires reads a time as aws takes it after --expires and returns the HTTP date that goes
// on the wire; parts of a second are dropped. It reads
//
//   - seconds since 1970, 1893456000: every plain number, so also 2030 and 20300101;
//   - ISO 8601: 2030-01-01, 2030-01-01T12:30:00Z, 20300101T123000+0100, with or without minutes
//     and seconds, with "T" or a space, and UTC where there is no zone;
//   - an HTTP date: Tue, 01 Jan 2030 12:30:00 GMT, also with a zone as +0100.
//
// "" is none, and returned as such. aws reads more, and guesses what is missing: to it, 2030-01 is
// a day of January, whichever it is today. That is an error here.
func ParseExpires(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	trimmed := strings.TrimSpace(text)
	at, ok := parseEpoch(trimmed)
	for _, parse := range []func(string) (time.Time, bool){parseISO, parseHTTP} {
		if !ok {
			at, ok = parse(trimmed)
		}
	}
	switch at = at.UTC(); {
	case !ok:
		return "", fmt.Errorf("%q is not a time: neither ISO 8601 (2030-01-31T12:00:00Z) nor seconds since 1970 nor an HTTP date", text)
	case at.Unix() < firstSecond || at.Unix() > lastSecond:
		return "", fmt.Errorf("%q is not within the years 1 to 9999", text)
	}
	return at.Format(httpDate), nil
}

// parseEpoch reads a number of seconds, and rounds it down.
func parseEpoch(s string) (time.Time, bool) {
	whole, part, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.Trim(part, "0123456789") != "" {
		return time.Time{}, false
	}
	if strings.HasPrefix(whole, "-") && strings.Trim(part, "0") != "" {
		seconds--
	}
	// A time counts from the year 1, so that the farthest seconds would wrap around.
	return time.Unix(min(max(seconds, firstSecond-1), lastSecond+1), 0), true
}

// isoLayouts are all ways to write a date and time of day. Parts of a second are read by all.
var isoLayouts = func() []string {
	layouts := []string{"2006-01-02"}
	for _, date := range []string{"2006-01-02", "20060102"} {
		for _, clock := range []string{"T15:04:05", "T15:04", "T15", "T150405", "T1504"} {
			for _, zone := range []string{"Z07:00", "Z0700", "Z07", ""} {
				layouts = append(layouts, date+clock+zone)
			}
		}
	}
	return layouts
}()

func parseISO(s string) (time.Time, bool) {
	if i := len("2006-01-02"); len(s) > i && s[i] == ' ' {
		s = s[:i] + "T" + s[i+1:]
	}
	return parseAny(isoLayouts, strings.ToUpper(s))
}

func parseHTTP(s string) (time.Time, bool) {
	return parseAny([]string{httpDate, time.RFC1123Z}, s)
}

func parseAny(layouts []string, s string) (time.Time, bool) {
	for _, layout := range layouts {
		at, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		_, offset := at.Zone()
		return at, max(offset, -offset) < 24*60*60
	}
	return time.Time{}, false
}
