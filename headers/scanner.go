package headers

import "strings"

// scanner reads Items, Lists and Dictionaries of Structured Field Values
// (RFC 9651) without allocating. What no header here has a use for, such as an
// Inner List or a Date, is read too: parameters that are not known may be of any
// type, and are to be ignored.
type scanner struct {
	text string
	at   int
}

// scan begins to read a value. Part of one that is too long would be another
// value, so it is malformed.
func scan(text string) (s scanner, ok bool) {
	return scanner{text: text}, !overlong(text)
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

// inner reads an Inner List, of which nothing is kept.
func (s *scanner) inner() bool {
	s.at++
	for {
		s.spaces()
		if s.peek() == ')' {
			s.at++
			return s.params()
		}
		if _, ok := s.item(); !ok || !s.params() {
			return false
		}
		if c := s.peek(); c != ' ' && c != ')' {
			return false
		}
	}
}

// params reads all parameters, of which nothing is kept.
func (s *scanner) params() bool {
	for {
		if _, _, more, ok := s.param(); !ok || !more {
			return ok
		}
	}
}

// pair reads a member of a Dictionary without its parameters. An Inner List has
// kindNone.
func (s *scanner) pair() (key string, v bareItem, ok bool) {
	if key, ok = s.key(); !ok {
		return "", v, false
	}
	if s.peek() != '=' {
		return key, bareItem{kind: kindBoolean, number: 1}, true
	}
	s.at++
	if s.peek() == '(' {
		return key, v, s.inner()
	}
	v, ok = s.item()
	return key, v, ok
}

// key reads the name of a parameter, or of a member of a Dictionary.
func (s *scanner) key() (string, bool) {
	from := s.at
	if c := s.peek(); c != '*' && !isLower(c) {
		return "", false
	}
	for c := s.peek(); isLower(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '*'; c = s.peek() {
		s.at++
	}
	return s.text[from:s.at], true
}

// param reads the next parameter of an item; more is false at the end of the item.
// A key without a value is true.
func (s *scanner) param() (key string, v bareItem, more, ok bool) {
	if s.peek() != ';' {
		return "", bareItem{}, false, true
	}
	s.at++
	s.spaces()
	if key, ok = s.key(); !ok {
		return "", bareItem{}, false, false
	}
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
