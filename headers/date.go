package headers

import (
	"strings"
	"time"
)

// date reads an HTTP date in one of the three forms of RFC 9110 section 5.6.7,
// or in the first of them with "UTC" instead of "GMT", as some libraries write.
// A leap second is the second after it. In the form that has two digits for the
// year it is the year that is at most 50 after now. Unlike [http.ParseTime] it
// allocates nothing, whatever the text.
func date(text string, now time.Time) (time.Time, bool) {
	c := cursor{text: text, ok: true}
	c.word() // no one needs to know which day of the week it was
	var year, day, hour, minute, second int
	var month time.Month
	switch {
	case c.skips(", "): // Sun, 06 Nov 1994 08:49:37 GMT, or Sunday, 06-Nov-94 08:49:37 GMT
		day = c.number(2)
		if c.skips("-") {
			month = c.month()
			c.expect("-")
			year = nearest(c.number(2), now.UTC().Year())
		} else {
			c.expect(" ")
			month = c.month()
			c.expect(" ")
			year = c.number(4)
		}
		c.expect(" ")
		hour, minute, second = c.clock()
		if !c.skips(" GMT") {
			c.expect(" UTC")
		}
	default: // Sun Nov  6 08:49:37 1994
		c.expect(" ")
		month = c.month()
		c.expect(" ")
		if c.skips(" ") {
			day = c.number(1)
		} else {
			day = c.number(2)
		}
		c.expect(" ")
		hour, minute, second = c.clock()
		c.expect(" ")
		year = c.number(4)
	}
	if !c.ok || c.text != "" || hour > 23 || minute > 59 || second > 60 || day < 1 {
		return time.Time{}, false
	}
	t := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	if midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC); midnight.Day() != day {
		return time.Time{}, false // 31 April
	}
	return t, true
}

// nearest returns the year that ends in two digits and is at most 50 after now.
func nearest(digits, now int) int {
	year := now - now%100 + digits
	if year-now > 50 {
		return year - 100
	}
	if year-now <= -50 {
		return year + 100
	}
	return year
}

// cursor reads a text of fixed form. What does not fit clears ok, and what is
// read after that means nothing.
type cursor struct {
	text string
	ok   bool
}

func (c *cursor) skips(s string) bool {
	if len(c.text) < len(s) || c.text[:len(s)] != s {
		return false
	}
	c.text = c.text[len(s):]
	return true
}

func (c *cursor) expect(s string) { c.ok = c.skips(s) && c.ok }

// word reads the name of a day.
func (c *cursor) word() {
	n := 0
	for n < len(c.text) && n < len("Wednesday") && isAlpha(c.text[n]) {
		n++
	}
	c.ok = c.ok && n >= 3
	c.text = c.text[n:]
}

// number reads so many digits.
func (c *cursor) number(width int) int {
	if len(c.text) < width {
		c.ok = false
		return 0
	}
	n, ok := digits(c.text[:width], 9999)
	c.ok = c.ok && ok
	c.text = c.text[width:]
	return int(n)
}

// month reads the first three letters of a month.
func (c *cursor) month() time.Month {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	for i := 0; i < len(names); i += 3 {
		if len(c.text) >= 3 && strings.EqualFold(c.text[:3], names[i:i+3]) {
			c.text = c.text[3:]
			return time.Month(i/3 + 1)
		}
	}
	c.ok = false
	return 0
}

// clock reads the time of day. An hour of one digit is not of the grammar, but
// net/http takes it too.
func (c *cursor) clock() (hour, minute, second int) {
	if len(c.text) > 1 && c.text[1] == ':' {
		hour = c.number(1)
	} else {
		hour = c.number(2)
	}
	c.expect(":")
	minute = c.number(2)
	c.expect(":")
	return hour, minute, c.number(2)
}
