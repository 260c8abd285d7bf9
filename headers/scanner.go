package headers

import (
	"encoding/base64"
	"strings"
)

// scanner reads Items, and Lists of them, of Structured Field Values
// (RFC 9651) without allocating. It knows no Inner Lists, Dates and Display
// Strings: no header here has them, so that they are malformed.
type scanner struct {
	text string
	at   int
}

type kind int8

const (
	kindInteger kind = iota
	kindDecimal
	kindString
	kindToken
	kindBytes
	kindBoolean
)

// bareItem is a value without its parameters.
type bareItem struct {
	kind    kind
	number  int64  // Integer, Boolean (0 or 1); a Decimal in thousandths
	text    string // String without quotes, Token, Byte Sequence without colons
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

// decoded is the value of a Byte Sequence. Padding may be missing
// (RFC 9651 section 4.2.7).
func (b bareItem) decoded() ([]byte, bool) {
	if b.text == "" {
		return nil, true
	}
	v, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(b.text, "="))
	return v, err == nil
}

func (s *scanner) done() bool { return s.at >= len(s.text) }

// peek returns the next byte, or 0 at the end; no grammar here has a NUL.
func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.at]
}

func (s *scanner) spaces() {
	for s.peek() == ' ' {
		s.at++
	}
}

func (s *scanner) optionalWhiteSpace() {
	for c := s.peek(); c == ' ' || c == '\t'; c = s.peek() {
		s.at++
	}
}

// member reads up to the next Item of a List; more is false at its end.
// first says that none was read before.
func (s *scanner) member(first bool) (more, ok bool) {
	if first {
		s.spaces()
		return !s.done(), true
	}
	s.optionalWhiteSpace()
	if s.done() {
		return false, true
	}
	if s.peek() != ',' {
		return false, false
	}
	s.at++
	s.optionalWhiteSpace()
	return true, !s.done() // a trailing comma is malformed
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
	return b, true
}

// param reads the next parameter of an item; more is false if there is none.
// A key without a value is true.
func (s *scanner) param() (key string, v bareItem, more, ok bool) {
	if s.peek() != ';' {
		return "", bareItem{}, false, true
	}
	s.at++
	s.spaces()
	from := s.at
	if c := s.peek(); c != '*' && !isLower(c) {
		return "", bareItem{}, false, false
	}
	for c := s.peek(); isLower(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '*'; c = s.peek() {
		s.at++
	}
	key = s.text[from:s.at]
	if s.peek() != '=' {
		return key, bareItem{kind: kindBoolean, number: 1}, true, true
	}
	s.at++
	v, ok = s.item()
	return key, v, ok, ok
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isAlpha(c byte) bool { return isLower(c) || 'A' <= c && c <= 'Z' }

// isTokenChar is tchar of RFC 9110 section 5.6.2.
func isTokenChar(c byte) bool {
	return isAlpha(c) || isDigit(c) || c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// printable reports whether s can be a String (RFC 9651 section 3.3.3).
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// appendString appends s, which is printable, in quotes.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
