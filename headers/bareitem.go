package headers

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

type kind int8

const (
	kindNone kind = iota // no value
	kindInteger
	kindDecimal
	kindString
	kindToken
	kindBytes
	kindBoolean
	kindDate
	kindDisplayString
)

// bareItem is a value without its parameters.
type bareItem struct {
	kind    kind
	number  int64  // Integer, Boolean (0 or 1), Date; a Decimal in thousandths
	text    string // String and Display String without quotes, Token, Byte Sequence without colons
	escaped bool   // text has escapes
}

// unescaped is the value of a String. It allocates only if there is something
// to remove.
func (b bareItem) unescaped() string {
	if !b.escaped {
		return b.text
	}
	out := make([]byte, 0, len(b.text))
	for i := 0; i < len(b.text); i++ {
		if b.text[i] == '\\' {
			i++
		}
		out = append(out, b.text[i])
	}
	return string(out)
}

// decoded is the value of a Byte Sequence, which may be empty, or nil if the item is
// absent. Padding may be missing (RFC 9651 section 4.2.7).
func (b bareItem) decoded() ([]byte, bool) {
	if b.kind == kindNone {
		return nil, true
	}
	v, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(b.text, "="))
	return v, err == nil
}

// item reads a bare item (RFC 9651 section 4.2.3.1).
func (s *scanner) item() (b bareItem, ok bool) {
	switch c := s.peek(); {
	case c == '-' || isDigit(c):
		return s.numeric()
	case c == '"':
		return s.str()
	case c == '*' || isAlpha(c):
		from := s.at
		for c := s.peek(); isTokenChar(c) || c == ':' || c == '/'; c = s.peek() {
			s.at++
		}
		return bareItem{kind: kindToken, text: s.text[from:s.at]}, true
	case c == ':':
		return s.bytes()
	case c == '@':
		s.at++
		b, ok = s.numeric()
		ok = ok && b.kind == kindInteger
		b.kind = kindDate
		return b, ok
	case c == '%':
		return s.displayString()
	case c == '?':
		s.at++
		v := s.peek()
		s.at++
		return bareItem{kind: kindBoolean, number: int64(v) - '0'}, v == '0' || v == '1'
	}
	return bareItem{}, false
}

// numeric reads an Integer of up to 15 digits, or a Decimal of up to 12 and 3.
func (s *scanner) numeric() (b bareItem, ok bool) {
	b.kind = kindInteger
	sign := int64(1)
	if s.peek() == '-' {
		sign = -1
		s.at++
	}
	before, after := 0, -1
	for {
		switch c := s.peek(); {
		case isDigit(c) && after < 0:
			before++
		case isDigit(c):
			after++
		case c == '.' && after < 0 && before > 0 && before <= 12:
			after = 0
			b.kind = kindDecimal
			s.at++
			continue
		default:
			return b.scaled(sign, after), before > 0 && after != 0
		}
		if before > 15 || after > 3 {
			return bareItem{}, false
		}
		b.number = b.number*10 + int64(s.peek()-'0')
		s.at++
	}
}

// scaled brings a Decimal with the given number of digits to thousandths.
func (b bareItem) scaled(sign int64, after int) bareItem {
	for ; b.kind == kindDecimal && after < 3; after++ {
		b.number *= 10
	}
	b.number *= sign
	return b
}

func (s *scanner) str() (b bareItem, ok bool) {
	b.kind = kindString
	s.at++
	from := s.at
	for ; !s.done(); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			b.text = s.text[from:s.at]
			s.at++
			return b, true
		case c == '\\':
			b.escaped = true
			s.at++
			if e := s.peek(); e != '"' && e != '\\' {
				return b, false
			}
		case c < ' ' || c > '~':
			return b, false
		}
	}
	return b, false
}

// displayString reads a string of UTF-8 in which bytes are written as %c3
// (RFC 9651 section 4.2.10).
func (s *scanner) displayString() (b bareItem, ok bool) {
	b.kind = kindDisplayString
	if !strings.HasPrefix(s.text[s.at:], `%"`) {
		return b, false
	}
	s.at += 2
	from := s.at
	var left utf8Tail
	for ; !s.done(); s.at++ {
		c := s.text[s.at]
		switch {
		case c == '"':
			b.text = s.text[from:s.at]
			s.at++
			return b, left.whole()
		case c < ' ' || c > '~':
			return b, false
		case c == '%':
			if s.at+2 >= len(s.text) {
				return b, false
			}
			high, low := hex(s.text[s.at+1]), hex(s.text[s.at+2])
			if high < 0 || low < 0 {
				return b, false
			}
			c, s.at = byte(high<<4|low), s.at+2
		}
		if !left.add(c) {
			return b, false
		}
	}
	return b, false
}

// utf8Tail checks bytes for being UTF-8 one by one: it holds those of a character
// that is not whole yet.
type utf8Tail struct {
	bytes [utf8.UTFMax]byte
	n     int
}

func (u *utf8Tail) whole() bool { return u.n == 0 }

func (u *utf8Tail) add(c byte) bool {
	if u.n == len(u.bytes) {
		return false
	}
	u.bytes[u.n] = c
	u.n++
	if !utf8.FullRune(u.bytes[:u.n]) {
		return true
	}
	r, size := utf8.DecodeRune(u.bytes[:u.n])
	ok := size == u.n && (r != utf8.RuneError || size > 1)
	u.n = 0
	return ok
}

// hex is the value of a digit in lower case, or -1.
func hex(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

func (s *scanner) bytes() (b bareItem, ok bool) {
	b.kind = kindBytes
	s.at++
	from := s.at
	for c := s.peek(); isAlpha(c) || isDigit(c) || c == '+' || c == '/' || c == '='; c = s.peek() {
		s.at++
	}
	b.text = s.text[from:s.at]
	if s.peek() != ':' {
		return b, false
	}
	s.at++
	digits := strings.TrimRight(b.text, "=")
	return b, strings.IndexByte(digits, '=') < 0 && len(digits)%4 != 1
}
